"""Patterns that lie in a file one after the other as plain numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import TruncatedError
from parscope.io._scan import LazyScan, StackScan, Window

_BATCH = 8 << 20


@dataclass(frozen=True)
class Records:
    """Where the patterns lie in a file.

    Parameters
    ----------
    offset : int
        Byte at which the first record begins.
    dtype : dtype
        Of a stored sample, in the byte order of the file.
    lead : int, default 0
        Bytes of a record before its pattern.
    trail : int, default 0
        Bytes of a record after its pattern.
    """

    offset: int
    dtype: np.dtype[Any]
    lead: int = 0
    trail: int = 0


class FlatScan(StackScan):
    """Reads patterns with plain seeks and reads: bounded memory, and a vanished file is an error, not a crash.

    Parameters
    ----------
    path : Path
        The file.
    shape : tuple of int
        (scan y, scan x, pattern y, pattern x).
    records : Records
        Where the patterns lie.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], records: Records) -> None:
        super().__init__(path, shape, records.dtype)
        self.records = records

    def frames(self, start: int, stop: int) -> NDArray[Any]:
        """Read patterns start to stop of the stack."""
        stored, count = self.records, stop - start
        samples = math.prod(self.shape[2:])
        size = samples * stored.dtype.itemsize
        record = stored.lead + size + stored.trail
        frames = np.empty((count, samples), self.dtype)
        with self.path.open("rb", buffering=0) as stream:
            stream.seek(stored.offset + start * record)
            if record == size:
                fill(stream, frames.reshape(-1).view(np.uint8), self.path)
            else:
                _fill_from_records(stream, frames.view(np.uint8), (stored.lead, record), self.path)
        if not stored.dtype.isnative:
            frames.byteswap(inplace=True)
        return frames.reshape(count, *self.shape[2:])


class FortranScan(LazyScan):
    """Reads an array whose first index runs fastest, slab by slab, so that memory stays bounded.

    Parameters
    ----------
    path : Path
        The file.
    shape : tuple of int
        (scan y, scan x, pattern y, pattern x).
    records : Records
        Where the samples begin, and their type.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], records: Records) -> None:
        super().__init__(path, shape, records.dtype)
        self.records = records

    def _read(self, ys: Window, xs: Window) -> NDArray[Any]:
        turned, dtype = self.shape[::-1], self.records.dtype
        slab = math.prod(turned[1:]) * dtype.itemsize
        block = np.empty((ys[1] - ys[0], xs[1] - xs[0], *self.shape[2:]), self.dtype)
        for q_x in range(turned[0]):
            # one map for each slab: pages of a finished slab are given back
            mapped = np.memmap(self.path, dtype, "r", self.records.offset + q_x * slab, turned[1:])
            block[..., q_x] = mapped[:, slice(*xs), slice(*ys)].T
        return block


def fill(stream: Any, target: NDArray[np.uint8], path: Path) -> None:
    """Read bytes until a buffer is full.

    Parameters
    ----------
    stream : binary stream with `readinto`
        At the place to read from.
    target : ndarray of uint8, shape (bytes,)
        The buffer.
    path : Path
        The file, for the error.

    Raises
    ------
    TruncatedError
        If the stream ends before.
    """
    view, done = memoryview(cast(Any, target)), 0
    while done < len(view):
        count = stream.readinto(view[done:])
        if not count:
            raise TruncatedError("ends before its data do", str(path), "copy the file again from the instrument")
        done += count


def _fill_from_records(stream: Any, frames: NDArray[np.uint8], span: tuple[int, int], path: Path) -> None:
    lead, record = span
    batch = max(1, _BATCH // record)
    for start in range(0, len(frames), batch):
        part = frames[start : start + batch]
        raw = np.empty((len(part), record), np.uint8)
        fill(stream, raw.reshape(-1), path)
        part[:] = raw[:, lead : lead + frames.shape[1]]


def begins(path: Path, magic: bytes) -> bool:
    """Whether a file begins with certain bytes; False for a folder.

    Parameters
    ----------
    path : Path
        A file or folder that exists.
    magic : bytes
        What it is to begin with.

    Returns
    -------
    bool
    """
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(len(magic)) == magic


def demand(path: Path, need: int) -> None:
    """Refuse a file that is shorter than its own header says.

    Parameters
    ----------
    path : Path
        The file.
    need : int
        Bytes it must have.

    Raises
    ------
    TruncatedError
        If it has fewer.
    """
    size = path.stat().st_size
    if size < need:
        raise TruncatedError(
            f"is cut short: {size} bytes of {need}", str(path), "copy the file again from the instrument"
        )
