"""HDF5 data sets behind ``Frames.data``: one of four dimensions, or stacks of patterns in one or many files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from parscope.io._h5 import open_file
from parscope.io._scan import LazyScan, StackScan, Window

_CACHE = 256 << 20


def chunk_cache(dataset: h5py.Dataset) -> int:
    """Bytes of cache with which reading row by row decompresses every chunk once.

    Parameters
    ----------
    dataset : h5py.Dataset
        Of three or four dimensions.

    Returns
    -------
    int
        1 MiB where no cache helps.
    """
    chunks = dataset.chunks
    if chunks is None or (chunks[0] == 1 and dataset.ndim == 4):
        return 1 << 20
    row = chunks[0] * dataset.dtype.itemsize
    for size, chunk in zip(dataset.shape[1:], chunks[1:], strict=True):
        row *= -(-size // chunk) * chunk
    return max(1 << 20, row) if row <= _CACHE else 1 << 20


class H5Cube(LazyScan):
    """A 4D data set of an HDF5 file.

    Parameters
    ----------
    path : Path
        The file.
    dataset : h5py.Dataset
        Open now; it is found by name from then on.
    """

    def __init__(self, path: Path, dataset: h5py.Dataset) -> None:
        super().__init__(path, dataset.shape, dataset.dtype)
        self.name, self.cache = str(dataset.name), chunk_cache(dataset)
        self.file = Path(dataset.file.filename)

    def _open(self) -> h5py.File:
        return open_file(self.file, self.cache)

    def _read(self, ys: Window, xs: Window) -> NDArray[Any]:
        with self._lock:
            block: NDArray[Any] = self._opened()[self.name][slice(*ys), slice(*xs)]
        return block


@dataclass(frozen=True)
class Part:
    """One data set of a stack.

    Parameters
    ----------
    file : Path
        Where it is.
    name : str
        Its path in the file.
    frames : int
        Number of patterns in it.
    """

    file: Path
    name: str
    frames: int


class H5Stack(StackScan):
    """Patterns in one or many 3D data sets, taken as one stack; one file is open at a time.

    Parameters
    ----------
    path : Path
        The file that names the parts.
    shape : tuple of int
        (scan y, scan x, pattern y, pattern x).
    dtype : dtype
        Of a sample.
    parts : tuple of Part
        In the order of the scan.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], parts: tuple[Part, ...]) -> None:
        super().__init__(path, shape, dtype)
        self.parts = parts
        self.ends = np.cumsum([p.frames for p in parts])

    def _open(self) -> _One:
        return _One()

    def frames(self, start: int, stop: int) -> NDArray[Any]:
        """Read patterns start to stop of the stack."""
        frames = np.empty((stop - start, *self.shape[2:]), self.dtype)
        place = start
        with self._lock:
            while place < stop:
                index = int(np.searchsorted(self.ends, place, side="right"))
                part = self.parts[index]
                first = int(self.ends[index]) - part.frames
                last = min(stop, int(self.ends[index]))
                source = self._opened().file(part.file)[part.name]
                frames[place - start : last - start] = source[place - first : last - first]
                place = last
        return frames


class _One:
    """Keeps the file that was read last open."""

    def __init__(self) -> None:
        self.current: tuple[Path, h5py.File] | None = None

    def file(self, path: Path) -> h5py.File:
        """The open file of that path."""
        if self.current is None or self.current[0] != path:
            self.close()
            self.current = (path, open_file(path))
        return self.current[1]

    def close(self) -> None:
        """Release it."""
        if self.current is not None:
            self.current[1].close()
        self.current = None
