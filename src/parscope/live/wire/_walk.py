"""The walk through one message of the stream, in numba: what the loop over images must know, into one table.

Keys that are not known are passed over, known ones may stand in any order, and none of these twice. A field that is
needed to find an image has one form only; anything else is a fault, never a guess.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.live.wire._cbor import (
    ARRAY,
    BYTES,
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
    Bytes,
    Numbers,
    head,
    more,
    skip,
    text,
    unsigned,
)
from parscope.live.wire._memory import KERNEL

# Rows of the table. Those up to `LENGTH` are what a message of one channel is read from.
TYPE, SERIES, NUMBER_OF_IMAGE, START, STOP, SENT, CHANNELS, OFFSET, LENGTH = range(9)
# The rest of a channel follows, and then the offset and length of the next one, and so on.
ROWS, COLUMNS, ORDER, SAMPLES, ELEMENT = 2, 3, 4, 5, 6
FIELDS = 7
CHANNELS_AT_MOST = 16
WHERE, SEEN, CHANGED = (OFFSET + FIELDS * CHANNELS_AT_MOST + i for i in range(3))
TABLE = CHANGED + 1

# Names of a channel and of its compression: length, then bytes.
NAME_AT_MOST = 63
NAME, ALGORITHM = 0, 1

OTHER, BEGIN, PATTERN, END = range(4)
ROW_MAJOR, COLUMN_MAJOR, COMPRESSED = 40, 1040, 56500
UNCOMPRESSED = -1
_NANO = 1_000_000_000


def _words(*names: bytes) -> NDArray[np.uint8]:
    """Rows of bytes: the length of a name, then the name."""
    rows = np.zeros((len(names), 16), np.uint8)
    for row, name in zip(rows, names, strict=True):
        row[0] = len(name)
        row[1 : 1 + len(name)] = np.frombuffer(name, np.uint8)
    return rows


_KEYS = _words(b"type", b"series_id", b"image_id", b"start_time", b"stop_time", b"user_data", b"data")
_TYPES = _words(b"start", b"image", b"end")
_INNER = _words(b"sent_ns")
_KEY_OF_USER, _KEY_OF_DATA = 5, 6


@nb.njit(**KERNEL)
def _equal(data: Bytes, at: int, length: int, word: Bytes) -> bool:
    """Whether these bytes are a word."""
    if length != word[0]:
        return False
    for i in range(length):
        if data[at + i] != word[1 + i]:
            return False
    return True


@nb.njit(**KERNEL)
def _which(data: Bytes, at: int, length: int, words: Any) -> int:
    """Number of the word that these bytes are; -1 for none."""
    for i in range(words.shape[0]):
        if _equal(data, at, length, words[i]):
            return i
    return -1


@nb.njit(**KERNEL)
def _nanoseconds(number: int, base: int) -> int:
    """A ratio in seconds as nanoseconds, rounded down; -1 where it has no such number."""
    if base == _NANO:
        return number
    if base == 0 or number // base > 9_000_000_000:
        return np.int64(-1)
    rest = number % base
    # the remainder times 10^9 may need more than 64 bits: divide both, which costs less than a nanosecond
    while rest > 9_000_000_000:
        rest, base = rest >> 1, base >> 1
    return number // base * _NANO if rest == 0 else np.int64(number // base * _NANO + rest * _NANO // base)


@nb.njit(**KERNEL)
def _time(data: Bytes, at: int, left: Numbers) -> Any:
    """A ratio of two numbers, as nanoseconds; -1 for anything else that is well-formed."""
    major, count, inside = head(data, at)
    if inside < 0:
        return np.int64(-1), inside
    if major != ARRAY or count != 2:
        return np.int64(-1), skip(data, at, left)
    number, inside = unsigned(data, inside)
    if inside < 0:
        return np.int64(-1), inside
    base, inside = unsigned(data, inside)
    if inside < 0:
        return np.int64(-1), inside
    value = _nanoseconds(number, base)
    return value, inside if value >= 0 else np.int64(NUMBER)


@nb.njit(**KERNEL)
def _user(data: Bytes, at: int, table: Numbers, left: Numbers) -> int:
    """Look for the time of sending in data of the user; all else in there is nobody's business here."""
    major, count, inside = head(data, at)
    if inside < 0 or major != MAP:
        return skip(data, at, left)
    while True:
        count, inside = more(data, inside, count)
        if inside < 0 or count == 0:
            return inside
        start, length, value = text(data, inside)
        found = value >= 0 and _equal(data, start, length, _INNER[0])
        if found:
            table[SENT], inside = unsigned(data, value)
        else:
            inside = skip(data, inside, left)
            if inside >= 0:
                inside = skip(data, inside, left)
        if inside < 0:
            return inside
        count -= count > 0


