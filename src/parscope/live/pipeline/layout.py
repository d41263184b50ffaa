"""DECTRIS's file layout: a master file, and data files with a chunk for each pattern; how they are made and ended."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import OutputError
from parscope.core.stream import Series

DATA = "entry/data/data"
_NOTES = "entry/parscope"
_ALL = f"{_NOTES}/patterns"
_NAMES = {  # in the stream, and in a master file
    "count_time": "count_time",
    "frame_time": "frame_time",
    "pixel_size_x": "x_pixel_size",
    "pixel_size_y": "y_pixel_size",
    "saturation_value": "saturation_value",
    "sensor_material": "sensor_material",
    "sensor_thickness": "sensor_thickness",
    "detector_serial_number": "detector_number",
    "beam_center_x": "beam_center_x",
    "beam_center_y": "beam_center_y",
}


@dataclass(frozen=True)
class Layout:
    """Files of one channel of a series.

    Parameters
    ----------
    stem : Path
        Folder and beginning of the names of the files.
    series : Series
        As the detector announces it.
    scan : tuple of int
        Scan positions (y, x).
    per_file : int
        Patterns in a data file.
    """

    stem: Path
    series: Series
    scan: tuple[int, int]
    per_file: int

    @classmethod
    def of(cls, master: Path) -> Layout:
        """The layout of files that are there.

        Parameters
        ----------
        master : Path
            Made by `write_master`.

        Returns
        -------
        Layout
            Its series says only what data files need.

        Raises
        ------
        OSError
            If it cannot be opened.
        KeyError
            If it was made by somebody else.
        """
        import h5py

        with h5py.File(master) as file:
            stored, told = file[_ALL], file[_NOTES].attrs
            rows, columns, *shape = stored.shape
            series = Series(0, "", rows * columns, (shape[0], shape[1]), stored.dtype.name, ())
            stem = master.with_name(master.name.removesuffix("_master.h5"))
            return cls(stem, series, (rows, columns), int(told["images_per_file"]))

    @property
    def master(self) -> Path:
        """The file to open."""
        return self.stem.with_name(f"{self.stem.name}_master.h5")

    @property
    def count(self) -> int:
        """Data files of the series."""
        return -(-self.series.images // self.per_file)

    def path(self, part: int) -> Path:
        """A data file.

        Parameters
        ----------
        part : int
            Which one, from zero.

        Returns
        -------
        Path
        """
        return self.stem.with_name(f"{self.stem.name}_data_{part + 1:06d}.h5")

    def images(self, part: int) -> range:
        """Numbers of the images of a data file.

        Parameters
        ----------
        part : int
            Which one, from zero.

        Returns
        -------
        range
        """
        return range(part * self.per_file, min((part + 1) * self.per_file, self.series.images))

    def make(self, part: int, stored: str = "", algorithm: str = "") -> Any:
        """Make a data file without a pattern.

        Parameters
        ----------
        part : int
            Which one, from zero.
        stored : str, optional
            NumPy type of the samples, with the order of bytes. Default: that of the series.
        algorithm : str, optional
            How patterns are compressed that will come. Default: none will.

        Returns
        -------
        h5py.File
            Open; `parscope.live.pipeline.rescue.rescue` makes it readable, whatever happens.

        Raises
        ------
        OutputError
            If the compression has no filter in HDF5.
        OSError
            If it exists, or the disk is full.
        """
        import h5py

        series, images, options = self.series, self.images(part), _filter(algorithm)
        file = h5py.File(self.path(part), "x", libver="latest", rdcc_nbytes=0)
        _classes(file, {"entry": "NXentry", "entry/data": "NXdata"})
        data = file.create_dataset(
            DATA,
            (len(images), *series.shape),
            np.dtype(stored or series.dtype),
            chunks=(1, *series.shape),
            fillvalue=series.nodata,
            **options,
        )
        data.attrs["image_nr_low"], data.attrs["image_nr_high"] = images.start + 1, images.stop
        file.flush()
        return file

    def write_master(self) -> None:
        """Write what is known before the first pattern: if all goes wrong later, this is there.

        Raises
        ------
        OSError
            If it exists, or the disk is full.
        """
        import h5py

        if self.master.exists():
            raise FileExistsError(17, "File exists", str(self.master))
        with _beside(self.master) as path, h5py.File(path, "w") as master:
            master.attrs["default"] = "entry"
            _describe(master, self.series, self.scan)
            for part in range(self.count):
                master[f"{DATA}_{part + 1:06d}"] = h5py.ExternalLink(self.path(part).name, f"/{DATA}")
            _note(master, self)

    def complete(self, missing: NDArray[np.int64], apart: Mapping[int, bytes]) -> None:
        """Write down in the master file what a series turned out to be.

        Parameters
        ----------
        missing : ndarray of int, shape (n,)
            Numbers of the images that were not recorded.
        apart : mapping of int to bytes
            What came of some of them.

        Raises
        ------
        OSError
            If the disk is full.
        """
        import h5py

        if not len(missing) and not apart:
            return
        with _beside(self.master) as path:
            shutil.copyfile(self.master, path)
            with h5py.File(path, "r+") as master:
                master[f"{_NOTES}/missing"] = missing
                for image, samples in apart.items():
                    master[f"{_NOTES}/damaged/{image:06d}"] = np.frombuffer(samples, np.uint8)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Another name for a file until it is whole."""
    made = path.with_name(f".{path.name}.part")
    try:
        yield made
        os.replace(made, path)  # noqa: PTH105 - the method of a path does the same
    finally:
        made.unlink(missing_ok=True)


