"""The phases of a scan, by evidence: patterns that the set-up's lattice cannot explain are searched for another one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import NoLatticeError, ShapeError
from parscope.solvers.networks.constellation.foreign import alike
from parscope.techniques.diffraction import DiffractionPattern
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
    enough = max(_FEWEST, _SHARE * known.sum())
    while True:
        new = phase == -1
        phase[new] = np.where(_one(setups[-1].physics.basis, lattices[new]), len(setups) - 1, -1)
        rest = np.flatnonzero(phase == -1)
        other = _another(found.patterns[rest], physics) if len(setups) < _MOST and len(rest) >= enough else None
        if other is None or _one(other.physics.basis, lattices[rest]).sum() < enough:
            break
        if any(_one(s.physics.basis, other.physics.basis[None])[0] for s in setups):
            break
        setups.append(other)
    phase[phase == -1] = 0
    return [Phase(s, found.patterns[phase == n], lattices[phase == n]) for n, s in enumerate(setups)]


def _another(patterns: NDArray[np.generic], known: DiffractionPattern) -> Setup | None:
    """Set-up of patterns that a known phase does not explain, of the same probe and detector; None if there is none."""
    given = Given(probe_radius=known.probe.radius, probe_edge=known.probe.edge, gain=known.gain)
    try:
        found = find_setup_polycrystal(patterns, mask=known.mask, given=given)
    except (NoLatticeError, ShapeError):
        # No lattice is met twice: there is no evidence of a phase.
        return None
    # Of a few patterns the detector cannot be judged.
    return replace(found, physics=replace(found.physics, mask=known.mask))


def _one(basis: Array, lattices: Array) -> NDArray[np.bool_]:
    """Whether lattices are of one phase with a reduced basis, or either has only some of the disks of the other."""
    own = np.array([alike(lattice, basis[None], ANOTHER)[0] for lattice in lattices], np.bool_)
    return own | alike(basis, lattices, ANOTHER)
