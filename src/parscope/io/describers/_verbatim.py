"""Metadata as the file has them, in types that JSON knows: no key renamed, no number changed, nothing dropped."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import FormatError

_DEEPEST, _LISTED, _DIGITS = 90, 10_000, 40
# Python would also take 1_000, digits of other scripts and blanks
_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NO_NUMBERS = {"NaN", "nan", "inf", "-inf", "+inf", "Inf", "-Inf", "+Inf"}


def verbatim(value: Any, depth: int = 0) -> Any:
    """Turn metadata of any library into what JSON knows, without loss.

    Parameters
    ----------
    value : object
        Nested mappings and sequences, numbers, texts, bytes, arrays.
    depth : int, default 0
        How deep it lies.

    Returns
    -------
    object
        Arrays of more than 10 000 elements as `summary`, complex numbers as ``{"re", "im"}``.

    Raises
    ------
    FormatError
        If it is nested deeper than 90 levels.
    """
    if depth > _DEEPEST:
        raise FormatError(f"is nested deeper than {_DEEPEST} levels")
    if isinstance(value, Mapping):
        return {_text(key): verbatim(entry, depth + 1) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return verbatim(_records(value), depth) if value.size <= _LISTED else summary(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [verbatim(entry, depth + 1) for entry in value]
    return _leaf(value.item() if isinstance(value, np.generic) and not isinstance(value, np.void) else value)


def _records(values: NDArray[Any]) -> Any:
    if values.dtype.names is None:
        return values.tolist()
    columns = {name: _records(values[name]) for name in values.dtype.names}
    if values.ndim != 1:
        return columns
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _leaf(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    # a member of an enumeration is a number or a text, too
    for plain, turned in ((int, int), (float, float), (str, str.__str__), (bytes, _text)):
        if isinstance(value, plain):
            return turned(value)
    if isinstance(value, complex):
        return {"re": value.real, "im": value.imag}
    return _void(value) if isinstance(value, np.void) else str(value)


def _void(value: np.void) -> Any:
    """A record as a mapping of its fields; plain bytes as hexadecimal digits."""
    names = value.dtype.names
    return {name: verbatim(value[name]) for name in names} if names else value.tobytes().hex()


def _text(value: Any) -> str:
    if not isinstance(value, bytes):
        return str(value)
    bare = value.rstrip(b"\0")
    try:
        return bare.decode("utf-8")
    except UnicodeDecodeError:
        # the encoding of instruments of before, in which every byte is a character
        return bare.decode("latin-1")


def summary(values: NDArray[Any]) -> dict[str, Any]:
    """What is kept of an array that is too long for metadata.

    Parameters
    ----------
    values : ndarray, shape (...)
        Numbers or others.

    Returns
    -------
    dict
        ``shape``, ``dtype``, ``min``, ``max`` (of numbers that are not NaN) and ``sha256`` of the samples in C order.
    """
    told: dict[str, Any] = {"shape": list(values.shape), "dtype": str(values.dtype)}
    if values.dtype.kind in "buif" and values.size:
        least, most = np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)
        told |= {"min": least.item(), "max": most.item()}
    if not values.dtype.hasobject:
        told["sha256"] = hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()
    return told


def number(text: str) -> Any:
    """The number that a text is, or the text itself.

    Parameters
    ----------
    text : str
        From a header of text. One with leading zeros is a name, not a number, and stays a text.

    Returns
    -------
    int, float or str

    Examples
    --------
    >>> number("1.5e-06"), number("300"), number("007"), number("1_000"), number("2 V")
    (1.5e-06, 300, '007', '1_000', '2 V')
    """
    bare = text.strip()
    if len(bare) > _DIGITS:
        return text
    if _INTEGER.fullmatch(bare) and bare not in ("-0", "+0"):
        return int(bare)
    named = bare.lstrip("+-").startswith("0") and bare.lstrip("+-").isdigit() and len(bare.lstrip("+-")) > 1
    return float(bare) if bare in _NO_NUMBERS or (_FLOAT.fullmatch(bare) and not named) else text


def gathered(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Mapping of keys that may occur more than once; those have a list of all their values.

    Parameters
    ----------
    pairs : iterable of (str, object)
        In the order of the file.

    Returns
    -------
    dict

    Examples
    --------
    >>> gathered([("a", 1), ("b", 2), ("a", 3)])
    {'a': [1, 3], 'b': 2}
    """
    every: dict[str, list[Any]] = {}
    for key, value in pairs:
        every.setdefault(key, []).append(value)
    return {key: values[0] if len(values) == 1 else values for key, values in every.items()}
