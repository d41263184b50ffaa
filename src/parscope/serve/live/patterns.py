"""Patterns of scan positions, out of the ring of messages as long as they are in it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.live.pipeline.board import Board
from parscope.live.pipeline.ring import Reader
from parscope.live.wire.decompress import Decompressor
from parscope.live.wire.errors import MessageError
from parscope.live.wire.scan import Head, Payload, scan


class RingPatterns:
    """Gives the pattern of a scan position of the series that is measured.

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

    def __call__(self, position: int) -> NDArray[Any] | None:
        """Find a pattern.

        Parameters
        ----------
        position : int
            Scan position, row by row.

        Returns
        -------
        ndarray, optional
            Shape (q_y, q_x); None if it did not come, was damaged, or has been written over.
        """
        bank = self._board.bank
        if not 0 <= position < len(bank.places):
            return None
        message = self._reader.at(int(bank.places[position]))
        if message is None:
            return None
        told = bank.head
        try:
            head = scan(message)
            payload = _payload(head, told["channel"])
            if payload is None or (head.series, head.image) != (told["series"], position):
                return None
            frame = Decompressor(tuple(told["pattern_shape"]), told["dtype"]).decode(message, payload)
        except MessageError:
            return None
        return np.array(frame)

    def close(self) -> None:
        """Let go of the ring; may be called twice."""
        self._reader.close()


def _payload(head: Head, channel: str) -> Payload | None:
    """The channel that is analysed; None if the message is no pattern."""
    return next((payload for payload in head.channels if payload.name == channel), None)