def text(value: Any) -> str:
    """What HDF5 takes as text.

    Parameters
    ----------
    value : object
        What a detector says.

    Returns
    -------
    str
        Without zeros, which end a text there, and without halves of letters.
    """
    return str(value).replace("\0", "").encode("utf-8", "replace").decode()


def _describe(master: Any, series: Series, scan: tuple[int, int]) -> None:
    """What readers look for."""
    told = series.metadata
    classes = {
        "entry": "NXentry",
        "entry/data": "NXdata",
        "entry/instrument": "NXinstrument",
        "entry/instrument/detector": "NXdetector",
        "entry/instrument/detector/detectorSpecific": "NXcollection",
    }
    _classes(master, classes)
    detector = master["entry/instrument/detector"]
    detector["description"] = np.bytes_(text(told.get("detector_description", "")).encode("ascii", "replace"))
    detector["bit_depth_image"] = np.uint16(8 * np.dtype(series.dtype).itemsize)
    for name, kept in _NAMES.items():
        value = told.get(name)
        if isinstance(value, str):
            detector[kept] = text(value)
        elif isinstance(value, int | float) and abs(value) < 1 << 63:
            detector[kept] = value
    specific = detector["detectorSpecific"]
    if isinstance(told.get("arm_date"), str):
        specific["data_collection_date"] = text(told["arm_date"])
    specific["ntrigger"], specific["nimages"] = np.uint64(scan[0]), np.uint64(scan[1])
    mask = np.zeros(series.shape, np.uint32) if series.mask is None else series.mask.astype(np.uint32)
    specific.create_dataset("pixel_mask", data=mask, compression="gzip")


def _classes(file: Any, groups: Mapping[str, str]) -> None:
    """Make groups of NeXus classes."""
    for name, kind in groups.items():
        file.require_group(name).attrs["NX_class"] = kind


def _note(master: Any, layout: Layout) -> None:
    """Keep all that the stream says as attributes of a group; and all patterns as one, for who follows no links."""
    series, group = layout.series, master.create_group(_NOTES)
    group.attrs["series"], group.attrs["unique"] = np.uint64(series.number), text(series.unique)
    group.attrs["channels"] = [text(name) for name in series.channels]
    group.attrs["images_per_file"] = layout.per_file
    for name, value in series.metadata.items():
        plain = isinstance(value, bool | float)
        kept = value if plain else text(value if isinstance(value, str) else json.dumps(value, default=str))
        group.attrs[text(f"stream_{name}")] = kept
    if series.images:
        master.create_virtual_dataset(_ALL, _joined(layout), fillvalue=series.nodata)


def _joined(layout: Layout) -> Any:
    """Patterns of all data files by scan position; what is in none of them has the value that it has there."""
    import h5py

    shape, dtype = layout.series.shape, np.dtype(layout.series.dtype)
    made = h5py.VirtualLayout((*layout.scan, *shape), dtype)
    for part in range(layout.count):
        images = layout.images(part)
        source = h5py.VirtualSource(layout.path(part).name, f"/{DATA}", (len(images), *shape), dtype)
        for first, stop, place in _pieces(images, layout.scan[1]):
            made[place] = source[first - images.start : stop - images.start]
    return made


def _pieces(images: range, columns: int) -> Iterator[tuple[int, int, tuple[Any, slice]]]:
    """Images that make up a piece of one line, or some whole lines: first, stop, and their rows and columns."""
    first = images.start
    while first < images.stop:
        row, column = divmod(first, columns)
        left = images.stop - first
        if column or left < columns:
            count = min(columns - column, left)
            place: tuple[Any, slice] = (row, slice(column, column + count))
        else:
            count = left - left % columns
            place = (slice(row, row + count // columns), slice(0, columns))
        yield first, first + count, place
        first += count


def _filter(algorithm: str) -> dict[str, Any]:
    """How HDF5 names a compression."""
    import hdf5plugin

    filters: dict[str, Any] = {
        "bslz4": lambda: hdf5plugin.Bitshuffle(nelems=0, cname="lz4"),
        "bszstd": lambda: hdf5plugin.Bitshuffle(nelems=0, cname="zstd"),
        "lz4": hdf5plugin.LZ4,
    }
    if algorithm in ("", "none"):
        return {}
    if algorithm not in filters:
        raise OutputError(
            f"patterns compressed by {algorithm!r} have no place in HDF5", "--record", "set the detector to bslz4"
        )
    made: dict[str, Any] = dict(filters[algorithm]())
    return made
