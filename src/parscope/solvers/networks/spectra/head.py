"""What comes out of a network: the mean and the covariance of what is searched, as a Gaussian on unit coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# Logarithms of standard errors, in unit coordinates, stay between these.
_NARROWEST, _WIDEST = -12.0, 1.0
# Where they start: as those of one who knows nothing but the bounds. From narrower ones the first steps are leaps.
_START = -0.5 * math.log(12)


@dataclass(frozen=True)
class Gaussian:
    """Mean (n, k) and the lower triangular root (n, k, k) of the precision: ``precision = root.T @ root``."""

    mean: Tensor
    root: Tensor

    def loss(self, unit: Tensor) -> Tensor:
        """Minus the logarithm of the density at unit coordinates (n, k), shape (n,), [nat]."""
        away = torch.einsum("njk,nk->nj", self.root, unit - self.mean)
        spread = torch.log(torch.diagonal(self.root, dim1=1, dim2=2)).sum(1)
        loss: Tensor = 0.5 * torch.square(away).sum(1) - spread + 0.5 * unit.shape[1] * math.log(2 * math.pi)
        return loss

    def entropy(self) -> Tensor:
        """Entropy, shape (n,), but for a constant, [nat]."""
        entropy: Tensor = -torch.log(torch.diagonal(self.root, dim1=1, dim2=2)).sum(1)
        return entropy

    def sample(self, generator: torch.Generator) -> Tensor:
        """Unit coordinates drawn from it, one of each."""
        drawn = torch.randn(self.mean.shape, generator=generator, device=self.mean.device)
        away: Tensor = torch.linalg.solve_triangular(self.root, drawn[..., None], upper=False)[..., 0]
        return self.mean + away

    def axes(self) -> Tensor:
        """Columns (n, k, k) whose products sum to the covariance."""
        one = torch.eye(self.mean.shape[1], dtype=self.root.dtype, device=self.root.device)
        axes: Tensor = torch.linalg.solve_triangular(self.root, one.expand_as(self.root), upper=False)
        return axes


def outputs(k: int) -> int:
    """How many numbers a network gives for k parameters."""
    return k + k * (k + 1) // 2


def gaussian(output: Tensor, k: int) -> Gaussian:
    """Read the output of a network.

    Parameters
    ----------
    output : Tensor, shape (n, k + k (k + 1) / 2)
        Means about the middle of the bounds, logarithms of standard errors, and how parameters go together.
    k : int
        Parameters that are searched.

    Returns
    -------
    Gaussian
    """
    mean, narrow, mixed = torch.split(output, [k, k, k * (k - 1) // 2], dim=1)
    low, wide = -_WIDEST, -_NARROWEST
    # Smooth bounds, so that no gradient is lost at them.
    start = math.log((-_START - low) / (wide + _START))
    diagonal = torch.exp(low + (wide - low) * torch.sigmoid(4 * narrow / (wide - low) + start))
    root = torch.eye(k, dtype=output.dtype, device=output.device).repeat(len(output), 1, 1)
    row, column = torch.tril_indices(k, k, -1, device=output.device)
    root[:, row, column] = mixed
    return Gaussian(0.5 + 0.5 * mean, diagonal[:, :, None] * root)
