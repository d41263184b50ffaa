"""What the runners and the scoring need of a phantom: draws, truth, probe, hand-given values and limits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from benchmarks.strain import phantoms
from benchmarks.strain.bounds import Limits, limits
from benchmarks.strain.phantoms import Phantom
from benchmarks.strain.score import Truth

SEED = 0
SEEDS = {"draw": SEED, "rule": "seed of a draw = draw + number of electrons"}


@dataclass(frozen=True)
class Scene:
    """A phantom as the table uses it."""

    phantom: Phantom

    @property
    def truth(self) -> Truth:
        """Of all patterns."""
        return self.phantom.truth

    @property
    def pattern_shape(self) -> tuple[int, int]:
        """Detector pixels (y, x)."""
        return self.phantom.design.pattern

    @property
    def probe_image(self) -> NDArray[np.float32]:
        """Exact image of the probe, of sum 1, centred at half the length of each axis."""
        design = self.phantom.design
        y, x = np.meshgrid(*(np.arange(n) - n / 2 for n in design.pattern), indexing="ij")
        round_offsets = np.stack([y, x], -1) @ np.linalg.inv(design.distortion).T
        disk = ndtr((design.radius - np.linalg.norm(round_offsets, axis=-1)) / design.edge)
        return np.asarray(disk / disk.sum(), dtype=np.float32)

    @property
    def given(self) -> dict[str, Any]:
        """What a person could have told a program: more than parscope gets without parameters."""
        design, truth = self.phantom.design, self.truth
        return {
            "radius": design.radius,
            "edge": design.edge,
            "distortion": design.distortion.tolist(),
            "centre": [n / 2 for n in design.pattern],
            "basis": truth.basis.tolist(),
            "indices": truth.indices.tolist(),
        }

    def draw(self, electrons: int) -> NDArray[np.uint16]:
        """The Poisson draw that every method gets, shape (scan y, scan x, pattern y, pattern x)."""
        return self.phantom.draw(electrons, SEED)

    def bounds(self, electrons: int) -> dict[str, float]:
        """Cramér-Rao limits of the RMS scores when the disks are known; empty for the multislice patterns."""
        name = self.phantom.name
        return {} if name == phantoms.DYNAMICAL else _limits(name).known.at(electrons)


@cache
def load(name: str) -> Scene:
    """Make a phantom, once."""
    return Scene(phantoms.load(name))


@cache
def _limits(name: str) -> Limits:
    """Limits of a kinematic phantom, once."""
    return limits(name)
