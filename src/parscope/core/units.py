"""Units: those that differ by a decimal prefix, as kHz and Hz, and those that follow the unit of the signal."""

from __future__ import annotations

import re

_PREFIXES = {"T": 12, "G": 9, "M": 6, "k": 3, "c": -2, "m": -3, "u": -6, "µ": -6, "μ": -6, "n": -9, "p": -12, "f": -15}
_BASES = {"1", "Hz", "s", "V", "m", "A", "eV", "K", "T", "N", "J", "W", "Pa", "F", "C", "S", "rad"}
# One unit or a quotient of two, to some power: nm, 1/nm, nm^-1, (V/m)^0.5.
_UNIT = re.compile(r"\(?([^()/^]+)(?:/([^()/^]+))?\)?(?:\^([-+.\d]+))?")


def conversion(unit: str, wanted: str) -> float | None:
    """By what a number is multiplied that is in one unit, to be in another.

    Parameters
    ----------
    unit, wanted : str
        Units, as files write them.

    Returns
    -------
    float or None
        In `wanted` per `unit`; None where they differ by more than decimal prefixes.

    Examples
    --------
    >>> conversion("kHz", "Hz"), conversion("nm^-1", "1/m"), conversion("V", "Hz")
    (1000.0, 1000000000.0, None)
    """
    (this, one), (that, other) = _split(unit), _split(wanted)
    return 10.0 ** (one - other) if this == that else None


def of_signal(unit: str, signal: str) -> str:
    """A unit that is told by that of the signal: ``signal``, ``signal/V``, ``signal V``.

    Parameters
    ----------
    unit : str
        As a technique declares it.
    signal : str
        Unit of the samples, as the file has it.

    Returns
    -------
    str

    Examples
    --------
    >>> [of_signal("signal V", "a.u."), of_signal("signal V", "V"), of_signal("signal/V", "V")]
    ['a.u. V', 'V^2', '1']
    """
    short = {f"signal/{signal}": "1", f"signal {signal}": f"{signal}^2"}
    return short.get(unit, unit.replace("signal", signal).removeprefix("1 "))


def _split(unit: str) -> tuple[tuple[tuple[str, float], ...], float]:
    """Bases with their powers, and the power of ten; a unit of another kind is a base of its own."""
    plain = re.sub(r"[\s${}\\]", "", unit)
    found = _UNIT.fullmatch(plain)
    if found is None:
        return ((plain, 1.0),), 0.0
    power = float(found[3] or 1)
    over, ten = _factor(found[1])
    under, less = _factor(found[2] or "1")
    bases = ((over, power), (under, -power))
    return tuple(sorted((base, p) for base, p in bases if base != "1")), power * (ten - less)


def _factor(word: str) -> tuple[str, float]:
    """Base of a word, and the power of ten of its prefix."""
    if word not in _BASES and word[:1] in _PREFIXES and word[1:] in _BASES - {"1"}:
        return word[1:], float(_PREFIXES[word[0]])
    return word, 0.0
