"""Set-up without parameters: probe, lattice, disks, background and bad pixels from a sample of a scan."""

from parscope.techniques.diffraction.setup.choice import Choice as Choice
from parscope.techniques.diffraction.setup.choice import Given as Given
from parscope.techniques.diffraction.setup.choice import Setup as Setup
from parscope.techniques.diffraction.setup.find import find_setup as find_setup
from parscope.techniques.diffraction.setup.finder import Lattice as Lattice
from parscope.techniques.diffraction.setup.finder import find_lattice as find_lattice
from parscope.techniques.diffraction.setup.gain import zero_and_unit as zero_and_unit
