"""The walk through one message of the stream, in numba: what the loop over images must know, into one table.

Keys that are not known are passed over, known ones may stand in any order, and none of these twice. A field that is
needed to find an image has one form only; anything else is a fault, never a guess.
"""

# numba tells no types of what it has compiled
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.live.wire._cbor import (
    ARRAY,
    DUPLICATE,
    KIND,
    MAP,
    MISSING,
    NUMBER,
    TRAILING,
    head,
    more,
    skip,
    text,
    unsigned,
)
from parscope.live.wire._channels import channels, place
from parscope.live.wire._memory import KERNEL, address, load1, load8, store8
from parscope.live.wire._table import (
    CHANGED,
    CHANNELS,
    LENGTH,
    NUMBER_OF_IMAGE,
    OFFSET,
    SEEN,
    SENT,
    SERIES,
    STACK,
    START,
    STOP,
    TYPE,
    WHERE,
)

_PATTERN = 2
_NANO = 1_000_000_000
_LARGE = 9_000_000_000
_WORD = 15


def _words(*names: bytes) -> NDArray[np.int64]:
    """Names of up to 15 bytes, as two numbers each: bytes 0 to 7; bytes 8 to 14, and the length."""
    padded = [name.ljust(_WORD, b"\0") + bytes([len(name)]) for name in names]
    return np.frombuffer(b"".join(padded), "<i8").reshape(-1, 2).astype(np.int64)


_KEYS = _words(b"type", b"series_id", b"image_id", b"start_time", b"stop_time", b"user_data", b"data")
_TYPES = _words(b"", b"start", b"image", b"end")
_OF_USER = _words(b"sent_ns")
_USER, _DATA = 5, 6


@nb.njit(**KERNEL)
def _word(at: int, length: int) -> tuple[int, int]:
    """Up to 15 bytes and how many they are, as two numbers; of a longer name, what no known one is."""
    low, high = 0, 0
    if length > _WORD:
        return low, high
    for i in range(min(length, 8)):
        low |= load1(at + i) << (8 * i)
    for i in range(8, length):
        high |= load1(at + i) << (8 * (i - 8))
    return low, high | (length << 56)


@nb.njit(**KERNEL)
def _key(at: int, length: int) -> int:
    """Which key of a message these bytes are; -1 for none."""
    low, high = _word(at, length)
    for i in range(_KEYS.shape[0]):
        if low == _KEYS[i, 0] and high == _KEYS[i, 1]:
            return i
    return -1


@nb.njit(**KERNEL)
def _ratio(number: int, base: int) -> int:
    """A ratio in seconds, to within a nanosecond; -1 where it has no such number."""
    if base == _NANO:
        return number
    if base == 0 or number // base > _LARGE:
        return -1
    whole, rest = number // base * _NANO, number % base
    # the remainder times 10^9 must fit 63 bits: halving both costs less than a nanosecond
    while base > _LARGE:
        rest, base = rest >> 1, base >> 1
    return whole + rest * _NANO // base


@nb.njit(**KERNEL)
def _time(at: int, end: int, table: int, row: int) -> int:
    """A ratio of two numbers into a row; anything else that is well-formed tells no time."""
    major, count, inside = head(at, end)
    if inside < 0 or major != ARRAY or count != 2:
        return inside if inside < 0 else skip(at, end, table + 8 * STACK)
    number, at = unsigned(inside, end)
    if at < 0:
        return at
    base, at = unsigned(at, end)
    if at < 0:
        return at
    value = _ratio(number, base)
    store8(table + 8 * row, value)
    return at if value >= 0 else NUMBER


@nb.njit(**KERNEL)
def _of_user(at: int, end: int, table: int) -> int:
    """One key with its value, of the data of the user, which may be anything."""
    start, length, value = text(at, end)
    if value >= 0:
        low, high = _word(start, length)
        if low == _OF_USER[0, 0] and high == _OF_USER[0, 1]:
            sent, after = unsigned(value, end)
            if after >= 0:
                store8(table + 8 * SENT, sent)
                return after
    at = skip(at, end, table + 8 * STACK)
    return at if at < 0 else skip(at, end, table + 8 * STACK)


@nb.njit(**KERNEL)
def _user(at: int, end: int, table: int) -> int:
    """Look for the time of sending in data of the user; all else in there is nobody's business here."""
    major, count, inside = head(at, end)
    if inside < 0 or major != MAP:
        return skip(at, end, table + 8 * STACK)
    count, at = more(inside, end, count)
    while at >= 0 and count != 0:
        at = _of_user(at, end, table)
        if at >= 0:
            count, at = more(at, end, count - (count > 0))
    return at


