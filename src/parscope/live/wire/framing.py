"""Whether compressed samples can be decompressed, without doing it: a recorder needs no pattern, and has no time."""

# numba tells no types of what it has compiled
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import math

import numba as nb
import numpy as np

from parscope.live.wire._memory import KERNEL, address, load1
from parscope.live.wire.decompress import library
from parscope.live.wire.lz4 import Bytes, big_endian, literals, match
from parscope.live.wire.scan import Payload

BITSHUFFLED = ("bslz4", "bszstd")
_BEFORE, _AFTER, _REST = 12, 5, 8
_PLAIN, _WALKED, _SKIPPED = 0, 1, 2  # blocks of their own size are as they are; all are LZ4; nobody looks into them


def is_whole(payload: Payload, message: memoryview) -> bool:
    """Tell whether a pattern can be decompressed: readers of HDF5 files stop, or crash, at one that cannot.

    Parameters
    ----------
    payload : Payload
        Where the samples lie.
    message : memoryview
        In which they lie.

    Returns
    -------
    bool
        Counts may be wrong all the same, which nobody can notice. True for framings that are not known.

    Examples
    --------
    >>> is_whole(Payload("threshold_1", (2, 8), "|u1", "none", 0, 0, 16), memoryview(bytes(16)))
    True
    >>> is_whole(Payload("threshold_1", (2, 8), "|u1", "bslz4", 1, 0, 16), memoryview(bytes(16)))
    False
    """
    itemsize = np.dtype(payload.stored).itemsize
    size = math.prod(payload.shape) * itemsize
    if payload.algorithm == "none":
        return payload.length == size
    if payload.algorithm not in (*BITSHUFFLED, "lz4"):
        return True
    unit = 8 * itemsize if payload.algorithm in BITSHUFFLED else 1
    kind = {"lz4": _PLAIN, "bslz4": _WALKED}.get(payload.algorithm, _SKIPPED)
    data = np.frombuffer(message, np.uint8)
    if not _whole(data, payload.offset, payload.offset + payload.length, (size, unit), kind):
        return False
    return kind != _SKIPPED or _unpacks(payload, message)


def _unpacks(payload: Payload, message: memoryview) -> bool:
    """Whether DECTRIS's library takes the samples, which have been framed for their size; True without it."""
    unpack = library()
    try:
        if unpack is not None:
            samples = message[payload.offset : payload.offset + payload.length]
            unpack(samples, payload.algorithm, elem_size=payload.element)
    except (ValueError, RuntimeError):
        return False
    return True


@nb.njit(**KERNEL)
def _block(start: int, stop: int, count: int) -> bool:
    """Whether a block of LZ4 comes to `count` bytes.

    The format has its last match begin 12 bytes before the end and end 5 before it, and 8 bytes of input after its
    literals: both filters of HDF5 insist on that, the libraries of detectors do not.
    """
    done = 0
    while start < stop:
        token = load1(start)
        length, start = literals(start + 1, stop, token >> 4, count - done)
        if length < 0:
            return False
        done += length
        start += length
        if start >= stop:
            return done == count
        if done > count - _BEFORE or start > stop - _REST:
            return False
        length, _, start = match(start, stop, token & 15, done, count - done)
        done += length
        if length < 0 or done > count - _AFTER:
            return False
    return False


@nb.njit(**KERNEL)
def _whole(data: Bytes, start: int, stop: int, form: tuple[int, int], kind: int) -> bool:
    """Whether blocks fill ``data[start:stop]``, and come to a size but for what is less than a unit, which follows."""
    size, unit = form
    if stop - start < 12:
        return False
    stop, start = address(data) + stop, address(data) + start
    most = big_endian(start + 8, 4)
    if big_endian(start, 8) != size or most < 1 or most % unit:
        return False
    start += 12
    done, total = 0, size - size % unit
    while done < total:
        count = min(most, total - done)
        if stop - start < 4:
            return False
        held = big_endian(start, 4)
        start += 4
        if held > stop - start:
            return False
        known = kind == _SKIPPED or (kind == _PLAIN and held == count)
        if not known and not _block(start, start + held, count):
            return False
        start += held
        done += count
    return stop - start == size - total
