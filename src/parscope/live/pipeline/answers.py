"""From a message with a pattern to its answer: which patterns are answered, which wait, which are filled in later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from parscope.core.stream import Series
from parscope.live.pipeline.board import Board, cell_of
from parscope.live.pipeline.course import Course
from parscope.live.pipeline.gaps import Gaps
from parscope.live.pipeline.policy import Policy as Policy
from parscope.live.pipeline.ring import Reader
from parscope.live.pipeline.sentences import Sentences, Tell
from parscope.live.pipeline.series import Analyser, channel_of, detector_of, head_of, scan_shape_of
from parscope.live.pipeline.sheet import Sheet, Times
from parscope.live.pipeline.stretch import Place, Stretch, stack_for
from parscope.live.pipeline.workshop import Workshop
from parscope.live.rules.actuator import Actuator
from parscope.live.rules.rule import Rule, signals
from parscope.live.wire.decompress import Decompressor
from parscope.live.wire.errors import MessageError
from parscope.live.wire.scan import Head, Payload, Scanner
from parscope.live.wire.stack import Stack

_STALE, _SERIES, _FINISHED = (cell_of(name) for name in ("stale", "series", "finished"))


@dataclass(frozen=True)
class _Waiting:
    """A pattern that came before a kernel was ready."""

    frame: NDArray[Any]
    position: int
    image: int
    times: Times


class Answers:
    """Answers the patterns of one series after the other.

    Kernels are ready one by one. Where all patterns are answered in their order, they wait until some kernel can
    answer; with rules, until each kernel can or has failed once, so that rules see all patterns alike. Where the
    newest counts, none waits. Numbers of kernels that were not ready are filled in from the ring, but what rules have
    seen is never changed.

    Parameters
    ----------
    board : Board
        Where they go.
    reader : Reader
        By whom messages are read; it tells when they came, and whether more wait.
    analyser : Analyser
        What is computed.
    policy : Policy
        How patterns are treated.
    actuator : Actuator, optional
        Rules that act upon results.
    clock : callable
        Time of this machine, [ns].
    tell : callable
        Is told what a person should know: a sentence, or an error where a kernel gave nothing in a whole series.

    Attributes
    ----------
    sheet : Sheet
        Where numbers are written.
    number : int
        Of the series; -1 before the first.
    stopped : bool
        Whether a person has stopped the analysis; see `stop`.
    """

    def __init__(  # noqa: PLR0913 - the parts of an engine
        self,
        board: Board,
        reader: Reader,
        analyser: Analyser,
        policy: Policy,
        actuator: Actuator | None,
        clock: Callable[[], int],
        tell: Tell,
    ) -> None:
        self.board, self.reader, self.policy, self.actuator, self._clock = board, reader, policy, actuator, clock
        self.sentences, self._gaps = Sentences(tell), Gaps(reader)
        self.sheet = Sheet(board, self._gaps, self.sentences, actuator, clock, policy.deadline)
        self.course: Course | None = None
        self.finished = 0
        self.stopped = False
        self._newest = self._choosy = policy.newest
        self._needs = [] if actuator is None else [_needs(rule) for rule in actuator.decider.rules]
        self._shop, self._tell = Workshop(analyser, policy.keep), tell
        self._waiting: list[_Waiting] = []
        self._again = Scanner()  # of messages of the ring: the one of the loop may be in use
        self._cells = board.cells
        self.number = -1
        self._channel, self._name = 0, ""
        self._ready = self._settled = self._closing = self._full = False
        self._state: tuple[int, bool, bool] = (0, False, False)
        self._deal = self.sheet.answer
        self._stack: Stack | None = None
        self._stretch: Stretch | None = None

    @property
    def preparing(self) -> bool:
        """Whether a kernel is being set up."""
        return self._shop.busy

    @property
    def settled(self) -> bool:
        """Whether each kernel is ready, or has failed once."""
        return self._settled

    @property
    def held_up(self) -> bool:
        """Whether patterns have to wait because a kernel is being set up."""
        if self._ready or self.stopped or self.course is None:
            return False
        return self._shop.busy and (self._shop.brief or not (self._newest or self._settled))

    @property
    def gaps(self) -> int:
        """Positions that may be filled in."""
        return len(self._gaps)

    @property
    def oldest(self) -> int:
        """Position in the ring of the oldest message without which maps would have holes; -1 if there is none."""
        if self._newest or self.stopped:
            return -1
        return self._gaps.oldest(not self._settled and (self._shop.busy or not self._full))

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
        self._bank = self.board.begin(head_of(series, self._channel), shape)
        self.number = series.number
        self.sentences.begin(series.number)
        self.sheet.begin(self._bank)
        self._gaps.begin(self._bank)
        self._decode = Decompressor(series.shape, series.dtype).decode
        if not self._newest and self.actuator is None:
            self._stack = stack_for(series.shape, series.dtype)
        self._shop.begin(detector_of(series, shape))
        self._closing = self._full = False
        self._use()
        if self.actuator is not None:
            self.actuator.begin(series.number, shape, self._bank.lose)
        self.course = Course(self._bank, self._cells)
        self._cells[_SERIES] += 1

    def stretch(self) -> Stretch | None:
        """What answers images that come one after the other without a gap; see `parscope.live.pipeline.bulk.Bulk`.

        Returns
        -------
        Stretch, optional
            None where every pattern is dealt with by itself: rules act upon it, a newer one may take its place, or it
            may be an example for a kernel.
        """
        if self._stretch is None and self._ready and self.course is not None and self._stack is not None:
            plan = self._shop.plan
            if plan is not None and not self.stopped and not self._shop.collecting:
                place = Place(self.number, self._channel, self._name)
                self._stretch = Stretch(self.course, self._bank, place, plan, self._stack, self.policy.deadline)
        return self._stretch

    def follow(self, first: int, count: int) -> None:
        """Note what a stretch has answered.

        Parameters
        ----------
        first : int
            Scan position.
        count : int
            How many, from there on.
        """
        if self.sheet.plan.missing:
            self._gaps.lack(range(first, first + count))
        if self._shop.wants:
            self._shop.pass_by(count)
            if self._shop.collecting:
                self._stretch = None

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
        if course is None or head.series != self.number:
            self._cells[_STALE] += 1
            self.sentences.stray(head.series, head.image, self.number)
            return -1
        position = course.place(head.image)
        if position < 0:
            return -1
        if self._choosy and self._passes():
            self.pass_over(position, 1)
            return position
        try:
            frame = self._decode(message, self._payload(head))
        except MessageError as error:
            self.sheet.damage(position, error)
            return position
        stop, start = head.stop_ns, head.start_ns
        times = (received, self._clock(), stop if stop > 0 else 0, start if start > 0 else 0)
        if self._ready:
            self._deal(frame, position, head.image, times)
        elif self._newest or self._settled:
            self.pass_over(position, 1)
        else:
            self._waiting.append(_Waiting(frame.copy(), position, head.image, times))
        if self._shop.wants:
            self._shop.show(frame)
        return position

    @property
    def skips(self) -> bool:
        """Whether patterns are passed over while newer ones wait; not those that no kernel but can learn from."""
        return self._choosy and (self.stopped or self._ready or not self._shop.wants)

    def _passes(self) -> bool:
        """Whether a pattern is passed over."""
        return self.stopped or (b"image" in self.reader.peek(32) and self.skips)

    def pass_over(self, first: int, count: int) -> None:
        """Pass over patterns; they are filled in later, unless a person has stopped the analysis.

        Parameters
        ----------
        first : int
            Scan position.
        count : int
            How many, from there on.
        """
        self.sheet.pass_over(first, count)
        if not self.stopped:
            (self._gaps.skip if self._ready else self._gaps.lack)(range(first, first + count))

    def _payload(self, head: Head) -> Payload:
        """The channel that is analysed; its place in the message may change."""
        channels = head.channels
        if self._channel < len(channels) and channels[self._channel].name == self._name:
            return channels[self._channel]
        for payload in channels:
            if payload.name == self._name:
                return payload
        raise MessageError("is not in the message", f"channel {self._name}")

    def fill(self) -> bool:
        """Analyse a pattern once more, for the maps alone: rules do not see it.

        Returns
        -------
        bool
            Whether there was one that the ring still has.
        """
        found = self._gaps.next() if self._ready else None
        if found is None:
            return False
        position, message = found
        try:
            frame = self._decode(message, self._payload(self._again.scan(message)))
        except MessageError as error:
            self.sheet.damage(position, error)
        else:
            self.sheet.fill(frame, position)
        return True

    def let_go(self) -> None:
        """Keep no more in the ring for kernels that still want examples: it is full, and no example would come."""
        self._full = True

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
        return self.course is not None and series == self.number

    def refresh(self) -> None:
        """Use the kernels that are ready by now, and answer what has waited for them."""
        faults = self._shop.look()
        if not self._closing:
            self.sentences.not_yet(faults)
        if self._shop.state != self._state:
            self._use()
        if self._waiting and (self._ready or self._settled):
            waiting, self._waiting = self._waiting, []
            for one in waiting:
                if self._ready:
                    self._deal(one.frame, one.position, one.image, one.times)
                else:
                    self.pass_over(one.position, 1)

    def _use(self) -> None:
        """Use the kernels that are ready."""
        plan = self._shop.plan
        if plan is None:
            return
        self._state = self._shop.state
        self._settled = self._shop.settled
        at_once = (self._newest or self.actuator is None) and not self._shop.brief
        self._ready = bool(plan.parts) and (at_once or self._settled)
        missing = set(plan.missing)
        judged = self.actuator is None or self._settled or any(not need & missing for need in self._needs)
        self._deal = self.sheet.answer if judged else self.sheet.chart
        self.sheet.use(plan)
        self._stretch = None
        if self._ready:
            self._gaps.ready()

    def settle(self) -> None:
        """Set kernels up with the patterns there are: the series has no more."""
        self._closing = True
        self._shop.last()

    def stop(self) -> None:
        """Analyse no more: patterns are passed over for good, until `start`."""
        self.stopped = self._choosy = True
        self._stretch = None
        self._gaps.begin(self._bank if self.course is not None else None)

    def start(self) -> None:
        """Analyse again, from the next pattern on."""
        self.stopped, self._choosy = False, self._newest
        self._stretch = None

    def finish(self, *, ended: bool = True, fill: bool = True) -> None:
        """End the series, if one has begun.

        Parameters
        ----------
        ended : bool, default True
            Whether what has not come will not come; otherwise the analysis is stopped in the middle.
        fill : bool, default True
            Whether to fill in what lacks, where all are answered; who stops the analysis does not wait for that.
        """
        if self.course is None:
            return
        self.settle()
        while self._shop.busy:
            self._shop.wait()
            self.refresh()
        self.refresh()
        while fill and not self._newest and self.fill():
            pass
        self.sentences.never(self._shop.faults)
        self._gaps.begin()
        if ended:
            self.course.finish()
        self.sentences.divided(self._bank.fate)
        self.course = self._stretch = None
        self._ready = False
        self.finished += 1
        self._cells[_FINISHED] = self.board.generation


def _needs(rule: Rule) -> set[str]:
    """Kernels whose numbers a rule looks at, or sends."""
    names = [signal.name for signal in signals(rule.condition)]
    return {name.partition(".")[0] for name in (*names, *rule.then.outputs)}
