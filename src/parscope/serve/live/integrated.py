"""The integrated deflection of what is there of a scan, made anew as often as the machine allows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from parscope.live.kernels.integrate import integrated
from parscope.serve.live.changes import Changes
from parscope.serve.live.later import Later

_PERIOD = 0.5

_Made = tuple[NDArray[np.float32], NDArray[np.uint8]]


class Integrated:
    """A map that follows from two others, with the fates that it was made of.

    Parameters
    ----------
    scan_shape : tuple of int
        Scan positions (y, x).
    pair : tuple, optional
        As `pair_of` gives it; None for no map.
    clock : callable
        Seconds that never go back.
    """

    def __init__(
        self, scan_shape: tuple[int, int], pair: tuple[str, int, int] | None, clock: Callable[[], float]
    ) -> None:
        self.changes = Changes(scan_shape, 1)
        self._pair, self._clock = pair, clock
        nothing = np.zeros((0, 0), np.float32), np.zeros((0, 0), np.uint8)
        self._later: Later[_Made] = Later(nothing, scan_shape[0] * scan_shape[1])
        self._next, self._seen, self._taken = -np.inf, 0, 0

    def follow(self, source: Changes) -> None:
        """Make it anew, if something has changed and it is time.

        Parameters
        ----------
        source : Changes
            Of the maps it follows from.
        """
        now, later = self._clock(), self._later
        if not later.busy and now >= self._next:
            self._make(source, later.ask, now)
        self._take()

    def complete(self, source: Changes) -> None:
        """Make it of all that there is, since nothing will come any more.

        Parameters
        ----------
        source : Changes
            Of the maps it follows from.
        """
        self._later.wait()
        self._make(source, self._later.now, self._clock())
        self._take()

    def _make(self, source: Changes, how: Callable[..., None], now: float) -> None:
        """Have it made, if something has changed."""
        if self._pair is not None and source.since(self._seen).size:
            self._seen, self._next = source.version, now + _PERIOD
            name, y, x = self._pair
            how(_made, name, source.values[:, :, [y, x]].astype(np.float64), source.fate.copy())

    def _take(self) -> None:
        """Show what was made since the last look."""
        if self._later.number > self._taken:
            self._taken = self._later.number
            made, fate = self._later.answer
            self.changes.look(made.reshape(-1, 1), fate.ravel())


def _made(name: str, pair: NDArray[np.float64], fate: NDArray[np.uint8]) -> _Made:
    """The map."""
    return integrated(name, pair[:, :, 0], pair[:, :, 1]).astype(np.float32), fate