@nb.njit(**KERNEL)
def _type(at: int, end: int, table: int) -> int:
    """What kind of message it is; 0 for one that is not known."""
    start, length, at = text(at, end)
    if at >= 0:
        low, high = _word(start, length)
        for i in range(1, _TYPES.shape[0]):
            if low == _TYPES[i, 0] and high == _TYPES[i, 1]:
                store8(table + 8 * TYPE, i)
    return at


@nb.njit(**KERNEL)
def _field(at: int, end: int, key: int, table: int) -> int:
    """The value of a known key."""
    if key == TYPE:
        return _type(at, end, table)
    if key == _DATA:
        return channels(at, end, table)
    if key == _USER:
        return _user(at, end, table)
    if key in (START, STOP):
        return _time(at, end, table, key)
    value, at = unsigned(at, end)
    store8(table + 8 * key, value)
    return at


@nb.njit(**KERNEL)
def _pair(at: int, end: int, table: int) -> int:
    """One key with its value."""
    start, length, at = text(at, end)
    if at < 0:
        return at
    key = _key(start, length)
    if key < 0:
        return skip(at, end, table + 8 * STACK)
    seen = load8(table + 8 * SEEN)
    if seen & (1 << key):
        return DUPLICATE
    store8(table + 8 * SEEN, seen | (1 << key))
    return _field(at, end, key, table)


@nb.njit(**KERNEL)
def _pairs(at: int, end: int, table: int) -> int:
    """All keys with their values; `WHERE` is the address of the last one that was begun."""
    major, count, at = head(at, end)
    if at < 0 or major != MAP:
        return at if at < 0 else KIND
    count, at = more(at, end, count)
    while at >= 0 and count != 0:
        store8(table + 8 * WHERE, at)
        at = _pair(at, end, table)
        if at >= 0:
            count, at = more(at, end, count - (count > 0))
    return at if at < 0 or at == end else TRAILING


@nb.njit(**KERNEL)
def _complete(table: int) -> bool:
    """Whether a message has what its kind needs."""
    kind, series = load8(table + 8 * TYPE), load8(table + 8 * SERIES)
    if kind == _PATTERN:
        return load8(table + 8 * NUMBER_OF_IMAGE) >= 0 and load8(table + 8 * CHANNELS) > 0 and series >= 0
    return kind == 0 or series >= 0


@nb.njit(**KERNEL)
def walk(data: NDArray[np.uint8], table: NDArray[np.int64]) -> int:
    """Read one message.

    Parameters
    ----------
    data : ndarray of uint8, shape (n,)
        The message.
    table : ndarray of int64, shape (`TABLE`,)
        Takes what it says; numbers that it does not say are -1. What usually stays the same is compared with what
        the last message left there.

    Returns
    -------
    int
        1 if something has changed that usually stays the same, 0 if not, or a fault below zero, about where
        ``table[WHERE]`` says.
    """
    first, rows = address(data), address(table)
    table[:CHANNELS] = -1
    table[TYPE] = table[CHANNELS] = table[SEEN] = table[CHANGED] = 0
    table[WHERE] = first
    code = _pairs(first, first + data.size, rows)
    for channel in range(table[CHANNELS]):
        table[place(channel)] -= first
    table[WHERE] -= first
    if code < 0:
        return code
    return int(table[CHANGED]) if _complete(rows) else MISSING


@nb.njit(**KERNEL)
def walk_run(
    data: NDArray[np.uint8],
    spans: NDArray[np.int64],
    table: NDArray[np.int64],
    form: tuple[int, int],
    follow: tuple[int, int],
    heads: NDArray[np.int64],
) -> int:
    """Read several messages, as far as they are images like the last one, and their numbers follow each other.

    Parameters
    ----------
    data : ndarray of uint8, shape (m,)
        Holds them all.
    spans : ndarray of int64, shape (n, 2)
        Where in `data` each begins, and its length.
    table : ndarray of int64, shape (`TABLE`,)
        As of `walk`.
    form : tuple of int
        How many channels an image has, and of which the place is wanted.
    follow : tuple of int
        Series of the images, and number of the first one.
    heads : ndarray of int64, shape (n, `LENGTH` + 1)
        Takes the first rows of the table for each message; offset and length are those of the channel, in `data`.

    Returns
    -------
    int
        How many were read before the first one that is malformed, not the image that is due, or of other channels.
    """
    for k in range(spans.shape[0]):
        start = spans[k, 0]
        code = walk(data[start : start + spans[k, 1]], table)
        if code != 0 or table[TYPE] != _PATTERN or table[CHANNELS] != form[0]:
            return k
        if table[SERIES] != follow[0] or table[NUMBER_OF_IMAGE] != follow[1] + k:
            return k
        heads[k, :OFFSET] = table[:OFFSET]
        heads[k, OFFSET] = table[place(form[1])] + start
        heads[k, LENGTH] = table[place(form[1]) + 1]
    return spans.shape[0]
