"""Patterns compressed by TRPX: DECTRIS's library for Python can only read it, and has the writer inside."""

from __future__ import annotations

import ctypes
import importlib
from typing import Any

from numpy.typing import NDArray

_TRPX = 3  # in the list of the algorithms of the library


def terse(pattern: NDArray[Any]) -> bytes:
    """Compress a pattern."""
    library = ctypes.CDLL(str(importlib.import_module("dectris.compression").__file__))
    compress = library.compression_compress_buffer
    compress.restype, compress.argtypes = (
        ctypes.c_size_t,
        [ctypes.c_int, *[ctypes.c_char_p, ctypes.c_size_t] * 2, ctypes.c_size_t],
    )
    raw = pattern.tobytes()
    room = ctypes.create_string_buffer(2 * len(raw) + 4096)
    size = compress(_TRPX, room, len(room), raw, len(raw), pattern.itemsize)
    return room.raw[:size]
