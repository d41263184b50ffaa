"""When the frame loop last did what it is there for: to answer, while images of a series are due."""

from __future__ import annotations

from parscope.live.pipeline.answers import Answers
from parscope.live.pipeline.board import Board, cell_of

_ANSWERED = cell_of("answered")
_LEAST, _PERIODS = 0.5, 10.0
_ROUNDS = 2  # looks with new images after which it is known how they follow each other


class Pulse:
    """What a watchdog looks at; a loop that turns without answering has none.

    Between series, before the second image of one, and while its kernels are set up for the first time, to turn is
    enough.

    Parameters
    ----------
    answers : Answers
        Of the loop.
    board : Board
        Its counters tell how many patterns were answered.

    Attributes
    ----------
    at : int
        When it last was, [ns]; 0 before the loop runs.
    patience : float
        How long there may be none, [s]: half a second, or ten times what patterns take to follow each other.
    """

    def __init__(self, answers: Answers, board: Board) -> None:
        self.at, self.patience = 0, _LEAST
        self._answers, self._cells = answers, board.cells
        self._answered = self._images = 0
        self._rounds, self._period, self._came = 0, 0.0, 0

    def look(self, now: int, ending: bool) -> None:
        """See what has been done since the last look.

        Parameters
        ----------
        now : int
            Time of this machine, [ns].
        ending : bool
            Whether the detector has said that the series is over.
        """
        answers = self._answers
        course, answered = answers.course, self._cells[_ANSWERED]
        new, self._answered = answered > self._answered, answered
        if course is None or ending or not 0 < course.next < course.positions or answers.stopped:
            self.at, self._rounds, self._images = now, 0, 0
            return
        came = course.next - self._images
        if came:
            self._images = course.next
            self._count(now, came)
        if new or self._rounds < _ROUNDS or (not answers.settled and (came or answers.preparing)):
            self.at = now

    def _count(self, now: int, came: int) -> None:
        """Learn how patterns follow each other; what was before the first one says nothing."""
        self._rounds += 1
        period, self._came = 1e-9 * (now - self._came) / came, now
        if self._rounds >= _ROUNDS:
            self._period = period if self._rounds == _ROUNDS else self._period + (period - self._period) / 4
            self.patience = max(_LEAST, _PERIODS * self._period)
