"""Patterns of scan positions, out of the ring of messages as long as they are in it."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from parscope.live.pipeline.board import Board
from parscope.live.pipeline.ring import Reader
from parscope.live.wire.decompress import Decompressor
from parscope.live.wire.errors import MessageError
from parscope.live.wire.scan import Head, Payload, Scanner


class RingPatterns:
    """Gives the pattern of a scan position of the series that is measured; for one thread at a time.

    Parameters
    ----------
    board : Board
        Knows where in the ring the message of a position lies.
    ring : str
        Name of the ring.

    Raises
    ------
    InputError
        If there is no such ring.
    """

    def __init__(self, board: Board, ring: str) -> None:
        self._board, self._reader = board, Reader(ring)
        self._scanner = Scanner()
        self._generation = -1
        self._series, self._channel = -1, ""
        self._decompressor: Decompressor | None = None

    def __call__(self, position: int) -> NDArray[Any] | None:
        """Find a pattern.

        Parameters
        ----------
        position : int
            Scan position, row by row.

        Returns
        -------
        ndarray, optional
            Shape (q_y, q_x), valid until the next call; None if it did not come, was damaged, or has been written over.
        """
        if self._board.generation != self._generation:
            self._begin(self._board.generation)
        places = self._board.of(self._generation).places
        if self._decompressor is None or not 0 <= position < len(places):
            return None
        message = self._reader.at(int(places[position]))
        if message is None:
            return None
        try:
            head = self._scanner.scan(message)
            payload = self._payload(head)
            if payload is None or (head.series, head.image) != (self._series, position):
                return None
            return self._decompressor.decode(message, payload)
        except MessageError:
            return None

    def _begin(self, generation: int) -> None:
        """Another series may have other patterns."""
        head = self._board.of(generation).head
        self._generation, self._decompressor = generation, None
        if "pattern_shape" in head:
            self._series, self._channel = head["series"], head["channel"]
            self._decompressor = Decompressor(tuple(head["pattern_shape"]), head["dtype"])

    def _payload(self, head: Head) -> Payload | None:
        """The channel that is analysed; None if the message is no pattern."""
        return next((payload for payload in head.channels if payload.name == self._channel), None)

    def close(self) -> None:
        """Let go of the ring; may be called twice."""
        self._reader.close()
