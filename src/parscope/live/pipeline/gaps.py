"""Positions whose numbers are not all there yet, and what fills them in: the messages that the ring still has."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from parscope.live.pipeline.board import Bank
from parscope.live.pipeline.ring import Reader


class Gaps:
    """Positions of a series that are to be analysed once more, for the maps alone.

    Parameters
    ----------
    reader : Reader
        Of the ring.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._bank: Bank | None = None
        self._due: deque[int] = deque()
        self._lacking: deque[int] = deque()

    def __len__(self) -> int:
        """Positions that can be filled in now."""
        return len(self._due)

    def begin(self, bank: Bank | None = None) -> None:
        """Forget those of the last series.

        Parameters
        ----------
        bank : Bank, optional
            Of the next one.
        """
        self._bank = bank
        self._due.clear()
        self._lacking.clear()

    def skip(self, positions: Sequence[int]) -> None:
        """Note positions that were passed over.

        Parameters
        ----------
        positions : sequence of int
            In their order.
        """
        self._due.extend(positions)

    def lack(self, positions: Sequence[int]) -> None:
        """Note positions that lack numbers of kernels which are not ready.

        Parameters
        ----------
        positions : sequence of int
            In their order.
        """
        self._lacking.extend(positions)

    def ready(self) -> None:
        """Some of these kernels are ready."""
        self._due.extend(self._lacking)
        self._lacking.clear()

    def next(self) -> tuple[int, memoryview] | None:
        """Take the next position that can be filled in.

        Returns
        -------
        tuple of int and memoryview, optional
            It, and its message; None if there is none that the ring still has.
        """
        while self._due and self._bank is not None:
            position = self._due.popleft()
            message = self._reader.at(int(self._bank.places[position]))
            if message is not None:
                return position, memoryview(message)
        return None

    def oldest(self, lacking: bool) -> int:
        """Where in the ring the oldest message lies that is to be read once more.

        Parameters
        ----------
        lacking : bool
            Whether those count that lack kernels which are not ready.

        Returns
        -------
        int
            -1 if there is none.
        """
        if self._bank is None:
            return -1
        places = self._bank.places
        found = -1
        for line in (self._due, self._lacking)[: 1 + lacking]:
            while line and places[line[0]] >= 0 and not self._reader.has(int(places[line[0]])):
                line.popleft()  # written over: nothing is to be kept for it
            # one that is not in the ring yet is the newest of all
            if line and places[line[0]] >= 0:
                found = int(places[line[0]]) if found < 0 else min(found, int(places[line[0]]))
        return found
