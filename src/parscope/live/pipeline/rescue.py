"""Makes readable what a recorder left behind that was killed: HDF5 opens no file that its writer has not closed."""

from __future__ import annotations

import contextlib
import os
import struct
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.live.pipeline.layout import DATA, Layout

_SIGNATURE, _VERSION = b"\x89HDF\r\n\x1a\n", 3
_HEAD, _FLAGS = 44, 11  # bytes of the superblock before its checksum; which of them says that a writer is at work
_WORD = 0xFFFFFFFF


def rescue(folder: Path, name: str, process: int) -> list[Path]:
    """Complete the files of a session whose recorder has died, with all patterns that had reached the disk.

    Parameters
    ----------
    folder : Path
        Where the files are.
    name : str
        Of the session.
    process : int
        That of the recorder.

    Returns
    -------
    list of Path
        Master files of the series that had not been completed.
    """
    mended: list[Path] = []
    for left in (f".parscope-ballast-{process}", *(part.name for part in folder.glob(f".{name}_*_master.h5.part"))):
        with contextlib.suppress(OSError):
            (folder / left).unlink(missing_ok=True)
    for master in sorted(folder.glob(f"{name}_*_master.h5")):
        with contextlib.suppress(OSError, KeyError):
            if _mend(Layout.of(master)):
                mended.append(master)
    return mended


def _mend(layout: Layout) -> bool:
    """Complete the files of a series; tells whether they had not been."""
    import h5py

    paths = [layout.path(part) for part in range(layout.count)]
    closed = [path for path in paths if path.exists() and _close(path)]
    if not closed and all(path.exists() for path in paths):
        return False
    there, stored = np.zeros(layout.series.images, np.bool_), ""
    for part, path in enumerate(paths):
        if path.exists():
            try:
                with h5py.File(path) as file:
                    stored = file[DATA].dtype.str
                    file[DATA].id.chunk_iter(partial(_mark, there[layout.images(part).start :]))
            except (OSError, KeyError):  # it had only been begun
                path.rename(path.with_name(f"{path.name}.unreadable"))
    for part, path in enumerate(paths):
        if not path.exists():
            layout.make(part, stored).close()
    layout.complete(np.flatnonzero(~there), {})
    return True


def _mark(there: NDArray[np.bool_], chunk: Any) -> None:
    """Note that a pattern is in a file."""
    there[chunk.chunk_offset[0]] = True


def _close(path: Path) -> bool:
    """Take back that a writer is at work; tells whether that was so."""
    with path.open("r+b") as file:
        head = bytearray(file.read(_HEAD + 4))
        if len(head) < _HEAD + 4 or head[:8] != _SIGNATURE or head[8] != _VERSION or not head[_FLAGS]:
            return False
        if struct.unpack_from("<I", head, _HEAD)[0] != _checksum(bytes(head[:_HEAD])):
            return False
        head[_FLAGS] = 0
        struct.pack_into("<I", head, _HEAD, _checksum(bytes(head[:_HEAD])))
        file.seek(0)
        file.write(head)
        file.flush()
        os.fsync(file.fileno())
    return True


def _turned(x: int, by: int) -> int:
    return ((x << by) | (x >> (32 - by))) & _WORD


def _checksum(data: bytes) -> int:
    """Checksum of HDF5: the hash function lookup3 of B. Jenkins, of whole words."""
    words: tuple[int, ...] = struct.unpack(f"<{len(data) // 4}I", data)
    a = b = c = (0xDEADBEEF + len(data)) & _WORD
    while len(words) > 3:
        a, b, c = ((x + y) & _WORD for x, y in zip((a, b, c), words, strict=False))
        words = words[3:]
        for by in (4, 6, 8, 16, 19, 4):
            a, c = ((a - c) & _WORD) ^ _turned(c, by), (c + b) & _WORD
            a, b, c = b, c, a
    a, b, c = ((x + y) & _WORD for x, y in zip((a, b, c), (*words, 0, 0, 0), strict=False))
    for by in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - _turned(b, by)) & _WORD
        a, b, c = b, c, a
    return b
