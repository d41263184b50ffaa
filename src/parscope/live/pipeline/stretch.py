"""Images of one series that come one after the other, answered together: one clock for all, one write for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.stream import Fate
from parscope.live.kernels.plan import Plan
from parscope.live.pipeline.board import Bank
from parscope.live.pipeline.course import Course
from parscope.live.wire.scan import Payload
from parscope.live.wire.stack import Stack

_OPENED, _EXPOSED, _OFFSET = 3, 4, 7  # columns of heads
_OK = int(Fate.ANSWERED)
_MEMORY = 1 << 21  # bytes of patterns at once: where they are large, what a processor keeps near it
MOST = 64
"""Patterns at once, at most."""


@dataclass(frozen=True)
class Place:
    """Which samples of which images are analysed.

    Parameters
    ----------
    series : int
        Number of the series.
    channel : int
        Number of the channel.
    name : str
        Its name.
    """

    series: int
    channel: int
    name: str


def stack_for(shape: tuple[int, int], dtype: str) -> Stack:
    """Room for as many patterns as are answered at once.

    Parameters
    ----------
    shape : tuple of int
        Detector pixels (q_y, q_x).
    dtype : str
        NumPy name of the sample type.

    Returns
    -------
    Stack
    """
    size = shape[0] * shape[1] * np.dtype(dtype).itemsize
    return Stack(shape, dtype, max(min(MOST, _MEMORY // size), 1))


class Stretch:
    """Answers images of one series; only those whose numbers follow the last one without a gap.

    Parameters
    ----------
    course : Course
        Of the series.
    bank : Bank
        Where its numbers go.
    place : Place
        What is analysed.
    plan : Plan
        What is computed.
    stack : Stack
        Room for the patterns.
    deadline : int
        Longest time from the arrival of a pattern to its answer, [ns].

    Attributes
    ----------
    missed : int
        How many of the last answers came later than that.
    decided : int
        When the last answers were there, [ns].
    failed : list of tuple
        Which of the last patterns a kernel failed with, and which kernels.
    """

    def __init__(
        self,
        course: Course,
        bank: Bank,
        place: Place,
        plan: Plan,
        stack: Stack,
        deadline: int,
    ) -> None:
        self.depth = len(stack.frames)
        self.place, self.missed, self.decided = place, 0, 0
        self.failed: list[tuple[int, dict[str, Exception]]] = []
        self._course, self._bank, self._deadline = course, bank, deadline
        self._plan = plan
        self._stack = stack
        self._out = np.full((self.depth, len(plan.outputs)), np.nan)

    def fits(self, payload: Payload) -> bool:
        """Whether a channel is the one that is analysed.

        Parameters
        ----------
        payload : Payload
            What a message says of it.

        Returns
        -------
        bool
        """
        frames = self._stack.frames
        same = payload.name == self.place.name and payload.shape == frames.shape[1:]
        return same and payload.dtype == frames.dtype.name

    @property
    def due(self) -> tuple[int, int]:
        """Number of the image that comes next, and how many are still to come."""
        return self._course.next, self._course.positions - self._course.next

    def answer(
        self,
        data: memoryview,
        payload: Payload,
        heads: NDArray[np.int64],
        arrived: NDArray[np.int64],
        clock: Callable[[], int],
    ) -> int:
        """Decompress, analyse, and write it all down.

        Times are those of all together, and so at or after those of each: of ``decoded``, when the last one was;
        of ``analysed`` and ``decided``, when the last numbers were there.

        Parameters
        ----------
        data : memoryview
            Memory that holds the messages.
        payload : Payload
            What their samples are.
        heads : ndarray of int64, shape (n, 9)
            Of images that follow each other, at most `depth`.
        arrived : ndarray of int64, shape (n, 2)
            Where the message of each lies in the ring, and when it came, [ns].
        clock : callable
            Time of this machine, [ns].

        Returns
        -------
        int
            How many were answered, before the first one whose samples cannot be read.
        """
        count = self._stack.fill(data, payload, heads[:, _OFFSET : _OFFSET + 2])
        if not count:
            return 0
        decoded = clock()
        out = self._out[:count]
        self.failed = self._compute(self._stack.frames[:count], out)
        decided = clock()
        first = self._course.next
        here = slice(first, first + count)
        self._bank.values[here] = out
        stamps = self._bank.stamps[here]
        stamps[:, 0] = arrived[:count, 1]
        stamps[:, 1:5] = decoded, decided, decided, 0
        stamps[:, 5:] = np.maximum(heads[:count, [_EXPOSED, _OPENED]], 0)
        self._bank.places[here] = arrived[:count, 0]
        self._bank.fate[here] = _OK
        self._course.follow(count)
        self.missed = int((decided - arrived[:count, 1] > self._deadline).sum())
        self.decided = decided
        return count

    def _compute(self, frames: NDArray[Any], out: NDArray[np.float64]) -> list[tuple[int, dict[str, Exception]]]:
        """All numbers of all; NaN of a kernel that fails with a pattern."""
        try:
            self._plan.run_many(frames, out)
        except Exception:  # noqa: BLE001 - whatever a kernel does, the loop goes on
            return [(k, self._plan.run_apart(frame, out[k])) for k, frame in enumerate(frames)]
        return []

    def frame(self, number: int) -> NDArray[Any]:
        """One of the patterns that were answered last.

        Parameters
        ----------
        number : int
            Which.

        Returns
        -------
        ndarray, shape (q_y, q_x)
        """
        found: NDArray[Any] = self._stack.frames[number]
        return found
