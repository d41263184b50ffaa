"""Nanobeam electron diffraction: the pattern, its lattice geometry, and what it takes to set both up from data."""

from parscope.core.physics import Contrast as Contrast
from parscope.techniques.diffraction.lattice import STRAIN as STRAIN
from parscope.techniques.diffraction.lattice import reciprocal_map as reciprocal_map
from parscope.techniques.diffraction.lattice import strain as strain
from parscope.techniques.diffraction.lattice import strain_jacobian as strain_jacobian
from parscope.techniques.diffraction.lattice import turned as turned
from parscope.techniques.diffraction.pattern import Background as Background
from parscope.techniques.diffraction.pattern import DiffractionPattern as DiffractionPattern
from parscope.techniques.diffraction.pattern import Probe as Probe
