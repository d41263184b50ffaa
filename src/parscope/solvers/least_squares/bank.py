"""The global search: every template against every signal in one matrix product."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.solvers.least_squares.grid import Basis, Grid, templates
from parscope.solvers.least_squares.layout import CAREFUL, FAST, Array, Prior

# Signals at a time, so that the products stay in the cache of a core.
_CHUNK = 256
# A signal is saturated where its real or imaginary part has its highest or lowest value for at least this share of its
# samples and so many, and more than so many times as often as the nearest other value: a detector that is cut off piles
# samples up, while a smooth extremum that was rounded has at most 2.5 times as many as the level beside it. Zero is
# what was not measured, and a level that most samples have is the background.
_SATURATED = 0.125
_FEWEST = 4
_PILED = 3
_MOST = 0.5
# Squares of smaller numbers are not held by double precision.
_SMALLEST = 1e-150
_NO_PRIOR = Prior(np.zeros((1, 0)), np.zeros((1, 0, 0)), np.zeros(1))


class Taken(NamedTuple):
    """Signals as they are fitted.

    ``rows`` holds real, then imaginary parts, and ``unit`` the same with 1 as largest value; ``flat`` is what the
    constant columns explain, ``energy`` the square of the rest; ``sound`` says whether a signal can be fitted.
    """

    rows: Array
    unit: NDArray[np.float32]
    largest: Array
    flat: Array
    energy: Array
    sound: NDArray[np.bool_]


@nb.njit(**CAREFUL)
def take(signals: NDArray[Any], parts: int, level: Array) -> Taken:
    """Signals as they are fitted, given orthonormal constant columns, shape (parts * bins, q)."""
    n, bins = signals.shape
    width = parts * bins
    taken = Taken(
        np.empty((n, width)),
        np.empty((n, width), np.float32),
        np.zeros(n),
        np.zeros((n, level.shape[1])),
        np.zeros(n),
        np.zeros(n, np.bool_),
    )
    for s in range(n):
        row = taken.rows[s]
        for i in range(bins):
            row[i] = signals[s, i].real
            if parts == 2:
                row[bins + i] = signals[s, i].imag
        taken.largest[s], taken.sound[s] = _measure(row.reshape(parts, bins))
        if not taken.sound[s]:
            row[:] = 0.0
        over = 1.0 / taken.largest[s]
        for i in range(width):
            taken.unit[s, i] = row[i] * over
            taken.energy[s] += row[i] * row[i]
        for q in range(level.shape[1]):
            for i in range(width):
                taken.flat[s, q] += row[i] * level[i, q]
            taken.energy[s] -= taken.flat[s, q] ** 2
    return taken


@nb.njit(**CAREFUL)
def _measure(parts: Array) -> tuple[float, bool]:
    """Largest modulus of a signal, and whether it can be fitted; 1 if not."""
    largest, varies = 0.0, False
    for part in parts:
        size, differs = _look(part)
        largest = max(largest, size)
        varies |= differs
    if varies and _SMALLEST < largest < 1 / _SMALLEST:
        return largest, True
    return 1.0, False


@nb.njit(**CAREFUL)
def _look(row: Array) -> tuple[float, bool]:
    """Largest modulus, infinite where the row cannot be used, and whether its values differ."""
    high, low = row[0], row[0]
    for value in row:
        high, low = max(high, value), min(low, value)
        if not np.isfinite(value):
            return np.inf, False
    at_high, at_low = 0, 0
    for value in row:
        at_high += value == high
        at_low += value == low
    if high > low and (_is_rail(row, high, at_high) or _is_rail(row, low, at_low)):
        return np.inf, False
    return max(high, -low), high > low


@nb.njit(**CAREFUL)
def _is_rail(row: Array, extreme: float, count: int) -> bool:
    """Whether an extreme that `count` samples have is where the detector was cut off."""
    if extreme == 0 or count < max(_SATURATED * row.size, _FEWEST) or count > _MOST * row.size:
        return False
    nearest, beside = np.inf, 0
    for value in row:
        away = abs(value - extreme)
        if 0 < away < nearest:
            nearest, beside = away, 0
        beside += away == nearest
    return bool(count > _PILED * beside)


@nb.njit(**FAST)
def fill_energies(products: NDArray[np.float32], explained: NDArray[np.float32]) -> None:
    """Write down the energy that each template explains."""
    count = explained.size
    explained[:] = 0
    for b in range(products.size // count):
        for t in range(count):
            explained[t] += products[b * count + t] ** 2


@nb.njit(**FAST)
def _disfavour(energy: NDArray[np.float32], nodes: Array, mean: Array, precision: Array) -> None:
    """Take from the energy that each node explains what a prior, in units of the noise, has against it."""
    for t in range(nodes.shape[0]):
        against = 0.0
        for j in range(nodes.shape[1]):
            for k in range(nodes.shape[1]):
                against += precision[j, k] * (nodes[t, j] - mean[j]) * (nodes[t, k] - mean[k])
        energy[t] -= np.float32(against)


@nb.njit(**FAST)
def _choose(products: NDArray[np.float32], nodes: Array, prior: Prior, first: int, start: Array) -> None:
    """For each signal, of which `first` is the number of the first, the most probable node."""
    count = nodes.shape[0]
    energy = np.empty(count, np.float32)
    for s in range(products.shape[0]):
        at = first + s
        fill_energies(products[s], energy)
        variance = prior.variance[min(at, prior.variance.size - 1)]
        if variance > 0:
            precision = variance * prior.precision[min(at, prior.precision.shape[0] - 1)]
            _disfavour(energy, nodes, prior.mean[min(at, prior.mean.shape[0] - 1)], precision)
        start[s] = nodes[np.argmax(energy)]


class Bank:
    """Templates on a grid.

    Parameters
    ----------
    physics : Basis
        Declares the columns.
    grid : Grid
        Where the templates are.
    moving : ndarray, shape (m,)
        Columns that depend on what is searched.
    positive : bool, default False
        Whether factors, of which there is one, cannot be negative.
    """

    def __init__(self, physics: Basis, grid: Grid, moving: NDArray[np.int64], positive: bool = False) -> None:
        self.positive = positive
        self.nodes = grid.nodes
        self.filters = as_filters(templates(physics, grid.nodes, moving))

    def products(self, unit: NDArray[np.float32]) -> NDArray[np.float32]:
        """Signals times templates.

        Parameters
        ----------
        unit : ndarray of float32, shape (n, parts * bins)
            Signals, real before imaginary parts, of any scale.

        Returns
        -------
        ndarray of float32, shape (n, factors * parts * templates)
        """
        products: NDArray[np.float32] = unit @ self.filters
        if self.positive:
            np.maximum(products, 0, out=products)
        return products

    def start(self, unit: NDArray[np.float32], prior: Prior | None = None) -> Array:
        """Where in the grid a search starts.

        Parameters
        ----------
        unit : ndarray of float32, shape (n, parts * bins)
            Signals, real before imaginary parts, of any scale.
        prior : Prior, optional
            With the variance of the noise at that scale; only what is searched is weighed.

        Returns
        -------
        ndarray, shape (n, k)
            Node of the template that explains most of each signal, or is most probable under the prior.
        """
        start = np.empty((len(unit), self.nodes.shape[1]))
        prior = prior or _NO_PRIOR
        for first in range(0, len(unit), _CHUNK):
            part = slice(first, first + _CHUNK)
            _choose(self.products(unit[part]), self.nodes, prior, first, start[part])
        return start


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
