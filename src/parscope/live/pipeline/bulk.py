"""Many patterns at once, where many wait and all are to be answered in their order.

What is done for every pattern in Python costs more than the pattern itself where it is small. Here messages are moved,
read and analysed by the dozen, in compiled loops; only decompression is a call for each. This is a short cut of the
ordinary way, never another way: it takes images that follow each other without a gap, and whatever else comes (the
begin or end of a series, a hole, a double, damage) ends it, and is dealt with by itself. So is everything where rules
act upon results, or the newest pattern counts: there the first of many must not wait for the last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from parscope.core.contracts import Source
from parscope.live.pipeline import runs
from parscope.live.pipeline.answers import Answers
from parscope.live.pipeline.board import cell_of
from parscope.live.pipeline.ring import Reader, Ring
from parscope.live.pipeline.stretch import MOST, Stretch
from parscope.live.wire.scan import Scanner

_ANSWERED, _MISSED = cell_of("answered"), cell_of("missed")

LEAST = 4
"""Messages below which each is dealt with by itself."""


class Many(Protocol):
    """Where many messages can be taken at once: the attribute ``many`` of a source that has it."""

    data: NDArray[np.uint8]

    def find_run(self, run: NDArray[np.int64], least: int) -> int:
        """Look at messages without taking them; see `parscope.live.transport.zmtp.ZmtpPull.find_run`."""

    def take_run(self, run: NDArray[np.int64]) -> None:
        """Take them."""


class Bulk:
    """The short cut of an engine.

    Parameters
    ----------
    source : Source
        Of the engine.
    ring : Ring
        Of the engine.
    reader : Reader
        By whom its messages are read; the writer waits for it.
    answers : Answers
        Of the engine.
    scanner : Scanner
        Of the engine.
    clock : callable
        Time of this machine, [ns].

    Attributes
    ----------
    arrived : int
        When the last messages were taken from the source, [ns].
    """

    def __init__(
        self,
        source: Source,
        ring: Ring,
        reader: Reader,
        answers: Answers,
        scanner: Scanner,
        clock: Callable[[], int],
    ) -> None:
        self._source, self._ring, self._reader, self._answers = source, ring, reader, answers
        self._scanner, self._clock = scanner, clock
        self._cells = answers.board.cells
        self._run = np.zeros((MOST, 2), np.int64)
        self._found, self._told = np.zeros((MOST, 2), np.int64), np.zeros((MOST, 3), np.int64)
        self._heads = np.zeros((MOST, 9), np.int64)
        self.arrived = 0
        runs.warm()

    @property
    def ready(self) -> bool:
        """Whether images can be answered this way now."""
        return self._answers.stretch() is not None

    @property
    def most(self) -> int:
        """Patterns that are answered at once, at most."""
        stretch = self._answers.stretch()
        return MOST if stretch is None else stretch.depth

    @property
    def hungry(self) -> bool:
        """Whether fewer messages wait in the ring than can be answered this way."""
        return self._reader.behind < LEAST

    @property
    def by_itself(self) -> bool:
        """Whether the source gives many at once, so that `fetch` is the way to take them."""
        return getattr(self._source, "many", None) is not None

    def fetch(self) -> int:
        """Move messages of which many wait from the source into the ring.

        Returns
        -------
        int
            How many; 0 if few wait, or the source gives them one by one only.
        """
        many: Many | None = getattr(self._source, "many", None)
        if many is None:
            return 0
        count = many.find_run(self._run[: self.most], LEAST)
        if count < LEAST:
            return 0
        self.arrived = self._clock()
        count = self._ring.put_run(many.data, self._run[:count], self.arrived)
        if count:
            many.take_run(self._run[:count])
        return count

    def answer(self) -> int:
        """Answer the images that come next in the ring, if they are many.

        Returns
        -------
        int
            How many.
        """
        stretch, reader = self._answers.stretch(), self._reader
        if stretch is None:
            return 0
        count = reader.find_run(self._found[: stretch.depth], self._told)
        channels = self._scanner.channels
        number = stretch.place.channel
        if count < LEAST or number >= len(channels) or not stretch.fits(channels[number]):
            return 0
        heads, (image, left) = self._heads, stretch.due
        follow = stretch.place.series, image
        count = self._scanner.scan_run(reader.bytes, self._found[: min(count, left)], number, follow, heads)
        if not count:
            return 0
        told = self._told[:count]
        told[:, 0] += reader.next
        count = stretch.answer(reader.memory, channels[number], heads[:count], told[:, ::2], self._clock)
        if count:
            self._book(stretch, image, count)
        return count

    def _book(self, stretch: Stretch, first: int, count: int) -> None:
        """Count what was answered, and give the messages back."""
        answers = self._answers
        self._reader.take_run(count, int(self._told[count - 1, 1]))
        self._cells[_ANSWERED] += count
        self._cells[_MISSED] += stretch.missed
        answers.sheet.show(stretch.frame(count - 1), int(self._heads[count - 1, 2]), stretch.decided)
        for k, failed in stretch.failed:
            answers.sentences.crashed(failed, first + k)
        answers.follow(first, count)

    def pass_over(self) -> int:
        """Pass over the images that come next in the ring but for the last of them, where the newest counts.

        Returns
        -------
        int
            How many; 0 if they are few, or not images of the series that follow each other.
        """
        answers, reader = self._answers, self._reader
        course = answers.course
        if course is None or reader.behind < LEAST:
            return 0
        count = reader.find_run(self._found, self._told)
        follow, left = (answers.number, course.next), course.positions - course.next
        count = self._scanner.scan_run(reader.bytes, self._found[: min(count, left)], 0, follow, self._heads) - 1
        if count < 1:
            return 0
        answers.board.bank.places[course.next : course.next + count] = self._told[:count, 0] + reader.next
        answers.pass_over(course.next, count)
        course.follow(count)
        reader.take_run(count, int(self._told[count - 1, 1]))
        return count
