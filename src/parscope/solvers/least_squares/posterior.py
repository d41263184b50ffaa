"""Errors of weak signals: how far the posterior reaches from the best fit, instead of the curvature there.

Near the noise the likelihood has several maxima, or one that is far from a parabola, and the covariance at the best
point is far too small. Here the likelihood is summed over a grid, with a prior that is flat over what is searched and
over the logarithm of the strength. The most probable part of it is kept, as an interval would do.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.solvers.least_squares.bank import Bank, Taken
from parscope.solvers.least_squares.grid import Basis, Grid, stack, still, templates
from parscope.solvers.least_squares.layout import FAST, Array

# Signals at a time: products with all templates are kept.
_CHUNK = 128
# Probability of the nodes that are kept; and the logarithm of the least probability, relative to the best node.
_KEPT, _LEAST = 0.95, -12.0
_HALVINGS = 20
# Squared ratio of the width of the posterior to that of its best peak beyond which there are several peaks.
_SEVERAL = 4.0


class _Cells(NamedTuple):
    """A grid as the kernel takes it.

    ``cell`` is the variance inside the cell of a node, ``solution`` leads from products to factors, ``own`` is the
    covariance of the factors at a node for unit noise.
    """

    nodes: Array
    prior: Array
    metric: Array
    cell: Array
    solution: Array
    own: Array
    period: Array


class Posterior:
    """Posterior over the nodes of a grid.

    Parameters
    ----------
    physics : Basis
        Declares the columns.
    grid : Grid
        Fine enough for the strongest signals that come here.
    moving : ndarray, shape (m,)
        Columns that depend on what is searched.
    period : ndarray, shape (k,)
        Of what is searched, 0 where it does not repeat.
    positive : bool, default False
        Whether factors, of which there is one, cannot be negative.
    """

    def __init__(
        self, physics: Basis, grid: Grid, moving: NDArray[np.int64], period: Array, positive: bool = False
    ) -> None:  # noqa: PLR0913
        self.bank = Bank(physics, grid, moving, positive)
        self._parts = 2 if physics.complex else 1
        self._strengths = self._parts * len(moving)
        solution = _solutions(physics, grid.nodes, moving, self._parts)
        self._cells = _Cells(
            grid.nodes,
            np.log(grid.volume),
            grid.metric,
            _cell(grid),
            solution,
            solution @ solution.transpose(0, 2, 1),
            period,
        )

    def __call__(self, taken: Taken, variance: Array, known: bool, found: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Second moments about the best fit, and whether the posterior has one peak.

        Parameters
        ----------
        taken : Taken
            Signals.
        variance : ndarray, shape (n,)
            Variance of the noise of each sample.
        known : bool
            Whether the variance is known, or only estimated from the signal.
        found : ndarray, shape (n, p)
            Best fit, as it is searched.

        Returns
        -------
        moments : ndarray, shape (n, p, p)
            Mean products of distances from the best fit.
        single : ndarray of bool, shape (n,)
            Whether what is far from the best peak can be neglected.
        """
        moments = np.zeros((*found.shape, found.shape[1]))
        single = np.empty(len(found), np.bool_)
        freedom = 0.0 if known else float(taken.rows.shape[1] - taken.flat.shape[1] - self._strengths)
        for first in range(0, len(found), _CHUNK):
            part = slice(first, first + _CHUNK)
            some = Taken(*(array[part] for array in taken))
            products = self.bank.products(some.unit)
            scale = (self._strengths / 2, freedom)
            _spread(products, some, self._cells, scale, variance[part], found[part], moments[part], single[part])
        return moments, single


def _cell(grid: Grid) -> Array:
    """Variance of a flat distribution over the cell of each node, from equal spacing in lost energy."""
    shape = 1 / np.sqrt(np.maximum(grid.metric, 1e-300))
    size = grid.volume / np.prod(shape, axis=1)
    return np.asarray(np.square(shape * size[:, None] ** (1 / shape.shape[1])) / 12)


