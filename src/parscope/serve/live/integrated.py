"""The integrated deflection of what is there of a scan, made anew as often as the machine allows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from parscope.live.kernels.integrate import icom, without_plane
from parscope.serve.live.changes import Changes

_PERIOD, _SHARE = 0.5, 0.1


class Integrated:
    """A map that follows from two others, with the fates that it was made of.

    Parameters
    ----------
    scan_shape : tuple of int
        Scan positions (y, x).
    pair : tuple, optional
        As `looks.pair_of` gives it; None for no map.
    clock : callable
        Seconds that never go back.
    """

    def __init__(
        self, scan_shape: tuple[int, int], pair: tuple[str, int, int] | None, clock: Callable[[], float]
    ) -> None:
        self.changes = Changes(scan_shape, 1)
        self._pair, self._clock = pair, clock
        self._next, self._seen = -np.inf, 0

    def follow(self, source: Changes) -> None:
        """Make it anew, if something has changed and it is time: at most a tenth of the time goes into it.

        Parameters
        ----------
        source : Changes
            Of the maps it follows from.
        """
        start = self._clock()
        if self._pair is None or start < self._next or not source.since(self._seen).size:
            return
        self._seen = source.version
        name, y, x = self._pair
        com_y, com_x = (source.values[:, :, column].astype(np.float64) for column in (y, x))
        if name == "com":
            com_y, com_x = without_plane(com_y, com_x)
        made = icom(com_y, com_x).astype(np.float32)
        self.changes.look(made.reshape(-1, 1), source.fate.ravel())
        self._next = start + max(_PERIOD, (self._clock() - start) / _SHARE)
