"""Which lines of a scan have changed, for any number of readers, so that only these are sent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_RECENT, _SWEEP = 32, 32


class Changes:
    """Keeps a copy of what was there and numbers every change.

    A pattern's values are written before its fate, so a line is looked at where fates have changed. Some kernels write
    values of a line later than that (an integral along it, say): lines that changed in the last looks are compared
    number by number, and so is a share of all others in turn, so that nothing is missed for longer than `_SWEEP` looks.

    Parameters
    ----------
    scan_shape : tuple of int
        Scan positions (y, x).
    outputs : int
        Numbers per position.
    """

    def __init__(self, scan_shape: tuple[int, int], outputs: int) -> None:
        rows, columns = scan_shape
        self.values = np.full((rows, columns, outputs), np.nan, np.float32)
        self.fate = np.zeros(scan_shape, np.uint8)
        self.version = 0
        self._changed = np.zeros(rows, np.int64)

    def look(self, values: NDArray[np.float32], fate: NDArray[np.uint8]) -> None:
        """Copy what has changed.

        Parameters
        ----------
        values : ndarray of float32, shape (positions, outputs)
            As they are now.
        fate : ndarray of uint8, shape (positions,)
            As they are now.
        """
        now, fates = values.reshape(self.values.shape), fate.reshape(self.fate.shape)
        self.version += 1
        changed = (fates != self.fate).any(axis=1)
        recent = (self._changed > 0) & (self._changed >= self.version - _RECENT)
        recent[self.version % _SWEEP :: _SWEEP] = True
        asked = np.flatnonzero(recent & ~changed)
        # As integers: NaN is not equal to itself.
        differ = now[asked].view(np.uint32) != self.values[asked].view(np.uint32)
        changed[asked] = differ.any(axis=(1, 2))
        rows = np.flatnonzero(changed)
        self.fate[rows] = fates[rows]
        self.values[rows] = now[rows]
        self._changed[rows] = self.version

    def since(self, version: int) -> NDArray[np.intp]:
        """Lines that have changed after a version.

        Parameters
        ----------
        version : int
            What `version` was when the reader last took lines; 0 for all that were ever written.

        Returns
        -------
        ndarray of int, shape (lines,)
        """
        return np.flatnonzero(self._changed > version)