def _solutions(physics: Basis, nodes: Array, moving: NDArray[np.int64], parts: int) -> Array:
    """Matrices from products with orthonormal templates, the constant ones first, to the factors of the columns."""
    columns = stack(physics, nodes)
    flat = still(physics, moving)
    base = np.concatenate(
        [np.broadcast_to(flat, (len(nodes), *flat.shape[1:])), templates(physics, nodes, moving)], axis=2
    )
    inverse = np.linalg.inv(base.conj().transpose(0, 2, 1) @ columns)
    if parts == 1:
        return np.ascontiguousarray(inverse)
    blocks = np.stack(
        [np.stack([inverse.real, -inverse.imag], axis=3), np.stack([inverse.imag, inverse.real], axis=3)], axis=2
    )
    size = 2 * columns.shape[2]
    return np.ascontiguousarray(blocks.reshape(len(nodes), size, size))


@nb.njit(**FAST)
def _probabilities(
    products: NDArray[np.float32], count: int, prior: Array, variance: float, energy: float, scale: tuple[float, float]
) -> tuple[Array, Array]:  # noqa: PLR0913
    """Explained energy and logarithm of the probability of each node, both for a signal whose largest value is 1."""
    explained, power = np.zeros(count), np.empty(count)
    for b in range(products.size // count):
        for t in range(count):
            explained[t] += products[b * count + t] ** 2
    strength, freedom = scale
    for t in range(count):
        value = max(explained[t], 1e-30)
        # Where the noise is not known it is integrated over, which leaves Student's distribution.
        if freedom > 0:
            likelihood = -0.5 * freedom * math.log(max(1.0 - value / energy, 1e-12))
        else:
            likelihood = 0.5 * value / variance
        power[t] = likelihood - strength * math.log(value) + prior[t]
    return explained, power


@nb.njit(**FAST)
def _likely(power: Array) -> tuple[NDArray[np.int64], Array]:
    """The most probable nodes, in order of the grid, and their probabilities."""
    best = power.max()
    near = np.flatnonzero(power > best + _LEAST)
    weight = np.exp(power[near] - best)
    wanted = _KEPT * weight.sum()
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        above = 0.0
        for value in weight:
            above += value if value >= middle else 0.0
        low, high = (middle, high) if above >= wanted else (low, middle)
    kept = np.flatnonzero(weight >= low)
    return near[kept], weight[kept] / weight[kept].sum()


@nb.njit(**FAST)
def _add(moments: Array, away: Array, cell: Array, own: Array, variance: float, weight: float) -> None:  # noqa: PLR0913
    """Add one node to the moments: its distance from the best fit, and its own spread."""
    k = cell.size
    for i in range(away.size):
        for j in range(i + 1):
            moments[i, j] += weight * away[i] * away[j]
    for j in range(k):
        moments[j, j] += weight * cell[j]
    for i in range(own.shape[0]):
        for j in range(i + 1):
            moments[k + i, k + j] += weight * variance * own[i, j]


@nb.njit(**FAST)
def _spread(
    products: NDArray[np.float32],
    taken: Taken,
    cells: _Cells,
    scale: tuple[float, float],
    variance: Array,
    found: Array,
    moments: Array,
    single: NDArray[np.bool_],
) -> None:  # noqa: PLR0913
    """Moments of each signal about its best fit."""
    count, k = cells.nodes.shape
    size = cells.solution.shape[1]
    away, product = np.empty(k + size), np.empty(size)
    flat = taken.flat.shape[1]
    for s in range(found.shape[0]):
        largest, total = taken.largest[s], moments[s]
        noise = variance[s] / largest**2
        explained, power = _probabilities(products[s], count, cells.prior, noise, taken.energy[s] / largest**2, scale)
        nodes, weights = _likely(power)
        for at, weight in zip(nodes, weights):  # noqa: B905 - numba knows no strict
            for i in range(size):
                product[i] = taken.flat[s, i] if i < flat else products[s, (i - flat) * count + at] * largest
            for j in range(k):
                away[j] = cells.nodes[at, j] - found[s, j]
                if cells.period[j] > 0:
                    away[j] -= cells.period[j] * round(away[j] / cells.period[j])
            for i in range(size):
                away[k + i] = -found[s, k + i]
                for h in range(size):
                    away[k + i] += cells.solution[at, i, h] * product[h]
            _add(total, away, cells.cell[at], cells.own[at], variance[s], weight)
        best = np.argmax(power)
        single[s] = True
        for j in range(k):
            peak = noise / max(cells.metric[best, j] * explained[best], 1e-300) + cells.cell[best, j]
            single[s] &= total[j, j] <= _SEVERAL * peak
        for i in range(k + size):
            for j in range(i):
                total[j, i] = total[i, j]
