"""Patterns compressed as a detector compresses them; for simulated streams, hence not in a hurry."""

from __future__ import annotations

import importlib
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import MissingExtraError, OptionError

_BLOCK = 8192


@dataclass(frozen=True)
class Packed:
    """One pattern, compressed.

    Parameters
    ----------
    shape : tuple of int
        Detector pixels (q_y, q_x).
    stored : str
        NumPy type of the samples with the order of bytes: ``|u1``, ``<u2``, ``<u4``, ``>u2`` or ``>u4``.
    algorithm : str
        ``bslz4``, ``lz4``, ``bszstd`` or ``none``.
    element : int
        Bytes of an element as the compression knows it; 0 where it does not matter.
    data : bytes
        The samples.
    by_columns : bool, default False
        The samples are in column-major order.
    """

    shape: tuple[int, int]
    stored: str
    algorithm: str
    element: int
    data: bytes
    by_columns: bool = False


def pack(pattern: NDArray[Any], algorithm: str = "bslz4") -> Packed:
    """Compress one pattern.

    Parameters
    ----------
    pattern : ndarray of uint8, uint16 or uint32, shape (q_y, q_x)
        Counts.
    algorithm : str, default "bslz4"
        ``bslz4`` and ``bszstd`` (bitshuffle, then LZ4 or Zstandard), ``lz4``, ``none``; in the framings of the HDF5
        filters, as the detectors send them.

    Returns
    -------
    Packed

    Raises
    ------
    OptionError
        If the compression, or the type of the samples, is not known.
    MissingExtraError
        If bitshuffle is needed and not installed.

    Examples
    --------
    >>> packed = pack(np.zeros((192, 192), np.uint8))
    >>> len(packed.data) < 300
    True
    """
    if algorithm not in _PACKERS:
        raise OptionError(f"the compression {algorithm!r} is not known", "pack", f"take one of {', '.join(_PACKERS)}")
    if pattern.dtype.name not in ("uint8", "uint16", "uint32") or pattern.ndim != 2:
        raise OptionError(f"an array {pattern.dtype.name} {pattern.shape} is no pattern of a counting detector", "pack")
    rows, columns = pattern.shape
    little = np.ascontiguousarray(pattern, pattern.dtype.newbyteorder("<"))
    element = little.itemsize if algorithm.startswith("bs") else 0
    return Packed((rows, columns), little.dtype.str, algorithm, element, _PACKERS[algorithm](little))


def _bslz4(pattern: NDArray[Any]) -> bytes:
    try:
        bitshuffle = importlib.import_module("bitshuffle")
    except ImportError as error:
        raise MissingExtraError("bitshuffle", "live") from error
    blocks = bitshuffle.compress_lz4(pattern.ravel(), _BLOCK // pattern.itemsize)
    return struct.pack(">QI", pattern.nbytes, _BLOCK) + bytes(blocks)


def _bszstd(pattern: NDArray[Any]) -> bytes:
    import hdf5plugin

    return _chunk(pattern, dict(hdf5plugin.Bitshuffle(nelems=_BLOCK // pattern.itemsize, cname="zstd")))


def _lz4(pattern: NDArray[Any]) -> bytes:
    import hdf5plugin

    return _chunk(pattern, dict(hdf5plugin.LZ4()))


def _chunk(pattern: NDArray[Any], options: dict[str, Any]) -> bytes:
    """What a filter of HDF5 makes of a pattern: a file in memory with one chunk."""
    import h5py

    with h5py.File("one-chunk", "w", driver="core", backing_store=False) as file:
        stored = file.create_dataset("data", data=pattern, chunks=pattern.shape, **options)
        file.flush()
        return bytes(stored.id.read_direct_chunk((0, 0))[1])


def _none(pattern: NDArray[Any]) -> bytes:
    return pattern.tobytes()


_PACKERS = {"bslz4": _bslz4, "lz4": _lz4, "bszstd": _bszstd, "none": _none}
