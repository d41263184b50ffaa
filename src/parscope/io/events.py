"""Counted electrons kept as lists of hit pixels: the HDF5 layout of stempy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import FormatError, UnreadableError
from parscope.core.frames import Frames
from parscope.io._h5 import attributes, looks, open_file, opened
from parscope.io._meta import flatten, plain_axes, text
from parscope.io._scan import LazyScan, Window, check_scan

_FRAMES, _POSITIONS = "electron_events/frames", "electron_events/scan_positions"


class EventsReader:
    """Reads lists of electron hits and hands out counts; frames of the same scan position add up."""

    name = "electron-events"
    extensions: tuple[str, ...] = (".h5", ".hdf5")

    def accepts(self, path: Path) -> bool:
        """Whether `path` is HDF5 with electron events."""
        return looks(path, lambda file: _FRAMES in file and _POSITIONS in file)

    def read(
        self,
        path: Path,
        *,
        scan_shape: tuple[int, int] | None = None,
        pattern_shape: tuple[int, int] | None = None,
        dtype: str | None = None,
        dataset: str | None = None,
    ) -> Frames:
        """Open the events; see `parscope.core.contracts.Reader.read`.

        The samples are uint16 unless the file or `dtype` says otherwise; a pixel hit more often than that holds is
        an error, never a wrong number.
        """
        with opened(path) as file:
            if _FRAMES not in file or _POSITIONS not in file:
                raise FormatError(f"holds no {_FRAMES} with {_POSITIONS}", str(path), "omit --format")
            frames, positions = file[_FRAMES], file[_POSITIONS]
            # stempy writes the pattern's rows as Nx and its columns as Ny, and the scan the other way round
            pattern = pattern_shape or _pair(frames, "Nx", "Ny", path)
            scan = scan_shape or _pair(positions, "Ny", "Nx", path)
            if h5py.check_vlen_dtype(frames.dtype) is None or frames.ndim != 1:
                raise FormatError(f"its event lists are {frames.shape} of {frames.dtype}", str(path))
            index = _index(positions[()].reshape(-1), frames.shape[0], path)
            last = int(index[-1, 0]) if len(index) else -1
            if last >= scan[0] * scan[1]:
                check_scan(scan, last + 1, str(path))
            kind = np.dtype(dtype) if dtype else _kind(frames)
            data = EventScan(path, (*scan, *pattern), kind, index)
            return Frames(data, plain_axes(data.shape), flatten(attributes(file)), str(path))


def _pair(dataset: h5py.Dataset, first: str, second: str, path: Path) -> tuple[int, int]:
    pair = tuple(int(dataset.attrs.get(name, 0)) for name in (first, second))
    if min(pair) < 1 or max(pair) > 1 << 16:
        raise FormatError(f"{dataset.name} says no usable shape", str(path), "give --scan-shape and --pattern-shape")
    return pair[0], pair[1]


def _kind(frames: h5py.Dataset) -> np.dtype[Any]:
    # no list says beforehand how often one pixel is hit, and one too many must not wrap round
    return np.dtype(text(frames.attrs.get("dtype", "uint16")))


def _index(positions: NDArray[Any], frames: int, path: Path) -> NDArray[np.int64]:
    """Which list belongs to which scan position: rows (position, list), sorted by position."""
    if positions.dtype.kind not in "iu" or not len(positions) or frames % len(positions):
        raise FormatError(f"has {frames} event lists for {len(positions)} scan positions", str(path))
    owner = np.repeat(positions.astype(np.int64), frames // len(positions))
    order = np.argsort(owner, kind="stable")
    table: NDArray[np.int64] = np.stack([owner[order], order], axis=1)
    if len(table) and int(table[0, 0]) < 0:
        raise FormatError("has a scan position below 0", str(path))
    return table


class EventScan(LazyScan):
    """Counts patterns from lists of hit pixels when they are asked for.

    Parameters
    ----------
    path : Path
        The file.
    shape : tuple of int
        (scan y, scan x, pattern y, pattern x).
    dtype : dtype
        Of the counts.
    index : ndarray of int64, shape (lists, 2)
        (scan position, list), sorted by position.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], index: NDArray[np.int64]) -> None:
        super().__init__(path, shape, dtype)
        in_order = np.array_equal(index, np.arange(len(index))[:, np.newaxis].repeat(2, 1))
        # the usual case needs no table, which would weigh a megabyte whenever the scan is sent to another process
        self.lists, self.index = len(index), None if in_order else index

    def _open(self) -> h5py.File:
        return open_file(self.path)

    def _read(self, ys: Window, xs: Window) -> NDArray[Any]:
        block = np.empty((ys[1] - ys[0], xs[1] - xs[0], *self.shape[2:]), self.dtype)
        for row, y in enumerate(range(*ys)):
            self._row(block[row], y * self.shape[1] + xs[0])
        return block

    def _row(self, target: NDArray[Any], first: int) -> None:
        if self.index is None:
            mine = np.arange(first, min(first + len(target), self.lists))[:, np.newaxis].repeat(2, 1)
        else:
            low, high = np.searchsorted(self.index[:, 0], (first, first + len(target)))
            mine = self.index[low:high]
        hits = self._lists(mine[:, 1])
        counts = np.zeros(target[0].size, np.int64)
        for column in range(len(target)):
            counts[:] = 0
            for k in np.flatnonzero(mine[:, 0] == first + column):
                counts += self._count(hits[k], first + column)
            if counts.max() > np.iinfo(self.dtype).max:
                raise UnreadableError(
                    f"scan position {first + column} has {counts.max()} electrons in one pixel, more than {self.dtype}",
                    str(self.path),
                    "give --dtype uint16 or uint32",
                )
            target[column] = counts.reshape(target[0].shape)

    def _count(self, hits: NDArray[Any], position: int) -> NDArray[np.int64]:
        size = self.shape[2] * self.shape[3]
        if len(hits) and int(hits.max()) >= size:
            raise UnreadableError(f"scan position {position} has a hit outside the pattern", str(self.path))
        return np.bincount(hits.astype(np.int64), minlength=size)

    def _lists(self, which: NDArray[np.int64]) -> list[NDArray[Any]]:
        with self._lock:
            frames = self._opened()[_FRAMES]
            if len(which) and int(which[-1] - which[0]) == len(which) - 1 and (np.diff(which) == 1).all():
                return list(frames[int(which[0]) : int(which[-1]) + 1])
            return [frames[int(i)] for i in which]
