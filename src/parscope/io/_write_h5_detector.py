"""Writers of HDF5 as detectors leave it: DECTRIS master and data files, and lists of counted electrons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from parscope.io._sink import Layout, Sink
from parscope.io._write_h5 import let_go, note_metadata

_PER_FILE = 100_000
_COUNTS = ("uint8", "uint16", "uint32")


class DectrisSink(Sink):
    """Writes a master and data files of bitshuffle-LZ4 patterns, as many in each as ``nimages_per_file`` says."""

    def __init__(self, folder: Path, name: str, layout: Layout) -> None:
        super().__init__(folder, name, layout)
        self.stem = name.removesuffix(".h5").removesuffix("_master")
        self.per_file = max(1, int(layout.metadata.get("nimages_per_file", _PER_FILE)))
        self.part: h5py.File | None = None
        self.links: list[str] = []

    def check(self) -> None:
        """Refuse what is no count."""
        self.demand(_COUNTS)

    def append(self, block: NDArray[Any], row: int) -> None:
        """Write scan rows from `row` on."""
        frames, place = block.reshape(-1, *block.shape[2:]), row * block.shape[1]
        while len(frames):
            room = self.per_file - place % self.per_file
            if room == self.per_file or self.part is None:
                self._next_part(place)
            part: Any = self.part
            first, count = place % self.per_file, min(room, len(frames))
            part["entry/data/data"][first : first + count] = frames[:count]
            part.flush()
            frames, place = frames[count:], place + count

    def _next_part(self, place: int) -> None:
        if self.part is not None:
            self.part.close()
        y, x, *pattern = self.layout.shape
        self.links.append(f"{self.stem}_data_{len(self.links) + 1:06d}.h5")
        self.part = h5py.File(self.folder / self.links[-1], "w", rdcc_nbytes=0)
        self.part.create_dataset(
            "entry/data/data",
            (min(self.per_file, y * x - place), *pattern),
            self.layout.dtype,
            chunks=(1, *pattern),
            **hdf5plugin.Bitshuffle(cname="lz4"),
        )

    def finish(self) -> None:
        """Complete the data files and write the master."""
        if self.part is not None:
            self.part.close()
        y, x, *pattern = self.layout.shape
        mask = np.zeros(pattern, np.uint32) if self.layout.mask is None else self.layout.mask.astype(np.uint32)
        with h5py.File(self.folder / self.name, "w") as master:
            for number, link in enumerate(self.links, 1):
                master[f"entry/data/data_{number:06d}"] = h5py.ExternalLink(link, "/entry/data/data")
            detector = master.create_group("entry/instrument/detector")
            detector["description"] = np.bytes_("DECTRIS layout written by parscope")
            detector["bit_depth_image"] = np.uint16(8 * self.layout.dtype.itemsize)
            specific = detector.create_group("detectorSpecific")
            specific["ntrigger"], specific["nimages"] = np.uint64(y), np.uint64(x)
            specific["pixel_mask"] = mask
            note_metadata(master, self.layout)

    def abandon(self) -> None:
        """Let go of the data file."""
        if self.part is not None:
            let_go(self.part)


class EventsSink(Sink):
    """Writes each pattern as the list of its hit pixels, a pixel as often as it was hit."""

    def __init__(self, folder: Path, name: str, layout: Layout) -> None:
        super().__init__(folder, name, layout)
        y, x, q_y, q_x = layout.shape
        self.file = h5py.File(folder / name, "w")
        group = self.file.create_group("electron_events")
        self.frames = group.create_dataset("frames", (y * x,), h5py.vlen_dtype(np.uint32))
        # stempy's own naming: rows of the pattern are Nx, rows of the scan are Ny
        self.frames.attrs["Nx"], self.frames.attrs["Ny"] = q_y, q_x
        self.frames.attrs["dtype"] = layout.dtype.name
        positions = group.create_dataset("scan_positions", data=np.arange(y * x, dtype=np.int32))
        positions.attrs["Nx"], positions.attrs["Ny"] = x, y

    def check(self) -> None:
        """Refuse what is no count."""
        self.demand(_COUNTS)

    def room(self, block: NDArray[Any]) -> int:
        """Four bytes for each electron, and a little for each list."""
        electrons = int(block.sum(dtype=np.int64))
        return 4 * electrons + 4096 * len(block) * int(block.shape[1])

    def append(self, block: NDArray[Any], row: int) -> None:
        """Write scan rows from `row` on."""
        flat = block.reshape(len(block) * block.shape[1], -1)
        for place, pattern in enumerate(flat, row * block.shape[1]):
            hit = np.flatnonzero(pattern)
            if len(hit):
                # one by one: h5py takes several lists of one length for a rectangle
                self.frames[place] = np.repeat(hit.astype(np.uint32), pattern[hit])
        self.file.flush()

    def finish(self) -> None:
        """Complete the file."""
        note_metadata(self.file, self.layout)
        self.file.close()

    def abandon(self) -> None:
        """Let go of the file."""
        let_go(self.file)
