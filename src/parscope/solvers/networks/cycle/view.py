"""What the network sees of a pattern: the part round the centre, in units of its own contrast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parscope.core.physics import Constellation
from parscope.solvers.networks.cycle.warp import coordinates


@dataclass(frozen=True)
class View:
    """A square part of the pattern, a ring in it, and a scale.

    Parameters
    ----------
    corner : tuple of int
        First pixel (y, x).
    size : int
        Side, [px].
    ring : tuple of float
        Inner and outer radius of what counts in the loss, [px]: without the direct beam.
    spot : float
        Radius of a spot, [px].
    unit : float
        Counts that are 1: the standard deviation within the ring.
    limit : float
        Counts above which a pixel is cut off, as those of the direct beam.
    """

    corner: tuple[int, int]
    size: int
    ring: tuple[float, float]
    spot: float
    unit: float
    limit: float

    @classmethod
    def of(cls, patterns: NDArray[Any], physics: Constellation, size: int) -> View:
        """View of a scan.

        Parameters
        ----------
        patterns : ndarray, shape (n, pattern y, pattern x)
            Some of it.
        physics : Constellation
            Where the reference lattice lies.
        size : int
            Side of the part, [px].
        """
        y, x = (round(float(c) - (size - 1) / 2) for c in physics.theta[:2])
        radius, edge = physics.extent
        inner = float(np.sort(np.linalg.norm(physics.reference, axis=1))[1]) - radius - 3 * edge
        bare = cls((max(y, 0), max(x, 0)), size, (inner, size / 2), radius, 1.0, np.inf)
        seen = bare(patterns)[:, 0][:, bare.mask[0, 0] > 0]
        return cls(bare.corner, size, bare.ring, radius, float(seen.std()), float(seen.max()))

    def __call__(self, patterns: NDArray[Any]) -> Tensor:
        """Patterns (n, pattern y, pattern x) as the network sees them, shape (n, 1, size, size)."""
        (y, x), size = self.corner, self.size
        part = np.minimum(patterns[:, y : y + size, x : x + size], self.limit).astype(np.float32)
        return torch.from_numpy(part / np.float32(self.unit)).unsqueeze(1)

    @property
    def mask(self) -> Tensor:
        """1 within the ring, shape (1, 1, size, size)."""
        radius = torch.linalg.norm(coordinates(torch.empty(self.size, self.size)), dim=2) * self.size / 2
        inside: Tensor = (radius > self.ring[0]) & (radius < self.ring[1])
        return inside.float()[None, None]

    @property
    def centre(self) -> NDArray[np.float64]:
        """Centre of the part, (y, x), [px]."""
        return np.array(self.corner) + (self.size - 1) / 2
