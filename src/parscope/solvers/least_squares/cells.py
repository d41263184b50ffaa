"""A grid as the posterior is summed over it: its nodes, and what is added up at each."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.solvers.least_squares.grid import Basis, Grid, stack, still, templates
from parscope.solvers.least_squares.layout import FAST, Array, Integers

# Probability of the nodes that are kept; and the logarithm of the least probability, relative to the best node.
_KEPT, LEAST = 0.95, -9.0
_HALVINGS = 12
# Squared ratio of the width of the posterior to that of its best peak beyond which there are several peaks.
_SEVERAL = 4.0


class Cells(NamedTuple):
    """A grid as the kernels take it.

    ``cell`` is the variance inside the cell of a node, ``solution`` leads from products to factors, ``own`` is the
    covariance of the factors at a node for unit noise, ``information`` its inverse, and ``size`` the logarithm of the
    root of its determinant. ``prior`` is the logarithm of the volume of a node, ``most`` the largest of them;
    ``strength`` is the power of the energy that the prior takes out, ``freedom`` the number of samples that tell the
    noise, 0 where it is known.
    """

    nodes: Array
    prior: Array
    most: float
    metric: Array
    cell: Array
    solution: Array
    own: Array
    information: Array
    size: Array
    period: Array
    strength: float
    freedom: float


def lay_cells(physics: Basis, grid: Grid, moving: NDArray[np.int64], period: Array) -> Cells:
    """Cells of a grid.

    Parameters
    ----------
    physics : Basis
        Declares the columns.
    grid : Grid
        Nodes.
    moving : ndarray, shape (m,)
        Columns that depend on what is searched.
    period : ndarray, shape (k,)
        Of what is searched, 0 where it does not repeat.

    Returns
    -------
    Cells
        For noise of known variance.
    """
    parts = 2 if physics.complex else 1
    solution = _solutions(physics, grid.nodes, moving, parts)
    own = solution @ solution.transpose(0, 2, 1)
    size = 0.5 * np.linalg.slogdet(own)[1]
    strength = parts * len(moving) / 2
    return Cells(
        grid.nodes,
        np.log(grid.volume),
        float(np.log(grid.volume).max()),
        grid.metric,
        _cell(grid),
        solution,
        own,
        np.asarray(np.linalg.inv(own), np.float64),
        size,
        period,
        strength,
        0.0,
    )


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
def likely(power: Array) -> tuple[NDArray[np.int64], Array]:
    """The most probable nodes, in order of the grid, and their probabilities."""
    best = power.max()
    near = np.flatnonzero(power > best + LEAST)
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
def fit_factors(cells: Cells, at: int, product: Array, factors: Array) -> None:
    """Factors that fit best at a node, in place."""
    for i in range(product.size):
        factors[i] = 0.0
        for h in range(product.size):
            factors[i] += cells.solution[at, i, h] * product[h]


@nb.njit(**FAST)
def distances(places: Array, nodes: Integers, found: Array, period: Array, away: Array) -> None:
    """Distances of nodes from the best fit, shape (k, nodes), in place; the loops over nodes are the inner ones."""
    for j in range(period.size):
        for n in range(nodes.size):
            away[j, n] = places[nodes[n], j] - found[j]
        if period[j] > 0:
            for n in range(nodes.size):
                away[j, n] -= period[j] * round(away[j, n] / period[j])


@nb.njit(**FAST)
def add_products(moments: Array, away: Array, weights: Array) -> None:
    """Add mean products of distances from the best fit, in place, below the diagonal."""
    for i in range(moments.shape[0]):
        for j in range(i + 1):
            total = 0.0
            for n in range(weights.size):
                total += weights[n] * away[i, n] * away[j, n]
            moments[i, j] += total


@nb.njit(**FAST)
def add_spread(moments: Array, nodes: Integers, weights: Array, cell: Array, own: Array, scale: float) -> None:
    """Add the mean spread inside the cells, and that of the factors at each node times `scale`, below the diagonal."""
    k = cell.shape[1]
    for j in range(k):
        for n in range(weights.size):
            moments[j, j] += weights[n] * cell[nodes[n], j]
    for i in range(own.shape[1]):
        for j in range(i + 1):
            total = 0.0
            for n in range(weights.size):
                total += weights[n] * own[nodes[n], i, j]
            moments[k + i, k + j] += total * scale


@nb.njit(**FAST)
def one_peak(cells: Cells, best: int, noise: float, precision: Array, moments: Array) -> bool:
    """Whether the posterior is about as wide as its best peak; and fill in the upper triangle of the moments.

    ``noise`` is its variance over the energy that the best node explains.
    """
    narrow = 0
    for j in range(cells.nodes.shape[1]):
        peak = 1 / (cells.metric[best, j] / noise + precision[j, j] + 1e-300) + cells.cell[best, j]
        narrow += moments[j, j] <= _SEVERAL * peak
    for i in range(moments.shape[0]):
        for j in range(i):
            moments[j, i] = moments[i, j]
    return bool(narrow == cells.nodes.shape[1])
