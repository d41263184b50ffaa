"""The grammar of CBOR (RFC 8949) in numba: one head, one item passed over, one text.

Positions are addresses, as in `lz4`, and `end` is where the message ends: nothing is read at or behind it. Each
function returns the address behind what it read, or a fault below zero.
"""

# numba tells no types of what it has compiled
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import numba as nb

from parscope.live.wire._memory import KERNEL, load1, load8, store8

# Faults, as the kernels return them; the sentences are in `scan`.
TRUNCATED, RESERVED, DEEP, BREAK, NUMBER, KIND = -1, -2, -3, -4, -5, -6
DUPLICATE, TRAILING, MISSING, MANY, LONG, CHUNKED, IMAGE = -7, -8, -9, -10, -11, -12, -13

# Major types.
UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE = 0, 1, 2, 3, 4, 5, 6, 7

# Length of what ends with a break, and the value of the break itself.
OPEN = -1
# What stands for every number beyond 63 bits: longer than any message, and no number that is read.
HUGE = (1 << 63) - 1
# Items that may be open within another.
DEPTH = 32
# What is still to come: so many items, an open array, an open map before a key, and before a value.
_OPEN_ARRAY, _OPEN_MAP, _OPEN_VALUE = -2, -4, -3


@nb.njit(**KERNEL)
def _wide(at: int, end: int, major: int, info: int) -> tuple[int, int, int]:
    """The head of an item whose argument stands behind its first byte."""
    width = 1 << (info - 24)
    if width > end - at:
        return major, 0, TRUNCATED
    if major == SIMPLE:
        return major, 0, RESERVED if info == 24 and load1(at) < 32 else at + width
    if width == 8 and load1(at) > 127:
        return major, HUGE, at + width
    value = 0
    for i in range(width):
        value = (value << 8) | load1(at + i)
    return major, value, at + width


@nb.njit(**KERNEL)
def head(at: int, end: int) -> tuple[int, int, int]:
    """Major type and argument of the item at an address, and the address behind its head.

    The argument is `OPEN` for a length that is not told, and for a break, whose major type is `SIMPLE`; of other simple
    values it is 0.
    """
    if at >= end:
        return 0, 0, TRUNCATED
    first = load1(at)
    major, info = first >> 5, first & 31
    if info < 24:
        return major, 0 if major == SIMPLE else info, at + 1
    if info < 28:
        return _wide(at + 1, end, major, info)
    if info == 31 and major >= BYTES and major != TAG:
        return major, OPEN, at + 1
    return major, OPEN, RESERVED


@nb.njit(**KERNEL)
def _chunks(at: int, end: int, kind: int) -> int:
    """Pass over the chunks of a string whose length is not told, and its break."""
    while True:
        major, length, at = head(at, end)
        if at < 0 or (major == SIMPLE and length == OPEN):
            return at
        if major != kind or length == OPEN:
            return BREAK
        if length > end - at:
            return TRUNCATED
        at += length


@nb.njit(**KERNEL)
def _string(at: int, end: int, kind: int, length: int) -> int:
    """Pass over the bytes of a string."""
    if length == OPEN:
        return _chunks(at, end, kind)
    return TRUNCATED if length > end - at else at + length


@nb.njit(**KERNEL)
def _inside(major: int, length: int, free: int) -> int:
    """What is still to come in an array, map or tag; more than `free` if that cannot be."""
    if major == TAG:
        return 1
    if length == OPEN:
        return _OPEN_ARRAY if major == ARRAY else _OPEN_MAP
    if length > free:
        return length
    return length if major == ARRAY else 2 * length


@nb.njit(**KERNEL)
def _took(left: int) -> int:
    """What is still to come after one more item."""
    if left > 0:
        return left - 1
    if left == _OPEN_ARRAY:
        return left
    return _OPEN_VALUE if left == _OPEN_MAP else _OPEN_MAP


@nb.njit(**KERNEL)
def _ends(left: int) -> bool:
    """Whether a break may stand here."""
    return left in (_OPEN_ARRAY, _OPEN_MAP)


@nb.njit(**KERNEL)
def _enter(at: int, end: int, depth: int, inside: int, stack: int) -> tuple[int, int]:
    """Go one level deeper, into an array, map or tag; every item in it takes at least one byte."""
    if depth + 1 >= DEPTH:
        return depth, DEEP
    if inside > end - at:
        return depth, TRUNCATED
    store8(stack + 8 * (depth + 1), inside)
    return depth + 1, at


@nb.njit(**KERNEL)
def _nested(at: int, end: int, stack: int) -> int:
    """Pass over one item with all that is in it, without recursion: what is still to come stands at each depth."""
    depth = 0
    store8(stack, 1)
    while depth >= 0:
        left = load8(stack + 8 * depth)
        if left == 0:
            depth -= 1
            continue
        major, length, at = head(at, end)
        if at >= 0 and major == SIMPLE and length == OPEN:
            depth, at = depth - 1, at if _ends(left) else BREAK
        elif at >= 0:
            store8(stack + 8 * depth, _took(left))
            depth, at = _through(at, end, depth, (major, length), stack)
        if at < 0:
            return at
    return at


@nb.njit(**KERNEL)
def _through(at: int, end: int, depth: int, item: tuple[int, int], stack: int) -> tuple[int, int]:
    """Pass over what an item holds, or go into it."""
    major, length = item
    if major < BYTES or major == SIMPLE:
        return depth, at
    if major < ARRAY:
        return depth, _string(at, end, major, length)
    return _enter(at, end, depth, _inside(major, length, end - at), stack)


@nb.njit(**KERNEL)
def skip(at: int, end: int, stack: int) -> int:
    """Pass over one item with all that is in it.

    Parameters
    ----------
    at, end : int
        Address where the item begins, and where the message ends.
    stack : int
        Address of room for `DEPTH` numbers of 8 bytes.

    Returns
    -------
    int
        The address behind it, or a fault below zero.
    """
    major, length, inside = head(at, end)
    if inside < 0:
        return inside
    if major < BYTES or (major == SIMPLE and length != OPEN):
        return inside
    if major < ARRAY:
        return _string(inside, end, major, length)
    return _nested(at, end, stack)


@nb.njit(**KERNEL)
def text(at: int, end: int) -> tuple[int, int, int]:
    """Where a text of told length begins, how long it is, and the address behind it."""
    major, length, at = head(at, end)
    if at < 0:
        return at, length, at
    if major != TEXT or length == OPEN:
        return at, length, KIND if major != TEXT else CHUNKED
    return at, length, TRUNCATED if length > end - at else at + length


@nb.njit(**KERNEL)
def unsigned(at: int, end: int) -> tuple[int, int]:
    """A number from zero up, and the address behind it."""
    major, value, at = head(at, end)
    if at >= 0 and major != UNSIGNED:
        return value, KIND
    return value, NUMBER if at >= 0 and value == HUGE else at


@nb.njit(**KERNEL)
def opening(at: int, end: int, kind: int, count: int) -> int:
    """The head of an array or map of so many items; the address behind it."""
    major, held, at = head(at, end)
    return KIND if at >= 0 and (major != kind or held != count) else at


@nb.njit(**KERNEL)
def more(at: int, end: int, left: int) -> tuple[int, int]:
    """How many items of an array or map are still to come, and the address of the next one or behind the last."""
    if left >= 0:
        return left, at
    if at >= end:
        return left, TRUNCATED
    return (0, at + 1) if load1(at) == 0xFF else (left, at)
