"""What patterns to learn from are drawn over: doses, backgrounds, strain, contrast; stated in the model card."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ranges:
    """Ranges of one training.

    Parameters
    ----------
    electrons : tuple of float
        Electrons of a pattern, least and most, drawn evenly on a logarithmic scale.
    background : float
        Largest share of them in the background, [1].
    strain : float
        Largest component of the strain tensor, shear as well, [1].
    contrast : float
        Variance of the contrast inside the copies, drawn from none to half as much again, [1].
    """

    electrons: tuple[float, float]
    background: float
    strain: float
    contrast: float

    @property
    def doses(self) -> tuple[float, float, float]:
        """Doses of a model card, [electrons]: the middle, a tenth and ten times of it where they are in the range."""
        least, most = self.electrons
        middle = float(f"{np.sqrt(least * most):.3g}")
        return max(middle / 10, least), middle, min(10 * middle, most)
