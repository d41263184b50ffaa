"""DECTRIS's file layout: a master file, and data files into which compressed patterns go as they came."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from parscope.core.errors import OutputError
from parscope.core.stream import Series
from parscope.live.wire.framing import is_whole
from parscope.live.wire.scan import Payload

_UNCOMPRESSED = 1  # filter mask: the first filter was not used for this chunk
_DATA = "entry/data/data"
_APART = "entry/parscope/damaged"
_APART_MOST = 64 << 20  # bytes that are kept apart
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


class ChannelFiles:
    """Files of one channel of a series, bit for bit what was sent.

    A pattern that did not come is stored nowhere; readers are given the largest value of the type for it, which
    DECTRIS's detectors write where nothing was read. One that came cut short is kept apart, as bytes in the master file
    (``entry/parscope/damaged``): among the others it would crash who reads them.

    Parameters
    ----------
    stem : Path
        Folder and beginning of the names of the files.
    series : Series
        As the detector announces it.
    scan : tuple of int, optional
        Scan positions (y, x), for readers.
    per_file : int
        Patterns in a data file.

    Attributes
    ----------
    written : int
        Patterns that were recorded.
    """

    def __init__(self, stem: Path, series: Series, scan: tuple[int, int] | None, per_file: int) -> None:
        self.stem, self.series, self.scan, self.per_file = stem, series, scan, per_file
        self.written = 0
        self._seen = bytearray(series.images)
        self._apart: dict[int, bytes] = {}
        self._apart_size = 0
        self._algorithm, self._stored = "", ""
        self._parts: dict[int, Any] = {}
        self._made: set[int] = set()
        self._chunk: Any = None
        self._part = -1
        self._write_master()

    @property
    def master(self) -> Path:
        """The file to open."""
        return self.stem.with_name(f"{self.stem.name}_master.h5")

    @property
    def missing(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Numbers of the images that were not recorded."""
        return np.flatnonzero(np.frombuffer(self._seen, np.uint8) == 0)

    def write(self, image: int, payload: Payload, message: memoryview) -> bool:
        """Record a pattern.

        Parameters
        ----------
        image : int
            Its number.
        payload : Payload
            Where it lies in the message.
        message : memoryview
            As it came.

        Returns
        -------
        bool
            Whether it belongs here, is whole, and was not here before.

        Raises
        ------
        OutputError
            If its compression has no filter in HDF5.
        OSError
            If the disk is full.
        """
        if not 0 <= image < self.series.images or self._seen[image]:
            return False
        if payload.shape != self.series.shape or payload.by_columns:
            return False
        if not self._algorithm:
            self._algorithm, self._stored = payload.algorithm, payload.stored
        plain = payload.algorithm == "none" != self._algorithm
        if payload.stored != self._stored or (payload.algorithm != self._algorithm and not plain):
            return False
        if not is_whole(payload, message):
            self._keep_apart(image, bytes(message[payload.offset : payload.offset + payload.length]))
            return False
        part, place = divmod(image, self.per_file)
        if part != self._part:
            self._turn_to(part)
        samples = message[payload.offset : payload.offset + payload.length]
        self._chunk((place, 0, 0), samples, _UNCOMPRESSED if plain else 0)
        self._seen[image] = 1
        self.written += 1
        return True

    def _keep_apart(self, image: int, samples: bytes) -> None:
        """Keep what came cut short, as long as there is not too much of it."""
        self._apart_size += len(samples)
        if self._apart_size <= _APART_MOST:
            self._apart[image] = samples

    def flush(self) -> None:
        """Bring what is written to the disk, so that it survives a crash.

        Raises
        ------
        OSError
            If the disk is full.
        """
        for file in self._parts.values():
            file.flush()

    def finish(self) -> None:
        """Complete the files, as far as there is room on the disk."""
        import h5py

        with contextlib.suppress(OSError, RuntimeError):
            for part in range(self._count()):
                if part not in self._made:
                    self._open(part)
        for file in self._parts.values():
            with contextlib.suppress(OSError, RuntimeError):
                file.close()
        self._parts.clear()
        with contextlib.suppress(OSError, RuntimeError), h5py.File(self.master, "r+") as master:
            for part in range(self._count()):
                if not self._path(part).exists():
                    del master[f"{_DATA}_{part + 1:06d}"]
            if len(self.missing):
                master["entry/parscope/missing"] = self.missing
            for image, samples in self._apart.items():
                master[f"{_APART}/{image:06d}"] = np.frombuffer(samples, np.uint8)

    def _count(self) -> int:
        """Data files of the series."""
        return -(-self.series.images // self.per_file)

    def _path(self, part: int) -> Path:
        """A data file."""
        return self.stem.with_name(f"{self.stem.name}_data_{part + 1:06d}.h5")

    def _turn_to(self, part: int) -> None:
        """Write into another data file; the one before stays open for images that are late, the one before that not."""
        if part not in self._parts:
            self._open(part)
            for old in sorted(self._parts)[:-2]:
                self._parts.pop(old).close()
        self._part = part
        self._chunk = self._parts[part][_DATA].id.write_direct_chunk

    def _open(self, part: int) -> None:
        """Make a data file, or open it again."""
        import h5py

        if part in self._made:
            self._parts[part] = h5py.File(self._path(part), "r+")
            return
        self._made.add(part)
        file = self._parts[part] = h5py.File(self._path(part), "x", libver="latest", rdcc_nbytes=0)
        first = part * self.per_file
        count = min(self.per_file, self.series.images - first)
        _classes(file, {"entry": "NXentry", "entry/data": "NXdata"})
        dtype = np.dtype(self._stored or self.series.dtype)
        data = file.create_dataset(
            _DATA,
            (count, *self.series.shape),
            dtype,
            chunks=(1, *self.series.shape),
            fillvalue=self.series.nodata,
            **_filter(self._algorithm),
        )
        data.attrs["image_nr_low"], data.attrs["image_nr_high"] = first + 1, first + count

    def _write_master(self) -> None:
        """Write what is known before the first pattern: if all goes wrong later, this is there."""
        import h5py

        series, told = self.series, self.series.metadata
        rows, columns = self.scan or (1, series.images)
        with h5py.File(self.master, "x") as master:
            master.attrs["default"] = "entry"
            _classes(
                master,
                {
                    "entry": "NXentry",
                    "entry/data": "NXdata",
                    "entry/instrument": "NXinstrument",
                    "entry/instrument/detector": "NXdetector",
                    "entry/instrument/detector/detectorSpecific": "NXcollection",
                },
            )
            for part in range(self._count()):
                master[f"{_DATA}_{part + 1:06d}"] = h5py.ExternalLink(self._path(part).name, f"/{_DATA}")
            detector = master["entry/instrument/detector"]
            detector["description"] = np.bytes_(str(told.get("detector_description", "")).encode("ascii", "replace"))
            detector["bit_depth_image"] = np.uint16(8 * np.dtype(series.dtype).itemsize)
            for name, kept in _NAMES.items():
                if isinstance(told.get(name), str | int | float):
                    detector[kept] = told[name]
            specific = detector["detectorSpecific"]
            specific["ntrigger"], specific["nimages"] = np.uint64(rows), np.uint64(columns)
            mask = np.zeros(series.shape, np.uint32) if series.mask is None else series.mask.astype(np.uint32)
            specific.create_dataset("pixel_mask", data=mask, compression="gzip")
            _note(master, series)


def _classes(file: Any, groups: Mapping[str, str]) -> None:
    """Make groups of NeXus classes."""
    for name, kind in groups.items():
        file.require_group(name).attrs["NX_class"] = kind


def _note(master: Any, series: Series) -> None:
    """Keep all that the stream says as attributes of a group."""
    group = master.create_group("entry/parscope")
    group.attrs["series"], group.attrs["unique"] = series.number, series.unique
    group.attrs["channels"] = list(series.channels)
    for name, value in series.metadata.items():
        kept = value if isinstance(value, bool | float | str) else json.dumps(value, default=str)
        group.attrs[f"stream_{name}"] = kept


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
