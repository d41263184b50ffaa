"""The global search: every template against every signal in one matrix product."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.core.separable import Separable
from parscope.solvers.least_squares.grid import Grid, templates
from parscope.solvers.least_squares.layout import CAREFUL, FAST, Array

# Signals at a time, so that the products stay in the cache of a core.
_CHUNK = 512
# A signal that sits on its highest or lowest value for this share of its samples is saturated.
_SATURATED = 0.125
_FEWEST = 4
# Squares of smaller numbers are not held by double precision.
_SMALLEST = 1e-150


@nb.njit(**CAREFUL)
def take(signals: NDArray[Any], parts: int) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Signals as rows of real, then imaginary parts; their largest value; and whether they can be fitted."""
    n, bins = signals.shape
    rows, largest, sound = np.empty((n, parts * bins)), np.zeros(n), np.zeros(n, np.bool_)
    for s in range(n):
        for i in range(bins):
            rows[s, i] = signals[s, i].real
            if parts == 2:
                rows[s, bins + i] = signals[s, i].imag
        for p in range(parts):
            size, varies, clipped = _look(rows[s, p * bins : (p + 1) * bins])
            largest[s] = max(largest[s], size)
            sound[s] |= varies
            if clipped:
                largest[s] = np.inf
        if not (sound[s] and _SMALLEST < largest[s] < 1 / _SMALLEST):
            sound[s] = False
            rows[s, :] = 0.0
            largest[s] = 1.0
    return rows, largest, sound


@nb.njit(**CAREFUL)
def _look(row: Array) -> tuple[float, bool, bool]:
    """Largest modulus (infinite where there is a NaN), whether values differ, and whether they are cut off."""
    high, low = row[0], row[0]
    for value in row:
        high, low = max(high, value), min(low, value)
        if not np.isfinite(value):
            return np.inf, False, False
    at_high, at_low = 0, 0
    for value in row:
        at_high += value == high
        at_low += value == low
    return max(high, -low), high > low, high > low and max(at_high, at_low) >= max(_SATURATED * row.size, _FEWEST)


@nb.njit(**FAST)
def _scale(rows: Array, largest: Array) -> NDArray[np.float32]:
    """Rows in single precision, with 1 as their largest value."""
    unit = np.empty(rows.shape, np.float32)
    for s in range(rows.shape[0]):
        over = 1.0 / largest[s]
        for i in range(rows.shape[1]):
            unit[s, i] = rows[s, i] * over
    return unit


@nb.njit(**FAST)
def _best(products: NDArray[np.float32], count: int, best: NDArray[np.int64]) -> None:
    """For each signal the template that explains most of it."""
    blocks = products.shape[1] // count
    energy = np.empty(count, np.float32)
    for s in range(products.shape[0]):
        row = products[s]
        for t in range(count):
            energy[t] = row[t] * row[t]
        for b in range(1, blocks):
            for t in range(count):
                energy[t] += row[b * count + t] * row[b * count + t]
        best[s] = np.argmax(energy)


class Bank:
    """Templates on a grid.

    Parameters
    ----------
    physics : Separable
        Declares the columns.
    grid : Grid
        Where the templates are.
    moving : ndarray, shape (m,)
        Columns that depend on what is searched.
    """

    def __init__(self, physics: Separable, grid: Grid, moving: NDArray[np.int64]) -> None:
        self.grid = grid
        made = templates(physics, grid.nodes, moving)
        self.filters = as_filters(made)

    def products(self, rows: Array, largest: Array) -> NDArray[np.float32]:
        """Signals times templates, shape (n, parts of factors * templates), for signals scaled to 1."""
        return _scale(rows, largest) @ self.filters

    def start(self, rows: Array, largest: Array) -> Array:
        """Where in the grid a search starts.

        Parameters
        ----------
        rows : ndarray, shape (n, parts * bins)
            Signals, real before imaginary parts.
        largest : ndarray, shape (n,)
            Largest value of each.

        Returns
        -------
        ndarray, shape (n, k)
            Node of the template that explains most of each signal.
        """
        best = np.empty(len(rows), np.int64)
        for first in range(0, len(rows), _CHUNK):
            part = slice(first, first + _CHUNK)
            _best(self.products(rows[part], largest[part]), len(self.grid.nodes), best[part])
        return self.grid.nodes[best]


def as_filters(made: NDArray[Any], dtype: type = np.float32) -> NDArray[Any]:
    """Matrix by which rows of signals are multiplied to project them on templates.

    Parameters
    ----------
    made : ndarray, shape (t, bins, m)
        Templates, whose conjugates multiply the signal.
    dtype : type, default float32
        Of the result.

    Returns
    -------
    ndarray, shape (parts * bins, m * parts * t)
        Columns by factor, then part, then template.
    """
    t, bins, m = made.shape
    turned = made.transpose(1, 2, 0)
    if not np.iscomplexobj(made):
        return np.ascontiguousarray(turned.reshape(bins, m * t), dtype)
    re = np.concatenate([turned.real, turned.imag])
    im = np.concatenate([-turned.imag, turned.real])
    return np.ascontiguousarray(np.stack([re, im], axis=2).reshape(2 * bins, m * 2 * t), dtype)
