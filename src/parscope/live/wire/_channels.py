"""The channels of an image, in numba: what they are is compared with the message before, where they are is written."""

# numba tells no types of what it has compiled
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import numba as nb

from parscope.live.wire._cbor import (
    ARRAY,
    BYTES,
    DUPLICATE,
    IMAGE,
    KIND,
    LONG,
    MANY,
    MAP,
    OPEN,
    TAG,
    TRUNCATED,
    head,
    more,
    opening,
    text,
    unsigned,
)
from parscope.live.wire._memory import KERNEL, load1, load8, store1, store8
from parscope.live.wire._table import (
    CHANGED,
    CHANNELS,
    CHANNELS_AT_MOST,
    COLUMN_MAJOR,
    ELEMENT,
    FIELDS,
    NAME_AT_MOST,
    NAMES,
    OFFSET,
    ORDER,
    ROW_MAJOR,
    ROWS,
    SAMPLES,
    UNCOMPRESSED,
)

_COMPRESSED = 56500


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
def place(channel: int) -> int:
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
    row = table + 8 * place(channel)
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
    _note(table, place(channel) + ELEMENT, element)
    return _bytes(at, end, table, channel)


@nb.njit(**KERNEL)
def _samples(at: int, end: int, table: int, channel: int) -> int:
    """A typed array: the tag of its samples, then its bytes, compressed or not."""
    major, samples, at = head(at, end)
    if at < 0 or major != TAG:
        return at if at < 0 else IMAGE
    _note(table, place(channel) + SAMPLES, samples)
    major, tag, inside = head(at, end)
    if inside < 0:
        return inside
    if major == TAG and tag == _COMPRESSED:
        return _packed(inside, end, table, channel)
    _note(table, place(channel) + ELEMENT, UNCOMPRESSED)
    return _bytes(at, end, table, channel)


@nb.njit(**KERNEL)
def _image(at: int, end: int, table: int, channel: int) -> int:
    """An array of two dimensions: its tag, its shape, its samples."""
    major, order, at = head(at, end)
    if at < 0 or major != TAG or (order != ROW_MAJOR and order != COLUMN_MAJOR):
        return at if at < 0 else IMAGE
    _note(table, place(channel) + ORDER, order)
    at = opening(at, end, ARRAY, 2)
    if at >= 0:
        at = opening(at, end, ARRAY, 2)
    for side in range(2):
        if at >= 0:
            length, at = unsigned(at, end)
            _note(table, place(channel) + ROWS + side, length)
    if at < 0:
        return IMAGE if at == KIND else at
    return _samples(at, end, table, channel)


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
def channels(at: int, end: int, table: int) -> int:
    """Read all channels of an image into the table; the address behind them, or a fault."""
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
