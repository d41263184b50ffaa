"""Networks trained on what a scan is like: from a file to a folder with the network and its card, in one call."""

from parscope.workflows.train.spectra import train_spectra as train_spectra
from parscope.workflows.train.strain import train_strain as train_strain
