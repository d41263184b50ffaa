"""NumPy's own files: .npy and .npz, never unpickled."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.description import Description, Preview, Signal
from parscope.core.errors import FormatError
from parscope.io.describers._base import FileDescriber
from parscope.io.describers._common import judge
from parscope.io.describers._preview import BUDGET, look
from parscope.io.npy import NumpyReader

_NAMES = {1: ("sample",), 2: ("y", "x"), 3: ("z", "y", "x"), 4: ("y", "x", "q_y", "q_x")}
_LISTED = 10_000


class NumpyDescriber(FileDescriber):
    """Tells shapes and types of NumPy arrays, and the values of short ones."""

    name = "numpy"
    extensions = (".npy", ".npz")
    library = "numpy"

    def accepts(self, path: Path) -> bool:
        """Whether `path` is a NumPy file, or a zip archive with one in it."""
        return NumpyReader().accepts(path)

    def _describe(self, path: Path, within: Path) -> Description:
        with path.open("rb") as stream:
            single = stream.read(6) == npy_format.MAGIC_PREFIX
        arrays = {path.stem: np.load(path, mmap_mode="r")} if single else _members(path)
        signals = tuple(_signal(name, array) for name, array in arrays.items() if array.dtype.kind in "buifc")
        vendor = {name: _told(array) for name, array in arrays.items()}
        return self.told(judge(signals), vendor, signals=signals, previews=_pictures(arrays, signals))


class _Closed:
    """An array of an archive that was not read, because it is large or holds objects."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape, self.dtype = shape, dtype


def _members(path: Path) -> dict[str, NDArray[Any] | _Closed]:
    found: dict[str, NDArray[Any] | _Closed] = {}
    left = BUDGET
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if not info.filename.endswith(".npy"):
                continue
            name = info.filename.removesuffix(".npy")
            with archive.open(info) as stream:
                shape, dtype = _header(stream, path)
            size = int(np.prod(shape, dtype=object)) * dtype.itemsize
            if size > left or dtype.hasobject:
                found[name] = _Closed(shape, dtype)
                continue
            left -= size
            with archive.open(info) as stream:
                found[name] = npy_format.read_array(stream, allow_pickle=False)
    return found


def _header(stream: Any, path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = npy_format.read_magic(stream)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise FormatError(f"has a NumPy array of version {version}", str(path), "save it with a version that is out")
    reader = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
    shape, _, dtype = reader(stream)
    return tuple(shape), dtype


def _signal(name: str, array: Any) -> Signal:
    names = _NAMES.get(len(array.shape), ())
    axes = tuple(Axis(names[i] if names else f"axis {i}", max(1, n)) for i, n in enumerate(array.shape))
    return Signal(name, tuple(array.shape), str(array.dtype), axes=axes if 0 not in array.shape else ())


def _told(array: Any) -> Any:
    if isinstance(array, np.ndarray) and (array.ndim == 0 or (array.ndim == 1 and array.size <= _LISTED)):
        return array
    return {"shape": list(array.shape), "dtype": str(array.dtype)}


def _pictures(arrays: dict[str, Any], signals: tuple[Signal, ...]) -> tuple[Preview, ...]:
    readable = [s for s in signals if isinstance(arrays[s.name], np.ndarray)]
    telling = sorted(readable, key=lambda s: -len([n for n in s.shape if n > 1]))[:1]
    return tuple(preview for s in telling for preview in look(arrays[s.name], s))
