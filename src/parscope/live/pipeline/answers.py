"""From a message with a pattern to numbers on the board: what is done for every single pattern, as little as can be."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.stream import Fate, Series
from parscope.live.pipeline.board import STAMPS, Board, cell_of
from parscope.live.pipeline.course import Course
from parscope.live.pipeline.policy import Policy as Policy
from parscope.live.pipeline.ring import Reader
from parscope.live.pipeline.rivals import shared, strange
from parscope.live.pipeline.series import Analyser, channel_of, detector_of, head_of, scan_shape_of
from parscope.live.pipeline.stretch import Place, Stretch, stack_for
from parscope.live.pipeline.workshop import Workshop
from parscope.live.rules.actuator import Actuator
from parscope.live.wire.decompress import Decompressor
from parscope.live.wire.errors import MessageError
from parscope.live.wire.scan import Head, Payload, Scanner
from parscope.live.wire.stack import Stack

_ANSWERED, _SKIPPED, _DAMAGED, _STALE, _MISSED, _SERIES, _FINISHED, _FILLED = (
    cell_of(name) for name in ("answered", "skipped", "damaged", "stale", "missed", "series", "finished", "filled")
)
_OK, _PASSED, _BROKEN, _LATER = (int(one) for one in (Fate.ANSWERED, Fate.SKIPPED, Fate.DAMAGED, Fate.FILLED))
_TIMES = struct.Struct(f"={len(STAMPS)}q")
_PLACE = struct.Struct("=q")
_SHOWN_EVERY = 33_000_000  # ns between patterns that are shown


@dataclass(frozen=True)
class _Waiting:
    """A pattern that came before its analysis was ready."""

    frame: NDArray[Any]
    position: int
    image: int
    times: tuple[int, int, int]


class Answers:
    """Answers the patterns of one series after the other.

    Parameters
    ----------
    board : Board
        Where they go.
    reader : Reader
        By whom messages are read; it tells when they came, and whether more wait.
    analyser : Analyser
        Makes the analysis.
    policy : Policy
        How patterns are treated.
    actuator : Actuator, optional
        Rules that act upon results.
    clock : callable
        Time of this machine, [ns].
    tell : callable
        Is told, in a sentence, what a person should know.
    """

    def __init__(  # noqa: PLR0913 - the parts of an engine
        self,
        board: Board,
        reader: Reader,
        analyser: Analyser,
        policy: Policy,
        actuator: Actuator | None,
        clock: Callable[[], int],
        tell: Callable[[str], None],
    ) -> None:
        self.board, self.reader, self.policy, self.actuator, self.clock = board, reader, policy, actuator, clock
        self.tell = tell
        self._newest = policy.newest
        self.course: Course | None = None
        self.finished = 0
        self._workshop = Workshop(analyser, policy.keep)
        self._waiting: list[_Waiting] = []
        self._passed: deque[int] = deque()  # positions that may be filled in
        self._again = Scanner()  # of messages of the ring: the one of the loop may be in use
        self._cells = board.cells
        self._number = self._strange = -1
        self._channel, self._name = 0, ""
        self._shown = -_SHOWN_EVERY
        self._ready = self._excused = False
        self._faults = 0
        self._stack: Stack | None = None
        self._stretch: Stretch | None = None
        self._out: NDArray[np.float64] = np.full(len(analyser.outputs), np.nan)

    @property
    def held_up(self) -> bool:
        """Whether patterns have to wait because the analysis is being made."""
        if self._ready:
            return False
        return self.course is not None and (self._workshop.busy or (bool(self._waiting) and not self._workshop.wants))

    def begin(self, series: Series) -> None:
        """Begin a series; one that has not ended has ended now.

        Parameters
        ----------
        series : Series
            As the detector announces it.

        Raises
        ------
        ParscopeError
            If its scan shape or its channel is not what was asked for.
        """
        self.finish()
        shape = scan_shape_of(series, self.policy.scan)
        self._channel = channel_of(series, self.policy.channel)
        self._name = series.channels[self._channel]
        bank = self.board.begin(head_of(series, self._channel), shape)
        self._bank = bank
        self._memory, self._values, self._fates = bank.memory, bank.values, bank.fates
        _, self._stamps_at, self._places_at, _ = bank.offsets
        self._number, self._faults, self._excused = series.number, 0, False
        self._passed.clear()
        self._decode = Decompressor(series.shape, series.dtype).decode
        if not self._newest and self.actuator is None:
            self._stack = stack_for(series.shape, series.dtype)
        self._stretch = None
        self._workshop.begin(detector_of(series, shape))
        self._set()
        if self.actuator is not None:
            self.actuator.begin(series.number, shape)
        self.course = Course(bank, self._cells)
        self._cells[_SERIES] += 1

    def stretch(self) -> Stretch | None:
        """What answers images that come one after the other without a gap; see `parscope.live.pipeline.bulk.Bulk`.

        Returns
        -------
        Stretch, optional
            None where every pattern is dealt with by itself: rules act upon it, a newer one may take its place, or its
            analysis is not ready.
        """
        if self._stretch is None and self._ready and self.course is not None and self._stack is not None:
            analysis = self._workshop.analysis
            if analysis is not None:
                place = Place(self._number, self._channel, self._name)
                self._stretch = Stretch(self.course, self._bank, place, analysis, self._stack, self.policy.deadline)
        return self._stretch

    def image(self, message: memoryview, head: Head, received: int) -> int:
        """Answer a pattern, or say what became of it.

        Parameters
        ----------
        message : memoryview
            As it came.
        head : Head
            What it says.
        received : int
            When it came, [ns].

        Returns
        -------
        int
            Its scan position; -1 if it has none.
        """
        course = self.course
        if course is None or head.series != self._number:
            self._stray(head)
            return -1
        position = course.place(head.image)
        if position < 0:
            return -1
        if self._newest and self._behind():
            self._pass(position)
            self._passed.append(position)
            return position
        try:
            frame = self._decode(message, self._payload(head))
        except MessageError as error:
            self._break(position, error)
            return position
        stop = head.stop_ns
        times = (received, self.clock(), stop if stop > 0 else 0)
        if self._ready:
            self._answer(frame, position, head.image, times)
        else:
            self._wait(_Waiting(frame.copy(), position, head.image, times))
        return position

    def _behind(self) -> bool:
        """Whether a newer pattern waits; an example for the analysis is never passed over."""
        return b"image" in self.reader.peek(32) and (self._ready or not self._workshop.wants)

    @property
    def gaps(self) -> int:
        """Patterns that were passed over and may be filled in."""
        return len(self._passed) if self._workshop.fault is None else 0

    def fill(self) -> bool:
        """Analyse a pattern that was passed over, for the maps alone: rules do not see it.

        Returns
        -------
        bool
            Whether there was one that the ring still has.
        """
        while self._ready and self._passed:
            position = self._passed.popleft()
            (place,) = _PLACE.unpack_from(self._memory, self._places_at + 8 * position)
            message = self.reader.at(place)
            if message is not None:
                self._fill(memoryview(message), position)
                return True
        return False

    def _fill(self, message: memoryview, position: int) -> None:
        """Write the numbers of a pattern without those of an answer."""
        try:
            frame = self._decode(message, self._payload(self._again.scan(message)))
        except MessageError as error:
            self._break(position, error)
            return
        self._run(frame, self._out)
        self._values[position] = self._out
        self._fates[position] = _LATER
        self._cells[_FILLED] += 1

    def settle(self) -> None:
        """Wait for the analysis, and answer what waited for it: the series has ended."""
        self._workshop.join()
        self.pump()

    def keep(self, position: int, place: int) -> None:
        """Note where in the ring the message of a position lies.

        Parameters
        ----------
        position : int
            Scan position.
        place : int
            Position in the ring.
        """
        _PLACE.pack_into(self._memory, self._places_at + 8 * position, place)

    def _answer(self, frame: NDArray[Any], position: int, image: int, times: tuple[int, int, int]) -> None:
        """Analyse a pattern, let rules decide, and write it all down."""
        received, decoded, exposed = times
        out = self._out
        self._run(frame, out)
        decided = self.clock()
        emitted = 0
        if self.actuator is not None:
            emitted = self.actuator.step(position, out, received, decided, image, exposed)
        self._values[position] = out
        _TIMES.pack_into(
            self._memory, self._stamps_at + _TIMES.size * position, received, decoded, decided, emitted, exposed
        )
        self._fates[position] = _OK
        cells = self._cells
        cells[_ANSWERED] += 1
        if (emitted or decided) - received > self.policy.deadline:
            cells[_MISSED] += 1
        self.show(frame, position, decided)

    def show(self, frame: NDArray[Any], position: int, now: int) -> None:
        """Let everybody see a pattern, if it is time for another one.

        Parameters
        ----------
        frame : ndarray, shape (q_y, q_x)
            Counts.
        position : int
            Scan position.
        now : int
            Time of this machine, [ns].
        """
        if now - self._shown > _SHOWN_EVERY:
            self._shown = now
            self.board.show(frame, position)

    def _payload(self, head: Head) -> Payload:
        """The channel that is analysed; its place in the message may change."""
        channels = head.channels
        if self._channel < len(channels) and channels[self._channel].name == self._name:
            return channels[self._channel]
        for payload in channels:
            if payload.name == self._name:
                return payload
        raise MessageError("is not in the message", f"channel {self._name}")

    def _break(self, position: int, error: MessageError) -> None:
        """A pattern that cannot be read; the reason is told once a series."""
        self._fates[position] = _BROKEN
        self._cells[_DAMAGED] += 1
        self._faults += 1
        if self._faults == 1:
            self.tell(f"image {position} of series {self._number} is damaged: {error}")

    def is_of(self, series: int) -> bool:
        """Whether a series is the one that is measured.

        Parameters
        ----------
        series : int
            Its number.

        Returns
        -------
        bool
        """
        return self.course is not None and series == self._number

    def complain(self, error: MessageError) -> None:
        """Tell of a message that cannot be read at all, once a series.

        Parameters
        ----------
        error : MessageError
            Why.
        """
        self._faults += 1
        if self._faults == 1:
            self.tell(f"a message cannot be read: {error.what}")

    def _stray(self, head: Head) -> None:
        """An image of a series that has ended, or of which the start did not come."""
        self._cells[_STALE] += 1
        if head.series != self._strange:
            self._strange = head.series
            self.tell(strange(head.series, head.image, self._number))

    def _wait(self, one: _Waiting) -> None:
        """Keep a pattern until its analysis is ready; it may be an example for it."""
        if self._workshop.fault is not None:
            self._pass(one.position)
            return
        self._waiting.append(one)
        if self._workshop.wants:
            self._workshop.show(one.frame)

    def pump(self) -> bool:
        """Answer the patterns that waited, if their analysis is ready.

        Returns
        -------
        bool
            Whether it is, or will never be.
        """
        if self._workshop.busy:
            return False
        self._workshop.join()
        waiting, self._waiting = self._waiting, []
        if self._workshop.fault is not None and not self._excused:
            self._excused = True
            self.tell(f"series {self._number} is not analysed: {self._workshop.fault}")
        self._set()
        for one in waiting:
            if self._ready:
                self._answer(one.frame, one.position, one.image, one.times)
            else:
                self._pass(one.position)
        return True

    def _set(self) -> None:
        """Use the analysis that is ready, if one is."""
        analysis = self._workshop.analysis
        self._ready = analysis is not None
        if analysis is not None:
            self._run = analysis.run

    def _pass(self, position: int) -> None:
        """A pattern that is not analysed."""
        self._fates[position] = _PASSED
        self._cells[_SKIPPED] += 1

    def finish(self, *, ended: bool = True) -> None:
        """End the series, if one has begun.

        Parameters
        ----------
        ended : bool, default True
            Whether what has not come will not come; otherwise the analysis is stopped in the middle.
        """
        if self.course is None:
            return
        self.settle()
        self._passed.clear()
        if ended:
            self.course.finish()
        if told := shared(self._number, self._bank.fate):
            self.tell(told)
        self.course = self._stretch = None
        self.finished += 1
        self._cells[_FINISHED] = self.board.generation
