"""Polycrystals: the crystals of a scan found from its patterns, and where each of them may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.frames import Frames
from parscope.core.physics import Contrast
from parscope.core.solver import Status
from parscope.solvers.lattice import LatticeFilters
from parscope.solvers.lattice.contrast import calibrate
from parscope.techniques.diffraction.lattice import strain
from parscope.techniques.diffraction.setup import Choice, Setup
from parscope.workflows.grains.fit import OVERLYING, pattern_physics
from parscope.workflows.grains.lattice import change, related
from parscope.workflows.grains.reference import SAMPLE, overlying, references
from parscope.workflows.grains.regions import candidates, nearest, regions
from parscope.workflows.grains.seeds import (
    ALIKE_ROTATION,
    ALIKE_STRAIN,
    Finder,
    Reader,
    Seed,
    grid,
    number_of,
    suited_readers,
)
from parscope.workflows.grains.survey import Survey, Surveyor

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
Progress = Callable[[float], None]

FIRST_LOOK, SEEDS = 120, 400
# Enough to tell which lattice is there; what the contrast really is shows when the crystals are known.
ORDINARY = Contrast((0.02, 0.02, 0.02, 0.02))
# Lattices that filters of one orientation still catch, and rotations that one bent crystal may have.
CAUGHT_ROTATION, CAUGHT_STRAIN = np.deg2rad(9.0), 0.07
BENT = np.deg2rad(9.0)
LEAST_SEEDS = 3
# Reciprocal cells are whole multiples of each other within this share; a region is small below this share of the scan.
_SAME_AREA, _HERE_AND_THERE = 0.04, 0.05


@dataclass(frozen=True)
class Crystals:
    """The crystals of a scan.

    Parameters
    ----------
    solvers : tuple of LatticeFilters
        One for each crystal, largest first; the place in the tuple is the number of the crystal.
    candidates : ndarray of int16, shape (scan y, scan x, k)
        Crystals that may be there: their numbers; -1 for none; -2 - c for a crystal c that has no region of its own
        and may lie over the others there.
    choices : tuple of Choice
        How many there are and how they were found, for the report.
    """

    solvers: tuple[LatticeFilters, ...]
    candidates: NDArray[np.int16]
    choices: tuple[Choice, ...]


def find_crystals(
    frames: Frames,
    sample: NDArray[Any],
    setup: Setup,
    solver: LatticeFilters,
    progress: Progress | None = None,
) -> Crystals | None:
    """Find the crystals of a scan, if one lattice does not explain it.

    Patterns on a coarse grid are searched for lattices; every pattern of the scan (of a regular part of it if it is
    very large) is then given to the lattice that explains most of it, patterns that none explains are searched in
    turn, and connected regions of smoothly changing lattice become the crystals.

    Parameters
    ----------
    frames : Frames
        The scan.
    sample : ndarray, shape (n, q_y, q_x)
        Some patterns from all over the scan, for the dose and the contrast.
    setup : Setup
        Supplies probe, background and bad pixels; its lattice may be that of any one crystal.
    solver : LatticeFilters
        For the lattice of the set-up, of any contrast.
    progress : callable, optional
        Called with the share of the work done, [1].

    Returns
    -------
    Crystals or None
        None where one crystal explains the scan, strained by up to 5 % and bent by up to some degrees.
    """
    physics = setup.physics
    reader, long = suited_readers(frames, sample, physics.gain)
    foreign, bent = _first_look(frames, long, Finder(physics, long.noise), solver)
    if len(foreign) < LEAST_SEEDS and bent < BENT:
        return None
    finder = Finder(physics, reader.noise)
    rows, columns = frames.scan_shape
    places = grid((rows, columns), min(SEEDS, max(rows * columns // 4, 1)))
    seeds, lattices = finder.seeds(places, reader(places), [physics.basis])
    seeds += [s for s in foreign if s.lattices]
    if not seeds:
        return None
    for lattice in (b for s in foreign for b in s.lattices):
        lattices += [lattice] if number_of(lattice, lattices) < 0 else []
    farthest, typical = _disks(seeds, finder)
    surveyor = Surveyor(frames, finder, reader, farthest, typical)
    found = surveyor.run(seeds, lattices, progress or _ignore)
    return _crystals(frames, sample, found, solver, farthest)


def crystals_of(
    frames: Frames, sample: NDArray[Any], survey: Survey, solver: LatticeFilters, farthest: float
) -> Crystals | None:
    """Find the crystals of a scan whose lattices are known position by position.

    Parameters
    ----------
    frames : Frames
        The scan.
    sample : ndarray, shape (n, q_y, q_x)
        Some patterns from all over the scan, for the contrast.
    survey : Survey
        The lattices, as a network told them.
    solver : LatticeFilters
        For the lattice of the set-up, of any contrast.
    farthest : float
        Disk used, [px] from the centre.

    Returns
    -------
    Crystals or None
        None where one crystal explains the scan.
    """
    return _crystals(frames, sample, (survey, [], []), solver, farthest)


def _ignore(_: float) -> None:
    """Progress nobody watches."""


def _first_look(frames: Frames, reader: Reader, finder: Finder, solver: LatticeFilters) -> tuple[list[Seed], float]:
    """Seeds of a coarse grid that the solver's lattice does not explain, and the range of rotations it finds, [rad]."""
    places = grid(frames.scan_shape, FIRST_LOOK)
    patterns = reader(places)
    estimate = solver.with_contrast(ORDINARY, bins=3)(patterns)
    basis = finder.physics.basis
    foreign, rotations = [], [0.0]
    for n, theta in enumerate(estimate.theta):
        fitted = bool(estimate.status[n] == Status.OK)
        here = basis @ theta[2:].reshape(2, 2).T if fitted else basis
        peaks = finder.peaks(patterns[n])
        rest = finder.beside(peaks, theta[:2] if fitted else np.array(finder.physics.centre), [here])
        if finder.substantial(rest, peaks):
            seed = finder.seed(places[n], patterns[n])
            if not all(
                change(basis, b).within(CAUGHT_ROTATION, CAUGHT_STRAIN) or related(here, b) for b in seed.lattices
            ):
                foreign.append(seed)
        elif fitted and len(peaks) > 5:
            rotations.append(float(strain(theta[2:].reshape(2, 2))[3]))
    return foreign, float(np.ptp(rotations))


