"""LZ4 in numba, every access checked: one block, and the blocks of the HDF5 filter (id 32004).

The inner functions know addresses only, since handing an array from one to the next costs more than the copy of a few
bytes that they make. "Room" is where an array ends: up to there bytes behind those asked for may be written, or read.
"""

# numba tells no types of what it has compiled
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.live.wire._memory import KERNEL, address, copy16, load1, store1, store8

Bytes = NDArray[np.uint8]

# Faults of compressed data, as the kernels return them; the sentences are in `decompress`.
CUT, BEFORE, BEYOND, SIZE, FRAMING = -1, -2, -3, -4, -5
_WIDE = 16
_SPREAD = np.uint64(0x0101010101010101)


@nb.njit(**KERNEL)
def big_endian(start: int, width: int) -> int:
    """Read a number of `width` bytes at an address, most significant first; the caller has checked that they exist."""
    value = 0
    for i in range(width):
        value = (value << 8) | load1(start + i)
    return value


@nb.njit(**KERNEL)
def copy(to: int, room: int, start: int, end: int, count: int) -> None:
    """Copy `count` bytes to address `to`, 16 at a time while both arrays have room."""
    if to + count + _WIDE <= room and start + count + _WIDE <= end:
        i = 0
        while i < count:
            copy16(to + i, start + i)
            i += _WIDE
    else:
        for i in range(count):
            store1(to + i, load1(start + i))


@nb.njit(**KERNEL)
def _fill(to: int, count: int) -> None:
    """Repeat the byte before `to`, 16 at a time."""
    value = np.uint64(load1(to - 1)) * _SPREAD
    i = 0
    while i < count:
        store8(to + i, value)
        store8(to + i + 8, value)
        i += _WIDE


@nb.njit(**KERNEL)
def _repeat(to: int, room: int, offset: int, count: int) -> None:
    """Repeat what lies `offset` before `to`; the copy may overlap what it makes.

    A pattern of a short period has that of any multiple of it, so that wide copies are right once one such multiple
    of at least 16 has been written byte by byte.
    """
    if to + count + _WIDE > room:
        for i in range(count):
            store1(to + i, load1(to - offset + i))
        return
    if offset == 1:
        _fill(to, count)
        return
    wide = offset if offset >= _WIDE else offset * ((_WIDE - 1) // offset + 1)
    i = min(wide - offset, count)
    for k in range(i):
        store1(to + k, load1(to - offset + k))
    while i < count:
        copy16(to + i, to + i - wide)
        i += _WIDE


@nb.njit(**KERNEL)
def _longer(start: int, stop: int) -> tuple[int, int]:
    """Length beyond 15, and the address after it; -1 where the data end before it does."""
    length = 15
    while start < stop:
        more = load1(start)
        start += 1
        length += more
        if more != 255:
            return length, start
    return -1, start


@nb.njit(**KERNEL)
def match(start: int, stop: int, length: int, written: int, free: int) -> tuple[int, int, int]:
    """Length and offset of a match, and the address after them; a fault as the first of these."""
    if stop - start < 2:
        return CUT, 0, start
    offset = load1(start) | (load1(start + 1) << 8)
    start += 2
    if offset == 0 or offset > written:
        return BEFORE, offset, start
    if length == 15:
        length, start = _longer(start, stop)
        if length < 0:
            return CUT, offset, start
    length += 4
    return (BEYOND if length > free else length), offset, start


@nb.njit(**KERNEL)
def literals(start: int, stop: int, length: int, free: int) -> tuple[int, int]:
    """How many bytes follow as they are, and their address; a fault as the first of these."""
    if length == 15:
        length, start = _longer(start, stop)
        if length < 0:
            return CUT, start
    if length > stop - start:
        return CUT, start
    return (BEYOND if length > free else length), start


@nb.njit(**KERNEL)
def block(start: int, stop: int, first: int, count: int, room: int) -> int:
    """Decompress one LZ4 block.

    Parameters
    ----------
    start, stop : int
        Address of its first byte, and that after its last.
    first, count : int
        Address to write to, and how many bytes at most.
    room : int
        Address where the memory that may be written ends, at or behind ``first + count``.

    Returns
    -------
    int
        How many bytes it holds, or a fault below zero.
    """
    to, last = first, first + count
    while start < stop:
        token = load1(start)
        length, start = literals(start + 1, stop, token >> 4, last - to)
        if length < 0:
            return length
        copy(to, room, start, stop, length)
        to += length
        start += length
        if start >= stop:
            break
        length, offset, start = match(start, stop, token & 15, to - first, last - to)
        if length < 0:
            return length
        _repeat(to, room, offset, length)
        to += length
    return to - first


@nb.njit(**KERNEL)
def _framed(start: int, stop: int, to: int, count: int, room: int) -> int:
    """One block with its size before it; the address behind it, or a fault. Of its own size, it is stored as it is."""
    if stop - start < 4:
        return CUT
    held = big_endian(start, 4)
    start += 4
    if held > stop - start:
        return CUT
    if held == count:
        copy(to, room, start, stop, count)
    elif block(start, start + held, to, count, room) != count:
        return SIZE
    return start + held


@nb.njit(**KERNEL)
def unpack_lz4(data: Bytes, start: int, stop: int, out: Bytes, size: int) -> int:
    """Decompress the HDF5 framing of LZ4: 8 bytes of size, 4 of the size of a block, and the blocks.

    Parameters
    ----------
    data : ndarray of uint8, shape (n,)
        Holds the framed blocks at ``data[start:stop]``.
    start, stop : int
        First byte, and that after the last; inside `data`.
    out : ndarray of uint8, shape (m,)
        Takes the bytes; may be written beyond them, up to its end.
    size : int
        How many bytes must come out; at most m.

    Returns
    -------
    int
        0, or a fault below zero.
    """
    if stop - start < 12:
        return CUT
    stop, start = address(data) + stop, address(data) + start
    to, room = address(out), address(out) + out.size
    most = big_endian(start + 8, 4)
    if big_endian(start, 8) != size or most < 1:
        return SIZE if most > 0 else FRAMING
    start += 12
    done = 0
    while done < size:
        count = min(most, size - done)
        start = _framed(start, stop, to + done, count, room)
        if start < 0:
            return start
        done += count
    return 0 if start == stop else FRAMING


@nb.njit(**KERNEL)
def unpack_block(data: Bytes, out: Bytes) -> int:
    """Decompress one LZ4 block without a framing.

    Parameters
    ----------
    data : ndarray of uint8, shape (n,)
        The block.
    out : ndarray of uint8, shape (m,)
        Takes the bytes.

    Returns
    -------
    int
        How many bytes there are, or a fault below zero.
    """
    start, first = address(data), address(out)
    return block(start, start + data.size, first, out.size, first + out.size)