@nb.njit(**KERNEL)
def _note(table: Numbers, row: int, value: int) -> None:
    """Write what usually stays the same; remember if it does not."""
    if table[row] != value:
        table[row] = value
        table[CHANGED] = 1


@nb.njit(**KERNEL)
def _name(data: Bytes, at: int, length: int, word: Bytes, table: Numbers) -> bool:
    """Write a name that usually stays the same; False if it is too long."""
    if length > NAME_AT_MOST:
        return False
    if not _equal(data, at, length, word):
        table[CHANGED] = 1
        word[0] = length
        for i in range(length):
            word[1 + i] = data[at + i]
    return True


@nb.njit(**KERNEL)
def _packed(data: Bytes, at: int, row: int, table: Numbers, word: Bytes) -> int:
    """A compressed string: algorithm, bytes of an element, bytes."""
    major, count, at = head(data, at)
    if at < 0 or major != ARRAY or count != 3:
        return at if at < 0 else np.int64(KIND)
    start, length, at = text(data, at)
    if at < 0:
        return at
    if not _name(data, start, length, word, table):
        return np.int64(LONG)
    element, at = unsigned(data, at)
    if at < 0:
        return at
    _note(table, row + ELEMENT, element)
    return _bytes(data, at, row, table)


@nb.njit(**KERNEL)
def _bytes(data: Bytes, at: int, row: int, table: Numbers) -> int:
    """A string of bytes in one piece."""
    major, length, at = head(data, at)
    if at < 0:
        return at
    if major != BYTES or length == OPEN:
        return np.int64(KIND)
    if length > data.size - at:
        return np.int64(TRUNCATED)
    table[row], table[row + 1] = at, length
    return at + length


@nb.njit(**KERNEL)
def _samples(data: Bytes, at: int, row: int, table: Numbers, word: Bytes) -> int:
    """A typed array: the tag of its samples, then its bytes, compressed or not."""
    major, samples, at = head(data, at)
    if at < 0 or major != TAG:
        return at if at < 0 else np.int64(IMAGE)
    _note(table, row + SAMPLES, samples)
    major, tag, inside = head(data, at)
    if inside < 0:
        return inside
    if major == TAG and tag == COMPRESSED:
        return _packed(data, inside, row, table, word)
    _note(table, row + ELEMENT, UNCOMPRESSED)
    if word[0] != 0:
        word[0] = 0
        table[CHANGED] = 1
    return _bytes(data, at, row, table)


@nb.njit(**KERNEL)
def _image(data: Bytes, at: int, row: int, table: Numbers, word: Bytes) -> int:
    """An array of two dimensions: its tag, its shape, its samples."""
    major, order, at = head(data, at)
    if at < 0 or major != TAG or (order != ROW_MAJOR and order != COLUMN_MAJOR):
        return at if at < 0 else np.int64(IMAGE)
    _note(table, row + ORDER, order)
    major, count, at = head(data, at)
    if at < 0 or major != ARRAY or count != 2:
        return at if at < 0 else np.int64(IMAGE)
    major, count, at = head(data, at)
    if at < 0 or major != ARRAY or count != 2:
        return at if at < 0 else np.int64(IMAGE)
    for side in range(2):
        length, at = unsigned(data, at)
        if at < 0:
            return at
        _note(table, row + ROWS + side, length)
    return _samples(data, at, row, table, word)


@nb.njit(**KERNEL)
def _twice(words: Any, count: int) -> bool:
    """Whether the last channel has the name of one before."""
    last = words[count, NAME]
    for i in range(count):
        if _equal(last, 1, np.int64(last[0]), words[i, NAME]):
            return True
    return False


