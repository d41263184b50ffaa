"""What the neighbours of a point say of it: mean and spread of a quantity round about, the point itself left out.

The quantity varies smoothly over a scan, with a residual spread that the scan tells, and that is larger where the
neighbours differ from theirs: at a wall the neighbours say little, and it is not smeared. How far they reach is told by
the scan too: the distance at which every point is best foreseen by its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]

# Widths of the window that are tried, in points; and how many of them it reaches.
_WIDTHS = (0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.7, 8.0)
_REACH = 3.0
# Rounds in which the residual spread settles; and the least variance, relative to that of the scan.
_ROUNDS = 4
_LEAST = 1e-9


@dataclass(frozen=True)
class _Window:
    """A Gaussian window over the first axes of a map, without its middle.

    Parameters
    ----------
    width : float
        Standard deviation, in points.
    axes : int
        Number of axes of the scan, which come first; maps along further axes stand side by side.
    """

    width: float
    axes: int

    def sum(self, values: Array, power: float = 1.0) -> Array:
        """Sum of values round each point, weighed by the window to a power."""
        at = np.arange(-np.ceil(_REACH * self.width), np.ceil(_REACH * self.width) + 1)
        weight = np.exp(-0.5 * power * np.square(at / self.width))
        total = values
        for axis in range(self.axes):
            total = ndimage.correlate1d(total, weight, axis, mode="constant")
        return np.asarray(total - values)


@dataclass(frozen=True)
class _Foreseen:
    """What is foreseen of each point: mean, its variance, and the residual variance of all; and how good that is."""

    mean: Array
    variance: Array
    residual: float
    score: float


def from_neighbours(value: Array, variance: Array, axes: int) -> tuple[Array, Array]:
    """Mean and variance of each point as its neighbours tell them.

    Parameters
    ----------
    value : ndarray, shape (..., points)
        Measured, in units in which all points of the scan have mean 0 and variance 1.
    variance : ndarray, same shape
        Of the error of each; infinite where nothing was measured.
    axes : int
        Number of axes of the scan, which come first.

    Returns
    -------
    mean, variance : ndarray, same shape
        0 and 1 where the neighbours say nothing.
    """
    seen = np.isfinite(variance) & np.isfinite(value)
    value, variance = np.where(seen, value, 0.0), np.where(seen, np.maximum(variance, _LEAST), np.inf)
    best = _Foreseen(np.zeros_like(value), np.zeros_like(value), 1.0, _score(value, variance, np.ones_like(value)))
    window = None
    for width in _WIDTHS:
        tried = _Window(width, axes)
        foreseen = _foresee(value, variance, tried)
        if foreseen.score > best.score:
            best, window = foreseen, tried
    if window is None:
        return best.mean, np.ones_like(value)
    return best.mean, best.variance + _residual(value, variance, best, window)


def _score(away: Array, variance: Array, expected: Array) -> float:
    """Logarithm of the probability of distances from what is foreseen, up to a constant."""
    total = variance + expected
    seen = np.isfinite(total)
    return float(-0.5 * np.sum(np.log(total[seen]) + np.square(away[seen]) / total[seen]))


def _foresee(value: Array, variance: Array, window: _Window) -> _Foreseen:
    """Each point from its neighbours, with one residual variance, under which the scan is as scattered as it is."""
    residual = 0.1
    for _ in range(_ROUNDS):
        weight = 1 / (variance + residual)
        total = window.sum(weight)
        with np.errstate(divide="ignore", invalid="ignore"):
            # Where the neighbours are few or weak, what is foreseen falls back to the mean of the scan.
            error = window.sum(weight, 2.0) / np.square(total)
            share = np.where(total > 0, (1 - residual) / (1 - residual + error), 0.0)
            mean = np.where(share > 0, share * window.sum(weight * value) / total, 0.0)
            error = np.where(share > 0, share * error, 1 - residual)
        told = 1 / np.square(variance + residual + error)
        excess = np.where(told > 0, np.square(value - mean) - error - np.where(told > 0, variance, 0.0), 0.0)
        residual = float(np.clip(np.sum(told * excess) / max(np.sum(told), 1e-300), _LEAST, 1.0 - _LEAST))
    return _Foreseen(mean, error, residual, _score(value - mean, variance, error + residual))


def _residual(value: Array, variance: Array, foreseen: _Foreseen, window: _Window) -> Array:
    """Residual variance of each point as its neighbours show it, as far as they can tell it from that of all."""
    told = 1 / np.square(variance + foreseen.residual + foreseen.variance)
    excess = np.square(value - foreseen.mean) - foreseen.variance - np.where(told > 0, variance, 0.0)
    total = window.sum(told)
    with np.errstate(divide="ignore", invalid="ignore"):
        local = np.where(total > 0, window.sum(np.where(told > 0, told * excess, 0.0)) / total, foreseen.residual)
        error = np.where(total > 0, 2 * window.sum(told, 2.0) / np.square(total), np.inf)
        away = np.square(local - foreseen.residual)
        scatter = max(np.sum(away / error - (total > 0)) / max(np.sum(1 / error), 1e-300), 0.0)
    share = scatter / (scatter + error)
    residual = (1 - share) * foreseen.residual + share * np.maximum(local, 0.0)
    # One standard error more: errors are too small where the spread is taken for smaller than it is.
    return np.asarray(residual + np.sqrt(np.where(share > 0, share * error, 0.0) + 2 / np.sum(told)))
