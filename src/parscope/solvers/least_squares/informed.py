"""Errors of weak signals under a Gaussian prior: the posterior summed over a grid, its factors integrated over.

Near the noise the best fit under a prior may be the wrong one of several peaks, of which its curvature knows nothing.
A prior may be narrower than a cell of the grid: what is searched is integrated over each cell as the prior says.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.solvers.least_squares.algebra import factorise, invert, substitute
from parscope.solvers.least_squares.bank import Taken, fill_energies
from parscope.solvers.least_squares.cells import (
    LEAST,
    Cells,
    add_products,
    add_spread,
    distances,
    fit_factors,
    likely,
    one_peak,
)
from parscope.solvers.least_squares.layout import FAST, Array, Prior

# Narrower cells, in standard deviations of the prior, are flat; a cell that holds less of the prior holds none.
_FLAT, _LEAST_MASS = 0.02, 1e-12
_ROOT = math.sqrt(2 * math.pi)


class _Seen(NamedTuple):
    """What a signal and its prior say of each node: logarithm of its probability, and mean and variance of all."""

    power: Array
    place: Array
    spread: Array
    factors: Array
    inverse: Array


@nb.njit(**FAST)
def _away(cells: Cells, at: int, j: int, prior: Prior) -> tuple[float, float]:
    """Distance of a node from the mean of the prior, and width of its cell, in standard deviations of the prior."""
    scale = math.sqrt(prior.precision[0, j, j])
    return (cells.nodes[at, j] - prior.mean[0, j]) * scale, math.sqrt(12 * cells.cell[at, j]) * scale


@nb.njit(**FAST)
def _inside(cells: Cells, at: int, j: int, prior: Prior) -> tuple[float, float, float]:
    """Mean and variance of a parameter over a cell under its prior, and the logarithm of the mean density there."""
    middle, width = _away(cells, at, j, prior)
    if width < _FLAT:
        return cells.nodes[at, j], cells.cell[at, j], -0.5 * middle * middle
    low, high = middle - 0.5 * width, middle + 0.5 * width
    mass = 0.5 * (math.erf(high / math.sqrt(2.0)) - math.erf(low / math.sqrt(2.0)))
    if mass < _LEAST_MASS:
        return cells.nodes[at, j], cells.cell[at, j], math.log(_LEAST_MASS)
    left, right = math.exp(-0.5 * low * low) / (_ROOT * mass), math.exp(-0.5 * high * high) / (_ROOT * mass)
    mean = left - right
    variance = max(1 + low * left - high * right - mean * mean, 0.0)
    precision = prior.precision[0, j, j]
    return prior.mean[0, j] + mean / math.sqrt(precision), variance / precision, math.log(_ROOT * mass / width)


@nb.njit(**FAST)
def _promise(
    products: NDArray[np.float32], cells: Cells, prior: Prior, noise: float, power: Array
) -> NDArray[np.float32]:
    """Write down a logarithm that the probability of each node does not exceed; return the energy it explains."""
    count, k = cells.nodes.shape
    explained = np.empty(count, np.float32)
    fill_energies(products, explained)
    scale = 0.5 * cells.solution.shape[1] * math.log(prior.variance[0])
    for t in range(count):
        power[t] = 0.5 * explained[t] / noise + cells.prior[t] + cells.size[t] + scale
        for j in range(k):
            middle, width = _away(cells, t, j, prior)
            power[t] -= 0.5 * max(abs(middle) - 0.5 * width, 0.0) ** 2
    return explained


@nb.njit(**FAST)
def _integrate(cells: Cells, at: int, prior: Prior, factors: Array, inverse: Array) -> float:
    """From the factors that fit best at a node to their mean and covariance under a prior, in place.

    Returns the logarithm of the probability that is lost.
    """
    size, k = factors.size, cells.nodes.shape[1]
    mean, precision, variance = prior.mean[0, k:], prior.precision[0, k:, k:], prior.variance[0]
    room, target = np.empty((size, size)), np.zeros(size)
    lost = 0.0
    for i in range(size):
        for j in range(size):
            told = cells.information[at, i, j] / variance
            room[i, j] = told + precision[i, j]
            target[i] += told * factors[j] + precision[i, j] * mean[j]
            lost += 0.5 * (told * factors[i] * factors[j] + precision[i, j] * mean[i] * mean[j])
    factors[:] = target
    if not factorise(room, size):
        return math.inf
    substitute(room, factors, size)
    invert(room, inverse, size)
    for i in range(size):
        lost += math.log(room[i, i]) - 0.5 * target[i] * factors[i]
    return lost


@nb.njit(**FAST)
def _look(cells: Cells, at: int, prior: Prior, likelihood: float, product: Array, seen: _Seen) -> None:
    """Write down the mean and variance of all parameters at a node, and the logarithm of its probability."""
    fit_factors(cells, at, product, seen.factors[at])
    power = likelihood + cells.prior[at] - _integrate(cells, at, prior, seen.factors[at], seen.inverse[at])
    for j in range(cells.nodes.shape[1]):
        seen.place[at, j], seen.spread[at, j], gain = _inside(cells, at, j, prior)
        power += gain
    seen.power[at] = power


@nb.njit(**FAST)
def _see(
    products: NDArray[np.float32], cells: Cells, prior: Prior, largest: float, flat: Array, seen: _Seen
) -> tuple[Array, int]:
    """Look at all nodes that matter; return the energy that each explains, in the unit of the signal, and the best."""
    count, size = seen.factors.shape
    noise = prior.variance[0] / largest**2
    explained = _promise(products, cells, prior, noise, seen.power)
    product = np.empty(size)
    product[: flat.size] = flat
    # The most promising node first: most others need not be looked at then.
    order, top = np.arange(count), np.argmax(seen.power)
    order[0], order[top] = top, 0
    best = int(top)
    for at in order:
        if at != top and seen.power[at] < seen.power[best] + LEAST:
            continue
        for i in range(flat.size, size):
            product[i] = products[(i - flat.size) * count + at] * largest
        _look(cells, at, prior, 0.5 * explained[at] / noise, product, seen)
        if seen.power[at] > seen.power[best]:
            best = int(at)
    return explained * largest**2, best


@nb.njit(**FAST)
def spread_informed(
    products: NDArray[np.float32], taken: Taken, cells: Cells, prior: Prior, found: Array, moments: Array
) -> NDArray[np.bool_]:
    """Moments of each signal about its best fit under a prior, in place; return whether there is one peak.

    The parameters that are searched are independent in the prior, of each other and of the factors.
    """
    (count, k), size = cells.nodes.shape, cells.solution.shape[1]
    away, single = np.empty((k + size, count)), np.empty(found.shape[0], np.bool_)
    seen = _Seen(
        np.empty(count),
        np.empty((count, k)),
        np.empty((count, k)),
        np.empty((count, size)),
        np.empty((count, size, size)),
    )
    for s in range(found.shape[0]):
        own = Prior(
            prior.mean[min(s, prior.mean.shape[0] - 1)].copy().reshape(1, -1),
            prior.precision[min(s, prior.precision.shape[0] - 1)].copy().reshape(1, k + size, k + size),
            np.full(1, prior.variance[min(s, prior.variance.size - 1)]),
        )
        explained, best = _see(products[s], cells, own, taken.largest[s], taken.flat[s], seen)
        nodes, weights = likely(seen.power)
        distances(seen.place, nodes, found[s], cells.period, away)
        for i in range(size):
            for n in range(nodes.size):
                away[k + i, n] = seen.factors[nodes[n], i] - found[s, k + i]
        add_products(moments[s], away, weights)
        add_spread(moments[s], nodes, weights, seen.spread, seen.inverse, 1.0)
        single[s] = one_peak(cells, best, own.variance[0] / explained[best], own.precision[0], moments[s])
    return single
