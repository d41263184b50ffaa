"""Whether compressed samples are framed as they should be, without decompressing them."""

from __future__ import annotations

import math
import struct

import numpy as np

from parscope.live.wire.scan import Payload

_HEAD = struct.Struct(">QI")  # bytes of the samples, bytes of a block
_LENGTH = struct.Struct(">I")
_BITSHUFFLED = ("bslz4", "bszstd")


def is_whole(payload: Payload, message: memoryview) -> bool:
    """Tell whether all blocks of a pattern are there: readers of HDF5 files crash where one is cut short.

    Parameters
    ----------
    payload : Payload
        Where the samples lie.
    message : memoryview
        In which they lie.

    Returns
    -------
    bool
        What is inside of the blocks may still be damaged, which readers notice; True for framings that are not known.

    Examples
    --------
    >>> is_whole(Payload("threshold_1", (2, 8), "|u1", "none", 0, 0, 16), memoryview(bytes(16)))
    True
    >>> is_whole(Payload("threshold_1", (2, 8), "|u1", "bslz4", 1, 0, 16), memoryview(bytes(16)))
    False
    """
    size = math.prod(payload.shape) * np.dtype(payload.stored).itemsize
    if payload.algorithm == "none":
        return payload.length == size
    if payload.algorithm not in (*_BITSHUFFLED, "lz4"):
        return True
    end, at = payload.offset + payload.length, payload.offset + _HEAD.size
    if at > end:
        return False
    told, most = _HEAD.unpack_from(message, payload.offset)
    unit = 8 * np.dtype(payload.stored).itemsize if payload.algorithm in _BITSHUFFLED else 1
    if told != size or most < 1 or most % unit:
        return False
    for _ in range(-(-(size - size % unit) // most)):
        if at + _LENGTH.size > end:
            return False
        at += _LENGTH.size + _LENGTH.unpack_from(message, at)[0]
    return at + size % unit == end
