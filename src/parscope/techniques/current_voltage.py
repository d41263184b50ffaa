"""Current through an insulator: Schottky's emission over a barrier (``current_voltage``).

Schottky, Zeitschrift für Physik 14, 63 (1923), doi:10.1007/BF01340034.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.physics import Parameter
from parscope.core.separable import Linear, Separable

# Of CODATA: k/e, [V/K]; e / (4 pi epsilon_0), [V m]; and Richardson's constant of free electrons, [A/(m K)^2].
_BOLTZMANN, _IMAGE, _RICHARDSON = 8.617333e-5, 1.439965e-9, 1.201735e6


@dataclass(frozen=True)
class CurrentVoltage(Separable):
    """Logarithm of a current density against the root of the field: a straight line, if Schottky's emission limits it.

    An image charge lowers the barrier by the root of the field, so that ``ln J = ln(A T^2) - phi / kT + slope sqrt(E)``
    with ``slope = sqrt(e^3 / (4 pi epsilon_0 epsilon)) / kT``, and A of free electrons. Nothing is searched: the fit is
    in closed form. Do not use it for decimal logarithms, nor where other laws hold: bulk traps (Poole and Frenkel,
    doi:10.1103/PhysRev.54.647) make ``ln(J / E)`` the straight line, of twice this slope.

    A measured line may bend, which `misfit` tells: in a map of bismuth ferrite of 2500 curves the median residual is
    0.072 for a line and 0.061 for a parabola, beside noise of 0.063 by neighbouring samples.

    Parameters
    ----------
    root_field : ndarray, shape (n,)
        Square root of the field of each sample, [(V/m)^0.5].
    temperature : float, default 300.0
        Of the sample, [K]; permittivity and barrier follow from it.

    Raises
    ------
    ValueError
        If the roots are not positive, not different, or the temperature is not.

    Examples
    --------
    >>> physics = CurrentVoltage(np.linspace(8600, 11200, 53))
    >>> physics.derive(np.array([[2.36, 7.4e-4]])).round(2)
    array([[3.93, 0.6 ]])
    """

    root_field: NDArray[np.float64]
    temperature: float = 300.0

    noise = "gaussian"
    usual_axis = Axis("root_field", 53, "(V/m)^0.5", 50.0, 8600.0)
    nonlinear = ()
    # A barrier of 0.6 eV under an optical permittivity of 4.
    linear = (Linear("intercept", "1", 2.2), Linear("slope", "(m/V)^0.5", 7.3e-4))
    quantities = (Parameter("permittivity", "1", 0.0), Parameter("barrier", "eV"))

    def __post_init__(self) -> None:
        """Refuse what is no root of a field."""
        root = np.array(self.root_field, np.float64)
        if root.ndim != 1 or not (np.all(np.isfinite(root)) and np.all(root >= 0) and np.ptp(root) > 0):
            raise ValueError("root_field: not one-dimensional, different and at least zero")
        if not 0 < self.temperature < np.inf:
            raise ValueError("temperature: not positive")
        root.setflags(write=False)
        object.__setattr__(self, "root_field", root)

    @property
    def axis(self) -> NDArray[np.float64]:
        """Square roots of the field, shape (n,), [(V/m)^0.5]."""
        return self.root_field

    def columns(self, xp: Any, x: Any, /, *theta: Any) -> tuple[Any, ...]:
        """Constant, and root of the field."""
        return 1, x

    def derive(self, theta: NDArray[np.float64], /) -> NDArray[np.float64]:
        """Optical permittivity [1], NaN where the current falls with the field, and height of the barrier [eV]."""
        thermal = _BOLTZMANN * self.temperature
        with np.errstate(divide="ignore", invalid="ignore"):
            permittivity = np.where(theta[:, 1] > 0, _IMAGE / np.square(theta[:, 1] * thermal), np.nan)
        return np.stack([permittivity, thermal * (np.log(_RICHARDSON * self.temperature**2) - theta[:, 0])], axis=1)