def _disks(seeds: list[Seed], finder: Finder) -> tuple[float, float]:
    """Farthest disk worth using, [px], and typical counts per pixel of diffracted disks."""
    centre = np.array(finder.physics.centre)
    far, strong = [], []
    for seed in seeds:
        sure = (seed.peaks.significance > 6) & ~finder.direct(seed.peaks, centre)
        if sure.any():
            far.append(float(np.hypot(*(seed.peaks.position[sure] - centre).T).max()))
            strong.append(float(np.median(seed.peaks.amplitude[sure])))
    return (float(np.quantile(far, 0.75)) + 2.0, float(np.median(strong))) if far else (np.inf, 1.0)


def _crystals(
    frames: Frames,
    sample: NDArray[Any],
    found: tuple[Survey, list[Array], list[Seed]],
    solver: LatticeFilters,
    farthest: float,
) -> Crystals | None:
    """Regions of the survey as crystals, and those that only lie over others."""
    survey, lattices, seeds = found
    label = _without_coincidences(regions(survey.lattice, survey.error, survey.label >= 0), survey.lattice)
    count = int(label.max()) + 1
    if count == 0:
        return None
    grown = _spread(candidates(nearest(label)), survey.stride, frames.scan_shape)
    # between two grains a second lattice is no surprise
    inside = [s for s in seeds if (grown[s.place] >= 0).sum() == 1]
    over = _overlying(label, survey, lattices, inside)
    if count + len(over) < 2:
        return None
    known = change(pattern_physics(solver).basis, survey.lattice[label == 0][0]).within(CAUGHT_ROTATION, CAUGHT_STRAIN)
    alone = count == 1 and known
    solvers = [calibrate(solver, sample)] if alone else references(frames, survey, label, solver, farthest)
    for n, (lattice, places) in enumerate(over):
        ordered = places[np.lexsort(places.T[::-1])][:SAMPLE]
        solvers.append(overlying(solvers[0], lattice, Reader(frames)(ordered)))
        grown = _laid_over(grown, places, OVERLYING - (count + n))
    how = (
        f"lattices of {len(seeds)} patterns, every pattern given to the one that explains most of its diffracted "
        "intensity, connected regions of smoothly changing lattice"
        if seeds
        else "lattice of every pattern told by a network, connected regions of smoothly changing lattice"
    )
    choices = [Choice("crystals", str(count), how)]
    if over:
        choices.append(
            Choice("overlying crystals", str(len(over)), "second lattices that are nowhere the stronger one")
        )
    return Crystals(tuple(solvers), grown, tuple(choices))


def _without_coincidences(label: Labels, lattice: Array) -> Labels:
    """Regions without those of a coincidence lattice: at a boundary the disks of two grains together can be indexed.

    Such a lattice has a reciprocal cell smaller by a whole number than that of a grain, and is met only here and there.
    """
    count = int(label.max()) + 1
    size = np.bincount(label[label >= 0], minlength=count)
    area = np.array([abs(np.linalg.det(np.median(lattice[label == c], axis=0))) for c in range(count)])
    times = area[None] / np.maximum(area[:, None], 1e-9)
    larger = (
        (size[None] > size[:, None]) & (times > 1.9) & (np.abs(times / np.maximum(np.rint(times), 1) - 1) < _SAME_AREA)
    )
    kept = ~(larger.any(1) & (size < _HERE_AND_THERE * size.sum()))
    number = np.where(kept, np.cumsum(kept) - 1, -1)
    return np.where(label >= 0, number[label], -1)


def _spread(near: NDArray[np.int16], stride: int, shape: tuple[int, int]) -> NDArray[np.int16]:
    """Candidates of all scan positions from those of the survey."""
    y, x = (np.minimum(np.arange(n) // stride, near.shape[k] - 1) for k, n in enumerate(shape))
    return np.asarray(near[y[:, None], x[None, :]])


def _overlying(
    label: Labels, survey: Survey, lattices: list[Array], seeds: list[Seed]
) -> list[tuple[Array, NDArray[np.int64]]]:
    """Lattices that are second in several seeds and that no region has, with the places of these seeds."""
    present = [survey.lattice[label == c] for c in range(int(label.max()) + 1)]
    found = []
    for number, lattice in enumerate(lattices):
        if any(change(p, lattice).within(ALIKE_ROTATION, ALIKE_STRAIN).any() for p in present):
            continue
        of = [s for s in seeds if any(number_of(b, lattices) == number for b in s.lattices[1:])]
        if len(of) >= LEAST_SEEDS:
            found.append((lattice, np.array([s.place for s in of])))
    return found


def _laid_over(near: NDArray[np.int16], places: NDArray[np.int64], code: int) -> NDArray[np.int16]:
    """Add an overlying crystal to the candidates round the seeds that show it."""
    reach = int(np.ceil(1.1 * np.sqrt(near.shape[0] * near.shape[1] / FIRST_LOOK)))
    layer = np.full((*near.shape[:2], 1), -1, np.int16)
    for y, x in places:
        layer[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1] = code
    return np.concatenate([near, layer], axis=-1)
