"""HDF5 data sets behind ``Spectra.data``: of any number of dimensions, or flattened to positions by steps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import FormatError
from parscope.io._h5 import open_file, sources
from parscope.io._h5_scan import chunk_cache
from parscope.io._scan import Window
from parscope.io._spectra import Grid, LazySpectra, runs

_NUMBERS = "buifc"
_SPARSE, _BATCH = 8, 32 << 20


def fields(dataset: h5py.Dataset) -> tuple[str, ...]:
    """Names of the numbers that one sample consists of: none for a plain number, real or complex.

    Parameters
    ----------
    dataset : h5py.Dataset
        Any data set.

    Returns
    -------
    tuple of str
    """
    names = dataset.dtype.names or ()
    return () if _parts(dataset.dtype) else tuple(n for n in names if dataset.dtype[n].kind in _NUMBERS)


def _parts(dtype: np.dtype[Any]) -> tuple[str, str] | None:
    """Names of the real and the imaginary part of a compound type that is a complex number under another name."""
    names = dtype.names or ()
    if len(names) == 2 and names[0].lower() in ("r", "re", "real") and names[1].lower() in ("i", "im", "imag"):
        return names[0], names[1]
    return None


def sample(dtype: np.dtype[Any], field: str | None, where: str) -> np.dtype[Any]:
    """Type of a number as it is handed out.

    Parameters
    ----------
    dtype : dtype
        Of the data set.
    field : str, optional
        Which number of a compound sample.
    where : str
        For the error.

    Returns
    -------
    dtype

    Raises
    ------
    FormatError
        If samples are no numbers.
    """
    parts = _parts(dtype)
    kind = np.result_type(dtype[parts[0]], np.complex64) if parts else dtype[field] if field else dtype
    if kind.kind not in _NUMBERS:
        raise FormatError(f"holds samples of type {kind}, not numbers", where)
    return np.dtype(kind)


def check_storage(dataset: h5py.Dataset, path: Path) -> None:
    """Refuse a data set whose shape contradicts how it is stored: reading it would fill the memory, then fail.

    Parameters
    ----------
    dataset : h5py.Dataset
        Any data set.
    path : Path
        The file it is in.

    Raises
    ------
    FormatError, UnreadableError
        If it does, or if files that it is made of are missing.
    """
    sources(dataset, path)
    limits = dataset.maxshape or dataset.shape
    wide = dataset.chunks and any(m is not None and c > m for c, m in zip(dataset.chunks, limits, strict=True))
    plain = dataset.chunks is None and dataset.id.get_offset() is not None
    if wide or (plain and dataset.nbytes > path.stat().st_size):
        raise FormatError(
            f"is damaged: shape {dataset.shape} contradicts how it is stored", f"{path}:{dataset.name}", "copy it again"
        )


class H5Spectra(LazySpectra):
    """Spectra in a data set of an HDF5 file.

    Parameters
    ----------
    path : Path
        The file.
    dataset : h5py.Dataset
        Open now; it is found by name from then on.
    grid : Grid
        Dimensions of the data set; a last one of length 1 may be added to it.
    field : str, optional
        Which number of a compound sample.
    rows : int, optional
        How many of the leading dimensions of `grid` are flattened into the rows of a data set of two dimensions, and
        the others into its columns; as many dimensions as `grid` has if not given.
    """

    def __init__(
        self, path: Path, dataset: h5py.Dataset, grid: Grid, field: str | None = None, rows: int | None = None
    ) -> None:
        check_storage(dataset, path)
        self.name, self.cache, self.rows, self.field = str(dataset.name), chunk_cache(dataset), rows, field
        self.parts, self.stored_ndim = _parts(dataset.dtype), dataset.ndim
        super().__init__(path, grid, sample(dataset.dtype, field, f"{path}:{dataset.name}"))

    def _open(self) -> h5py.File:
        return open_file(self.path, self.cache)

    def _stored(self, windows: tuple[Window, ...]) -> NDArray[Any]:
        with self._lock:
            stored = self._opened()[self.name]
            if self.rows is None:
                block = self._numbers(stored, tuple(slice(*w) for w in windows[: self.stored_ndim]))
                return block.reshape(tuple(high - low for low, high in windows))
            return self._unflattened(stored, windows, self.rows)

    def _numbers(self, stored: h5py.Dataset, selection: tuple[slice, ...]) -> NDArray[Any]:
        if self.parts:
            both = stored[selection]
            block = np.empty(both.shape, self.dtype)
            block.real, block.imag = both[self.parts[0]], both[self.parts[1]]
            return block
        return np.asarray(stored.fields(self.field)[selection] if self.field else stored[selection])

    def _unflattened(self, stored: h5py.Dataset, windows: tuple[Window, ...], split: int) -> NDArray[Any]:
        """Read runs of rows, batch by batch; of the columns, the stretch that holds all that is wanted, if most is."""
        lengths, inner_shape = tuple(high - low for low, high in windows), self.grid.shape[split:]
        inner = tuple(slice(*w) for w in windows[split:])
        columns = np.arange(math.prod(inner_shape)).reshape(inner_shape)[inner].reshape(-1)
        stretches = [(int(columns[0]), int(columns[-1]) + 1)]
        if stretches[0][1] - stretches[0][0] > _SPARSE * len(columns):
            stretches = [(start, start + count) for start, count in runs(inner_shape, windows[split:])]
        block = np.empty((math.prod(lengths[:split]), len(columns)), self.dtype)
        place = 0
        for start, stop in self._batches(stored, windows[:split], stretches[0]):
            target = block[place : place + stop - start]
            for low, high in stretches:
                first, last = np.searchsorted(columns, (low, high))
                part = self._numbers(stored, (slice(start, stop), slice(low, high)))
                target[:, first:last] = part if last - first == high - low else part[:, columns[first:last] - low]
            place += stop - start
        return block.reshape(lengths)

    def _batches(self, stored: h5py.Dataset, windows: tuple[Window, ...], stretch: Window) -> Iterator[tuple[int, int]]:
        """Consecutive rows, as many at a time as are read at once: whole chunks, or some MiB."""
        rows = max(1, _BATCH // ((stretch[1] - stretch[0]) * stored.dtype.itemsize))
        if stored.chunks:
            rows = max(1, rows // stored.chunks[0]) * stored.chunks[0]
        for start, count in runs(self.grid.shape[: len(windows)], windows):
            for low in range(start, start + count, rows):
                yield low, min(low + rows, start + count)
