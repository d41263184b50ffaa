"""The physics as decoder: factors solved in closed form for given non-linear parameters, and what is left then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parscope.core.separable import Separable
from parscope.solvers.networks.spectra.scale import Scale

Array = NDArray[np.float64]

# Relative to the largest, squared lengths of columns that are taken for nothing.
_NOTHING = 1e-6
_LEAST = 1e-30


@dataclass(frozen=True)
class FactorPrior:
    """Gaussian about a mean (f,), or about plus or minus it, with a covariance (f, f), of real factors.

    In units of the signal; real before imaginary part.
    """

    mean: Array
    covariance: Array
    two_signs: bool


@dataclass(frozen=True)
class Factors:
    """Best real factors of n signals (n, f), and their covariance (n, f, f).

    Without their prior they leave ``residual`` (n, bins) of each, and so a variance ``noise`` (n,) of a real sample.
    """

    value: Array
    covariance: Array
    residual: NDArray[Any]
    noise: Array


@dataclass(frozen=True)
class _Equations:
    """Normal equations of the real factors of n signals: columns (n, m, bins), gram (n, f, f), products (n, f)."""

    columns: NDArray[Any]
    gram: Array
    products: Array

    @property
    def free(self) -> Array:
        """Factors without a prior, shape (n, f)."""
        return np.asarray(np.linalg.solve(self.gram, self.products[..., None])[..., 0], np.float64)

    def under(self, prior: FactorPrior | None, noise: Array) -> tuple[Array, Array]:
        """Factors (n, f) and the information on them (n, f, f) under a prior, for a variance of the noise (n,)."""
        noise = np.maximum(noise, _LEAST)
        information = self.gram / noise[:, None, None]
        if prior is None:
            return self.free, information
        inverse = np.linalg.inv(prior.covariance)
        pull = np.einsum("...fg,...g->...f", inverse, prior.mean)
        if prior.two_signs:
            pull = np.where(np.sum(self.free * pull, axis=1) < 0, -1.0, 1.0)[:, None] * pull
        information = information + inverse
        target = self.products / noise[:, None] + pull
        return np.asarray(np.linalg.solve(information, target[..., None])[..., 0], np.float64), information


class Decoder:
    """Renders unit coordinates of a physics, with the factors that fit a signal best.

    Parameters
    ----------
    physics : Separable
        Declares the columns.
    """

    def __init__(self, physics: Separable) -> None:
        self.physics, self.scale = physics, Scale(physics)

    def columns(self, unit: Tensor) -> Tensor:
        """Columns at unit coordinates (n, k), shape (n, m, bins)."""
        return torch.stack(self.physics.basis(self.scale.theta(unit.clamp(0, 1))), dim=1)

    def left(self, unit: Tensor, signals: Tensor) -> Tensor:
        """Sum of squares that the best factors leave of signals (n, bins), shape (n,)."""
        return torch.square((signals - self.rendered(unit, signals)).abs()).sum(1)

    def rendered(self, unit: Tensor, signals: Tensor) -> Tensor:
        """Signals (n, bins) of the physics at unit coordinates (n, k) that are nearest to given ones."""
        columns = self.columns(unit)
        gram, products = _normal(columns, signals)
        factors = torch.linalg.solve(gram, products[..., None])[..., 0]
        return torch.einsum("nm,nmb->nb", factors, columns)

    def solve(self, unit: Array, signals: NDArray[np.generic], prior: FactorPrior | None = None) -> Factors:
        """Factors with their covariance, for the noise that what is left tells.

        Parameters
        ----------
        unit : ndarray, shape (n, k)
            Unit coordinates.
        signals : ndarray, shape (n, bins)
            Measured signals, of moduli about 1.
        prior : FactorPrior, optional
            Default: factors may be anything. One whose mean and covariance have a first axis is each signal's own.

        Returns
        -------
        Factors
        """
        equations = self._equations(unit, signals)
        given = equations.free
        if self.physics.complex:
            given = given.reshape(len(given), -1, 2) @ np.array([1, 1j])
        residual = signals - np.einsum("nm,nmb->nb", given, equations.columns)
        noise = np.square(np.abs(residual)).sum(axis=1) / self.freedom
        value, information = equations.under(prior, noise)
        covariance = np.asarray(np.linalg.inv(information), np.float64)
        return Factors(value, covariance, residual, noise)

    def factors(self, unit: Array, signals: NDArray[np.generic], prior: FactorPrior | None, noise: Array) -> Array:
        """Factors alone (n, f), as `solve` finds them, for a variance `noise` (n,) of each real sample."""
        return self._equations(unit, signals).under(prior, noise)[0]

    def _equations(self, unit: Array, signals: NDArray[np.generic]) -> _Equations:
        measured = torch.as_tensor(signals)
        columns = self.columns(torch.as_tensor(unit)).to(measured.dtype)
        gram, products = _normal(columns, measured)
        return _Equations(columns.numpy(), _real_matrix(gram.numpy()), _real_vector(products.numpy()))

    @property
    def freedom(self) -> int:
        """Real samples beyond the number of parameters."""
        return max(len(self.physics.axis) * (1 + self.physics.complex) - len(self.physics.parameters), 1)


def _normal(columns: Tensor, signals: Tensor) -> tuple[Tensor, Tensor]:
    """Products of columns with each other (n, m, m) and with signals (n, m)."""
    gram = torch.einsum("nab,ncb->nac", columns.conj(), columns)
    size = torch.diagonal(gram, dim1=1, dim2=2).real
    floor = _NOTHING * size.amax(1, keepdim=True).clamp_min(_LEAST) * torch.ones_like(size)
    return gram + torch.diag_embed(floor).to(gram.dtype), torch.einsum("nab,nb->na", columns.conj(), signals)


def _real_matrix(matrix: NDArray[np.generic]) -> Array:
    """Hermitian matrices (n, m, m) as they act on real and imaginary parts."""
    if not np.iscomplexobj(matrix):
        return matrix.astype(np.float64)
    n, m, _ = matrix.shape
    whole = np.empty((n, m, 2, m, 2))
    whole[:, :, 0, :, 0] = whole[:, :, 1, :, 1] = matrix.real
    whole[:, :, 1, :, 0], whole[:, :, 0, :, 1] = matrix.imag, -matrix.imag
    return whole.reshape(n, 2 * m, 2 * m)


def _real_vector(vector: NDArray[np.generic]) -> Array:
    """Complex numbers (n, m) as real ones (n, 2 m)."""
    if not np.iscomplexobj(vector):
        return vector.astype(np.float64)
    return np.stack([vector.real, vector.imag], axis=-1).reshape(len(vector), -1).astype(np.float64)
