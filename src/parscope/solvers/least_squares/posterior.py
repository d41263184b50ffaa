"""Signals near the noise: mean and covariance of the posterior over the grid, instead of a best point.

Where the likelihood has several maxima, or one that is far from a parabola, the covariance at the best point is far
too small. The posterior with a prior that is flat over what is searched and over the logarithm of the strength is
exact up to the spacing of the grid.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from parscope.core.separable import Separable
from parscope.solvers.least_squares.bank import Bank, as_filters
from parscope.solvers.least_squares.grid import Grid, stack

Array = NDArray[np.float64]

# Signals at a time: products with all templates are kept.
_CHUNK = 128
# Squared ratio of the width of the posterior to that of its best peak beyond which there are several peaks.
_SEVERAL = 4.0


class Moments(NamedTuple):
    """Posterior mean (n, p) and covariance (n, p, p) of what is searched and the factors; whether it has one peak."""

    mean: Array
    covariance: Array
    single: NDArray[np.bool_]


class Posterior:
    """Posterior over the nodes of a grid.

    Parameters
    ----------
    physics : Separable
        Declares the columns.
    grid : Grid
        Fine enough for the strongest signals that come here.
    moving : ndarray, shape (m,)
        Columns that depend on what is searched.
    """

    def __init__(self, physics: Separable, grid: Grid, moving: NDArray[np.int64]) -> None:
        self.grid = grid
        self.parts = 2 if physics.complex else 1
        self.strengths = self.parts * len(moving)
        self.bank = Bank(physics, grid, moving)
        columns = stack(physics, grid.nodes)
        gram = columns.conj().transpose(0, 2, 1) @ columns
        self.spread = np.diagonal(np.linalg.pinv(gram, hermitian=True), axis1=1, axis2=2).real
        self.inverse = as_filters(np.linalg.pinv(columns).conj().transpose(0, 2, 1))

    def __call__(self, rows: Array, largest: Array, variance: Array) -> Moments:
        """Moments for each signal.

        Parameters
        ----------
        rows : ndarray, shape (n, parts * bins)
            Signals, real before imaginary parts.
        largest : ndarray, shape (n,)
            Largest value of each.
        variance : ndarray, shape (n,)
            Variance of the noise of each sample.

        Returns
        -------
        Moments
        """
        count = self.grid.nodes.shape[1] + self.spread.shape[1] * self.parts
        all_of = Moments(np.empty((len(rows), count)), np.empty((len(rows), count, count)), np.empty(len(rows), bool))
        for first in range(0, len(rows), _CHUNK):
            part = slice(first, first + _CHUNK)
            some = self._moments(rows[part], largest[part], variance[part])
            for whole, piece in zip(all_of, some, strict=True):
                whole[part] = piece
        return all_of

    def _moments(self, rows: Array, largest: Array, variance: Array) -> Moments:
        n, (t, k) = len(rows), self.grid.nodes.shape
        unit = variance / largest**2
        energy = np.square(self.bank.products(rows, largest).reshape(n, -1, t)).sum(axis=1, dtype=np.float64)
        weight = self._weights(energy, unit)
        factors = ((rows / largest[:, None]).astype(np.float32) @ self.inverse).reshape(n, -1, t).astype(np.float64)
        mean = np.concatenate([weight @ self.grid.nodes, np.einsum("nt,nft->nf", weight, factors)], axis=1)
        covariance = np.empty((n, mean.shape[1], mean.shape[1]))
        offset = self.grid.nodes - mean[:, None, :k]
        strange = factors - mean[:, k:, None]
        covariance[:, :k, :k] = np.einsum("nt,ntj,ntl->njl", weight, offset, offset, optimize=True)
        mixed = np.einsum("nt,ntj,nft->njf", weight, offset, strange, optimize=True)
        covariance[:, :k, k:] = mixed
        covariance[:, k:, :k] = mixed.transpose(0, 2, 1)
        covariance[:, k:, k:] = np.einsum("nt,nft,ngt->nfg", weight, strange, strange, optimize=True)
        own = np.repeat(weight @ self.spread, self.parts, axis=1) * unit[:, None]
        covariance[:, np.arange(k, mean.shape[1]), np.arange(k, mean.shape[1])] += own
        # The cells of the grid are not points: each adds the variance of a flat distribution over its width.
        width = np.square(self._width())
        covariance[:, np.arange(k), np.arange(k)] += weight @ width / 12
        best = energy.argmax(axis=1)
        peak = unit[:, None] / np.maximum(self.grid.metric[best] * energy.max(axis=1)[:, None], 1e-300)
        wide = np.diagonal(covariance, axis1=1, axis2=2)[:, :k] > _SEVERAL * (peak + width[best] / 12)
        return Moments(*self._rescale(mean, covariance, factors, weight, largest), ~wide.any(axis=1))

    def _weights(self, energy: Array, unit: Array) -> Array:
        """Probability of each node."""
        strength = np.log(np.maximum(energy, 1e-30)) * self.strengths / 2
        power = energy / (2 * unit[:, None]) - strength + np.log(self.grid.volume)
        weight: Array = np.exp(power - power.max(axis=1, keepdims=True))
        return weight / weight.sum(axis=1, keepdims=True)

    def _width(self) -> Array:
        """Extent of the cell of each node along each parameter, from equal spacing in lost energy."""
        density = np.sqrt(np.maximum(self.grid.metric, 1e-300))
        shape = 1 / density
        size = self.grid.volume / np.prod(shape, axis=1)
        return np.asarray(shape * size[:, None] ** (1 / shape.shape[1]))

    def _rescale(self, mean: Array, covariance: Array, factors: Array, weight: Array, largest: Array) -> tuple[Array, Array]:
        """Factors in the unit of the signal, with the mean modulus of those that are complex.

        The mean of a complex factor over all frequencies at which a weak peak may be is shorter than any of them.
        """
        k = self.grid.nodes.shape[1]
        if self.parts == 2:
            n, f, t = factors.shape
            pairs = factors.reshape(n, f // 2, 2, t)
            modulus = np.einsum("nt,nft->nf", weight, np.hypot(pairs[:, :, 0], pairs[:, :, 1]))
            length = np.hypot(mean[:, k::2], mean[:, k + 1 :: 2])
            mean[:, k:] *= np.repeat(modulus / np.maximum(length, 1e-300), 2, axis=1)
        mean[:, k:] *= largest[:, None]
        covariance[:, k:, :] *= largest[:, None, None]
        covariance[:, :, k:] *= largest[:, None, None]
        return mean, covariance
