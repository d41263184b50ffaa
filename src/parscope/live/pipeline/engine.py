"""The frame loop: takes messages, keeps them in the ring, and has each pattern answered, in one thread.

Between two analyses the thread empties the source into the ring and decodes nothing. Another thread for that would
share Python's lock with the analysis, and cost more than it saves: see the decision on one thread for a stream.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from parscope.core.contracts import Source
from parscope.live.pipeline.answers import Answers, Policy
from parscope.live.pipeline.board import Board, cell_of
from parscope.live.pipeline.ring import Reader, Ring
from parscope.live.pipeline.series import Analyser
from parscope.live.rules.actuator import Actuator
from parscope.live.wire.errors import MessageError
from parscope.live.wire.messages import read_start
from parscope.live.wire.scan import Scanner

_RECEIVED, _DAMAGED = cell_of("received"), cell_of("damaged")
_HIGH_WATER, _STALLS = cell_of("ring_high_water"), cell_of("stalls")
_AT_ONCE = 64  # messages taken between two analyses
_SPINS = 2000  # turns without work after which the loop sleeps, unless it never does
_NAP = 0.005  # s
_QUIET = 2_000_000_000  # ns without a message after the last image that end a series without an end


class Engine:
    """Answers the patterns of a source, one by one.

    Parameters
    ----------
    source : Source
        Opened.
    ring : Ring
        Where messages are kept for others.
    board : Board
        Where results go.
    answers : callable
        Makes the `Answers` for a reader of the ring.
    clock : callable, optional
        Time of this machine, [ns].
    """

    def __init__(
        self,
        source: Source,
        ring: Ring,
        board: Board,
        answers: Callable[[Reader], Answers],
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.source, self.ring, self.board, self.clock = source, ring, board, clock
        self.reader = Reader(ring.name, lossless=True)
        self.answers = answers(self.reader)
        self.over = False
        self._scanner = Scanner()
        self._cells = board.cells
        self._held: memoryview | None = None
        self._idle = 0
        self._last = clock()

    @classmethod
    def of(  # noqa: PLR0913 - the parts of an engine
        cls,
        source: Source,
        ring: Ring,
        board: Board,
        analyser: Analyser,
        policy: Policy,
        actuator: Actuator | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
        tell: Callable[[str], None] = lambda _: None,
    ) -> Engine:
        """Put an engine together.

        Parameters
        ----------
        source : Source
            Opened.
        ring : Ring
            Where messages are kept for others.
        board : Board
            Where results go.
        analyser : Analyser
            Makes the analysis of a series.
        policy : Policy
            How patterns are treated.
        actuator : Actuator, optional
            Rules that act upon results.
        clock : callable, optional
            Time of this machine, [ns].
        tell : callable, optional
            Is told, in a sentence, what a person should know.

        Returns
        -------
        Engine
        """

        def answers(reader: Reader) -> Answers:
            return Answers(board, reader, analyser, policy, actuator, clock, tell)

        return cls(source, ring, board, answers, clock)

    def run(self, between: Callable[[], None] = lambda: None) -> None:
        """Answer until the board is told to stop, the source ends, or as many series have come as were wanted.

        Parameters
        ----------
        between : callable, optional
            Called when there is nothing else to do, and now and then when there is.

        Raises
        ------
        ParscopeError
            If a scan shape does not fit, or the connection breaks in a way that cannot be mended.
        """
        count = 0
        try:
            while not self.over:
                count += 1
                if not self.turn() or not count & 1023:
                    self._look()
                    between()
        finally:
            self.close()

    def turn(self) -> bool:
        """One turn of the loop: take what has come, answer one pattern.

        Returns
        -------
        bool
            Whether there was anything to do.
        """
        busy = self._drain(0.0)
        busy |= self._next()
        if busy:
            self._idle = 0
            return True
        self._idle += 1
        if self._idle > _SPINS and not self.answers.policy.busy:
            self._drain(_NAP)
        return False

    def close(self) -> None:
        """End what has begun, and let go of the ring; may be called twice."""
        self.answers.finish(ended=False)
        self._look()
        self.ring.finish()
        self.reader.close()

    def _drain(self, wait: float) -> bool:
        """Move messages from the source into the ring."""
        receive, put, clock = self.source.receive, self.ring.put, self.clock
        message = self._held
        count = 0
        try:
            while count < _AT_ONCE:
                if message is None:
                    message = receive(wait)
                    if message is None:
                        break
                    self._last = clock()
                if put(message, self._last) < 0:
                    break
                message = None
                wait = 0.0
                count += 1
        except EOFError:
            self.over = not self.reader.waiting and not self.answers.held_up
        self._held = message
        if count:
            self._cells[_RECEIVED] += count
        return count > 0

    def _next(self) -> bool:
        """Deal with one message of the ring."""
        answers = self.answers
        if answers.held_up and not answers.pump():
            time.sleep(0.0005)  # the thread that makes the analysis needs Python's lock
            return True
        message = self.reader.take()
        if message is None:
            return False
        try:
            head = self._scanner.scan(message)
            if head.kind == "image":
                answers.image(message, head)
            elif head.kind == "start":
                answers.begin(read_start(message))
            elif head.kind == "end" and answers.is_of(head.series):
                self._finish()
        except MessageError as error:
            self._cells[_DAMAGED] += 1
            answers.complain(error)
        return True

    def _finish(self) -> None:
        """End a series, and perhaps the work."""
        self.answers.finish()
        wanted = self.answers.policy.series
        self.over |= 0 < wanted <= self.answers.finished

    def _look(self) -> None:
        """Say that the loop lives, and see whether it should go on."""
        now, cells = self.clock(), self._cells
        self.board.beat(now)
        cells[_HIGH_WATER], cells[_STALLS] = self.ring.look(), self.ring.stalls
        self.over |= self.board.stopping
        course = self.answers.course
        if course is not None and course.complete and now - self._last > _QUIET:
            self._finish()