@nb.njit(**KERNEL)
def _channels(data: Bytes, at: int, table: Numbers, words: Any) -> int:
    """All channels of an image, by name."""
    major, count, at = head(data, at)
    if at < 0 or major != MAP:
        return at if at < 0 else np.int64(KIND)
    channel = 0
    while True:
        count, at = more(data, at, count)
        if at < 0 or count == 0:
            table[CHANNELS] = channel
            return at
        if channel == CHANNELS_AT_MOST:
            return np.int64(MANY)
        start, length, at = text(data, at)
        if at < 0:
            return at
        if not _name(data, start, length, words[channel, NAME], table):
            return np.int64(LONG)
        if _twice(words, channel):
            return np.int64(DUPLICATE)
        at = _image(data, at, OFFSET + FIELDS * channel, table, words[channel, ALGORITHM])
        if at < 0:
            return at
        channel += 1
        count -= count > 0


@nb.njit(**KERNEL)
def _type(data: Bytes, at: int, table: Numbers) -> int:
    """What kind of message it is."""
    start, length, at = text(data, at)
    if at >= 0:
        table[TYPE] = _which(data, start, length, _TYPES) + 1
    return at


@nb.njit(**KERNEL)
def _field(data: Bytes, at: int, key: int, table: Numbers, left: Numbers) -> int:
    """The value of a known key, except the channels."""
    if key == TYPE:
        return _type(data, at, table)
    if key == SERIES or key == NUMBER_OF_IMAGE:
        table[key], at = unsigned(data, at)
        return at
    if key == START or key == STOP:
        table[key], at = _time(data, at, left)
        return at
    return _user(data, at, table, left)


@nb.njit(**KERNEL)
def _pair(data: Bytes, at: int, table: Numbers, words: Any, left: Numbers) -> int:
    """One key with its value."""
    start, length, at = text(data, at)
    if at < 0:
        return at
    key = _which(data, start, length, _KEYS)
    if key < 0:
        return skip(data, at, left)
    if table[SEEN] & (1 << key):
        return np.int64(DUPLICATE)
    table[SEEN] |= 1 << key
    if key == _KEY_OF_DATA:
        return _channels(data, at, table, words)
    return _field(data, at, key, table, left)


@nb.njit(**KERNEL)
def _complete(table: Numbers) -> bool:
    """Whether a message has what its kind needs."""
    kind = table[TYPE]
    if kind == PATTERN:
        return bool(table[SERIES] >= 0 and table[NUMBER_OF_IMAGE] >= 0 and table[CHANNELS] > 0)
    return bool(kind == OTHER or table[SERIES] >= 0)


@nb.njit(**KERNEL)
def walk(data: Bytes, table: Numbers, words: Any, left: Numbers) -> int:
    """Read one message.

    Parameters
    ----------
    data : ndarray of uint8, shape (n,)
        The message.
    table : ndarray of int64, shape (`TABLE`,)
        Takes what it says; numbers that it does not say are -1. What usually stays the same is compared with what
        the last message left there.
    words : ndarray of uint8, shape (`CHANNELS_AT_MOST`, 2, 1 + `NAME_AT_MOST`)
        Takes the names of the channels and of their compression.
    left : ndarray of int64, shape (`DEPTH`,)
        Room to work in.

    Returns
    -------
    int
        1 if something has changed that usually stays the same, 0 if not, or a fault below zero, about where
        ``table[WHERE]`` says.
    """
    table[:CHANNELS] = -1
    table[TYPE] = table[CHANNELS] = table[SEEN] = table[WHERE] = table[CHANGED] = 0
    major, count, at = head(data, 0)
    if at < 0 or major != MAP:
        return at if at < 0 else np.int64(KIND)
    while True:
        count, after = more(data, at, count)
        if after < 0 or count == 0:
            break
        table[WHERE] = at = after
        after = _pair(data, at, table, words, left)
        if after < 0:
            return after
        at = after
        count -= count > 0
    if after < 0:
        return after
    table[WHERE] = after
    if after != data.size:
        return np.int64(TRAILING)
    return table[CHANGED] if _complete(table) else np.int64(MISSING)
