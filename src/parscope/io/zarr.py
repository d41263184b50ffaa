"""Zarr stores, version 2 and 3, folders and zip files, with or without groups."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.errors import FormatError, ParscopeError
from parscope.core.frames import Frames
from parscope.io._meta import axis, flatten
from parscope.io._scan import LazyScan, StackScan, Window, first_line, fold, sample_type

_MARKS = ("zarr.json", ".zarray", ".zgroup")
_CACHE = 256 << 20


class ZarrReader:
    """Reads the one 4D array of a store, or the one that is chosen."""

    name = "zarr"
    extensions: tuple[str, ...] = (".zarr", ".zspy", ".zip")

    def accepts(self, path: Path) -> bool:
        """Whether `path` is a folder or zip file that bears the marks of a Zarr store."""
        if path.is_dir():
            return any((path / mark).is_file() for mark in _MARKS)
        try:
            with zipfile.ZipFile(path) as archive:
                return any(mark in archive.namelist() for mark in _MARKS)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            # whatever is wrong with the archive, it is no store
            return False

    def read(
        self,
        path: Path,
        *,
        scan_shape: tuple[int, int] | None = None,
        pattern_shape: tuple[int, int] | None = None,
        dtype: str | None = None,
        dataset: str | None = None,
    ) -> Frames:
        """Open an array; see `parscope.core.contracts.Reader.read`."""
        try:
            root = _root(path)
            name, array = _choose(path, _arrays(root), dataset, (3, 4) if scan_shape else (4,))
            where, stored = f"{path}:{name}", tuple(array.shape)
            kind = sample_type(array.dtype, where)
            shape = fold(stored, scan_shape, pattern_shape, where)
            metadata = {"array": name, **flatten(dict(array.attrs))}
            axes = tuple(_axis(root, array, name, i, n) for i, n in enumerate(shape))
        except (ParscopeError, MemoryError):
            raise
        except Exception as error:
            raise FormatError(f"is a damaged Zarr store ({first_line(error)})", str(path), "copy it again") from error
        if len(stored) == 3:
            return Frames(ZarrStack(path, shape, kind, name), axes, metadata, str(path))
        if shape != stored:
            raise FormatError(f"has a scan of {stored[:2]}, not {shape[:2]}", where, "omit --scan-shape")
        return Frames(ZarrCube(path, shape, kind, name), axes, metadata, str(path))


def _root(path: Path) -> Any:
    store = zarr.storage.ZipStore(path, mode="r") if path.is_file() else zarr.storage.LocalStore(path, read_only=True)
    return zarr.open(store, mode="r")


def _arrays(root: Any) -> dict[str, Any]:
    if not isinstance(root, zarr.Group):
        return {"": root}
    return {name: node for name, node in root.members(max_depth=None) if not isinstance(node, zarr.Group)}


def _choose(path: Path, arrays: dict[str, Any], dataset: str | None, ranks: tuple[int, ...]) -> tuple[str, Any]:
    listing = ", ".join(f"{k or '/'} {v.shape} {v.dtype}" for k, v in list(arrays.items())[:6]) or "nothing"
    if dataset is not None:
        name = dataset.strip("/")
        if name not in arrays:
            raise FormatError(f"holds no array {dataset!r}; it holds {listing}", str(path), "correct --dataset")
        return name, arrays[name]
    fitting = [name for name, array in arrays.items() if array.ndim in ranks]
    if not fitting:
        raise FormatError(f"holds no 4D array; it holds {listing}", str(path), "give a 4D data set, or --scan-shape")
    if len(fitting) > 1:
        raise FormatError(f"holds several 4D arrays: {', '.join(fitting)}", str(path), "choose one with --dataset")
    return fitting[0], arrays[fitting[0]]


def _axis(root: Any, array: Any, name: str, place: int, size: int) -> Axis:
    told: Any = array.attrs.get("axes")
    entry = told[place] if isinstance(told, list) and len(told) == 4 and array.ndim == 4 else None
    if entry is None and isinstance(root, zarr.Group):
        # HyperSpy keeps one group for each axis beside the array
        beside = f"{name.rpartition('/')[0]}/axis-{place}".strip("/")
        entry = dict(root[beside].attrs) if beside in root else None
    if not isinstance(entry, dict) or "scale" not in entry:
        return axis(place, size, 1.0, "")
    unit = entry.get("unit", entry.get("units", ""))
    return axis(place, size, float(entry["scale"]), unit, float(entry.get("offset", 0.0)))


class _Opened:
    """An open array, and the slab of rows that its last chunks decompressed to."""

    def __init__(self, path: Path, name: str) -> None:
        root = _root(path)
        self.array: Any = root[name] if name else root
        self.slab: tuple[Window, NDArray[Any]] | None = None

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Read along the first dimension, decompressing every chunk once when rows are asked for one by one."""
        step, length = int(self.array.chunks[0]), int(self.array.shape[0])
        low, high = start // step * step, min(length, -(-stop // step) * step)
        row_bytes = int(np.prod(self.array.shape[1:])) * self.array.dtype.itemsize
        if step == 1 or (high - low) * row_bytes > _CACHE:
            return np.asarray(self.array[start:stop])
        if self.slab is None or not (self.slab[0][0] <= start and stop <= self.slab[0][1]):
            self.slab = ((low, high), np.asarray(self.array[low:high]))
        (first, _), block = self.slab
        return block[start - first : stop - first].copy()

    def close(self) -> None:
        """Let go of the store."""
        self.slab = None
        self.array.store.close()


class ZarrCube(LazyScan):
    """A 4D array of a store.

    Parameters
    ----------
    path : Path
        The store.
    shape : tuple of int
        (scan y, scan x, pattern y, pattern x).
    dtype : dtype
        Of a sample.
    name : str
        Path of the array in the store; empty if it is the store itself.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> None:
        super().__init__(path, shape, dtype)
        self.name = name

    def _open(self) -> _Opened:
        return _Opened(self.path, self.name)

    def _read(self, ys: Window, xs: Window) -> NDArray[Any]:
        with self._lock:
            opened: _Opened = self._opened()
            if xs == (0, self.shape[1]):
                return opened.rows(*ys)
            return np.asarray(opened.array[slice(*ys), slice(*xs)])


class ZarrStack(StackScan):
    """A 3D array of a store, folded to a scan; parameters as for `ZarrCube`."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> None:
        super().__init__(path, shape, dtype)
        self.name = name

    def _open(self) -> _Opened:
        return _Opened(self.path, self.name)

    def frames(self, start: int, stop: int) -> NDArray[Any]:
        """Read patterns start to stop of the stack."""
        with self._lock:
            opened: _Opened = self._opened()
            return opened.rows(start, stop)
