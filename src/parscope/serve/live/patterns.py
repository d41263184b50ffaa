"""Patterns of scan positions, out of the ring of messages as long as they are in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from parscope.live.pipeline.board import Board
from parscope.live.pipeline.ring import Reader
from parscope.live.wire.decompress import Decompressor
from parscope.live.wire.errors import MessageError
from parscope.live.wire.scan import Head, Payload, Scanner


@dataclass(frozen=True)
class _Series:
    """How the messages of a series are read."""

    number: int
    channel: str
    decompressor: Decompressor


class RingPatterns:
    """Gives patterns of the series that is measured and of the one before; for one thread at a time.

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
        self._board = board
        self._reader: Reader | None = Reader(ring)
        self._scanner = Scanner()
        self._known: dict[int, _Series | None] = {}

    def __call__(self, position: int, generation: int | None = None) -> NDArray[Any] | None:
        """Find a pattern.

        Parameters
        ----------
        position : int
            Scan position, row by row.
        generation : int, optional
            Which series, as the board counts them. Default: the one that is measured.

        Returns
        -------
        ndarray, optional
            Shape (q_y, q_x), valid until the next call; None if it did not come, was damaged, or has been written over.
        """
        newest = self._board.generation
        generation = newest if generation is None else generation
        series = self._series(generation) if newest - 1 <= generation <= newest else None
        if series is None or self._reader is None:
            return None
        places = self._board.of(generation).places
        message = self._reader.at(int(places[position])) if 0 <= position < len(places) else None
        return None if message is None else self._read(series, position, message)

    def _read(self, series: _Series, position: int, message: bytes) -> NDArray[Any] | None:
        """The pattern in a message, if it is the one that is looked for."""
        try:
            head = self._scanner.scan(message)
            payload = _payload(head, series.channel)
            if payload is None or (head.series, head.image) != (series.number, position):
                return None
            return series.decompressor.decode(message, payload)
        except MessageError:
            return None

    def _series(self, generation: int) -> _Series | None:
        """Another series may have other patterns; None if nothing is known of them."""
        if generation not in self._known:
            head = self._board.of(generation).head
            self._known = {one: known for one, known in self._known.items() if one >= generation - 1}
            self._known[generation] = None
            if "pattern_shape" in head:
                decompressor = Decompressor(tuple(head["pattern_shape"]), head["dtype"])
                self._known[generation] = _Series(head["series"], head["channel"], decompressor)
        return self._known[generation]

    def close(self) -> None:
        """Let go of the ring: no pattern is kept any more. May be called twice."""
        if self._reader is not None:
            self._reader.close()
        self._reader = None


def _payload(head: Head, channel: str) -> Payload | None:
    """The channel that is analysed; None if the message is no pattern."""
    return next((payload for payload in head.channels if payload.name == channel), None)
