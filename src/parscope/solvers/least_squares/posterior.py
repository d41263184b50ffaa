"""Errors of weak signals: how far the posterior reaches from the best fit, instead of the curvature there.

Near the noise the likelihood has several maxima, or one that is far from a parabola, and the covariance at the best
point is far too small. Here the likelihood is summed over a grid, with a prior that is flat over what is searched and
over the logarithm of the strength. The most probable part of it is kept, as an interval would do.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.solvers.least_squares.bank import Bank, Taken, fill_energies
from parscope.solvers.least_squares.cells import (
    LEAST,
    Cells,
    add_products,
    add_spread,
    distances,
    lay_cells,
    likely,
    one_peak,
)
from parscope.solvers.least_squares.grid import Basis, Grid
from parscope.solvers.least_squares.informed import spread_informed
from parscope.solvers.least_squares.layout import FAST, Array, Integers, Prior, part_of
from parscope.solvers.least_squares.sieve import Sieve

# Signals at a time: products with all templates are kept.
_CHUNK = 128
# Halvings of the energy below which nodes are improbable.
_HALVINGS = 8


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
    coarse : Bank, optional
        Templates that tell which nodes need to be looked at, where signals have narrow peaks. Default: all are.
    positive : bool, default False
        Whether factors, of which there is one, cannot be negative.
    """

    def __init__(
        self,
        physics: Basis,
        grid: Grid,
        moving: NDArray[np.int64],
        period: Array,
        coarse: Bank | None = None,
        positive: bool = False,
    ) -> None:
        self.bank = Bank(physics, grid, moving, positive)
        self._sieve = Sieve(self.bank, coarse) if coarse is not None else None
        self._strengths = (2 if physics.complex else 1) * len(moving)
        self._cells = lay_cells(physics, grid, moving, period)

    def __call__(
        self, taken: Taken, variance: Array, known: bool, found: Array, prior: Prior | None = None
    ) -> tuple[Array, NDArray[np.bool_]]:
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
        prior : Prior, optional
            Of each signal, with the variance of its noise. Default: flat.

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
            if prior is None:
                products = self._products(some.unit, variance[part] / np.square(some.largest))
                single[part] = _spread(products, some, cells, variance[part], found[part], moments[part])
            else:
                products = self.bank.products(some.unit)
                single[part] = spread_informed(products, some, cells, prior.of(part), found[part], moments[part])
        return moments, single

    def _products(self, unit: NDArray[np.float32], noise: Array) -> NDArray[np.float32]:
        """Signals times templates, those left out that do not matter."""
        return self.bank.products(unit) if self._sieve is None else self._sieve.products(unit, noise)


@nb.njit(**FAST)
def _logarithm(cells: Cells, explained: float, noise: float, energy: float) -> float:
    """Logarithm of the probability of a node, volume apart; strengths below the noise are not told apart."""
    value = max(explained, 2 * cells.strength * noise)
    # Where the noise is not known it is integrated over, which leaves Student's distribution.
    if cells.freedom > 0:
        likelihood = -0.5 * cells.freedom * math.log(max(1.0 - value / energy, 1e-12))
    else:
        likelihood = 0.5 * value / noise
    return likelihood - cells.strength * math.log(value)


@nb.njit(**FAST)
def _least_energy(cells: Cells, wanted: float, most: float, noise: float, energy: float) -> float:
    """Energy, up to `most`, below which no node has a logarithm of `wanted`: probability rises with energy."""
    low, high = 0.0, most
    if _logarithm(cells, low, noise, energy) >= wanted:
        return low
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if _logarithm(cells, middle, noise, energy) < wanted:
            low = middle
        else:
            high = middle
    return low


@nb.njit(**FAST)
def _probable(
    explained: NDArray[np.float32], cells: Cells, noise: float, energy: float
) -> tuple[NDArray[np.int64], Array]:
    """Nodes that matter for a signal whose largest value is 1, and the logarithm of their probability."""
    top = np.argmax(explained)
    best = _logarithm(cells, explained[top], noise, energy) + cells.prior[top]
    least = np.float32(_least_energy(cells, best + LEAST - cells.most, explained[top], noise, energy))
    nodes = np.flatnonzero(explained >= least)
    power = np.empty(nodes.size)
    for n in range(nodes.size):
        power[n] = _logarithm(cells, explained[nodes[n]], noise, energy) + cells.prior[nodes[n]]
    return nodes, power


@nb.njit(**FAST)
def _add_factors(
    products: NDArray[np.float32], nodes: Integers, cells: Cells, flat: Array, largest: float, away: Array
) -> None:
    """Add the factors that fit best at each node, in place; the loops over nodes are the inner ones."""
    count = cells.prior.size
    for i in range(away.shape[0]):
        for h in range(flat.size):
            for n in range(nodes.size):
                away[i, n] += cells.solution[nodes[n], i, h] * flat[h]
        for h in range(flat.size, away.shape[0]):
            row = products[(h - flat.size) * count : (h - flat.size + 1) * count]
            for n in range(nodes.size):
                away[i, n] += cells.solution[nodes[n], i, h] * row[nodes[n]] * largest


@nb.njit(**FAST)
def _spread(
    products: NDArray[np.float32],
    taken: Taken,
    cells: Cells,
    variance: Array,
    found: Array,
    moments: Array,
) -> NDArray[np.bool_]:
    """Moments of each signal about its best fit, in place; return whether there is one peak."""
    count, k = cells.nodes.shape
    size = cells.solution.shape[1]
    away, flatly = np.empty((k + size, count)), np.zeros((k, k))
    single, explained = np.empty(found.shape[0], np.bool_), np.empty(count, np.float32)
    for s in range(found.shape[0]):
        largest = taken.largest[s]
        noise, energy = variance[s] / largest**2, taken.energy[s] / largest**2
        fill_energies(products[s], explained)
        nodes, power = _probable(explained, cells, noise, energy)
        kept, weights = likely(power)
        kept = nodes[kept]
        distances(cells.nodes, kept, found[s], cells.period, away)
        for i in range(k, k + size):
            away[i, : kept.size] = -found[s, i]
        _add_factors(products[s], kept, cells, taken.flat[s], largest, away[k:])
        add_products(moments[s], away, weights)
        add_spread(moments[s], kept, weights, cells.cell, cells.own, variance[s])
        best = nodes[np.argmax(power)]
        single[s] = one_peak(cells, best, noise / explained[best], flatly, moments[s])
    return single
