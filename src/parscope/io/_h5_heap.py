"""Looks at the heaps of an HDF5 file before HDF5 does: on a damaged one it may never return, or crash.

Texts of varying length lie in heaps that begin with ``GCOL`` (HDF5 File Format Specification, III.E). HDF5 walks
through the objects of a heap by their stated sizes; a size of zero for the free space keeps it in place for ever, and
one that leads out of the heap leads out of its memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from parscope.core.errors import FormatError

_SIGNATURE, _HEAD, _OBJECT = b"GCOL\x01\x00\x00\x00", 16, 16
_REACH = 4 << 20


def check_heaps(path: Path) -> None:
    """Refuse a file with a heap through which HDF5 cannot walk; looks at 4 MiB at each end of the file.

    Parameters
    ----------
    path : Path
        An HDF5 file.

    Raises
    ------
    FormatError
        If there is one.
    """
    if not path.is_file():
        return
    size = path.stat().st_size
    with path.open("rb") as stream:
        for start in sorted({0, max(0, size - _REACH)}):
            stream.seek(start)
            if not all(_sound(heap) for heap in _heaps(stream.read(_REACH))):
                raise FormatError(
                    "is a damaged HDF5 file (a heap of texts is broken)", str(path), "copy it again from the instrument"
                )


def _heaps(part: bytes) -> Iterator[bytes]:
    place = part.find(_SIGNATURE)
    while place >= 0:
        size = int.from_bytes(part[place + 8 : place + _HEAD], "little")
        heap = part[place : place + size] if size <= _REACH else b""
        # one that reaches over the end of the part is not looked at
        if _HEAD <= size == len(heap):
            yield heap
        place = part.find(_SIGNATURE, place + 1)


def _sound(heap: bytes) -> bool:
    place = _HEAD
    while len(heap) - place >= _OBJECT:
        index = int.from_bytes(heap[place : place + 2], "little")
        size = int.from_bytes(heap[place + 8 : place + _OBJECT], "little")
        # an object is padded to eight bytes and follows its header, which the free space (index 0) includes
        need = _OBJECT + -(-size // 8) * 8 if index else size
        if not 0 < need <= len(heap) - place:
            return False
        place += need
    return True
