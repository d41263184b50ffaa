"""Polycrystals: the crystals of a scan, where each of them may be, and the fit of patterns that may be of several."""

from parscope.workflows.grains.find import Crystals as Crystals
from parscope.workflows.grains.find import crystals_of as crystals_of
from parscope.workflows.grains.find import find_crystals as find_crystals
from parscope.workflows.grains.fit import fit_crystals as fit_crystals
