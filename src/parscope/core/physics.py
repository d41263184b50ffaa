"""Physics: a few named numbers turned into a signal.

This is the idea the package is built on. A `Physics` knows no solver, no network and no file. A
`Constellation` is the common special case of copies of one template at positions linear in the parameters.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["bounded", "log", "circular"]
Noise = Literal["poisson", "gaussian", "complex gaussian"]


@dataclass(frozen=True)
class Parameter:
    """One number a physics is governed by: its name, unit, bounds and scale, written once.

    Parameters
    ----------
    name : str
        The field's standard term.
    unit : str
        ``px``, ``kHz``, ``rad``, ...; ``1`` for a pure number.
    lower, upper : float
        Bounds, in `unit`; infinite where there is none.
    kind : {"bounded", "log", "circular"}, default "bounded"
        How the parameter is scaled: linear between bounds, logarithmic, or wrapped round.

    Raises
    ------
    ValueError
        If the bounds are not ordered.
    """

    name: str
    unit: str
    lower: float = -np.inf
    upper: float = np.inf
    kind: Kind = "bounded"

    def __post_init__(self) -> None:
        """Refuse an empty interval."""
        if not self.lower < self.upper:
            raise ValueError(f"{self.name}: bounds {self.lower} and {self.upper} are not ordered")

    def between(self, share: float = 0.5) -> float:
        """Value part of the way from the lower bound to the upper one, in the sense of `kind`.

        Parameters
        ----------
        share : float, default 0.5
            How far, [1].

        Returns
        -------
        float
            In `unit`; between 0 and 2 where there are no bounds.

        Examples
        --------
        >>> Parameter("quality", "1", 10.0, 1000.0, "log").between()
        100.0
        """
        low = self.lower if np.isfinite(self.lower) else min(self.upper, 2.0) - 2.0
        high = self.upper if np.isfinite(self.upper) else max(low, 0.0) + 2.0
        if self.kind == "log":
            return float(low ** (1 - share) * high**share)
        return float(low + share * (high - low))


class Physics(ABC):
    """The forward model of one technique: parameters in, expected signal out.

    A subclass is a frozen dataclass in one file of `techniques`; its fields are what the instrument fixes.
    """

    noise: ClassVar[Noise]

    @property
    @abstractmethod
    def parameters(self) -> tuple[Parameter, ...]:
        """The numbers that govern a signal, in the order of `render`; a class attribute where nothing sets bounds."""

    @property
    @abstractmethod
    def signal_shape(self) -> tuple[int, ...]:
        """Shape of one signal."""

    @abstractmethod
    def render(self, theta: Any, /) -> Any:
        """Expected signals for parameters `theta`.

        Parameters
        ----------
        theta : array, shape (n, k)
            Parameters in the order and units of `parameters`; NumPy or any array-API library.

        Returns
        -------
        array, shape (n, *signal_shape)
            Of the same library as `theta`.
        """


@dataclass(frozen=True)
class Contrast:
    """What happens inside the copies of a template and is not modelled, as a prior: waves in any direction.

    Parameters
    ----------
    power : tuple of float, default none
        Variance of the contrast in waves of each of `periods`, relative to the template and about its mean, [1]; none
        for uniform templates.
    scatter : float, default 1.0
        Variance of the displacements of single copies about the fit over the variance predicted for them, [1].
    shared : float, default 0.0
        The part of `scatter` that is the same in all signals, [1]: their common reference has it too, so it is no
        error of one relative to another.
    """

    periods: ClassVar[tuple[float, ...]] = (0.25, 0.42, 0.62, 0.88, 1.25)
    """Wavenumbers in periods per radius of the template."""

    power: tuple[float, ...] = ()
    scatter: float = 1.0
    shared: float = 0.0

    @property
    def depth(self) -> float:
        """Standard deviation of the contrast, [1]."""
        return math.sqrt(sum(self.power))


@dataclass(frozen=True)
class Levels:
    """Mean counts at each copy of a constellation.

    Parameters
    ----------
    amplitude : ndarray, shape (n,)
        Counts per pixel inside the template.
    background : ndarray, shape (n,)
        Counts per pixel underneath.
    slope : ndarray, shape (n, 2)
        Relative gradient of the background, [1/px], order (y, x).
    """

    amplitude: NDArray[np.float64]
    background: NDArray[np.float64]
    slope: NDArray[np.float64]


class Constellation(Physics):
    """Physics whose signal is copies of one template at positions that are linear in the parameters.

    Copy n sits at ``centre + A @ reference[n]`` (row, column), with the six parameters
    ``(centre_y, centre_x, A_yy, A_yx, A_xy, A_xx)``. Amplitudes and the level underneath are linear nuisances.
    """

    contrast: Contrast
    gain: float
    mask: NDArray[np.bool_] | None

    @property
    @abstractmethod
    def theta(self) -> NDArray[np.float64]:
        """Parameters of the undeformed signal, shape (6,)."""

    @property
    @abstractmethod
    def extent(self) -> tuple[float, float]:
        """Radius of the template at half height, and width of its edge, [px]."""

    @property
    @abstractmethod
    def levels(self) -> Levels:
        """Mean counts at each copy."""

    @property
    @abstractmethod
    def reference(self) -> NDArray[np.float64]:
        """Positions of the copies relative to the centre for A = identity, shape (n, 2), [px], order (y, x)."""

    @abstractmethod
    def template(self, offsets: NDArray[np.float64], edge: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Template and its gradient.

        Parameters
        ----------
        offsets : ndarray, shape (..., 2)
            Displacement of the sample from the centre of the copy, [px], order (y, x).
        edge : float
            Width of the template's edge, [px]; wider than the physical one for coarse steps.

        Returns
        -------
        value : ndarray, shape (...)
            Template, 1 inside and 0 outside.
        gradient : ndarray, shape (..., 2)
            Derivative of `value` with respect to the position of the copy, [1/px].
        """
