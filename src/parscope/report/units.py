"""Units that people read: kHz and mV in place of 321456 Hz and 0.0032 V, degrees in place of radians."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_PREFIXES = {-12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}
_PREFIXED = frozenset({"A", "Hz", "J", "N", "Pa", "S", "V", "W", "eV", "m", "s"})
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
DEGREES = "°"


def readable(values: NDArray[np.float64], unit: str) -> tuple[float, str]:
    """Factor to a unit in which the values have one to three digits before the point, and that unit.

    Parameters
    ----------
    values : ndarray, any shape
        In `unit`; NaN is left out.
    unit : str
        As stored.

    Returns
    -------
    factor : float
        From the stored `unit`, [1].
    unit : str
        To write; empty where there is no dimension.

    Examples
    --------
    >>> readable(np.array([321456.0, np.nan]), "Hz"), readable(np.array([0.5]), "1")
    ((0.001, 'kHz'), (1.0, ''))
    >>> readable(np.array([2e-5]), "a.u.")[1]
    '10⁻⁶ a.u.'
    """
    if unit == "rad":
        return 180 / math.pi, DEGREES
    plain = "" if unit == "1" else unit
    size = np.abs(values[np.isfinite(values) & (values != 0)])
    if not size.size:
        return 1.0, plain
    largest = math.log10(float(np.percentile(size, 90)))
    power = 3 * math.floor(largest / 3)
    if unit in _PREFIXED:
        power = min(max(power, -12), 9)
        return 10.0**-power, _PREFIXES[power] + unit
    if -2 <= largest < 5:
        return 1.0, plain
    return 10.0**-power, f"10{str(power).translate(_RAISED)} {plain}".rstrip()


def with_unit(words: str, unit: str) -> str:
    """A quantity with its unit in brackets.

    Examples
    --------
    >>> with_unit("resonance", "kHz"), with_unit("quality", "")
    ('resonance (kHz)', 'quality')
    """
    return f"{words} ({unit})" if unit else words
