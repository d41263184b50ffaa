"""The frame loop: takes messages, keeps them in the ring, and has each pattern answered, in one thread.

Between two analyses the thread empties the source into the ring and decodes nothing. Another thread for that would
share Python's lock with the analysis, and cost more than it saves: see the decision on one thread for a stream.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from parscope.core.contracts import Source
from parscope.live.pipeline.answers import Answers, Policy
from parscope.live.pipeline.board import Board, cell_of
from parscope.live.pipeline.bulk import LEAST, Bulk
from parscope.live.pipeline.pulse import Pulse
from parscope.live.pipeline.realtime import rest_due
from parscope.live.pipeline.ring import Reader, Ring
from parscope.live.pipeline.sentences import Tell
from parscope.live.pipeline.series import Analyser
from parscope.live.rules.actuator import Actuator
from parscope.live.wire.errors import MessageError
from parscope.live.wire.messages import read_start
from parscope.live.wire.scan import Scanner

_RECEIVED, _DAMAGED = cell_of("received"), cell_of("damaged")
_HIGH_WATER, _STALLS = cell_of("ring_high_water"), cell_of("stalls")
_AT_ONCE = 64  # messages taken between two answers where the newest counts, or none can be given yet
_NAP = 0.005  # s
_SHARE = 0.3  # of the time until the next pattern is due that is slept away
_LONG = 100_000  # ns until the next pattern is due below which nothing is slept away
_SPIN = 2e-4  # s
_SILENT = 20_000_000  # ns without a message after which the loop takes it easy
_MOMENT = 5e-4  # s that others have Python's lock to themselves while nothing can be done without them
_TURNS, _LOOK = 15, 10_000_000  # busy turns (less 1, of a power of 2), or ns, between looks at what else is to do


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
        if not self.answers.policy.newest:
            ring.holds = lambda: self.answers.oldest
        self.pulse = Pulse(self.answers, board)
        self.over = False
        self._ending = False
        self._newest = self.answers.policy.newest
        self._scanner = Scanner()
        self._bulk = Bulk(source, ring, self.reader, self.answers, self._scanner, clock)
        self._cells = board.cells
        self._held: memoryview | None = None
        self._idle = 0
        self._last = self._looked = clock()
        self._period = 0
        self._share, self._slept = 0.0, 0

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
        tell: Tell = lambda _: None,
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
            Is told what a person should know; see `Answers`.

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
        self._share = rest_due()
        try:
            while not self.over:
                busy = self.turn()
                count += busy
                # right after an answer: nothing is due for the longest time then
                if (busy and not count & _TURNS) or self.clock() - self._looked > _LOOK:
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
        answers = self.answers
        if self._ending:
            self._fill_up()
            busy = True
        elif not self._idle and self._held is None and self._bulk.ready and self._answer_many():
            return True
        elif self._held is None and not self.reader.waiting and not answers.held_up:
            # nothing waits: what comes now is answered at once, unless something newer may have come already
            if not self._idle and self._newest:
                busy = self._drain() | self._next()
            else:
                busy = self._answer_first(self._patience() if self._idle else 0.0)
        else:
            busy = self._drain() | self._next()
        if not busy:
            busy = self._fill()
        self._idle = 0 if busy else self._idle + 1
        return busy

    def _fill(self) -> bool:
        """Use the time: fill in one pattern that was passed over, or lacks numbers; tells whether there was one.

        Where the newest counts, only in breaks of the stream, since one that comes meanwhile has to wait.
        """
        if self.answers.gaps and (not self._newest or self.clock() - self._last > _SILENT):
            return self.answers.fill()
        if self._held is not None:
            self.answers.let_go()
            time.sleep(_MOMENT)
        return False

    def _fill_up(self) -> None:
        """After the end of a series: wait for kernels that are set up with its patterns, and fill in what lacks.

        Where the newest counts, only until something comes.
        """
        came = not self._last_one and self._drain()
        if self.answers.preparing:
            self.answers.refresh()
            time.sleep(_MOMENT)
        elif (self._newest and (came or self._next_waits)) or not self.answers.fill():
            self._finish()

    @property
    def _next_waits(self) -> bool:
        """Whether another series, that is wanted, may wait."""
        return self.reader.waiting and not self._last_one

    @property
    def _last_one(self) -> bool:
        """Whether the series at hand is the last that is wanted."""
        return 0 < self.answers.policy.series <= self.answers.finished + 1

    def _patience(self) -> float:
        """How long to wait for the next message; leaves the processor for a part of that time.

        A thread of real-time priority that never sleeps is stopped by the system for a twentieth of every second.
        """
        now, busy = self.clock(), self.answers.policy.busy
        left = self._last + self._period - now
        if self._idle == 1 and left > _LONG:
            time.sleep(_SHARE * 1e-9 * left)
            self._slept += int(_SHARE * left)
        elif busy and now - self._last > _SILENT:
            time.sleep(5e-5)
        return _SPIN if busy else _NAP  # who polls without priority is put aside for ms just when a pattern comes

    def close(self) -> None:
        """End what has begun, and let go of the ring; may be called twice."""
        self.answers.finish(ended=self._ending, fill=False)
        self._ending = False
        self._share = 0.0
        self._look()
        self.ring.finish()
        self.reader.close()

    def _answer_first(self, wait: float) -> bool:
        """Answer messages before they go into the ring: one where the newest counts, else some of those that wait."""
        receive, clock, ring, reader = self.source.receive, self.clock, self.ring, self.reader
        count, most = 0, 1 if self._newest else LEAST if self._bulk.ready else _AT_ONCE
        try:
            while count < most:
                message = receive(wait)
                if message is None:
                    break
                received = clock()
                if not ring.fits(len(message)):
                    self._held, self._last = message, received
                    break
                count += 1
                position = self._handle(message, received)
                place = ring.put(message, received)
                reader.skip()
                if position < 0:  # perhaps a series has begun or ended
                    break
                self.answers.sheet.keep(position, place)
                wait = 0.0
        except EOFError:
            self._run_dry()
        if count:
            self._arrived(received, count)
        return count > 0

    def _arrived(self, now: int, count: int) -> None:
        """Count messages that have come, the last of them at a time."""
        self._cells[_RECEIVED] += count
        gap = now - self._last
        if gap < _SILENT:  # rather too short: who sleeps for as long as a break of the stream is late afterwards
            self._period += (gap - self._period) >> (1 if gap < self._period else 4)
        self._last = now

    def _answer_many(self) -> bool:
        """Answer many messages at once, if many wait."""
        bulk = self._bulk
        if bulk.hungry:
            if count := bulk.fetch():
                self._arrived(bulk.arrived, count)
            elif not bulk.by_itself:
                self._drain(bulk.most)
        return not bulk.hungry and bulk.answer() > 0

    def _drain(self, most: int = 0) -> bool:
        """Move messages from the source into the ring."""
        if self._newest and self._held is None and self.reader.waiting and (count := self._bulk.fetch()):
            self._arrived(self._bulk.arrived, count)
            return True
        receive, put = self.source.receive, self.ring.put
        message = self._held
        count, now = 0, self._last
        most = most or (_AT_ONCE if self._newest or self.answers.held_up else 1)
        try:
            while count < most:
                if message is None:
                    message = receive(0.0)
                    if message is None:
                        break
                    now = self.clock()
                if put(message, now) < 0:
                    break
                message = None
                count += 1
        except EOFError:
            self._run_dry()
        self._held = message
        if count:
            self._arrived(now, count)
        return count > 0

    def _next(self) -> bool:
        """Deal with one message of the ring."""
        answers = self.answers
        if answers.held_up:
            answers.refresh()
            if answers.held_up:
                time.sleep(_MOMENT)  # a thread that sets kernels up needs Python's lock
                return True
        if answers.skips:
            while self._bulk.pass_over():
                pass
        message = self.reader.take()
        if message is None:
            return False
        position = self._handle(message, self.reader.received)
        if position >= 0:
            answers.sheet.keep(position, self.reader.position)
        return True

    def _handle(self, message: memoryview, received: int) -> int:
        """Deal with one message; tells the scan position of a pattern, -1 of anything else."""
        answers = self.answers
        try:
            head = self._scanner.scan(message)
            if head.kind == "image":
                return answers.image(message, head, received)
            if head.kind == "start":
                answers.begin(read_start(message))
            elif head.kind == "end" and answers.is_of(head.series):
                self._end()
        except MessageError as error:
            self._cells[_DAMAGED] += 1
            answers.sentences.damaged(error)
        return -1

    def _end(self) -> None:
        """A series has ended; what lacks is filled in before it is declared finished, if there is time."""
        answers = self.answers
        answers.settle()
        answers.refresh()
        if answers.preparing or (answers.gaps and not (self._newest and self._next_waits)):
            self._ending = True
        else:
            self._finish()

    def _run_dry(self) -> None:
        """The source has ended: so has the series, when all that came is answered, and with none the work is over."""
        answers = self.answers
        if answers.course is None:
            self.over = not self.reader.waiting
        elif not (self._ending or self.reader.waiting or answers.held_up):
            if not answers.course.complete:
                answers.sentences.dry()
            self._end()

    def _finish(self) -> None:
        """End a series, and perhaps the work."""
        self._ending = False
        self.answers.finish()
        gc.collect()  # of little: what was there before is frozen
        self.over |= 0 < self.answers.policy.series <= self.answers.finished

    def _look(self) -> None:
        """Say that the loop lives, see whether it should go on, and rest if it never does."""
        now, cells, answers = self.clock(), self._cells, self.answers
        self.board.beat(now)
        self.pulse.look(now, self._ending)
        cells[_HIGH_WATER], cells[_STALLS] = self.ring.look(), self.ring.stalls
        self.over |= self.board.stopping
        if answers.course is not None:
            answers.refresh()
            self._end_if_silent(now - self._last)
        if self._share:
            self._rest(now)
        self._looked = now

    def _end_if_silent(self, quiet: float) -> None:
        """End a series that has no end, some time after its last image, and longer after any other."""
        answers, course = self.answers, self.answers.course
        if course is None or self._ending or quiet <= course.patience:
            return
        if course.complete:
            self._end()
        elif self._held is None and not (self.reader.waiting or answers.held_up):
            answers.sentences.silent(quiet / 1e9)
            self._end()

    def _rest(self, now: int) -> None:
        """Sleep for the share of time after which the system would stop a thread of real-time priority."""
        due = self._share * (now - self._looked) - self._slept
        if due > 0:
            time.sleep(1e-9 * due)
        self._slept = 0
