"""Writers of HDF5: plain, EMD 1.0 as py4DSTEM reads it, and NeXus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.io._sink import Layout, Sink


class H5Sink(Sink):
    """Writes a 4D data set; subclasses say where, and what goes around it.

    The data set is contiguous and not compressed, so that every HDF5 library reads it without plug-ins.
    """

    def __init__(self, folder: Path, name: str, layout: Layout) -> None:
        super().__init__(folder, name, layout)
        self.file = h5py.File(folder / name, "w")
        try:
            self.data = self._layout()
        except BaseException:
            self.abandon()
            raise

    def _layout(self) -> h5py.Dataset:
        raise NotImplementedError

    def _create(self, group: h5py.Group) -> h5py.Dataset:
        return group.create_dataset("data", self.layout.shape, self.layout.dtype)

    def append(self, block: NDArray[Any], row: int) -> None:
        """Write scan rows from `row` on."""
        self.data[row : row + len(block)] = block
        # what HDF5 keeps back does not count as taken, and a full disk must be seen before it is full
        self.file.flush()

    def finish(self) -> None:
        """Complete the file."""
        note_metadata(self.file, self.layout)
        self.file.close()

    def abandon(self) -> None:
        """Let go of the file."""
        let_go(self.file)


class PlainSink(H5Sink):
    """Writes ``/data`` with its axes as HDF5 dimension scales."""

    def _layout(self) -> h5py.Dataset:
        data = self._create(self.file)
        for place, axis in enumerate(self.layout.axes):
            vector = self.file.create_dataset(axis.name, data=axis.values)
            vector.attrs["units"] = axis.unit
            vector.make_scale(axis.name)
            data.dims[place].attach_scale(vector)
        return data


class NexusSink(H5Sink):
    """Writes ``/entry/data/data`` as the default signal of an NXdata group."""

    def _layout(self) -> h5py.Dataset:
        self.file.attrs["default"] = "entry"
        entry = self.file.create_group("entry")
        entry.attrs["NX_class"], entry.attrs["default"] = "NXentry", "data"
        group = entry.create_group("data")
        group.attrs["NX_class"], group.attrs["signal"] = "NXdata", "data"
        group.attrs["axes"] = [axis.name for axis in self.layout.axes]
        for axis in self.layout.axes:
            vector = group.create_dataset(axis.name, data=axis.values)
            vector.attrs["units"] = axis.unit
        return self._create(group)


class EmdSink(H5Sink):
    """Writes ``/datacube_root/datacube/data`` with the tags that py4DSTEM looks for."""

    def _layout(self) -> h5py.Dataset:
        _tag(self.file, "file", version_major=1, version_minor=0, authoring_program="parscope", authoring_user="")
        root = _tag(self.file.create_group("datacube_root"), "root", python_class="Root")
        bundle = _tag(root.create_group("metadatabundle"), "metadatabundle")
        known = _tag(bundle.create_group("calibration"), "metadata", python_class="Calibration")
        for letter, axis in (("R", self.layout.axes[1]), ("Q", self.layout.axes[3])):
            unit = {"nm": "nm", "1/nm": "nm^-1", "mrad": "mrad"}.get(axis.unit, "pixels")
            known.create_dataset(f"{letter}_pixel_size", data=axis.scale).attrs["type"] = np.bytes_("number")
            known.create_dataset(f"{letter}_pixel_units", data=np.bytes_(unit)).attrs["type"] = np.bytes_("string")
        cube = _tag(root.create_group("datacube"), "array", python_class="DataCube")
        for place, (axis, name) in enumerate(zip(self.layout.axes, ("Rx", "Ry", "Qx", "Qy"), strict=True)):
            self._dimension(cube, place, axis, name)
        data = self._create(cube)
        data.attrs["units"] = "pixel intensity"
        return data

    def _dimension(self, cube: h5py.Group, place: int, axis: Axis, name: str) -> None:
        # a uniform axis is kept as its first two values
        vector = cube.create_dataset(f"dim{place}", data=np.array([axis.offset, axis.offset + axis.scale]))
        vector.attrs["name"] = name
        vector.attrs["units"] = {"px": "pixels", "1/nm": "nm^-1"}.get(axis.unit, axis.unit)


def _tag(group: h5py.Group, kind: str, **more: Any) -> h5py.Group:
    group.attrs["emd_group_type"] = kind
    for key, value in more.items():
        group.attrs[key] = value
    return group


def note_metadata(file: h5py.File, layout: Layout) -> None:
    """Keep the metadata as attributes of a group of that name.

    Parameters
    ----------
    file : h5py.File
        Open for writing.
    layout : Layout
        With the metadata.
    """
    if not layout.metadata:
        return
    group = file.create_group("metadata")
    for key, value in layout.metadata.items():
        kept = value if isinstance(value, (bool, int, float, str)) else str(value)
        group.attrs[key] = kept if not isinstance(kept, int) or abs(kept) < 1 << 63 else str(kept)


def let_go(file: h5py.File) -> None:
    """Close a file that is not wanted any more.

    Parameters
    ----------
    file : h5py.File
        Perhaps in no state to be closed.
    """
    try:
        file.close()
    except (OSError, RuntimeError):
        # what could not be written cannot be flushed; the file is deleted anyway
        return
