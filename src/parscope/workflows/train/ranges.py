"""What a training for strain is drawn over, from the scan: doses, background, strain, contrast, with their margins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from parscope.solvers.lattice import LatticeFilters
from parscope.solvers.lattice.contrast import find_power
from parscope.solvers.networks.constellation.ranges import Ranges
from parscope.techniques.diffraction import DiffractionPattern
from parscope.workflows.grains.lattice import change
from parscope.workflows.grains.phases import ANOTHER, strained
from parscope.workflows.train.phases import Phase

Array = NDArray[np.float64]

# Fewest lattices that say something of their spread.
_FEWEST = 8
# Most patterns have doses, and lattices strains, within these shares of their order.
_LOW, _HIGH = 0.05, 0.95
# Margins: of the dose either way, of the odds of an electron to be in the background, of strain.
_DOSE, _ODDS, _STRAIN = 30.0, 10.0, 2.0
# What is trained for at least: electrons, background [1], strain [1], variance of contrast [1]; and strain at most, as
# far as the exact solver reaches from its reference.
_ELECTRON, _BACKGROUND, _LEAST, _FLAT, _MOST = 1.0, 0.5, 0.02, 0.05, 0.05
# A lattice is turned and strained by less than this where the filters of the set-up fit it.
_CAUGHT_ROTATION, _CAUGHT_STRAIN = np.deg2rad(7.0), 0.06


def found_ranges(phase: Phase) -> tuple[Ranges, DiffractionPattern]:
    """Ranges of a training, and the physics of the set-up with the contrast found.

    Parameters
    ----------
    phase : Phase
        A phase of a scan.

    Returns
    -------
    ranges : Ranges
        Of doses: those of the scan's patterns, thirty times less to thirty times more. Of background: from none to ten
        times the odds of the scan's mean. Of strain: twice what nearly all single lattices have relative to that of
        the set-up. Of contrast: that of the disks.
    physics : DiffractionPattern
    """
    physics, patterns, lattices = phase.setup.physics, phase.patterns, phase.lattices
    caught = change(physics.basis, lattices).within(_CAUGHT_ROTATION, _CAUGHT_STRAIN)
    power = find_power([(LatticeFilters(physics), patterns[caught])]) if caught.any() else None
    own = physics if power is None else replace(physics, contrast=replace(physics.contrast, power=power))
    return Ranges(_doses(patterns, physics), _background(physics), _strained(physics.basis, lattices), _depth(own)), own


def _doses(patterns: NDArray[np.generic], physics: DiffractionPattern) -> tuple[float, float]:
    """Least and most electrons of a pattern."""
    electrons = patterns.sum((1, 2), dtype=np.float64) / physics.gain
    low, high = np.quantile(electrons, (_LOW, _HIGH))
    return max(float(low / _DOSE), _ELECTRON), float(high * _DOSE)


def _background(physics: DiffractionPattern) -> float:
    """Largest share of the electrons in the background, [1]."""
    theta = physics.theta[None]
    share = float(physics.render(theta, np.zeros(len(physics.indices))).sum() / physics.render(theta).sum())
    odds = _ODDS * share / max(1 - share, 1e-6)
    return max(odds / (1 + odds), _BACKGROUND)


def _strained(basis: Array, lattices: Array) -> float:
    """Largest strain of the lattices relative to that of the set-up, whatever their turn, [1]."""
    size = strained(lattices, basis)
    size = size[size < ANOTHER]
    return float(np.clip(_STRAIN * np.quantile(size, _HIGH), _LEAST, _MOST)) if len(size) >= _FEWEST else _MOST


def _depth(physics: DiffractionPattern) -> float:
    """Variance of the contrast in the disks, [1]."""
    return max(sum(physics.contrast.power), _FLAT)
