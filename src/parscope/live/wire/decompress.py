"""The samples of a pattern, out of a message: DECTRIS's library where there is one, and numba everywhere else."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import MissingExtraError
from parscope.live.wire import bslz4, lz4
from parscope.live.wire.errors import MessageError
from parscope.live.wire.scan import Buffer, Payload
from parscope.live.wire.trpx import guarded

_FAULTS = {
    lz4.CUT: "corrupt: they end too early",
    lz4.BEFORE: "corrupt: they refer to what is before their begin",
    lz4.BEYOND: "corrupt: a block has more than it may",
    lz4.SIZE: "of another number than the shape of the pattern has pixels",
    lz4.FRAMING: "corrupt: their blocks do not fit together",
}
_OWN = ("none", "bslz4", "lz4")
_FRAMED = ("bslz4", "bszstd", "lz4")
_LIBRARY_ALSO = ("bszstd", "trpx")
_OF_LIBRARY = (*_FRAMED, "trpx")
# Wide copies may write this many words behind the last sample.
_BEHIND = 8
_LARGEST = 1 << 30

Unpack = Callable[..., bytes]


def library() -> Unpack | None:
    """DECTRIS's function for decompression.

    Returns
    -------
    callable, optional
        None where ``dectris-compression`` has no build.
    """
    try:
        module = importlib.import_module("dectris.compression")
    except ImportError:
        return None
    return cast(Unpack, module.decompress)


class Decompressor:
    """Turns payloads into patterns of one shape and type, one after the other: for one thread.

    Making one compiles what it needs, or loads that from disk: make it before the first message comes.

    Parameters
    ----------
    shape : tuple of int
        Detector pixels (q_y, q_x) that every pattern must have.
    dtype : str
        NumPy name of the sample type that every pattern must have, in whatever order of bytes it comes.
    own : bool, default False
        Decompress with numba also where DECTRIS's library is installed, which takes about twice as long.

    Examples
    --------
    >>> from parscope.core.stream import Series
    >>> from parscope.live.wire.encode import image_message
    >>> from parscope.live.wire.scan import scan
    >>> series = Series(3, "a", 16, (8, 8), "uint16", ("threshold_1",))
    >>> message = image_message(series, 5, {"threshold_1": np.full((8, 8), 7, np.uint16)})
    >>> int(Decompressor((8, 8), "uint16").decode(message, scan(message).channels[0]).sum())
    448
    """

    def __init__(self, shape: tuple[int, int], dtype: str, own: bool = False) -> None:
        self._shape, self._dtype = shape, np.dtype(dtype)
        self._size = shape[0] * shape[1] * self._dtype.itemsize
        self._words = np.zeros(-(-self._size // 8) + _BEHIND, np.uint64)
        self._bytes = self._words.view(np.uint8)
        self._flat = self._bytes[: self._size]
        self._frame = self._flat.view(self._dtype).reshape(shape)
        self._memory = self._flat.data
        self._room = bslz4.room()
        self._library = None if own else library()
        if self._library is None:
            for nothing in (b"\0", bytearray(1)):
                # numba compiles for memory that may be written, and once more for memory that may not
                bslz4.unpack_bslz4(np.frombuffer(nothing, np.uint8), 0, 0, self._words, (0, 1), self._room)
                lz4.unpack_lz4(np.frombuffer(nothing, np.uint8), 0, 0, self._bytes, 0)

    def decode(self, message: Buffer, payload: Payload) -> NDArray[Any]:
        """Take one pattern out of its message.

        Parameters
        ----------
        message : bytes-like
            The message.
        payload : Payload
            Where the samples are in it.

        Returns
        -------
        ndarray, shape (q_y, q_x)
            Counts, in the byte order of this machine, contiguous and writable. The same array at every call: copy
            what must outlive the next one.

        Raises
        ------
        MessageError
            If the samples are corrupt, of another shape or type than those of the series, or compressed in a way that
            is not known here.
        MissingExtraError
            If the compression is one of those that only DECTRIS's library knows, and that is not installed.
        """
        plain = payload.stored == self._dtype.str
        if payload.shape != self._shape or not (plain or payload.dtype == self._dtype.name):
            raise _odd(payload, f"{payload.dtype} {payload.shape} in a series of {self._dtype.name} {self._shape}")
        self._unpack(message, payload)
        if payload.by_columns or not plain:
            self._order(payload)
        return self._frame

    def _unpack(self, message: Buffer, payload: Payload) -> None:
        """Fill the bytes of the frame."""
        if payload.offset < 0 or payload.length < 0 or payload.offset + payload.length > len(message):
            raise _odd(payload, "not in this message")
        algorithm = payload.algorithm
        if algorithm == "none":
            self._copy(memoryview(message)[payload.offset : payload.offset + payload.length], payload)
        elif self._library is not None and algorithm in _OF_LIBRARY:
            self._copy(self._by_library(self._library, message, payload), payload)
        elif algorithm in _OWN:
            self._by_numba(np.frombuffer(message, np.uint8), payload)
        elif algorithm in _LIBRARY_ALSO:
            raise MissingExtraError("dectris-compression", "live")
        else:
            raise _odd(payload, f"compressed by {algorithm!r}, which is not known here")

    def _copy(self, samples: bytes | memoryview, payload: Payload) -> None:
        """Take over bytes that are as many as they must be."""
        if len(samples) != self._size:
            raise _odd(payload, _FAULTS[lz4.SIZE])
        self._memory[:] = samples

    def _by_library(self, unpack: Unpack, message: Buffer, payload: Payload) -> bytes:
        """Decompress with DECTRIS's library, which allocates what the samples say: so that is looked at before."""
        samples = memoryview(message)[payload.offset : payload.offset + payload.length]
        if payload.algorithm in _FRAMED and int.from_bytes(samples[:8], "big") != self._size:
            raise _odd(payload, _FAULTS[lz4.SIZE])
        try:
            if payload.algorithm == "trpx":
                samples = memoryview(guarded(bytes(samples), self._size, self._dtype.itemsize))
            return unpack(samples, payload.algorithm, elem_size=payload.element)
        except (ValueError, RuntimeError, TypeError, MemoryError, OverflowError) as error:
            raise _odd(payload, f"corrupt: {error}") from error

    def _by_numba(self, data: NDArray[np.uint8], payload: Payload) -> None:
        """Decompress without a library."""
        start, stop = payload.offset, payload.offset + payload.length
        if payload.algorithm == "lz4":
            code = lz4.unpack_lz4(data, start, stop, self._bytes, self._size)
        else:
            form = (self._size, payload.element)
            code = bslz4.unpack_bslz4(data, start, stop, self._words, form, self._room)
        if code < 0:
            raise _odd(payload, _FAULTS[code])

    def _order(self, payload: Payload) -> None:
        """Bring samples of another order of bytes, or by columns, into that of the frame."""
        stored = self._flat.view(payload.stored)
        rows, columns = self._shape
        ordered = stored.reshape(columns, rows).T if payload.by_columns else stored.reshape(rows, columns)
        self._frame[:] = ordered.astype(self._dtype)


def unpack(samples: bytes, algorithm: str, element: int) -> bytes:
    """Decompress bytes that say themselves how many they are, such as a mask in the start of a series.

    Parameters
    ----------
    samples : bytes
        Compressed bytes, in the framing of an HDF5 filter.
    algorithm : str
        ``bslz4``, ``lz4`` or ``bszstd``.
    element : int
        Bytes of an element as the compression knows it.

    Returns
    -------
    bytes

    Raises
    ------
    MessageError
        If they are corrupt, more than 1 GiB, or compressed in a way that is not known here.
    MissingExtraError
        If the compression needs DECTRIS's library, and that is not installed.
    """
    size = int.from_bytes(samples[:8], "big")
    payload = Payload("of the message", (1, size), "|u1", algorithm, element, 0, len(samples))
    if algorithm not in _FRAMED or size > _LARGEST:
        raise _odd(payload, f"{size} bytes compressed by {algorithm!r}, which is not read here")
    return Decompressor((1, size), "uint8").decode(samples, payload).tobytes()


def _odd(payload: Payload, fault: str) -> MessageError:
    """One line about the samples of a channel."""
    return MessageError(f"the samples are {fault}", f"channel {payload.name}")
