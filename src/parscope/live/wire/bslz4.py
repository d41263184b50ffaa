"""Bitshuffle with LZ4 in numba, every access checked: the framing of the HDF5 filter (id 32008).

Bitshuffle writes a block of elements as planes: first the lowest bit of the first byte of every element, then the
next bit, up to the highest bit of the last byte (Masui et al., doi:10.1016/j.ascom.2015.07.002).
"""

# numba tells no types of what it has compiled
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from typing import Any, NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.live.wire._memory import KERNEL, address
from parscope.live.wire.lz4 import CUT, FRAMING, SIZE, Bytes, big_endian, block, copy

Words = NDArray[np.uint64]

# Largest block of planes [byte], of which DECTRIS has 8192; behind it, wide copies may write.
LARGEST = 65536
_BEHIND = 64


class Room(NamedTuple):
    """Memory to work in."""

    planes: Bytes
    """A block as it is decompressed."""

    parts: Words
    """The same, straightened: all first bytes of the elements, then all second ones, ..."""


def room() -> Room:
    """Memory for `unpack_bslz4`, to be used by one thread at a time.

    Returns
    -------
    Room
    """
    return Room(np.zeros(LARGEST + _BEHIND, np.uint8), np.zeros(LARGEST // 8, np.uint64))


_INLINE = {**KERNEL, "inline": "always"}


@nb.njit(**_INLINE)
def _turn(x: np.uint64) -> np.uint64:
    """Transpose 8 x 8 bits: bit i of byte j goes to bit j of byte i."""
    t = (x ^ (x >> np.uint64(7))) & np.uint64(0x00AA00AA00AA00AA)
    x = x ^ t ^ (t << np.uint64(7))
    t = (x ^ (x >> np.uint64(14))) & np.uint64(0x0000CCCC0000CCCC)
    x = x ^ t ^ (t << np.uint64(14))
    t = (x ^ (x >> np.uint64(28))) & np.uint64(0x00000000F0F0F0F0)
    return x ^ t ^ (t << np.uint64(28))


@nb.njit(**KERNEL)
def _straighten(planes: Bytes, pitch: int, out: Words) -> None:
    """One byte of every element, 8 in a word, from its 8 planes, `pitch` bytes apart."""
    for k in range(pitch):
        x = np.uint64(planes[k])
        for plane in range(1, 8):
            x |= np.uint64(planes[k + plane * pitch]) << np.uint64(8 * plane)
        out[k] = _turn(x)


@nb.njit(**KERNEL)
def _pairs(a: Bytes, b: Bytes, out: Any) -> None:
    """Put the two bytes of every element together."""
    for i in range(out.size):
        out[i] = np.uint16(a[i] | (np.uint32(b[i]) << np.uint32(8)))


@nb.njit(**KERNEL)
def _fours(parts: Bytes, count: int, out: Any) -> None:
    """Put the four bytes of every element together."""
    a, b, c, d = parts[:count], parts[count : 2 * count], parts[2 * count : 3 * count], parts[3 * count : 4 * count]
    for i in range(count):
        low = np.uint32(a[i]) | (np.uint32(b[i]) << np.uint32(8))
        high = np.uint32(c[i]) | (np.uint32(d[i]) << np.uint32(8))
        out[i] = np.uint32(low | (high << np.uint32(16)))


@nb.njit(**KERNEL)
def _elements(room: Room, count: int, out: Words, done: int, element: int) -> None:
    """Turn `count` bytes of planes back into elements.

    Short loops of few streams over slices that begin at zero: these are what the compiler makes wide.
    """
    pitch, many = count // element // 8, count // element
    if element == 1:
        _straighten(room.planes[:count], pitch, out[done // 8 : done // 8 + pitch])
        return
    for byte in range(element):
        planes = room.planes[byte * many : (byte + 1) * many]
        _straighten(planes, pitch, room.parts[byte * pitch : (byte + 1) * pitch])
    parts = room.parts.view(np.uint8)
    if element == 2:
        _pairs(parts[:many], parts[many:count], out.view(np.uint16)[done // 2 : done // 2 + many])
    else:
        _fours(parts[:count], many, out.view(np.uint32)[done // 4 : done // 4 + many])


@nb.njit(**KERNEL)
def _framing(start: int, stop: int, size: int, element: int) -> int:
    """Size of a block, [byte], or a fault."""
    if stop - start < 12:
        return CUT
    if big_endian(start, 8) != size:
        return SIZE
    most = big_endian(start + 8, 4)
    sound = element in (1, 2, 4) and 0 < most <= LARGEST and most % (8 * element) == 0
    return most if sound else FRAMING


@nb.njit(**KERNEL)
def unpack_bslz4(data: Bytes, start: int, stop: int, out: Words, form: tuple[int, int], room: Room) -> int:
    """Decompress 8 bytes of size, 4 of the size of a block, the blocks, and what is less than 8 elements as it is.

    Parameters
    ----------
    data : ndarray of uint8, shape (n,)
        Holds the framed blocks at ``data[start:stop]``.
    start, stop : int
        First byte, and that after the last; inside `data`.
    out : ndarray of uint64, shape (m,)
        Takes the elements; 8 m bytes are at least as many as they have.
    form : tuple of int
        How many bytes must come out, and how many an element has: 1, 2 or 4.
    room : Room
        Memory to work in.

    Returns
    -------
    int
        0, or a fault below zero.
    """
    size, element = form
    stop, start = address(data) + stop, address(data) + start
    first, last = address(room.planes), address(room.planes) + room.planes.size
    most = _framing(start, stop, size, element)
    if most < 0:
        return most
    start += 12
    done = 0
    while size - done >= 8 * element:
        count = min(most, size - done)
        count -= count % (8 * element)
        if stop - start < 4:
            return CUT
        held = big_endian(start, 4)
        start += 4
        if held > stop - start:
            return CUT
        if block(start, start + held, first, count, last) != count:
            return SIZE
        _elements(room, count, out, done, element)
        start += held
        done += count
    if stop - start != size - done:
        return FRAMING
    copy(address(out) + done, address(out) + out.size * 8, start, stop, size - done)
    return 0
