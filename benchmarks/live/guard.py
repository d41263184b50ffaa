"""Memory between two pages that nobody may touch: whoever reads or writes a byte too far is ended by the system."""

from __future__ import annotations

import ctypes
import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NOTHING = 0  # PROT_NONE of POSIX


class Guarded:
    """Room for some bytes, with a forbidden page on both sides.

    Parameters
    ----------
    size : int
        Bytes at least.
    """

    def __init__(self, size: int) -> None:
        page = mmap.PAGESIZE
        room = -(-size // page) * page
        self._map = mmap.mmap(-1, room + 2 * page)
        whole = np.frombuffer(self._map, np.uint8)
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        for first in (0, page + room):
            if protect(whole.ctypes.data + first, page, _NOTHING):
                raise OSError(ctypes.get_errno(), "mprotect")
        self.room: NDArray[np.uint8] = whole[page : page + room]

    def put(self, data: bytes | NDArray[Any], first: bool = False) -> NDArray[np.uint8]:
        """Place bytes against the page behind them, or with `first` against the one before."""
        size = len(data)
        place = self.room[:size] if first else self.room[self.room.size - size :]
        place[:] = np.frombuffer(data, np.uint8)
        return place
