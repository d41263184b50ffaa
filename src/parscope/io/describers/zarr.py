"""Zarr stores: all attributes of all groups and arrays, as far as the folder reaches."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from parscope.core.axes import Axis
from parscope.core.description import Description, Preview, Signal
from parscope.core.errors import FormatError
from parscope.io.describers._base import FileDescriber, is_within
from parscope.io.describers._common import axis, dig, judge
from parscope.io.describers._preview import look
from parscope.io.zarr import ZarrReader

_MOST, _CHUNK = 10_000, 256 << 20


class ZarrDescriber(FileDescriber):
    """Tells the tree of a Zarr store, a folder or a zip file."""

    name = "zarr"
    extensions = (".zarr", ".zspy")
    library = "zarr"

    def accepts(self, path: Path) -> bool:
        """Whether `path` is a folder or zip file that bears the marks of a Zarr store."""
        return ZarrReader().accepts(path)

    def _describe(self, path: Path, within: Path) -> Description:
        import zarr

        if path.is_dir():
            _check_links(path, within)
            store: Any = zarr.storage.LocalStore(path, read_only=True)
        else:
            store = zarr.storage.ZipStore(path, mode="r")
        try:
            root = zarr.open(store, mode="r")
            nodes: dict[str, Any] = {"": root}
            if isinstance(root, zarr.Group):
                nodes |= dict(root.members(max_depth=None))
            arrays = {name: node for name, node in nodes.items() if not isinstance(node, zarr.Group)}
            signals = tuple(_signal(name or path.stem, node) for name, node in list(arrays.items())[:_MOST])
            previews = _pictures(arrays, signals)
            vendor = _tree(nodes, arrays)
        finally:
            store.close()
        return self.told(judge(signals), vendor, signals=signals, previews=previews)


def _check_links(path: Path, within: Path) -> None:
    for folder, inner, files in os.walk(path):
        for name in (*inner, *files):
            if (Path(folder) / name).is_symlink() and not is_within(Path(folder) / name, within):
                raise FormatError(f"holds {name}, which leads out of the folder that is collected", str(path))


def _tree(nodes: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, node in nodes.items():
        place = told
        for step in [step for step in name.split("/") if step]:
            place = place.setdefault(step, {})
        place.update(dict(node.attrs))
        if name in arrays:
            place.update({"shape": list(node.shape), "dtype": str(node.dtype)})
    return told


def _signal(name: str, array: Any) -> Signal:
    shape = tuple(int(n) for n in array.shape)
    if 0 in shape:
        return Signal(name, shape, str(array.dtype))
    told, labels = dict(array.attrs).get("axes"), dict(array.attrs).get("_ARRAY_DIMENSIONS")
    axes = tuple(_axis(n, dig(told, i), dig(labels, i) or f"axis {i}") for i, n in enumerate(shape))
    return Signal(name, shape, str(array.dtype), axes=axes)


def _axis(size: int, told: Any, label: str) -> Axis:
    unit = str(dig(told, "unit") or dig(told, "units") or "")
    return axis(str(dig(told, "name") or label), size, dig(told, "scale"), unit, dig(told, "offset"))


def _pictures(arrays: dict[str, Any], signals: tuple[Signal, ...]) -> tuple[Preview, ...]:
    found = zip(arrays.values(), signals, strict=False)
    drawn = [(node, signal) for node, signal in found if str(node.dtype)[:3] in ("int", "uin", "flo", "com", "boo")]
    for node, signal in sorted(drawn, key=lambda pair: -sum(n > 1 for n in pair[1].shape))[:1]:
        chunk = math.prod(node.chunks) * node.dtype.itemsize
        if chunk <= _CHUNK:
            return look(node, signal, chunk)
    return ()
