"""Spectral lines on a smooth background, as of Raman scattering or luminescence (``lines``): a sum of Lorentz lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.physics import Parameter
from parscope.core.separable import Linear, Separable


@dataclass(frozen=True)
class Lines(Separable):
    """A Lorentz line in each of some ranges, on a polynomial.

    A range for each line keeps lines from changing places between spectra. Do not use it for counts so few that their
    noise is not Gaussian, nor for more than two or three lines at once: fit separate parts of the spectrum instead.

    Parameters
    ----------
    position : ndarray, shape (bins,)
        Energy, wavelength or shift of the samples, rising, in `unit`.
    ranges : tuple of tuple of float
        Where the centre of each line may lie, in `unit`.
    degree : int, default 1
        Of the polynomial, in the position scaled to -1 to 1.
    unit : str, default "1/cm"
        Unit of the position.

    Raises
    ------
    ValueError
        If the positions do not rise, or there is no line.

    Examples
    --------
    >>> physics = Lines(np.linspace(480, 560, 200), ((515, 526),))
    >>> [parameter.name for parameter in physics.parameters]
    ['centre_1', 'width_1', 'height_1', 'background_0', 'background_1']
    """

    position: NDArray[np.float64]
    ranges: tuple[tuple[float, float], ...] = ()
    degree: int = 1
    unit: str = "1/cm"

    noise = "gaussian"
    usual_axis = Axis("shift", 200, "1/cm", 1.0, 400.0)
    any_unit = True

    def __post_init__(self) -> None:
        """Refuse what cannot be fitted."""
        position = np.array(self.position, np.float64)
        if position.ndim != 1 or len(position) < 2 or not np.all(np.diff(position) > 0):
            raise ValueError("position: not one-dimensional and rising")
        if not self.ranges:
            object.__setattr__(self, "ranges", ((float(position[0]), float(position[-1])),))
        position.setflags(write=False)
        object.__setattr__(self, "position", position)

    @property
    def axis(self) -> NDArray[np.float64]:
        """Positions of the samples, shape (bins,)."""
        return self.position

    @property
    def nonlinear(self) -> tuple[Parameter, ...]:
        """Centre and full width at half maximum of each line."""
        span = float(np.ptp(self.position))
        narrow = span / (len(self.position) - 1) / 2
        return tuple(
            parameter
            for n, centre in enumerate(self.ranges, 1)
            for parameter in (
                Parameter(f"centre_{n}", self.unit, *centre),
                Parameter(f"width_{n}", self.unit, narrow, span, "log"),
            )
        )

    @property
    def linear(self) -> tuple[Linear, ...]:
        """Height of each line, and the coefficients of the background."""
        heights = tuple(Linear(f"height_{n}", "signal") for n in range(1, len(self.ranges) + 1))
        return heights + tuple(Linear(f"background_{n}", "signal") for n in range(self.degree + 1))

    def columns(self, xp: Any, x: Any, /, *theta: Any) -> tuple[Any, ...]:
        """Lines of unit height, then powers of the scaled position."""
        low, high = float(self.position[0]), float(self.position[-1])
        scaled = (2 * x - low - high) / (high - low)
        lines = (1 / (1 + (2 * (x - c) / w) ** 2) for c, w in zip(theta[::2], theta[1::2], strict=True))
        return (*lines, *(scaled**n for n in range(self.degree + 1)))
