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
    BYTES,
    DEPTH,
    DUPLICATE,
    IMAGE,
    KIND,
    LONG,
    MANY,
    MAP,
    MISSING,
    NUMBER,
    OPEN,
    TAG,
    TRAILING,
    TRUNCATED,
    head,
    more,
    opening,
    skip,
    text,
    unsigned,
)
from parscope.live.wire._memory import KERNEL, address, load1, load8, store1, store8

# Rows of the table, of 8 bytes each. Those up to `LENGTH` are what a message of one channel is read from.
TYPE, SERIES, NUMBER_OF_IMAGE, START, STOP, SENT, CHANNELS, OFFSET, LENGTH = 0, 1, 2, 3, 4, 5, 6, 7, 8
# Of every channel, from its `OFFSET` on: the two numbers of this name, shape, tags, element; then the next one.
ROWS, ORDER, SAMPLES, ELEMENT, FIELDS = 2, 4, 5, 6, 7
CHANNELS_AT_MOST = 16
WHERE = OFFSET + FIELDS * CHANNELS_AT_MOST
SEEN, CHANGED, STACK = WHERE + 1, WHERE + 2, WHERE + 3
# Of every channel, two names, its own and that of its compression: a byte for the length, then bytes.
NAMES = STACK + DEPTH
NAME_AT_MOST = 63
TABLE = NAMES + CHANNELS_AT_MOST * 2 * 8

PATTERN = 2
ROW_MAJOR, COLUMN_MAJOR, COMPRESSED = 40, 1040, 56500
UNCOMPRESSED = -1
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
    """A ratio in seconds as nanoseconds, rounded down; -1 where it has no such number."""
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
def _note(table: int, row: int, value: int) -> None:
    """Write what usually stays the same; remember if it does not."""
    if load8(table + 8 * row) != value:
        store8(table + 8 * row, value)
        store8(table + 8 * CHANGED, 1)


@nb.njit(**KERNEL)
def _same(at: int, length: int, name: int) -> bool:
    """Whether these bytes are those of a name in the table."""
    same = length == load1(name)
    i = 0
    while same and i < length:
        same = load1(at + i) == load1(name + 1 + i)
        i += 1
    return same


@nb.njit(**KERNEL)
def _name(at: int, length: int, name: int, table: int) -> bool:
    """Write a name that usually stays the same; False if it is too long."""
    if length > NAME_AT_MOST:
        return False
    if not _same(at, length, name):
        store8(table + 8 * CHANGED, 1)
        store1(name, length)
        for i in range(length):
            store1(name + 1 + i, load1(at + i))
    return True


@nb.njit(**KERNEL)
def _place(channel: int) -> int:
    """Row of the table where a channel begins."""
    return OFFSET + FIELDS * channel


@nb.njit(**KERNEL)
def _called(table: int, channel: int, which: int) -> int:
    """Address of the name of a channel (0), or of its compression (1)."""
    return table + 8 * NAMES + 64 * (2 * channel + which)


@nb.njit(**KERNEL)
def _bytes(at: int, end: int, table: int, channel: int) -> int:
    """A string of bytes in one piece: where the samples are."""
    major, length, at = head(at, end)
    if at < 0 or major != BYTES or length == OPEN:
        return at if at < 0 else KIND
    if length > end - at:
        return TRUNCATED
    row = table + 8 * _place(channel)
    store8(row, at)
    store8(row + 8, length)
    return at + length


@nb.njit(**KERNEL)
def _packed(at: int, end: int, table: int, channel: int) -> int:
    """A compressed string: algorithm, bytes of an element, bytes."""
    at = opening(at, end, ARRAY, 3)
    if at < 0:
        return at
    start, length, at = text(at, end)
    if at < 0:
        return at
    if not _name(start, length, _called(table, channel, 1), table):
        return LONG
    element, at = unsigned(at, end)
    if at < 0:
        return at
    _note(table, _place(channel) + ELEMENT, element)
    return _bytes(at, end, table, channel)


@nb.njit(**KERNEL)
def _samples(at: int, end: int, table: int, channel: int) -> int:
    """A typed array: the tag of its samples, then its bytes, compressed or not."""
    major, samples, at = head(at, end)
    if at < 0 or major != TAG:
        return at if at < 0 else IMAGE
    _note(table, _place(channel) + SAMPLES, samples)
    major, tag, inside = head(at, end)
    if inside < 0:
        return inside
    if major == TAG and tag == COMPRESSED:
        return _packed(inside, end, table, channel)
    _note(table, _place(channel) + ELEMENT, UNCOMPRESSED)
    return _bytes(at, end, table, channel)


@nb.njit(**KERNEL)
def _image(at: int, end: int, table: int, channel: int) -> int:
    """An array of two dimensions: its tag, its shape, its samples."""
    major, order, at = head(at, end)
    if at < 0 or major != TAG or (order != ROW_MAJOR and order != COLUMN_MAJOR):
        return at if at < 0 else IMAGE
    _note(table, _place(channel) + ORDER, order)
    at = opening(at, end, ARRAY, 2)
    if at >= 0:
        at = opening(at, end, ARRAY, 2)
    for side in range(2):
        if at >= 0:
            length, at = unsigned(at, end)
            _note(table, _place(channel) + ROWS + side, length)
    return at if at < 0 else _samples(at, end, table, channel)


@nb.njit(**KERNEL)
def _twice(at: int, length: int, table: int, channel: int) -> bool:
    """Whether a channel before has this name."""
    twice = False
    for i in range(channel):
        twice = twice or _same(at, length, _called(table, i, 0))
    return twice


@nb.njit(**KERNEL)
def _channel(at: int, end: int, table: int, channel: int) -> int:
    """The name of one channel, and its image."""
    if channel == CHANNELS_AT_MOST:
        return MANY
    start, length, at = text(at, end)
    if at < 0:
        return at
    if _twice(start, length, table, channel):
        return DUPLICATE
    if not _name(start, length, _called(table, channel, 0), table):
        return LONG
    return _image(at, end, table, channel)


@nb.njit(**KERNEL)
def _channels(at: int, end: int, table: int) -> int:
    """All channels of an image."""
    major, count, at = head(at, end)
    if at < 0 or major != MAP:
        return at if at < 0 else KIND
    channel = 0
    count, at = more(at, end, count)
    while at >= 0 and count != 0:
        at = _channel(at, end, table, channel)
        if at >= 0:
            channel += 1
            count, at = more(at, end, count - (count > 0))
    store8(table + 8 * CHANNELS, channel)
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
        return _channels(at, end, table)
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
    if kind == PATTERN:
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
        table[_place(channel)] -= first
    table[WHERE] -= first
    if code < 0:
        return code
    return int(table[CHANGED]) if _complete(rows) else MISSING
