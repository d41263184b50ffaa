"""Low dose: neighbouring scan positions share their information, and keep it to themselves across edges.

What is pooled is the likelihood of each pattern about a common estimate, weighted by its information, and not the
estimates: patterns too poor to be fitted alone still count. A neighbour takes part if its own pooled lattice agrees
within the standard errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.solver import Estimate, Status
from parscope.solvers.lattice.filters import LatticeFilters
from parscope.solvers.lattice.judge import failing, placed

Array = NDArray[np.float64]

_ROUNDS = 3
# Half size of the square whose median is the start; 25 patterns outvote failed fits down to a hundred electrons.
_MEDIAN = 2
# 99 % quantile of chi-squared with the four degrees of freedom of an affine map.
_AGREES = 13.28
# Statuses that lie in the pattern or the file, which no neighbour can mend.
_HOPELESS = (Status.BAD_INPUT, Status.UNREADABLE, Status.VACUUM)


def halo(size: int) -> int:
    """Scan rows that must be given on either side of a block for results that do not depend on the blocks.

    Parameters
    ----------
    size : int
        Side of the square that is pooled, 3 or 5.

    Returns
    -------
    int

    Examples
    --------
    >>> halo(3)
    5
    """
    return _MEDIAN + _ROUNDS * (size // 2)


def pool(solver: LatticeFilters, signals: NDArray[Any], size: int, labels: NDArray[Any] | None = None) -> Estimate:
    """Fit a scan with the information of `size` x `size` positions for each, edges kept.

    Parameters
    ----------
    solver : LatticeFilters
        Fits the single patterns.
    signals : ndarray, shape (rows, columns, q_y, q_x)
        Counts, integer or float.
    size : {3, 5}
        Side of the square of positions.
    labels : ndarray, shape (rows, columns), optional
        Positions of different labels (grains) share nothing.

    Returns
    -------
    Estimate
        Of rows times columns signals; `extra` as of the solver. Standard errors count independent electrons and not
        the smoothing of gradients of strain within the square.

    Raises
    ------
    ValueError
        If the size is neither 3 nor 5, or the patterns have another shape than the physics.

    Notes
    -----
    Not for scans whose strain changes from position to position by more than the standard error of one pattern: what
    is too small to be told from noise is averaged.
    """
    if size not in (3, 5):
        raise ValueError(f"size is {size}, not 3 or 5")
    single = solver.rows(signals)
    scan = signals.shape[:2]
    usable = ~np.isin(single.status, _HOPELESS) & (single.extra["electrons"] > 0)
    apart = np.zeros(scan, np.int64) if labels is None else np.unique(labels, return_inverse=True)[1].reshape(scan)
    pooled = _Pool(solver, signals, np.where(usable.reshape(scan), apart, -1))
    pooled.begin(single)
    for _ in range(_ROUNDS):
        pooled.improve(size // 2)
    return pooled.estimate(single)


@dataclass
class _Pool:
    """Common estimates of a scan while they are improved."""

    solver: LatticeFilters
    signals: NDArray[Any]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        self.theta: Array = np.zeros((*self.labels.shape, 6))
        self.covariance: Array = np.zeros((*self.labels.shape, 6, 6))

    def begin(self, single: Estimate) -> None:
        """Start at the median of the neighbours whose own fit agrees."""
        shape = self.labels.shape
        own = single.theta.reshape(*shape, 6)
        spread = single.covariance.reshape(*shape, 6, 6)
        votes = []
        for step in _steps(_MEDIAN):
            other = _moved(own, step, np.nan)
            # A pattern that failed has no opinion on its neighbours.
            far = _distance(own - other, spread + _moved(spread, step, np.nan))
            partner = self._partner(step) & ~(far > _AGREES)
            votes.append(np.where(partner[..., None], other, np.nan))
        stack = np.stack(votes)
        none = ~np.isfinite(stack[..., 0]).any(0)
        stack[:, none] = self.solver.physics.theta
        self.theta = np.nanmedian(stack, axis=0)

    def improve(self, half: int) -> None:
        """One round: the likelihood about the present estimates, summed over neighbours that agree."""
        shape = self.labels.shape
        flat = self.signals.reshape(-1, *self.signals.shape[2:])
        scores = self.solver.score(flat, self.theta.reshape(-1, 6))
        information, gradient = scores.information.reshape(*shape, 6, 6), scores.gradient.reshape(*shape, 6)
        silent = self.labels < 0
        information[silent] = 0.0
        gradient[silent] = 0.0
        prior = self.solver.prior
        if not self.covariance.any():
            everybody = sum(_moved(information, s, 0.0) * self._partner(s)[..., None, None] for s in _steps(half))
            self.covariance = np.linalg.inv(everybody + prior)
        normal = np.broadcast_to(prior, information.shape).copy()
        pull = (self.solver.physics.theta - self.theta) @ prior
        for step in _steps(half):
            theirs = _moved(self.theta, step, 0.0) - self.theta
            far = _distance(theirs, self.covariance + _moved(self.covariance, step, 0.0))
            weight = (self._partner(step) & (far <= _AGREES)).astype(np.float64)
            H = _moved(information, step, 0.0)
            normal += weight[..., None, None] * H
            pull += weight[..., None] * (_moved(gradient, step, 0.0) + np.einsum("...ij,...j->...i", H, theirs))
        self.covariance = np.linalg.inv(normal)
        self.theta = self.theta + np.einsum("...ij,...j->...i", self.covariance, pull)

    def estimate(self, single: Estimate) -> Estimate:
        """The result, judged as the solver judges a single pattern."""
        physics, prior = self.solver.physics, self.solver.prior
        factor = physics.contrast.scatter
        theta, covariance = self.theta.reshape(-1, 6), factor * self.covariance.reshape(-1, 6, 6)
        usable = self.labels.reshape(-1) >= 0
        status = np.where(usable, placed(physics, prior, theta, covariance), single.status).astype(np.uint8)
        ratio = np.where(status == Status.OK, single.extra["predicted_ratio"] * np.sqrt(factor), np.nan)
        extra = {**single.extra, "limit_ratio": ratio, "information": np.linalg.inv(covariance)}
        return failing(Estimate(theta, covariance, single.misfit, status, extra))

    def _partner(self, step: tuple[int, int]) -> NDArray[np.bool_]:
        """Where the position one step away exists, is usable and of the same label."""
        partner: NDArray[np.bool_] = (self.labels >= 0) & (_moved(self.labels, step, -1) == self.labels)
        return partner


def _steps(half: int) -> list[tuple[int, int]]:
    """Displacements within a square, itself included."""
    return [(y, x) for y in range(-half, half + 1) for x in range(-half, half + 1)]


def _moved(values: NDArray[Any], step: tuple[int, int], fill: float) -> NDArray[Any]:
    """What lies one step away from every position; `fill` beyond the scan."""
    rows, columns = values.shape[:2]
    dy, dx = step
    out = np.full_like(values, fill)
    to = (slice(max(0, -dy), max(0, min(rows, rows - dy))), slice(max(0, -dx), max(0, min(columns, columns - dx))))
    of = (slice(max(0, dy), max(0, min(rows, rows + dy))), slice(max(0, dx), max(0, min(columns, columns + dx))))
    out[to] = values[of]
    return out


def _distance(difference: Array, covariance: Array) -> Array:
    """Squared Mahalanobis distance of affine maps; NaN where one is."""
    known = np.isfinite(difference).all(-1) & np.isfinite(covariance).all((-2, -1))
    safe = np.where(known[..., None, None], covariance[..., 2:, 2:], np.eye(4))
    d = np.where(known[..., None], difference[..., 2:], 0.0)
    far: Array = np.einsum("...i,...i->...", d, np.linalg.solve(safe, d[..., None])[..., 0])
    return np.where(known, far, np.nan)
