"""References of crystals: lattice, mean counts and contrast, from the patterns of their own regions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from parscope.core.frames import Frames
from parscope.core.physics import Contrast
from parscope.core.solver import Status
from parscope.solvers.lattice import LatticeFilters
from parscope.solvers.lattice.contrast import find_power
from parscope.solvers.lattice.judge import excess_variance
from parscope.techniques.diffraction.pattern import DiffractionPattern
from parscope.workflows.grains.fit import pattern_physics
from parscope.workflows.grains.lattice import change
from parscope.workflows.grains.seeds import Reader
from parscope.workflows.grains.survey import Survey, pattern_of

Array = NDArray[np.float64]

SAMPLE, FEW = 24, 8
LARGEST = 6


def references(
    frames: Frames, survey: Survey, label: NDArray[np.int64], solver: LatticeFilters, farthest: float
) -> list[LatticeFilters]:
    """A solver for every region, with its own reference lattice and mean counts.

    Parameters
    ----------
    frames : Frames
        The scan.
    survey : Survey
        Lattices of its patterns.
    label : ndarray of int, shape (y, x)
        Regions from 0, largest first; -1 for none.
    solver : LatticeFilters
        Supplies probe, background, gain and mask.
    farthest : float
        Disk used, [px] from the centre.

    Returns
    -------
    list of LatticeFilters
    """
    regions = [_Region(frames, survey, label == c) for c in range(int(label.max()) + 1)]
    like = pattern_physics(solver)
    first = pattern_of(regions[0].lattice, like, farthest, float(np.median(like.amplitude)))
    base = regions[0].sample(replace(solver, physics=first, bins=3), farthest).solver
    base = _tuned(base, [r.sample(base, farthest) for r in regions[:LARGEST]], solver.bins)
    return [_settled(r.sample(base, farthest)) for r in regions]


@dataclass(frozen=True)
class _Sample:
    """Some patterns of a region.

    Parameters
    ----------
    solver : LatticeFilters
        For the median lattice of the region in the survey.
    patterns : ndarray, shape (n, q_y, q_x)
        Counts.
    places : ndarray of int, shape (n, 2)
        Scan positions (y, x).
    surveyed : ndarray, shape (n, 2, 2)
        Affine map of that lattice onto the one of each pattern in the survey.
    """

    solver: LatticeFilters
    patterns: NDArray[Any]
    places: NDArray[np.int64]
    surveyed: Array


def _settled(sample: _Sample) -> LatticeFilters:
    """Solver whose reference is the median of the region by its own fits, so that what contrast does to both cancels.

    The median over the region is known from the survey, but for what other filters make of the same patterns.
    """
    estimate = sample.solver.rows(sample.patterns[None])
    good = estimate.status == Status.OK
    if good.sum() < FEW:
        return sample.solver
    middle = np.median(estimate.theta[good, :2], axis=0)
    differ = np.median(estimate.theta[good, 2:].reshape(-1, 2, 2) - sample.surveyed[good], axis=0)
    physics = pattern_physics(sample.solver)
    basis = physics.basis @ (np.eye(2) + differ).T
    return sample.solver.with_lattice(replace(physics, basis=basis, centre=(float(middle[0]), float(middle[1]))))


class _Region:
    """Median lattice and centre of a region, and some of its patterns, read when asked for."""

    def __init__(self, frames: Frames, survey: Survey, inside: NDArray[np.bool_]) -> None:
        self._frames = frames
        lattice = survey.lattice[inside]
        # patterns in other cells are brought to the first one's
        self.lattice = lattice[0] @ np.median(change(lattice[0], lattice).affine, axis=0).T
        self.centre: Array = np.median(survey.centre[inside], axis=0)
        # patterns next to another grain are mixtures
        deep = [ndimage.binary_erosion(inside, iterations=n, border_value=1) for n in (2, 1)]
        places = np.argwhere(next((d for d in deep if d.sum() >= 2 * FEW), inside))
        chosen = np.unique(np.linspace(0, len(places) - 1, SAMPLE).astype(int))
        self._places = places[chosen] * survey.stride
        self._affine = change(self.lattice, survey.lattice[tuple(places[chosen].T)]).affine

    def sample(self, base: LatticeFilters, farthest: float) -> _Sample:
        """At most `SAMPLE` patterns, and a solver for them with the filters of another one."""
        patterns = Reader(self._frames)(self._places)
        solver = measured(base, self.lattice, self.centre, patterns, farthest)
        return _Sample(solver, patterns, self._places, self._affine)


def measured(
    base: LatticeFilters, lattice: Array, centre: Array, patterns: NDArray[Any], farthest: float | None = None
) -> LatticeFilters:
    """Solver for a lattice with the mean counts of its patterns, without disks too weak to matter.

    Parameters
    ----------
    base : LatticeFilters
        Its filters are shared.
    lattice : ndarray, shape (2, 2)
        Rows g1, g2, [px].
    centre : ndarray, shape (2,)
        Of the patterns, [px].
    patterns : ndarray, shape (n, q_y, q_x)
        Counts.
    farthest : float, optional
        Disk used, [px] from the centre; default that of `base`.

    Returns
    -------
    LatticeFilters
    """
    like = pattern_physics(base)
    far = float(np.hypot(*like.reference.T).max()) + 1.0 if farthest is None else farthest
    start = replace(like, centre=(float(centre[0]), float(centre[1])))
    flat = pattern_of(lattice, start, far, float(np.median(like.amplitude)))
    solver = base.with_lattice(flat)
    estimate = solver.rows(patterns[None])
    good = estimate.status == Status.OK
    # a weak lattice over a bright one cannot always be fitted; its disks are measured where they must be
    every = estimate.extra["amplitude"][good] if good.any() else np.nan_to_num(solver.measure(patterns, flat.theta))
    amplitude = np.maximum(every.mean(0, dtype=np.float64), 1e-6)
    return base.with_lattice(useful(replace(flat, amplitude=amplitude), len(every)))


def useful(physics: DiffractionPattern, patterns: int) -> DiffractionPattern:
    """Keep the disks that tell of the lattice, and the direct one; all if fewer than four do."""
    amplitude, beneath = physics.amplitude, physics.levels.background
    area = np.pi * physics.probe.radius**2 * max(patterns, 1)
    seen = amplitude > 4 * np.sqrt(physics.gain * (amplitude + 2 * beneath) / area)
    told = amplitude**2 / (amplitude + 2 * beneath) * ((physics.reference**2).sum(1) + physics.probe.radius**2) * seen
    use = seen & (told > 1e-3 * told.sum()) | (physics.indices == 0).all(1)
    use = use if use.sum() >= 4 else np.ones(len(use), np.bool_)
    return replace(physics, indices=physics.indices[use], amplitude=amplitude[use])


def overlying(base: LatticeFilters, lattice: Array, patterns: NDArray[Any]) -> LatticeFilters:
    """Solver for a crystal that lies over that of `base`, with counts as if it were there alone.

    Parameters
    ----------
    base : LatticeFilters
        Of the crystal beneath.
    lattice : ndarray, shape (2, 2)
        Rows g1, g2 of the crystal above, [px].
    patterns : ndarray, shape (n, q_y, q_x)
        Counts, of both.

    Returns
    -------
    LatticeFilters
    """
    beneath = pattern_physics(base)
    above = pattern_physics(measured(base, lattice, np.array(beneath.centre), patterns))
    diffracted = ~(above.indices == 0).all(1)
    mine, theirs = (
        float(above.amplitude[diffracted].sum()),
        float(beneath.amplitude[(beneath.indices != 0).any(1)].sum()),
    )
    scaled = np.where(diffracted, above.amplitude * theirs / max(mine, 1e-9), above.amplitude)
    return base.with_lattice(replace(above, amplitude=scaled))


def _tuned(base: LatticeFilters, regions: list[_Sample], bins: int) -> LatticeFilters:
    """Solver for which the contrast that changes within the regions is noise.

    What contrast does to all patterns of a crystal alike is in its reference too and does no harm: neither is it noise,
    nor is all scatter of the disks an error.
    """
    power = find_power([(r.solver, r.patterns) for r in regions], changing=True) or ()
    final = _forgiving(base.with_contrast(Contrast(power), bins=bins), regions)
    contrast = pattern_physics(final).contrast
    shared = max(contrast.scatter - _scatter(final, regions).error, 0.0)
    return final.with_contrast(replace(contrast, shared=shared), bins=bins)


def _forgiving(solver: LatticeFilters, regions: list[_Sample]) -> LatticeFilters:
    """Solver that takes no disk for an outlier which is displaced as others are within the regions."""
    contrast = replace(pattern_physics(solver).contrast, scatter=1.0)
    plain = solver.with_contrast(contrast, bins=solver.bins)
    return plain.with_contrast(replace(contrast, scatter=_scatter(plain, regions).disks), bins=solver.bins)


@dataclass(frozen=True)
class _Scatter:
    """How patterns of a region differ from each other beyond what smooth strain explains.

    Parameters
    ----------
    error : float
        Variance of the affine map over that predicted from counting noise and contrast.
    disks : float
        Variance of single disks about the lattice over its prediction.
    """

    error: float
    disks: float


def _scatter(base: LatticeFilters, regions: list[_Sample]) -> _Scatter:
    """Scatter typical of the regions: two alike crystals that share one would drown what the others say in a mean."""
    contrast = pattern_physics(base).contrast
    found = []
    for sample in regions:
        physics = replace(pattern_physics(sample.solver), contrast=contrast)
        estimate = base.with_lattice(physics)(sample.patterns)
        good = estimate.status == Status.OK
        if good.sum() < FEW:
            continue
        rest = _rest(sample.places[good], estimate.theta[good, 2:])
        spread = estimate.extra["spread"][good]
        beyond = excess_variance(physics, spread)
        claimed = np.diagonal(estimate.covariance[good, 2:, 2:], axis1=1, axis2=2) / beyond[:, None]
        found.append((np.median(np.abs(rest) / np.sqrt(claimed)), np.median(spread)))
    if not found:
        return _Scatter(1.0, 1.0)
    error, disks = np.median(found, axis=0).tolist()
    # half of all deviations are within 0.6745 standard deviations
    return _Scatter((error / 0.6745) ** 2, disks)


def _rest(places: NDArray[np.int64], values: Array) -> Array:
    """What a quadratic surface over the scan leaves of values (n, k), scaled for the noise that goes with it."""
    y, x = (places - places.mean(0)).T / max(float(np.ptp(places, axis=0).max()), 1.0)
    design = np.column_stack([np.ones(len(places)), y, x, y * y, y * x, x * x])
    rest = values - design @ np.linalg.lstsq(design, values)[0]
    return np.asarray(rest * np.sqrt(len(places) / max(len(places) - design.shape[1], 1)))
