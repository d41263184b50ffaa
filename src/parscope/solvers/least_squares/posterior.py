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
from parscope.solvers.least_squares.layout import FAST, Array, part_of

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
    covariance of the factors at a node for unit noise. ``strength`` is the power of the energy that the prior takes
    out, ``freedom`` the number of samples that tell the noise, 0 where it is known.
    """

    nodes: Array
    prior: Array
    metric: Array
    cell: Array
    solution: Array
    own: Array
    period: Array
    strength: float
    freedom: float


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
    ) -> None:
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
            self._strengths / 2,
            0.0,
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
        cells = self._cells._replace(freedom=freedom)
        for first in range(0, len(found), _CHUNK):
            part = slice(first, first + _CHUNK)
            some = part_of(taken, part)
            products = self.bank.products(some.unit)
            single[part] = _spread(products, some, cells, variance[part], found[part], moments[part])
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
def _probabilities(products: NDArray[np.float32], cells: _Cells, variance: float, energy: float) -> tuple[Array, Array]:
    """Explained energy and logarithm of the probability of each node, both for a signal whose largest value is 1."""
    count = cells.prior.size
    explained, power = np.zeros(count), np.empty(count)
    for b in range(products.size // count):
        for t in range(count):
            explained[t] += products[b * count + t] ** 2
    for t in range(count):
        value = max(explained[t], 1e-30)
        # Where the noise is not known it is integrated over, which leaves Student's distribution.
        if cells.freedom > 0:
            likelihood = -0.5 * cells.freedom * math.log(max(1.0 - value / energy, 1e-12))
        else:
            likelihood = 0.5 * value / variance
        power[t] = likelihood - cells.strength * math.log(value) + cells.prior[t]
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
def _add(moments: Array, away: Array, cell: Array, own: Array, variance: float, weight: float) -> None:
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
def _away(cells: _Cells, at: int, product: Array, found: Array, away: Array) -> None:
    """Distance of a node, and of the factors that fit best there, from the best fit."""
    k, size = cells.nodes.shape[1], product.size
    for j in range(k):
        away[j] = cells.nodes[at, j] - found[j]
        if cells.period[j] > 0:
            away[j] -= cells.period[j] * round(away[j] / cells.period[j])
    for i in range(size):
        away[k + i] = -found[k + i]
        for h in range(size):
            away[k + i] += cells.solution[at, i, h] * product[h]


@nb.njit(**FAST)
def _one_peak(cells: _Cells, best: int, noise: float, explained: float, moments: Array) -> bool:
    """Whether the posterior is about as wide as its best peak; and fill in the upper triangle of the moments."""
    narrow = 0
    for j in range(cells.nodes.shape[1]):
        peak = noise / max(cells.metric[best, j] * explained, 1e-300) + cells.cell[best, j]
        narrow += moments[j, j] <= _SEVERAL * peak
    for i in range(moments.shape[0]):
        for j in range(i):
            moments[j, i] = moments[i, j]
    return bool(narrow == cells.nodes.shape[1])


@nb.njit(**FAST)
def _spread(
    products: NDArray[np.float32],
    taken: Taken,
    cells: _Cells,
    variance: Array,
    found: Array,
    moments: Array,
) -> NDArray[np.bool_]:
    """Moments of each signal about its best fit, in place; return whether there is one peak."""
    count, k = cells.nodes.shape
    size, flat = cells.solution.shape[1], taken.flat.shape[1]
    away, product = np.empty(k + size), np.empty(size)
    single = np.empty(found.shape[0], np.bool_)
    for s in range(found.shape[0]):
        largest = taken.largest[s]
        noise, energy = variance[s] / largest**2, taken.energy[s] / largest**2
        explained, power = _probabilities(products[s], cells, noise, energy)
        nodes, weights = _likely(power)
        product[:flat] = taken.flat[s]
        for n in range(nodes.size):
            at = nodes[n]
            for i in range(flat, size):
                product[i] = products[s, (i - flat) * count + at] * largest
            _away(cells, at, product, found[s], away)
            _add(moments[s], away, cells.cell[at], cells.own[at], variance[s], weights[n])
        best = np.argmax(power)
        single[s] = _one_peak(cells, best, noise, explained[best], moments[s])
    return single
