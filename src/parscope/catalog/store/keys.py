"""Keys of values: bytes that sort exactly as the values do, alike in every database.

Every comparison of a query is a range of bytes (SQLite's BLOB, PostgreSQL's bytea), so that neither collations nor the
databases' own ideas of numbers have a say. The type stands beside the key: a number never compares with a text.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from functools import cache
from hashlib import blake2b
from math import inf, isnan, nextafter
from sys import float_info

from parscope.catalog.query.ast import Aspect

ASPECTS = {Aspect.VALUE: 0, Aspect.LENGTH: 1, Aspect.LEAST: 2, Aspect.GREATEST: 3}
"""Numbers of the aspects in the dictionary of paths."""

WORDS = 4
"""Aspect of the root under which the words of a whole record stand."""

_SIGN = 1 << 63
_ALL = (1 << 64) - 1
_LARGEST = int(float_info.max)


class Type(IntEnum):
    """Types of values in the index, in the order in which mixed values are listed."""

    NOTHING = 0
    TRUTH = 1
    NUMBER = 2
    NAN = 3
    DATE = 4
    """A second row of a text that is a date."""

    TEXT = 5
    LONG_TEXT = 6
    """A text too long for a key; it exists, and its words are known."""

    CONTAINER = 7
    """A mapping, or a list without elements in the index: it exists, and compares with nothing."""

    QUANTITY = 1 << 30
    """This and above, one for each dimension: a second row of what has a unit."""


@cache
def quantity_type(dimension: str) -> int:
    """Type of quantities of one dimension, the same in every process and database.

    Parameters
    ----------
    dimension : str
        As `parscope.catalog.query.units` names it.

    Returns
    -------
    int
        From `Type.QUANTITY` up to the largest of 32 bits.
    """
    digest = blake2b(dimension.encode(), digest_size=4).digest()
    return Type.QUANTITY | int.from_bytes(digest) >> 2


def typed(value: bool | int | float | str | None) -> tuple[Type, bytes]:
    """Type and key of a value that JSON knows.

    Parameters
    ----------
    value : bool, int, float, str or None
        Of any size; how long a text may be is for the caller to say.

    Returns
    -------
    tuple of Type and bytes
    """
    if isinstance(value, str):
        return Type.TEXT, text(value)
    if value is None:
        return Type.NOTHING, b""
    if isinstance(value, bool):
        return Type.TRUTH, b"\x01" if value else b"\x00"
    return (Type.NAN, b"") if isinstance(value, float) and isnan(value) else (Type.NUMBER, number(value))


def text(value: str) -> bytes:
    """Key of a text: UTF-8, which sorts as code points do; lone surrogates are kept."""
    return value.encode("utf-8", "surrogatepass")


def number(value: int | float) -> bytes:
    """Key of a number that is not NaN, with every bit of it; 3 and 3.0 have one key, and so have 0.0 and -0.0."""
    if isinstance(value, float):
        return _float(value)
    below = _float_below(value)
    if below == -inf:  # further down than any finite number: the distance grows downwards
        return _float(below) + bytes(255 - byte for byte in _counted(-value))
    rest = value - int(below)
    return _float(below) + _counted(rest) if rest else _float(below)


def date(microseconds: int) -> bytes:
    """Key of a time in microseconds since 1970, UTC."""
    return struct.pack(">Q", microseconds + _SIGN)


def value_of(kind: int, key: bytes) -> bool | int | float | str | None:
    """Value of a key; whole numbers come as int, quantities in SI units, dates in microseconds.

    Parameters
    ----------
    kind : int
        Its type.
    key : bytes
        As the other functions here make it.

    Returns
    -------
    bool, int, float, str or None
        None for what has no value of its own: nothing, long texts, containers.
    """
    if kind == Type.TEXT:
        return key.decode("utf-8", "surrogatepass")
    if kind == Type.TRUTH:
        return key == b"\x01"
    if kind == Type.DATE:
        return int(struct.unpack(">Q", key)[0]) - _SIGN
    if kind == Type.NAN:
        return float("nan")
    return _number_of(key) if kind == Type.NUMBER or kind >= Type.QUANTITY else None


def _float(value: float) -> bytes:
    """Eight bytes: the sign turned round, and of negative numbers all bits, as larger ones lie lower."""
    bits: int = struct.unpack(">Q", struct.pack(">d", value + 0.0))[0]  # -0.0 + 0.0 is 0.0
    return struct.pack(">Q", bits ^ _ALL if bits & _SIGN else bits | _SIGN)


def _float_below(value: int) -> float:
    """Largest float that is not above a whole number."""
    if abs(value) > _LARGEST:
        return float_info.max if value > 0 else -inf
    near = float(value)
    return near if near <= value else nextafter(near, -inf)


def _counted(value: int) -> bytes:
    """Bytes of a positive number behind their count: more bytes are more."""
    size = (value.bit_length() + 7) // 8
    return size.to_bytes(2) + value.to_bytes(size)


def _number_of(key: bytes) -> int | float:
    bits: int = struct.unpack(">Q", key[:8])[0]
    value: float = struct.unpack(">d", struct.pack(">Q", bits ^ _SIGN if bits & _SIGN else bits ^ _ALL))[0]
    rest = key[8:]
    if value == -inf and rest:
        return -int.from_bytes(bytes(255 - byte for byte in rest[2:]))
    if rest:
        return int(value) + int.from_bytes(rest[2:])
    return int(value) if value.is_integer() else value
