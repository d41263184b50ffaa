"""The samples of several patterns out of their messages, one behind the other in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.live.wire.decompress import Decompressor, Unpack, library
from parscope.live.wire.errors import MessageError
from parscope.live.wire.scan import Payload

_FRAMED = ("bslz4", "lz4", "bszstd")


class Stack:
    """Room for patterns of one shape and type: for one thread.

    Parameters
    ----------
    shape : tuple of int
        Detector pixels (q_y, q_x).
    dtype : str
        NumPy name of the sample type.
    depth : int
        How many patterns there is room for.

    Attributes
    ----------
    frames : ndarray, shape (depth, q_y, q_x)
        The patterns, contiguous, in the byte order of this machine.
    """

    def __init__(self, shape: tuple[int, int], dtype: str, depth: int) -> None:
        self._decompressor = Decompressor(shape, dtype)
        self._library = library()
        self.frames = np.full((depth, *shape), 0, dtype)  # takes the memory now, not when patterns come
        self._memory = self.frames.reshape(-1).view(np.uint8).data
        self._size = self.frames[0].nbytes

    def fill(self, data: memoryview, payload: Payload, places: NDArray[np.int64]) -> int:
        """Take patterns out of their messages, as far as they can be read.

        Parameters
        ----------
        data : memoryview
            Memory that holds the messages.
        payload : Payload
            What the samples of all of them are.
        places : ndarray of int64, shape (n, 2)
            Where the samples of each begin in `data`, and how many bytes they are; n is at most the depth.

        Returns
        -------
        int
            How many patterns there are before the first one that `Decompressor.decode` refuses.
        """
        if self._library is not None and self._is_plain(payload):
            return self._quickly(self._library, data, payload, places.tolist())
        one = replace(payload)
        for k, (one.offset, one.length) in enumerate(places.tolist()):
            try:
                self.frames[k] = self._decompressor.decode(data, one)
            except MessageError:
                return k
        return len(places)

    def _is_plain(self, payload: Payload) -> bool:
        """Whether the library gives the samples as they are wanted."""
        frames = self.frames
        wanted = (frames.shape[1:], frames.dtype.str, False)
        return payload.algorithm in _FRAMED and (payload.shape, payload.stored, payload.by_columns) == wanted

    def _quickly(self, unpack: Unpack, data: memoryview, payload: Payload, places: list[list[int]]) -> int:
        """Decompress with the library, which allocates what the samples say: so that is looked at before."""
        size, element, algorithm, memory = self._size, payload.element, payload.algorithm, self._memory
        said = size.to_bytes(8, "big")
        to = 0
        for k, (start, length) in enumerate(places):
            samples: Any = data[start : start + length]
            if samples[:8] != said:
                return k
            try:
                found = unpack(samples, algorithm, elem_size=element)
            except (ValueError, RuntimeError, TypeError, MemoryError, OverflowError):
                return k
            if len(found) != size:
                return k
            memory[to : to + size] = found
            to += size
        return len(places)
