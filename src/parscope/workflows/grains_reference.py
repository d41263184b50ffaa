"""References of crystals: lattice, mean counts and contrast, from the patterns of their own regions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from parscope.core.frames import Frames
from parscope.core.physics import Contrast
from parscope.core.solver import Status
from parscope.solvers.lattice import LatticeFilters
from parscope.techniques.diffraction.pattern import DiffractionPattern
from parscope.workflows.grains_fit import pattern_physics
from parscope.workflows.grains_lattice import change
from parscope.workflows.grains_seeds import Reader
from parscope.workflows.grains_survey import Survey, pattern_of

Array = NDArray[np.float64]

SAMPLE, FEW = 32, 8
LARGEST = 8
# Scatter that a deeper prior may add: contrast that drifts over a crystal looks like strain, not like scatter.
WORTH = 1.02
# The lengths are tried after the depths, which are tried at the middle one.
DEPTHS, LENGTHS = (0.0, 0.07, 0.14, 0.22, 0.35, 0.6), (0.3, 0.4, 0.55)


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
    """Some patterns of a region with their scan positions (n, 2), and the solver for it."""

    solver: LatticeFilters
    patterns: NDArray[Any]
    places: NDArray[np.int64]


def _settled(sample: _Sample) -> LatticeFilters:
    """Solver whose reference is the median of its own fits, so that what contrast does to both cancels."""
    estimate = sample.solver(sample.patterns)
    good = estimate.status == Status.OK
    if good.sum() < FEW:
        return sample.solver
    middle = np.median(estimate.theta[good], axis=0)
    physics = pattern_physics(sample.solver)
    basis = physics.basis @ middle[2:].reshape(2, 2).T
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

    def sample(self, base: LatticeFilters, farthest: float) -> _Sample:
        """At most `SAMPLE` patterns, and a solver for them with the filters of another one."""
        patterns = Reader(self._frames)(self._places)
        return _Sample(measured(base, self.lattice, self.centre, patterns, farthest), patterns, self._places)


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
    estimate = base.with_lattice(flat)(patterns)
    good = estimate.status == Status.OK
    if not good.any():
        return base.with_lattice(flat)
    amplitude = estimate.extra["amplitude"][good].mean(0, dtype=np.float64)
    return base.with_lattice(useful(replace(flat, amplitude=np.maximum(amplitude, 1e-6)), int(good.sum())))


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
    """Solver with the contrast prior under which the lattice scatters least within the regions.

    What contrast does to all patterns of a crystal alike is in its reference too and does no harm; so the prior that
    makes single patterns agree with a perfect lattice is deeper than is good here.
    """

    @cache
    def error(prior: tuple[float, float]) -> float:
        return _scatter(base.with_contrast(Contrast(*prior), bins=3), regions)[0]

    enough = WORTH * min(error((depth, LENGTHS[1])) for depth in DEPTHS)
    depth = max(depth for depth in DEPTHS if error((depth, LENGTHS[1])) <= enough)
    chosen = min(((depth, length) for length in LENGTHS), key=error)
    final = base.with_contrast(Contrast(*chosen), bins=bins)
    spread = _scatter(final, regions)[1]
    return final.with_contrast(Contrast(*chosen, spread), bins=bins)


def _scatter(base: LatticeFilters, regions: list[_Sample]) -> tuple[float, float]:
    """Typical scatter of the affine map within regions, [1], and of single disks over its prediction, [1].

    The geometric mean: a region that two alike crystals share scatters most, and would drown what the others say.
    """
    contrast = pattern_physics(base).contrast
    scatters, spreads = [], []
    for sample in regions:
        estimate = base.with_lattice(replace(pattern_physics(sample.solver), contrast=contrast))(sample.patterns)
        good = estimate.status == Status.OK
        if good.sum() < FEW:
            continue
        scatters.append(_noise(sample.places[good], estimate.theta[good, 2:]))
        spreads.append(float(np.median(estimate.extra["spread"][good])))
    return (float(np.exp(np.mean(np.log(scatters)))), float(np.median(spreads))) if scatters else (np.inf, 1.0)


def _noise(places: NDArray[np.int64], values: Array) -> float:
    """Root mean square of values (n, k) about a quadratic surface over the scan: strain varies smoothly over a crystal.

    The largest tenth, which may be mixtures with another crystal, is left out.
    """
    y, x = (places - places.mean(0)).T / max(float(np.ptp(places, axis=0).max()), 1.0)
    design = np.column_stack([np.ones(len(places)), y, x, y * y, y * x, x * x])
    square = ((values - design @ np.linalg.lstsq(design, values)[0]) ** 2).sum(1)
    return float(np.sqrt(np.sort(square)[: int(0.9 * len(square))].mean()))
