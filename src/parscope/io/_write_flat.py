"""Writers of plain numbers: .npy, .npz and raw."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from parscope.io._sink import Layout, Sink


class RawSink(Sink):
    """Writes the samples and nothing else, in the byte order of `Layout.dtype`."""

    def __init__(self, folder: Path, name: str, layout: Layout) -> None:
        super().__init__(folder, name, layout)
        self.stream: Any = self._open()

    def _open(self) -> Any:
        return (self.folder / self.name).open("wb")

    def append(self, block: NDArray[Any], row: int) -> None:
        """Write scan rows from `row` on."""
        self.stream.write(np.ascontiguousarray(block).reshape(-1).view(np.uint8))

    def finish(self) -> None:
        """Complete the file."""
        self.stream.close()

    def abandon(self) -> None:
        """Let go of the file."""
        try:
            self.stream.close()
        except OSError:
            # its buffer finds no space either; the file is deleted anyway
            return


class NpySink(RawSink):
    """Writes NumPy's own format."""

    def _open(self) -> Any:
        stream = super()._open()
        _npy_header(stream, self.layout)
        return stream


class NpzSink(RawSink):
    """Writes a NumPy archive with one stored array, ``data``, which readers can map."""

    def _open(self) -> Any:
        self.archive = zipfile.ZipFile(self.folder / self.name, "w", zipfile.ZIP_STORED)
        stream = self.archive.open("data.npy", "w", force_zip64=True)
        _npy_header(stream, self.layout)
        return stream

    def finish(self) -> None:
        """Complete the archive."""
        super().finish()
        self.archive.close()

    def abandon(self) -> None:
        """Let go of the archive."""
        super().abandon()
        try:
            self.archive.close()
        except (OSError, ValueError):
            # as above
            return


def _npy_header(stream: Any, layout: Layout) -> None:
    header = {
        "descr": npy_format.dtype_to_descr(layout.dtype),
        "fortran_order": False,
        "shape": layout.shape,
    }
    npy_format.write_array_header_1_0(stream, header)
