"""What is searched on a common scale: 0 at the lower bound, 1 at the upper one, logarithmic where its kind says so."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parscope.core.separable import Separable

Array = NDArray[np.float64]


class Scale:
    """From the non-linear parameters of a physics to unit coordinates, and back.

    Parameters
    ----------
    physics : Separable
        Declares them, with finite bounds.

    Raises
    ------
    ValueError
        If there are none, or one is circular: a Gaussian on a circle is not what the networks learn.
    """

    def __init__(self, physics: Separable) -> None:
        searched = physics.nonlinear
        circular = [p.name for p in searched if p.kind == "circular"]
        if not searched or circular:
            why = f"{circular[0]} is circular" if circular else "nothing is searched"
            raise ValueError(f"no network can be trained: {why}")
        self.logarithmic = np.array([p.kind == "log" for p in searched])
        self.lower, self.upper = (self._searched(np.array([b]))[0] for b in _bounds(physics))

    @property
    def size(self) -> int:
        """How many parameters are searched."""
        return len(self.lower)

    def _searched(self, theta: Array) -> Array:
        searched: Array = np.where(self.logarithmic, np.log(np.where(self.logarithmic, theta, 1.0)), theta)
        return searched

    def unit(self, theta: Array) -> Array:
        """Unit coordinates of parameters, shape (n, k) of the first k columns of `theta`."""
        unit: Array = (self._searched(theta[:, : self.size]) - self.lower) / (self.upper - self.lower)
        return unit

    def theta(self, unit: Tensor) -> Tensor:
        """Parameters in their units, of unit coordinates (n, k)."""
        at = torch.as_tensor(self.lower).to(unit) + torch.as_tensor(self.upper - self.lower).to(unit) * unit
        logarithmic = torch.as_tensor(self.logarithmic, device=unit.device)
        return torch.where(logarithmic, torch.exp(torch.where(logarithmic, at, 0.0)), at)

    def rates(self, theta: Array) -> Array:
        """Change of parameters (n, k) with unit coordinates."""
        rates: Array = (self.upper - self.lower) * np.where(self.logarithmic, theta[:, : self.size], 1.0)
        return rates


def _bounds(physics: Separable) -> tuple[list[float], list[float]]:
    return [p.lower for p in physics.nonlinear], [p.upper for p in physics.nonlinear]
