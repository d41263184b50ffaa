"""What a measurement can tell before it is made: possible errors, and the dwell that a wanted one takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.bound import cramer_rao, propagate
from parscope.core.errors import OptionError
from parscope.core.physics import Parameter
from parscope.core.separable import Separable
from parscope.core.solver import GATE
from parscope.core.typical import strength, typical
from parscope.workflows.technique import usual

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Forecast:
    """Smallest errors that any unbiased fit can have, for one signal in white noise.

    Parameters
    ----------
    physics : Separable
        What makes the signal.
    snr : float
        Peak of the signal's modulus, without the columns that do not depend on what is searched, over the standard
        deviation of the noise of a sample (of real and imaginary part each), [1].
    noise : float
        That standard deviation, in the `unit` of the signal.
    value, std : ndarray, shape (k,)
        Parameters, then derived quantities, as assumed; and their possible standard errors, infinite where the signal
        does not tell them.
    gate : float
        Signal to noise ratio below which the bound is not reached, [1].
    """

    physics: Separable
    snr: float
    noise: float
    value: Array
    std: Array
    gate: float

    @property
    def quantities(self) -> tuple[Parameter, ...]:
        """What `value` and `std` are of."""
        return (*self.physics.parameters, *self.physics.quantities)

    def needed(self, name: str, error: float) -> float:
        """Signal to noise ratio for a wanted error; the dwell, or the number of averages, grows with its square.

        Parameters
        ----------
        name : str
            Of a parameter or quantity.
        error : float
            Standard error that is wanted, in its `unit`.

        Returns
        -------
        float
            [1]; infinite where no dwell is long enough.

        Raises
        ------
        OptionError
            If there is no such parameter, or the error is not positive.

        Examples
        --------
        >>> round(forecast("be-sho", 10.0).needed("quality", 5.0))
        11
        """
        at = _position(self.quantities, name)
        if not 0 < error < math.inf:
            raise OptionError(f"{error:g} is no error", name, "give a positive number")
        return float(self.snr * self.std[at] / error)


def forecast(
    technique: str,
    snr: float,
    *,
    bins: int | None = None,
    span: tuple[float, float] | None = None,
    at: Mapping[str, float] | None = None,
    **options: Any,
) -> Forecast:
    """Forecast the errors of a technique's parameters: the Cramér-Rao bound.

    Soft bounds of a technique are not counted. Do not use it for weak signals, below `Forecast.gate`: there errors are
    those of the posterior, which are larger.

    Parameters
    ----------
    technique : str
        Name of the physics, as ``be-sho``.
    snr : float
        Signal to noise ratio at the peak, see `Forecast`, [1].
    bins : int, optional
        Samples of a spectrum. Default: as usual for the technique.
    span : tuple of float, optional
        Where the axis starts and stops, in the unit of the technique. Default: as usual.
    at : mapping, optional
        Values of parameters, in their units. Default: the middle of their bounds.
    **options
        What the technique lets a person set.

    Returns
    -------
    Forecast

    Raises
    ------
    OptionError
        If there is no such technique, parameter or option, or a value cannot be meant.

    Examples
    --------
    >>> told = forecast("be-sho", 5.0, bins=80, at={"resonance": 320e3, "quality": 150.0})
    >>> [(q.name, float(s.round(1))) for q, s in zip(told.quantities, told.std)][:2]
    [('resonance', 234.9), ('quality', 33.0)]
    """
    if not 0 < snr < math.inf:
        raise OptionError(f"{snr:g} is no signal to noise ratio", "--snr", "give a positive number")
    physics = usual(technique, bins, span, options)
    if physics.noise == "poisson":
        raise OptionError("counts are not forecast: their noise follows from the signal", technique)
    theta = placed(physics, at or {})[None]
    peak, energy = strength(physics, theta)
    if not peak[0] > 0:
        raise OptionError("there is no signal in these parameters", "--at", "give another value to its factors")
    noise = float(peak[0]) / snr
    covariance = cramer_rao(physics, theta, noise)
    with np.errstate(invalid="ignore"):
        derived, std = propagate(physics, theta, covariance)
    errors = np.concatenate([np.sqrt(np.diagonal(covariance[0])), np.where(np.isnan(std[0]), np.inf, std[0])])
    gate = snr * math.sqrt(GATE * 2 * noise**2 / float(energy[0]))
    return Forecast(physics, snr, noise, np.concatenate([theta[0], derived[0]]), errors, gate)


def placed(physics: Separable, at: Mapping[str, float]) -> Array:
    """Typical parameters, but for those that are given.

    Parameters
    ----------
    physics : Separable
        Declares the parameters.
    at : mapping
        Values of some, in their units.

    Returns
    -------
    ndarray, shape (k,)

    Raises
    ------
    OptionError
        If there is no such parameter, or a value is outside its bounds.
    """
    theta = typical(physics)
    for name, value in at.items():
        j = _position(physics.parameters, name)
        parameter = physics.parameters[j]
        if not parameter.lower <= value <= parameter.upper:
            limits = f"{parameter.lower:g} to {parameter.upper:g} [{parameter.unit}]"
            raise OptionError(f"{value:g} is outside {limits}", name, "choose another value or axis")
        theta[j] = value
    return theta


def _position(among: tuple[Parameter, ...], name: str) -> int:
    names = [parameter.name for parameter in among]
    if name not in names:
        raise OptionError("there is no such parameter", name, f"choose one of {', '.join(names)}")
    return names.index(name)
