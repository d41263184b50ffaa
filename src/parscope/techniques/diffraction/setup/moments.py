"""One pass over a sample of patterns: what every later step of the set-up needs to know of each detector pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import InputError, ShapeError

Array = NDArray[np.float64]
BLOCK = 1 << 22


@dataclass(frozen=True)
class Moments:
    """Statistics of every pixel over the sample.

    Parameters
    ----------
    count : int
        Number of patterns.
    mean, variance : ndarray, shape (q_y, q_x)
        Mean and unbiased variance of each pixel, [counts], [counts^2].
    high, low : ndarray, shape (q_y, q_x)
        Largest and smallest value of each pixel.
    pinned : ndarray, shape (q_y, q_x)
        Fraction of the patterns in which the pixel has the largest value of that pixel.
    integers : bool
        True if every value is a whole number.
    """

    count: int
    mean: Array
    variance: Array
    high: Array
    low: Array
    pinned: Array
    integers: bool


def moments(patterns: NDArray[Any]) -> Moments:
    """Mean, variance and extremes of every pixel over a sample of patterns.

    Parameters
    ----------
    patterns : ndarray, shape (n, q_y, q_x)
        Sample of the scan.

    Returns
    -------
    Moments

    Raises
    ------
    ShapeError
        If the array is no stack of at least 2 patterns of at least 16 x 16 pixels.
    InputError
        If a value is not finite or not a real number.
    """
    _check_shape(patterns)
    count, pixels = len(patterns), patterns[0].size
    step = max(1, BLOCK // pixels)
    total = np.zeros(patterns.shape[1:])
    square = np.zeros_like(total)
    high, low = np.full_like(total, -np.inf), np.full_like(total, np.inf)
    pivot = np.asarray(patterns[0], dtype=np.float64)
    integers = True
    for start in range(0, count, step):
        block = np.asarray(patterns[start : start + step])
        top, bottom = block.max(axis=0), block.min(axis=0)
        if not (np.isfinite(top).all() and np.isfinite(bottom).all()):
            raise InputError("holds values that are not finite", "patterns", "mask or replace NaN and infinity")
        np.maximum(high, top, out=high)
        np.minimum(low, bottom, out=low)
        integers = integers and (block.dtype.kind in "iu" or bool((block == np.rint(block)).all()))
        shifted = block.astype(np.float32) - pivot.astype(np.float32)
        total += shifted.sum(axis=0, dtype=np.float64)
        square += np.einsum("nyx,nyx->yx", shifted, shifted, dtype=np.float64)
    variance = np.maximum(square - total**2 / count, 0) / (count - 1)
    return Moments(count, pivot + total / count, variance, high, low, _pinned(patterns, high), integers)


def _check_shape(patterns: NDArray[Any]) -> None:
    """Refuse what is no stack of patterns."""
    if patterns.ndim != 3 or len(patterns) < 2 or min(patterns.shape[1:]) < 16:
        raise ShapeError(
            f"has shape {patterns.shape}, not (patterns, q_y, q_x)",
            "patterns",
            "give at least 2 patterns of at least 16 x 16 pixels",
        )
    if patterns.dtype.kind not in "iufb":
        raise InputError(f"has values of type {patterns.dtype}", "patterns", "give real numbers")


def _pinned(patterns: NDArray[Any], high: Array) -> Array:
    """Fraction of patterns at the pixel's own maximum, for the brightest pixels only."""
    result = np.zeros_like(high)
    bright = high >= 0.98 * high.max()
    values = np.asarray(patterns[:, bright])
    result[bright] = (values >= values.max(axis=0)).mean(axis=0)
    return result
