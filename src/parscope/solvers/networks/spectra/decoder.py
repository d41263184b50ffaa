"""The physics as decoder: factors solved in closed form for given non-linear parameters, and what is left then."""

from __future__ import annotations

from dataclasses import dataclass

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
    """Best real factors of n signals (n, f), their covariance (n, f, f), and what they leave of each (n, bins)."""

    value: Array
    covariance: Array
    residual: NDArray[np.generic]


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

    def solve(
        self, unit: Array, signals: NDArray[np.generic], prior: FactorPrior | None = None, noise: Array | None = None
    ) -> Factors:
        """Factors with their covariance.

        Parameters
        ----------
        unit : ndarray, shape (n, k)
            Unit coordinates.
        signals : ndarray, shape (n, bins)
            Measured signals, of moduli about 1.
        prior : FactorPrior, optional
            Default: factors may be anything. One whose mean and covariance have a first axis is each signal's own.
        noise : ndarray, shape (n,), optional
            Variance of the noise of each real sample. Default: told by what is left.

        Returns
        -------
        Factors
        """
        measured = torch.as_tensor(signals)
        columns = self.columns(torch.as_tensor(unit)).to(measured.dtype)
        complex_gram, complex_products = _normal(columns, measured)
        gram, products = _real_matrix(complex_gram.numpy()), _real_vector(complex_products.numpy())
        free = np.asarray(np.linalg.solve(gram, products[..., None])[..., 0], np.float64)
        value = free
        residual = self._residual(free, columns, signals)
        if noise is None:
            noise = np.square(np.abs(residual)).sum(axis=1) / self.freedom
        noise = np.maximum(noise, _LEAST)
        information = gram / noise[:, None, None]
        if prior is not None:
            inverse = np.linalg.inv(prior.covariance)
            pull = np.einsum("...fg,...g->...f", inverse, prior.mean)
            if prior.two_signs:
                pull = np.where(np.sum(free * pull, axis=1) < 0, -1.0, 1.0)[:, None] * pull
            information = information + inverse
            target = products / noise[:, None] + pull
            value = np.asarray(np.linalg.solve(information, target[..., None])[..., 0], np.float64)
        covariance: Array = np.linalg.inv(information)
        return Factors(value, covariance, residual)

    def _residual(self, factors: Array, columns: Tensor, signals: NDArray[np.generic]) -> NDArray[np.generic]:
        given = factors.reshape(len(factors), -1, 2) @ np.array([1, 1j]) if self.physics.complex else factors
        left: NDArray[np.generic] = signals - np.einsum("nm,nmb->nb", given, columns.numpy())
        return left

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
