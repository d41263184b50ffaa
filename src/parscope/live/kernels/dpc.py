"""Differential phase contrast: how far the centre of mass of a pattern is from where an empty one has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import OptionError
from parscope.live.kernels.contract import Detector, Output
from parscope.live.kernels.discs import mean_pattern, numbers
from parscope.live.kernels.moments import Shared, Wanted, of_centre

_EXAMPLES = 64


@dataclass(frozen=True)
class Deflection(Shared):
    """Deflection of the beam: centre of mass relative to a fixed point, in the axes of the scan.

    Parameters
    ----------
    name : str, default "dpc"
        Of the kernel.
    centre : tuple of float, optional
        (y, x) of the undeflected pattern, [px]; default the centre of mass of the mean of the examples.
    rotation : float, default 0.0
        Angle of the detector's +q_x axis in the scan, from +x towards +y, [rad].
    scale : float, default 1.0
        Deflection of one detector pixel, [`unit`].
    unit : str, default "px"
        Of the deflection, such as ``mrad``.

    Raises
    ------
    OptionError
        If a number is not finite or the scale is not positive.
    """

    name: str = "dpc"
    centre: tuple[float, float] | None = None
    rotation: float = 0.0
    scale: float = 1.0
    unit: str = "px"

    def __post_init__(self) -> None:
        """Refuse what is no geometry."""
        if not (np.isfinite(self.rotation) and np.isfinite(self.scale) and self.scale > 0):
            raise OptionError(f"cannot have rotation {self.rotation} and scale {self.scale}", self.name)

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Two components in the axes of the scan."""
        return (Output("y", self.unit, "deflection, y"), Output("x", self.unit, "deflection, x"))

    @property
    def examples(self) -> int:
        """Patterns from which the centre is found; none if it is given."""
        return 0 if self.centre is not None else _EXAMPLES

    def wanted(self, detector: Detector, examples: NDArray[Any]) -> Wanted:
        """What is wanted from the pass; see `Shared.wanted`."""
        centre = np.array(self.centre if self.centre is not None else _centre(detector, examples))
        c, s = np.cos(self.rotation), np.sin(self.rotation)
        found = {"centre_px": centre.tolist(), "rotation_rad": self.rotation, f"pixel_{self.unit}": self.scale}
        return Wanted(of_centre(self.scale * np.array([[c, s], [-s, c]]), centre), found=found)

    @classmethod
    def parse(cls, text: str) -> Deflection:
        """Read ``rotation`` or ``rotation,y,x``: the rotation in degrees, the centre in pixels.

        Parameters
        ----------
        text : str
            Numbers with commas between them.

        Returns
        -------
        Deflection

        Raises
        ------
        OptionError
            If it is something else.
        """
        angle, *centre = numbers(text, (1, 3), "dpc takes rotation or rotation,y,x in degrees and pixels")
        return cls(rotation=float(np.deg2rad(angle)), centre=(centre[0], centre[1]) if centre else None)


def _centre(detector: Detector, examples: NDArray[Any]) -> tuple[float, float]:
    """Centre of mass (y, x) of the mean pattern."""
    mean, _ = mean_pattern(detector, examples)
    total = mean.sum()
    y, x = np.arange(detector.shape[0]), np.arange(detector.shape[1])
    return float(mean.sum(1) @ y / total), float(mean.sum(0) @ x / total)
