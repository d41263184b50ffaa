"""Compressed patterns go into the data files of a series as they came."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from parscope.core.stream import Series
from parscope.live.pipeline.layout import DATA, Layout
from parscope.live.wire.framing import BITSHUFFLED, is_whole
from parscope.live.wire.scan import Payload

_UNCOMPRESSED = 1  # filter mask: the first filter was not used for this chunk
_APART_MOST = 64 << 20  # bytes that are kept apart
_OPEN = 2  # data files that are open at a time: images are late by a few, not by thousands


class ChannelFiles:
    """Files of one channel of a series, bit for bit what was sent.

    A pattern that did not come is stored nowhere; readers are given the largest value of the type for it, which
    DECTRIS's detectors write where nothing was read. One that cannot be decompressed is kept apart, as bytes in the
    master file (``entry/parscope/damaged``): among the others it would stop or crash who reads them.

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
    refused : int
        Those of another shape, type or compression than the series.

    Raises
    ------
    OSError
        If the master file exists, or the disk is full.
    """

    def __init__(self, stem: Path, series: Series, scan: tuple[int, int] | None, per_file: int) -> None:
        self.layout, self.series = Layout(stem, series, scan or (1, series.images), per_file), series
        self.written = self.refused = 0
        self._seen = bytearray(series.images)
        self._apart: dict[int, bytes] = {}
        self._apart_size = 0
        self._algorithm, self._stored = "", ""
        self._parts: dict[int, Any] = {}  # open, the one that was used last in the end
        self._made: set[int] = set()
        self._chunk: Any = None
        self._part = -1
        self.layout.write_master()

    @property
    def master(self) -> Path:
        """The file to open."""
        return self.layout.master

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
        if not self._belongs(payload):
            self.refused += 1
            return False
        samples = message[payload.offset : payload.offset + payload.length]
        if not is_whole(payload, message):
            self._keep_apart(image, bytes(samples))
            return False
        part, place = divmod(image, self.layout.per_file)
        if part != self._part:
            self._turn_to(part)
        self._chunk((place, 0, 0), samples, _UNCOMPRESSED if payload.algorithm == "none" != self._algorithm else 0)
        self._seen[image] = 1
        self.written += 1
        return True

    def _belongs(self, payload: Payload) -> bool:
        """Whether a reader would get the pattern out of these files as it was sent; the first one says how."""
        series, dtype = self.series, np.dtype(payload.stored)
        if payload.shape != series.shape or payload.by_columns or dtype.name != series.dtype:
            return False
        if payload.algorithm in BITSHUFFLED and payload.element != dtype.itemsize:
            return False  # HDF5 would put the bits together by the size of the samples
        if not self._algorithm:
            self._algorithm, self._stored = payload.algorithm, payload.stored
        return payload.stored == self._stored and payload.algorithm in (self._algorithm, "none")

    def _keep_apart(self, image: int, samples: bytes) -> None:
        """Keep what is damaged, as long as there is not too much of it."""
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
        """Complete the files; what has failed may be tried again.

        Raises
        ------
        OSError, RuntimeError
            If there is no room on the disk.
        """
        for part in range(self.layout.count):
            if part not in self._made:
                self._open(part)
            if part in self._parts:
                self._parts[part].close()
                del self._parts[part]
        there = np.frombuffer(self._seen, np.uint8)
        apart = {image: samples for image, samples in self._apart.items() if not there[image]}
        self.layout.complete(np.flatnonzero(there == 0), apart)

    def _turn_to(self, part: int) -> None:
        """Write into another data file; a few stay open for images that are late."""
        if part in self._parts:
            self._parts[part] = self._parts.pop(part)
        else:
            self._open(part)
        while len(self._parts) > _OPEN:
            self._parts.pop(next(iter(self._parts))).close()
        self._part = part
        self._chunk = self._parts[part][DATA].id.write_direct_chunk

    def _open(self, part: int) -> None:
        """Make a data file, or open it again."""
        import h5py

        if part in self._made:
            self._parts[part] = h5py.File(self.layout.path(part), "r+", libver="latest", rdcc_nbytes=0)
        else:
            self._parts[part] = self.layout.make(part, self._stored, self._algorithm)
            self._made.add(part)
