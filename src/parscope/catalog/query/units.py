"""Numbers with units, in SI: what makes 300 kV and 0.3 MV one value.

Units are taken apart here, and only their words are looked up: what pint would do with ``2**9**9`` is calculate it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from math import inf, isfinite, prod
from typing import Any, NamedTuple
from unicodedata import normalize

from parscope.catalog.query.lexicon import dimension, meaning, twelve_digits

LONGEST = 40
"""Characters of the longest unit that is looked at, [1]."""


class Measure(NamedTuple):
    """A quantity in SI: `dimension` is its unit (``V``, ``m^-1``; ``1`` if none), `value` has twelve digits."""

    dimension: str
    value: float


# Units that are not put together as others are, and one that files use for "arbitrary units" and pint for a long way.
# Of one per A files and people mean that of diffraction: nobody counts in one per ampere.
_SPELLINGS = {"deg C": "degC", "au": ""} | dict.fromkeys(("1/A", "A^-1", "A-1", "A**-1", "A⁻¹", "1/Ang"), "Å^-1")

# A word with its power: nm, nm^-1, nm**2, cm-1, Å2, m⁻¹, e-; and what stands before it.
_FACTOR = re.compile(
    r"(^1?/|^|[*/·⋅ ])"
    r"(e-(?![0-9])|°?[^\W\d_]+(?:_[^\W\d_]+)*|[°%‰])"
    r"(?:(?:\^|\*\*)?([-+]?[0-9](?:\.[0-9]{1,2})?))?(?![0-9.])"
)
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺−", "0123456789-+-")
_IN_TEXT = re.compile(
    r"((?>[-+−]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?))\s*((?:[^\W\d_]|[%°‰]|1/).*)", re.DOTALL
)
_IN_KEY = re.compile(rf".*\S\s*(?:\(([^()\[\]]{{1,{LONGEST}}})\)|\[([^()\[\]]{{1,{LONGEST}}})\])", re.DOTALL)
_STARTS = frozenset("0123456789.-+−")


def si(value: float, unit: str) -> Measure | None:
    """A number with a unit, in SI units.

    Parameters
    ----------
    value : float
        A number, in `unit`.
    unit : str
        As people and files write it: ``kV``, ``1/nm``, ``nm^-1``, ``µm``, ``e-/Å^2``, ``degC``.

    Returns
    -------
    Measure or None
        None for what is no unit, for NaN, and for what no float holds.

    Raises
    ------
    MissingExtraError
        If pint is needed and not installed.

    Examples
    --------
    >>> si(300, "kV"), si(0.3, "MV"), si(2, "1/nm")
    (Measure(dimension='V', value=300000.0), Measure(dimension='V', value=300000.0),
     Measure(dimension='m^-1', value=2000000000.0))
    >>> si(25, "degC"), si(3, "apples")
    (Measure(dimension='K', value=298.15), None)
    """
    found = scale(unit) if len(unit) <= LONGEST else None
    if found is None:
        return None
    name, factor, offset = found
    try:
        scaled = value * factor + offset
    except OverflowError:  # a whole number beyond all floats
        return None
    return Measure(name, twelve_digits(scaled)) if isfinite(scaled) or scaled == value else None


def in_text(text: str) -> Measure | None:
    """Quantity that a text is, as a whole: a number and its unit, with or without a blank between them.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    Measure or None
        None if it is anything else.

    Raises
    ------
    MissingExtraError
        As for `si`.

    Examples
    --------
    >>> in_text("300 kV"), in_text("300"), in_text("300 files")
    (Measure(dimension='V', value=300000.0), None, None)
    """
    if text[:1] not in _STARTS or len(text) > 2 * LONGEST:
        return None
    found = _IN_TEXT.fullmatch(text)
    return si(float(found[1].replace("−", "-")), found[2]) if found else None


@lru_cache(4096)
def of_key(key: str) -> str | None:
    """Unit at the end of a key, in brackets, that holds for the numbers under it.

    Parameters
    ----------
    key : str
        Any key.

    Returns
    -------
    str or None
        None if there is none, or if it is no unit.

    Raises
    ------
    MissingExtraError
        As for `si`.

    Examples
    --------
    >>> of_key("Cs(mm)"), of_key("dwell [us]"), of_key("Aperture[OBJ]")
    ('mm', 'us', None)
    """
    if key[-1:] not in (")", "]"):
        return None
    found = _IN_KEY.fullmatch(key)
    unit = (found[1] or found[2]) if found else ""
    return unit if scale(unit) else None


def in_mapping(mapping: Mapping[str, Any]) -> Measure | None:
    """Quantity that a mapping with a number under ``value`` and its unit under ``units`` or ``unit`` is.

    Parameters
    ----------
    mapping : mapping
        A part of a document.

    Returns
    -------
    Measure or None
        None if it is anything else.

    Raises
    ------
    MissingExtraError
        As for `si`.

    Examples
    --------
    >>> in_mapping({"value": 300, "units": "kV"}), in_mapping({"value": "300", "units": "kV"})
    (Measure(dimension='V', value=300000.0), None)
    """
    value, unit = mapping.get("value"), mapping.get("units", mapping.get("unit"))
    if isinstance(unit, str) and isinstance(value, int | float) and not isinstance(value, bool):
        return si(value, unit)
    return None


@lru_cache(4096)
def scale(unit: str) -> tuple[str, float, float] | None:
    """What a unit measures, and how its numbers become SI: times the factor, plus the offset.

    Parameters
    ----------
    unit : str
        As for `si`.

    Returns
    -------
    tuple of str, float and float, or None
        Dimension, factor and offset; None for what is no unit.

    Raises
    ------
    MissingExtraError
        As for `si`.
    """
    if unit == "1":
        return "1", 1.0, 0.0
    factors = _factors(_SPELLINGS.get(unit, unit))
    words = [(found, power) for word, power in factors if (found := meaning(word))]
    if not words or len(words) < len(factors):
        return None
    try:
        factor = prod(word.factor**power for word, power in words)
    except OverflowError:
        return None
    powers: dict[str, float] = {}
    for word, power in words:
        for base, times in word.powers:
            powers[base] = powers.get(base, 0.0) + times * power
    # An offset is for temperatures alone: a degree per minute has none.
    offset = words[0][0].offset if len(words) == 1 and words[0][1] == 1 else 0.0
    return (dimension(powers), twelve_digits(factor), offset) if 0 < factor < inf else None


def _factors(unit: str) -> list[tuple[str, float]]:
    """Words of a unit with their powers; none if it is not put together as units are."""
    plain = re.sub(r"\s*([*/·⋅])\s*", r"\1", normalize("NFC", unit.strip()).translate(_RAISED))
    found, at = [], 0
    while at < len(plain):
        factor = _FACTOR.match(plain, at)
        if factor is None:
            return []
        before, word, power = factor.groups()
        found.append((word, float(power or 1) * (-1 if "/" in before else 1)))
        at = factor.end()
    return found
