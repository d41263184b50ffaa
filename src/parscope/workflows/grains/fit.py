"""The fit of patterns that may be of several crystals: which one it is, and how much of another is in it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.solver import Estimate, Status
from parscope.solvers.lattice import LatticeFilters
from parscope.solvers.lattice.algebra import strain_variance
from parscope.techniques.diffraction.pattern import DiffractionPattern
from parscope.workflows.grains.lattice import change
from parscope.workflows.grains.mixture import ALIKE_ROTATION, ALIKE_STRAIN, Mixture, Resolved
from parscope.workflows.grains.seeds import ALIKE_ROTATION as ONE_ROTATION
from parscope.workflows.grains.seeds import ALIKE_STRAIN as ONE_STRAIN
from parscope.workflows.grains.share import Neighbour, shares

Array = NDArray[np.float64]

OVERLYING = -2
"""A candidate c <= -2 is crystal -2 - c, which has no region of its own there but may lie over another one."""

# Explained intensities that differ by less tell no crystal from another.
ALIKE = 0.05
# Standard errors at which a share is told from none: one in a hundred pure patterns near a boundary is given up for the
# mixtures that are found.
SIGNIFICANCE = 2.5
LEAST_SHARE = 0.01
# Of crystals so alike that their disks overlap a mixture shows as a lattice between the two, but so does strain.
LEAST_BETWEEN = 0.1


def fit_crystals(
    patterns: NDArray[Any],
    candidates: NDArray[np.int16],
    crystals: tuple[LatticeFilters, ...],
    mixing: bool = True,
) -> tuple[Estimate, NDArray[np.int16], NDArray[np.float32]]:
    """Fit every pattern with the crystals that may be there, each relative to its own reference.

    With `mixing` every pattern is fitted by itself, so the result does not depend on how a scan is cut into pieces.

    Parameters
    ----------
    patterns : ndarray, shape (rows, columns, q_y, q_x)
        Counts, integer or float.
    candidates : ndarray of int16, shape (rows, columns, k)
        Numbers of the crystals that may be there; -1 for none, -2 - c for a crystal c that only lies over others.
    crystals : tuple of LatticeFilters
        One for each crystal.
    mixing : bool, default True
        Whether to look for a second crystal in every pattern. Without, a fit begins at the one before, which is
        quicker.

    Returns
    -------
    estimate : Estimate
        Of rows times columns patterns, relative to each pattern's own crystal. NaN and ``BOUNDARY`` where a
        neighbouring crystal, ``SECOND_LATTICE`` where an overlying one has a significant share; ``extra`` holds what
        the solver gives, ``amplitude`` filled up with zeros to the largest number of disks, and ``dominant``
        (n, 6): the parameters of the stronger crystal also where two are mixed.
    crystal : ndarray of int16, shape (rows, columns)
        Number of the strongest crystal in each pattern; -1 where there is no candidate.
    share : ndarray of float32, shape (rows, columns)
        Share of the diffracted electrons that a second crystal scatters, 0 to 0.5, [1].
    """
    shape = patterns.shape[:2]
    flat = patterns.reshape(-1, *patterns.shape[2:])
    options = candidates.reshape(len(flat), -1)
    best = _Best(len(flat), crystals)
    for c in np.unique(options[options >= 0]):
        chosen = np.flatnonzero((options == c).any(1))
        fit = crystals[c](flat[chosen]) if mixing else crystals[c].rows(flat[None, chosen])
        best.offer(int(c), chosen, fit)
    share, second = _second(flat, options if mixing else options[:, :0], best, crystals)
    estimate = best.estimate
    mixed = (second != -1) & (estimate.status == Status.OK)
    estimate.extra["dominant"] = estimate.theta.copy()
    mixed &= ~_resolve(flat, options, (share, np.where(mixed, second, -1)), best, crystals)
    estimate.status[mixed] = np.where(second[mixed] <= OVERLYING, Status.SECOND_LATTICE, Status.BOUNDARY)
    estimate.theta[mixed], estimate.covariance[mixed] = np.nan, np.nan
    return estimate, best.crystal.reshape(shape), share.reshape(shape)


def diffracted_intensity(solver: LatticeFilters, estimate: Estimate) -> Array:
    """Sum of squared amplitudes over their variances in all disks but the direct one, shape (n,), [1]."""
    physics = pattern_physics(solver)
    radius = physics.probe.radius
    amplitude = np.clip(estimate.extra["amplitude"], 0, None).astype(np.float64)
    amplitude[:, (physics.indices == 0).all(1)] = 0.0
    variance = physics.gain * (amplitude + 2 * physics.levels.background) / (np.pi * radius**2) + 1e-12
    total = np.asarray((amplitude**2 / variance).sum(1))
    return np.where(estimate.status == Status.OK, total, -1.0)


def pattern_physics(solver: LatticeFilters) -> DiffractionPattern:
    """Physics of a solver of diffraction patterns."""
    if not isinstance(solver.physics, DiffractionPattern):
        raise TypeError(f"{type(solver.physics).__name__} is no DiffractionPattern")
    return solver.physics


def _strain_variances(covariance: Array) -> Array:
    """Sum of the variances of the three strains, shape (n,), from covariances (n, 6, 6)."""
    return np.array([strain_variance(c) for c in covariance])


class _Best:
    """Estimates of the crystals that explain each of n patterns best so far."""

    def __init__(self, n: int, crystals: tuple[LatticeFilters, ...]) -> None:
        self._crystals = crystals
        self.crystal = np.full(n, -1, np.int16)
        self._intensity, self._deformation = np.full(n, -2.0), np.full(n, np.inf)
        self._lattice = np.full((n, 2, 2), np.nan)
        self._copies = max(len(c.physics.reference) for c in crystals)
        self.estimate = Estimate(
            np.full((n, 6), np.nan),
            np.full((n, 6, 6), np.nan),
            np.full(n, np.nan),
            np.full(n, Status.NO_MODEL, np.uint8),
        )

    def offer(self, crystal: int, chosen: NDArray[np.int64], estimate: Estimate) -> None:
        """Take the estimates of one crystal for patterns `chosen` where they are better.

        Where it ends at the lattice of the best so far, that crystal is better which is less deformed, whichever has
        more disks to explain the pattern with.
        """
        intensity = diffracted_intensity(self._crystals[crystal], estimate)
        offset = estimate.theta[:, 2:] - self._crystals[crystal].physics.theta[2:]
        deformation = np.nan_to_num(np.linalg.norm(offset, axis=1), nan=np.inf)
        basis = pattern_physics(self._crystals[crystal]).basis
        lattice = basis @ np.swapaxes(estimate.theta[:, 2:].reshape(-1, 2, 2), 1, 2)
        one = change(self._lattice[chosen], lattice).within(ONE_ROTATION, ONE_STRAIN)
        before, closest = self._intensity[chosen], self._deformation[chosen]
        clearly = (intensity > before + ALIKE * np.maximum(before, 0)) & ~one
        alike = ((intensity > (1 - ALIKE) * before) | one) & (deformation < closest)
        take = clearly | alike
        n, own = chosen[take], self.estimate
        self.crystal[n], self._lattice[n] = crystal, lattice[take]
        self._intensity[n], self._deformation[n] = np.maximum(intensity, before)[take], deformation[take]
        for name in ("theta", "covariance", "misfit", "status"):
            getattr(own, name)[n] = getattr(estimate, name)[take]
        for name, values in estimate.extra.items():
            self._keep(name, n, values[take])

    def of(self, chosen: NDArray[np.int64]) -> Estimate:
        """The estimates of some patterns."""
        own = self.estimate
        extra = {name: values[chosen] for name, values in own.extra.items()}
        return Estimate(own.theta[chosen], own.covariance[chosen], own.misfit[chosen], own.status[chosen], extra)

    def settle(self, pair: tuple[int, int], chosen: NDArray[np.int64], both: Resolved) -> None:
        """Take what two lattices together say of patterns `chosen`, of the stronger one of the pair."""
        own = self.estimate
        for number, part in zip(pair, (~both.swapped, both.swapped), strict=True):
            take = both.good & part
            n = chosen[take]
            self.crystal[n] = number
            wider = _strain_variances(both.covariance[take]) / _strain_variances(own.covariance[n])
            own.extra["limit_ratio"][n] *= np.sqrt(wider)
            own.theta[n], own.covariance[n] = both.theta[take], both.covariance[take]
            own.extra["dominant"][n], own.misfit[n] = both.theta[take], both.misfit[take]
            self._keep("amplitude", n, both.amplitude[pair.index(number)][take].astype(np.float32))

    def _keep(self, name: str, n: NDArray[np.int64], values: NDArray[Any]) -> None:
        """Store one extra array, amplitudes filled up with zeros."""
        width = (self._copies,) if name == "amplitude" else values.shape[1:]
        if name not in self.estimate.extra:
            empty = 0.0 if name == "amplitude" else np.nan
            self.estimate.extra[name] = np.full((len(self.crystal), *width), empty, values.dtype)
        if name == "amplitude":
            filled = np.zeros((len(n), self._copies), values.dtype)
            filled[:, : values.shape[1]] = values
            values = filled
        self.estimate.extra[name][n] = values


def _second(
    flat: NDArray[Any], options: NDArray[np.int16], best: _Best, crystals: tuple[LatticeFilters, ...]
) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """Share of the second crystal (n,), and which candidate it is, -1 where none is significant."""
    share, second = np.zeros(len(flat), np.float32), np.full(len(flat), -1, np.int16)
    strongest = np.full(len(flat), SIGNIFICANCE)
    several = ((options != -1).sum(1) > 1) & np.isfinite(best.estimate.theta[:, 0])
    for k in range(options.shape[1]):
        numbers = np.where(options[:, k] <= OVERLYING, OVERLYING - options[:, k], options[:, k])
        for first, other in np.unique(np.stack([best.crystal, numbers], 1)[several], axis=0):
            if other == -1 or other == first:
                continue
            chosen = np.flatnonzero(several & (best.crystal == first) & (numbers == other))
            pair = Neighbour(pattern_physics(crystals[first]), pattern_physics(crystals[other]))
            found, significance = _share(flat[chosen], chosen, best.estimate, pair)
            better = (significance > strongest[chosen]) & (found > LEAST_SHARE)
            n = chosen[better]
            strongest[n], second[n] = significance[better], options[n, k]
            share[n] = np.clip(found[better], 0, 0.5)
    return share, second


def _resolve(
    flat: NDArray[Any],
    options: NDArray[np.int16],
    found: tuple[NDArray[np.float32], NDArray[np.int16]],
    best: _Best,
    crystals: tuple[LatticeFilters, ...],
) -> NDArray[np.bool_]:
    """Replace the fits of mixed patterns by those of two lattices, wherever these can be relied on; tell where."""
    share, second = found
    resolved = np.zeros(len(flat), np.bool_)
    numbers = np.where(options <= OVERLYING, OVERLYING - options, options)
    for first, other in np.unique(np.stack([best.crystal, second], 1)[second != -1], axis=0):
        chosen = np.flatnonzero((best.crystal == first) & (second == other))
        pair = int(first), int(OVERLYING - other if other <= OVERLYING else other)
        both = Mixture(crystals[pair[0]], crystals[pair[1]]).resolve(flat[chosen], best.of(chosen), share[chosen])
        both.good[_third(flat[chosen], numbers[chosen], both, pair, crystals)] = False
        best.settle(pair, chosen, both)
        share[chosen[both.good]] = both.share[both.good]
        resolved[chosen] = both.good
    return resolved


def _third(
    patterns: NDArray[Any],
    numbers: NDArray[np.int16],
    both: Resolved,
    pair: tuple[int, int],
    crystals: tuple[LatticeFilters, ...],
) -> NDArray[np.bool_]:
    """Where another crystal than the pair has a significant share too, of those that may be there."""
    found = np.zeros(len(patterns), np.bool_)
    first, second = (pattern_physics(crystals[c]) for c in pair)
    for number in np.unique(numbers[numbers >= 0]):
        if number in pair:
            continue
        other = pattern_physics(crystals[number])
        for strongest, chosen in ((first, ~both.swapped), (second, both.swapped)):
            n = np.flatnonzero((numbers == number).any(1) & chosen & both.good)
            seen = shares(patterns[n], both.lattices[n], Neighbour(first, other, second))
            share, significance = _between(both.theta[n], both.covariance[n], seen, Neighbour(strongest, other))
            found[n] = found[n] | (significance > SIGNIFICANCE) & (share > LEAST_SHARE)
    return found


def _share(
    patterns: NDArray[Any], chosen: NDArray[np.int64], estimate: Estimate, pair: Neighbour
) -> tuple[Array, Array]:
    """Share of the second crystal and its significance, from its own disks or, if they overlap, from the lattice."""
    theta = estimate.theta[chosen]
    found, significance = shares(patterns, theta, pair)
    return _between(theta, estimate.covariance[chosen], (found, significance), pair)


def _between(theta: Array, covariance: Array, seen: tuple[Array, Array], pair: Neighbour) -> tuple[Array, Array]:
    """Share and significance as seen from disks, or from where a lattice lies on the way from one crystal to another.

    If the disks of two crystals overlap, the fit of one ends between them.
    """
    found, significance = seen
    between = change(pair.first.basis, pair.second.basis)
    if not between.within(ALIKE_ROTATION, ALIKE_STRAIN):
        return found, significance
    way = between.affine.ravel() - np.eye(2).ravel()
    weighted = np.linalg.solve(covariance[:, 2:, 2:], way)
    information = weighted @ way
    along = np.einsum("ni,ni->n", weighted, theta[:, 2:] - np.eye(2).ravel()) / np.maximum(information, 1e-30)
    sure = along * np.sqrt(information)
    take = (along > LEAST_BETWEEN) & (along < 1 - LEAST_BETWEEN) & (sure > significance)
    return np.where(take, np.minimum(along, 1 - along), found), np.where(take, sure, significance)
