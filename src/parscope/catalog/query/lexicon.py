"""What the words for units mean: a short table of what the field writes most, and `pint` for all others."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from math import isclose, pi
from threading import Lock
from typing import Any, NamedTuple, TypeAlias

from parscope.core.errors import MissingExtraError

Powers: TypeAlias = tuple[tuple[str, float], ...]
"""Base units with their powers, without zeros."""


class Word(NamedTuple):
    """What a word for a unit stands for: so many of these base units, above this."""

    factor: float
    powers: Powers
    offset: float = 0.0


# Base units in the order in which they name a dimension, with pint's words for them; angles and counts have none.
_BASES = {
    "m": "meter",
    "kg": "kilogram",
    "s": "second",
    "A": "ampere",
    "K": "kelvin",
    "mol": "mole",
    "cd": "candela",
    "px": "pixel",
    "bit": "bit",
}
_SYMBOLS = {name: symbol for symbol, name in _BASES.items()} | {"radian": "", "count": ""}

# Units of SI that have a name of their own, by the powers of m, kg, s, A.
_NAMED = {
    "Hz": (0, 0, -1, 0),
    "N": (1, 1, -2, 0),
    "Pa": (-1, 1, -2, 0),
    "J": (2, 1, -2, 0),
    "W": (2, 1, -3, 0),
    "C": (0, 0, 1, 1),
    "V": (2, 1, -3, -1),
    "F": (-2, -1, 4, 2),
    "Ω": (2, 1, -3, -2),
    "S": (-2, -1, 3, 2),
    "Wb": (2, 1, -2, -1),
    "T": (0, 1, -2, -1),
    "H": (2, 1, -2, -2),
}
_PREFIXES = {"T": 12, "G": 9, "M": 6, "k": 3, "c": -2, "m": -3, "u": -6, "µ": -6, "μ": -6, "n": -9, "p": -12, "f": -15}

# How the field writes what pint calls otherwise, or takes for something else: px is a length of web pages there.
_SPELLINGS = {"e-": "e", "electron": "e", "electrons": "e", "px": "pixel", "pix": "pixel", "KV": "kV", "KeV": "keV"}

_SIGNS = {ord(sign): None for sign in "°%‰"}

# What pint raises for words that are none, besides its own errors.
_ODD = (ArithmeticError, AssertionError, AttributeError, TypeError, ValueError)

_loading = Lock()


@lru_cache(4096)
def meaning(word: str) -> Word | None:
    """Meaning of a word: of the table, or of pint, there also in lower case, since files write Volts and Torr.

    Parameters
    ----------
    word : str
        With its prefix and without a power.

    Returns
    -------
    Word or None
        None if it is no unit.

    Raises
    ------
    MissingExtraError
        If pint is needed and not installed.
    """
    word = _SPELLINGS.get(word, word)
    found = _table().get(word) or _asked(word)
    return _asked(word.lower()) if found is None and len(word) > 2 and word.istitle() else found


def dimension(powers: Mapping[str, float]) -> str:
    """Name of a dimension: that of its SI unit, where it has one, else the powers of base units.

    Parameters
    ----------
    powers : mapping
        Of the base units.

    Returns
    -------
    str
        One for each dimension: ``V``, ``m^-1``, ``m^-2 s A``; ``1`` where nothing is left.
    """
    present = {base: powers[base] for base in _BASES if powers.get(base)}
    for name, named in _NAMED.items():
        if present == dict(_mechanical(named)):
            return name
    return " ".join(base if power == 1 else f"{base}^{power:g}" for base, power in present.items()) or "1"


def twelve_digits(value: float) -> float:
    """Round to twelve significant digits; there is one zero."""
    return float(f"{value:.11e}") + 0.0


@cache
def _table() -> dict[str, Word]:
    """Units of SI with decimal prefixes, and what microscopes add: most of what files hold, without loading pint."""
    bases = {base: Word(1.0, ((base, 1.0),)) for base in ("m", "s", "A", "K")}
    bases |= {name: Word(1.0, _mechanical(powers)) for name, powers in _NAMED.items()}
    bases |= {"g": Word(1e-3, (("kg", 1.0),)), "eV": Word(1.602176634e-19, bases["J"].powers), "rad": Word(1.0, ())}
    # Of the system of Gauss only the units of magnets are in use, and they mean tesla and A/m.
    bases |= {"G": Word(1e-4, bases["T"].powers), "Oe": Word(250 / pi, (("m", -1.0), ("A", 1.0)))}
    table = dict(bases)
    for prefix, power in _PREFIXES.items():
        for name, (factor, powers, _) in bases.items():
            table[prefix + name] = Word(twelve_digits(factor * 10.0**power), powers)
    return table | {"Å": Word(1e-10, bases["m"].powers), "%": Word(0.01, ()), "pixel": Word(1.0, (("px", 1.0),))}


def _mechanical(powers: tuple[int, ...]) -> Powers:
    return tuple((base, float(power)) for base, power in zip(_BASES, powers, strict=False) if power)


def _asked(word: str) -> Word | None:
    """What pint says of a word; None for what it does not know, and for decibels, which multiply instead of add."""
    plain = word.translate(_SIGNS)
    if plain and not plain.isidentifier():
        return None  # ¼ is a letter to regular expressions, and none to pint
    registry, pint = _registry()
    with _loading:  # what pint learns about a unit it writes down
        try:
            base = registry.get_base_units(registry.parse_units(word))[1]
            zero, one, two = (float(registry.convert(number, word, base)) for number in (0.0, 1.0, 2.0))
        except (pint.PintError, *_ODD):
            return None
    powers = {_SYMBOLS.get(name): float(power) for name, power in registry.Quantity(1, base).unit_items()}
    if None in powers or not isclose(two - one, one - zero, rel_tol=1e-9):
        return None
    return Word(one - zero, tuple((base, power) for base, power in powers.items() if base), zero)


@cache
def _registry() -> tuple[Any, Any]:
    """Registry of units and the library itself, which takes half a second to load."""
    try:
        import pint
    except ImportError as error:
        raise MissingExtraError("pint", "catalog") from error
    return pint.UnitRegistry(), pint
