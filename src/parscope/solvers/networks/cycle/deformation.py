"""Scale, shear, rotation and displacement of patterns, within bounds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SCALE, SHEAR, TURN, SHIFT = 0.05, 0.1, 0.1, 0.15
"""Published bounds: of scale and shear [1], rotation about a known one [rad], displacement [half sides]."""


@dataclass(frozen=True)
class Deformation:
    """Where a base lies in each pattern, in coordinates (x, y) from the centre, in half sides.

    What the base has at q the pattern has at ``stretch @ turn @ (q + shift)``.

    Parameters
    ----------
    stretch : Tensor, shape (n, 2, 2)
        Symmetric: scales and shear.
    turn : Tensor, shape (n, 2, 2)
        Rotation.
    shift : Tensor, shape (n, 2)
        Displacement.
    """

    stretch: Tensor
    turn: Tensor
    shift: Tensor

    @classmethod
    def bounded(cls, raw: Tensor, start: Tensor | None = None) -> Deformation:
        """Deformation of any numbers.

        Parameters
        ----------
        raw : Tensor, shape (n, 4) or (n, 6)
            Of scale x, scale y, rotation, shear, and, where there is one, the displacement (x, y).
        start : Tensor, shape (n,), optional
            Rotation from the first stage [rad], round which there is little room; without it any rotation from 0 on,
            and no strain.
        """
        bounded = torch.tanh(raw)
        if start is None:
            bounded, angle = bounded * raw.new_tensor([0.0, 0, 0, 0, 1, 1])[: raw.shape[1]], torch.relu(raw[:, 2])
        else:
            angle = start + TURN * bounded[:, 2]
        across = SHEAR * bounded[:, 3]
        rows = [torch.stack([1 + SCALE * bounded[:, 0], across]), torch.stack([across, 1 + SCALE * bounded[:, 1]])]
        shift = SHIFT * bounded[:, 4:] if raw.shape[1] > 4 else torch.zeros_like(raw[:, :2])
        return cls(torch.stack(rows).permute(2, 0, 1), rotation(angle), shift)

    @property
    def whole(self) -> Tensor:
        """Map of the base to the pattern without displacement, shape (n, 2, 2)."""
        return self.stretch @ self.turn

    def at_bound(self, part: float) -> Tensor:
        """Whether scale or shear is beyond a part of what is allowed, [1], shape (n,)."""
        scale = (self.stretch.diagonal(dim1=1, dim2=2) - 1).abs().amax(1)
        return (scale > part * SCALE) | (self.stretch[:, 0, 1].abs() > part * SHEAR)


def rotation(angle: Tensor) -> Tensor:
    """Matrices (n, 2, 2) of angles (n,) [rad], on (x, y), from x towards y."""
    c, s = torch.cos(angle), torch.sin(angle)
    return torch.stack([torch.stack([c, -s]), torch.stack([s, c])]).permute(2, 0, 1)
