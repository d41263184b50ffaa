"""The grammar of CBOR (RFC 8949) in numba: one head, one item passed over, one text; every access checked.

Each function returns the position behind what it read, or a fault below zero.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.live.wire._memory import KERNEL

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]

# Faults, as the kernels return them; the sentences are in `scan`.
TRUNCATED, RESERVED, DEEP, BREAK, NUMBER, KIND, DUPLICATE, TRAILING, MISSING, MANY, LONG, CHUNKED, IMAGE = range(
    -1, -14, -1
)

# Major types.
UNSIGNED, _NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE = range(8)

# Length of what ends with a break, and the value of the break itself.
OPEN = -1
# Items that may be open within another.
DEPTH = 32


@nb.njit(**KERNEL)
def _argument(data: Bytes, at: int, width: int) -> int:
    """Number behind a head; the caller has checked that it is there and fits."""
    value = np.int64(0)
    for i in range(width):
        value = (value << 8) | np.int64(data[at + i])
    return value


@nb.njit(**KERNEL)
def _wide(data: Bytes, at: int, major: int, info: int) -> Any:
    """The head of an item whose argument stands behind its first byte."""
    width = np.int64(1) << (info - 24)
    if width > data.size - at:
        return major, np.int64(0), np.int64(TRUNCATED)
    if major == SIMPLE:
        fault = info == 24 and data[at] < 32
        return major, np.int64(0), np.int64(RESERVED) if fault else at + width
    if width == 8 and data[at] > 127:
        return major, np.int64(0), np.int64(NUMBER)
    return major, _argument(data, at, width), at + width


@nb.njit(**KERNEL)
def head(data: Bytes, at: int) -> Any:
    """Major type and argument of the item at a position, and the position behind its head.

    The argument is `OPEN` for a length that is not told, and for a break, whose major type is `SIMPLE`; of other simple
    values it is 0.
    """
    if at >= data.size:
        return np.int64(0), np.int64(0), np.int64(TRUNCATED)
    first = np.int64(data[at])
    major, info, at = first >> 5, first & 31, at + 1
    if info < 24:
        return major, np.int64(0) if major == SIMPLE else info, at
    if info < 28:
        return _wide(data, at, major, info)
    lawful = info == 31 and (major >= BYTES and major != TAG)
    return major, np.int64(OPEN), at if lawful else np.int64(RESERVED)


@nb.njit(**KERNEL)
def _chunks(data: Bytes, at: int, kind: int) -> int:
    """Pass over the chunks of a string whose length is not told, and its break."""
    while True:
        major, length, at = head(data, at)
        if at < 0:
            return at
        if major == SIMPLE and length == OPEN:
            return at
        if major != kind or length == OPEN:
            return np.int64(BREAK)
        if length > data.size - at:
            return np.int64(TRUNCATED)
        at += length


@nb.njit(**KERNEL)
def _string(data: Bytes, at: int, kind: int, length: int) -> int:
    """Pass over the bytes of a string."""
    if length == OPEN:
        return _chunks(data, at, kind)
    return np.int64(TRUNCATED) if length > data.size - at else at + length


@nb.njit(**KERNEL)
def _inside(major: int, length: int) -> int:
    """What is still to come in an array, map or tag: a number of items, -2 for an open array, -4 for an open map."""
    if major == TAG:
        return np.int64(1)
    if length == OPEN:
        return np.int64(-2) if major == ARRAY else np.int64(-4)
    return length if major == ARRAY else 2 * length


@nb.njit(**KERNEL)
def _took(left: int) -> int:
    """What is still to come after one more item; -3 is a map that waits for a value."""
    if left > 0:
        return left - 1
    if left == -2:
        return left
    return np.int64(-7) - left


@nb.njit(**KERNEL)
def _enter(data: Bytes, at: int, left: Numbers, depth: int, item: tuple[int, int]) -> Any:
    """Go one level deeper, into an array, map or tag; every item in it takes at least one byte."""
    major, length = item
    if depth + 1 >= left.size:
        return depth, np.int64(DEEP)
    if major != TAG and length > data.size - at:
        return depth, np.int64(TRUNCATED)
    inside = _inside(major, length)
    if inside > data.size - at:
        return depth, np.int64(TRUNCATED)
    left[depth + 1] = inside
    return depth + 1, at


@nb.njit(**KERNEL)
def skip(data: Bytes, at: int, left: Numbers) -> int:
    """Pass over one item with all that is in it, without recursion.

    Parameters
    ----------
    data : ndarray of uint8, shape (n,)
        The message.
    at : int
        Where the item begins.
    left : ndarray of int64, shape (`DEPTH`,)
        Room for what is still to come at each depth.

    Returns
    -------
    int
        The position behind it, or a fault below zero.
    """
    depth = np.int64(0)
    left[0] = 1
    while depth >= 0:
        if left[depth] == 0:
            depth -= 1
            continue
        major, length, at = head(data, at)
        if at < 0:
            return at
        if major == SIMPLE and length == OPEN:
            if left[depth] != -2 and left[depth] != -4:
                return np.int64(BREAK)
            depth -= 1
            continue
        left[depth] = _took(left[depth])
        if major == BYTES or major == TEXT:
            at = _string(data, at, major, length)
        elif major >= ARRAY and major <= TAG:
            depth, at = _enter(data, at, left, depth, (major, length))
        if at < 0:
            return at
    return at


@nb.njit(**KERNEL)
def text(data: Bytes, at: int) -> Any:
    """Where a text of told length begins, how long it is, and the position behind it."""
    major, length, at = head(data, at)
    if at < 0:
        return at, length, at
    if major != TEXT:
        return at, length, np.int64(KIND)
    if length == OPEN:
        return at, length, np.int64(CHUNKED)
    if length > data.size - at:
        return at, length, np.int64(TRUNCATED)
    return at, length, at + length


@nb.njit(**KERNEL)
def unsigned(data: Bytes, at: int) -> Any:
    """A number from zero up, and the position behind it."""
    major, value, at = head(data, at)
    if at >= 0 and major != UNSIGNED:
        return value, np.int64(KIND)
    return value, at


@nb.njit(**KERNEL)
def more(data: Bytes, at: int, left: int) -> Any:
    """How many items of an array or map are still to come, and the position of the next one or behind the last."""
    if left >= 0:
        return left, at
    if at >= data.size:
        return left, np.int64(TRUNCATED)
    return (np.int64(0), at + 1) if data[at] == 0xFF else (left, at)
