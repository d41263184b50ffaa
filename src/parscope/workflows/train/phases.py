"""The phases of a scan, by evidence: patterns that the set-up's lattice cannot explain are searched for another one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import NoLatticeError
from parscope.solvers.networks.constellation.foreign import alike
from parscope.techniques.diffraction.setup import Given, Setup
from parscope.workflows.grains.phases import ANOTHER
from parscope.workflows.grains.seeds import Finder
from parscope.workflows.grains.setup import find_setup_polycrystal
from parscope.workflows.strain.prepare import Found

Array = NDArray[np.float64]

# Lattices of another phase that must be found in a sample, each of an evidence that chance hardly gives, at least, and
# share of all lattices found; phases at most.
_FEWEST, _SHARE, _MOST = 4, 0.03, 3


@dataclass(frozen=True)
class Phase:
    """One phase of a scan.

    Parameters
    ----------
    setup : Setup
        Its lattice and disks.
    patterns : ndarray, shape (n, q_y, q_x)
        Those of the sample that no other phase explains.
    lattices : ndarray, shape (n, 2, 2)
        What each of them shows by itself, rows g1, g2, [px]; NaN where nothing is found.
    """

    setup: Setup
    patterns: NDArray[np.generic]
    lattices: Array


def found_phases(found: Found) -> list[Phase]:
    """Phases of a scan.

    Parameters
    ----------
    found : Found
        A scan and its set-up, whose lattice is that of the first phase.

    Returns
    -------
    list of Phase
        At least one. A lattice that turn, strain or missing disks make of another one is no phase of its own.
    """
    physics = found.setup.physics
    finder = Finder(physics, 1.0)
    seeds = [finder.seed(np.zeros(2, np.int64), pattern) for pattern in found.patterns]
    lattices = np.stack([s.lattices[0] if s.lattices else np.full((2, 2), np.nan) for s in seeds])
    known = np.isfinite(lattices).all((1, 2))
    setups, phase = [found.setup], np.where(known, -1, 0)
    given = Given(probe_radius=physics.probe.radius, probe_edge=physics.probe.edge, gain=physics.gain)
    while True:
        new = phase == -1
        phase[new] = np.where(_one(setups[-1].physics.basis, lattices[new]), len(setups) - 1, -1)
        rest = np.flatnonzero(phase == -1)
        if len(setups) == _MOST or len(rest) < max(_FEWEST, _SHARE * known.sum()):
            break
        try:
            other = find_setup_polycrystal(found.patterns[rest], mask=physics.mask, given=given)
        except NoLatticeError:
            break
        basis = other.physics.basis
        strange = not any(_one(s.physics.basis, basis[None])[0] for s in setups)
        if not strange or _one(basis, lattices[rest]).sum() < max(_FEWEST, _SHARE * known.sum()):
            break
        setups.append(other)
    phase[phase == -1] = 0
    return [Phase(s, found.patterns[phase == n], lattices[phase == n]) for n, s in enumerate(setups)]


def _one(basis: Array, lattices: Array) -> NDArray[np.bool_]:
    """Whether lattices are of one phase with a reduced basis, or either has only some of the disks of the other."""
    own = np.array([alike(lattice, basis[None], ANOTHER)[0] for lattice in lattices], np.bool_)
    return own | alike(basis, lattices, ANOTHER)
