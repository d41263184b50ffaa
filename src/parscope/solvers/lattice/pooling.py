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
from parscope.solvers.lattice.judge import SCAN_WEIGHT, failing, placed

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
    6
    """
    return _MEDIAN + (_ROUNDS + 1) * (size // 2)


def pool(
    solver: LatticeFilters,
    signals: NDArray[Any],
    size: int,
    labels: NDArray[Any] | None = None,
    start: Array | None = None,
) -> Estimate:
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
    start : ndarray, shape (rows, columns, 6), optional
        Where to begin; default the reference.

    Returns
    -------
    Estimate
        Of rows times columns signals; `extra` as of the solver. Standard errors grow with the scatter of the pooled
        positions about their common estimate, and so with gradients of strain within the square.

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
    single = solver.rows(signals, start)
    scan = signals.shape[:2]
    usable = ~np.isin(single.status, _HOPELESS) & (single.extra["electrons"] > 0)
    apart = np.zeros(scan, np.int64) if labels is None else np.unique(labels, return_inverse=True)[1].reshape(scan)
    begin = np.tile(solver.physics.theta, (*scan, 1)) if start is None else start
    pooled = _Pool(solver, signals, np.where(usable.reshape(scan), apart, -1), begin)
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
    start: Array

    def __post_init__(self) -> None:
        self.theta: Array = np.zeros((*self.labels.shape, 6))
        self.covariance: Array = np.zeros((*self.labels.shape, 6, 6))
        self.scatter: Array = np.ones(self.labels.shape)
        self.number: Array = np.ones(self.labels.shape)

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
        stack[:, none] = self.start[none]
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
            everybody = prior + np.zeros_like(information)
            for step in _steps(half):
                everybody += _moved(information, step, 0.0) * self._partner(step)[..., None, None]
            self.covariance = _inverse(everybody)
        parts = [self._part(step, information, gradient) for step in _steps(half)]
        normal = prior + _total([H for H, _ in parts])
        pull = (self.start - self.theta) @ prior + _total([g for _, g in parts])
        self.covariance = _inverse(normal)
        move = np.einsum("...ij,...j->...i", self.covariance, pull)
        self.theta = self.theta + move
        self.number = np.maximum(np.sum([np.trace(H, axis1=-2, axis2=-1) > 0 for H, _ in parts], axis=0), 1.0)
        self.scatter = _scatter(parts, move, self.number)

    def _part(self, step: tuple[int, int], information: Array, gradient: Array) -> tuple[Array, Array]:
        """Information of the neighbours one step away and their pull on the present estimates; 0 where they differ."""
        theirs = _moved(self.theta, step, 0.0) - self.theta
        far = _distance(theirs, self.covariance + _moved(self.covariance, step, 0.0))
        weight = (self._partner(step) & (far <= _AGREES)).astype(np.float64)
        H = weight[..., None, None] * _moved(information, step, 0.0)
        return H, weight[..., None] * _moved(gradient, step, 0.0) + np.einsum("...ij,...j->...i", H, theirs)

    def estimate(self, single: Estimate) -> Estimate:
        """The result, judged as the solver judges a single pattern."""
        physics, prior = self.solver.physics, self.solver.prior
        # Below 1 the scatter of single copies only says that their amplitudes are uncertain, which pooling mends.
        factor = max(physics.contrast.scatter, 1.0) * (self.scatter * self._texture(single)).reshape(-1)
        theta, covariance = self.theta.reshape(-1, 6), factor[:, None, None] * self.covariance.reshape(-1, 6, 6)
        usable = self.labels.reshape(-1) >= 0
        status = np.where(usable, placed(self.start.reshape(-1, 6), prior, theta, covariance), single.status).astype(
            np.uint8
        )
        ratio = np.where(status == Status.OK, single.extra["predicted_ratio"] * np.sqrt(factor), np.nan)
        extra = {**single.extra, "limit_ratio": ratio, "information": np.linalg.inv(covariance)}
        return failing(Estimate(theta, covariance, single.misfit, status, extra))

    def _texture(self, single: Estimate) -> Array:
        """Factor on the variance because neighbours share the contrast inside the copies, which does not average."""
        excess = np.nan_to_num(single.extra["predicted_ratio"].reshape(self.labels.shape), nan=1.0) ** 2
        share = 1.0 - 1.0 / np.maximum(excess, 1.0) if self.solver.physics.contrast.depth > 0 else 0.0 * excess
        factor: Array = 1.0 + share * (self.number - 1.0)
        return factor

    def _partner(self, step: tuple[int, int]) -> NDArray[np.bool_]:
        """Where the position one step away exists, is usable and of the same label."""
        partner: NDArray[np.bool_] = (self.labels >= 0) & (_moved(self.labels, step, -1) == self.labels)
        return partner


def _scatter(parts: list[tuple[Array, Array]], move: Array, number: Array) -> Array:
    """Scatter of the neighbours about the common estimate over what their information predicts, and at least 1.

    Besides noise it holds the gradients of strain within the square, which pooling smoothes away.
    """
    mean = _total([H for H, _ in parts]) / number[..., None, None]
    ridge = 1e-9 * np.trace(mean, axis1=-2, axis2=-1)[..., None, None] + 1e-12
    inverse = np.linalg.inv(mean + ridge * np.eye(6))
    total = np.zeros(number.shape)
    for H, g in parts:
        rest = g - np.einsum("...ij,...j->...i", H, move)
        total += np.einsum("...i,...ij,...j->...", rest, inverse, rest)
    freedom = 6.0 * (number - 1)
    scatter: Array = np.maximum((SCAN_WEIGHT + total) / (SCAN_WEIGHT + freedom), 1.0)
    return scatter


def _inverse(matrices: Array) -> Array:
    """Inverse of matrices of double precision, as its type cannot say."""
    inverse: Array = np.asarray(np.linalg.inv(matrices), np.float64)
    return inverse


def _total(parts: list[Array]) -> Array:
    """Sum of arrays, without a copy of them all."""
    total = np.zeros_like(parts[0])
    for part in parts:
        total += part
    return total


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
    known = np.all(np.isfinite(difference), axis=-1) & np.all(np.isfinite(covariance), axis=(-2, -1))
    safe: Array = np.where(known[..., None, None], covariance[..., 2:, 2:], np.eye(4))
    d = np.where(known[..., None], difference[..., 2:], 0.0)
    far: Array = np.einsum("...i,...i->...", d, np.linalg.solve(safe, d[..., None])[..., 0])
    return np.where(known, far, np.nan)
