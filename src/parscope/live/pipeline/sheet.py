"""Where the numbers of a series are written: what is done for every single pattern, as little as can be."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.stream import Fate
from parscope.live.kernels.plan import Plan
from parscope.live.pipeline.board import STAMPS, Bank, Board, cell_of
from parscope.live.pipeline.gaps import Gaps
from parscope.live.pipeline.sentences import Sentences
from parscope.live.rules.actuator import Actuator
from parscope.live.wire.errors import MessageError

_ANSWERED, _SKIPPED, _DAMAGED, _MISSED, _FILLED = (
    cell_of(name) for name in ("answered", "skipped", "damaged", "missed", "filled")
)
_OK, _PASSED, _BROKEN, _LATER = (int(one) for one in (Fate.ANSWERED, Fate.SKIPPED, Fate.DAMAGED, Fate.FILLED))
_TIMES = struct.Struct(f"={len(STAMPS)}q")
_PLACE = struct.Struct("=q")
_SHOWN_EVERY = 33_000_000  # ns between patterns that are shown

Times = tuple[int, int, int, int]
"""When a pattern came, was decompressed, and when its exposure ended and began, [ns]."""


class Sheet:
    """Numbers, times and fates of the patterns of one series after the other.

    Parameters
    ----------
    board : Board
        Where they go.
    gaps : Gaps
        Is told of positions that are to be filled in.
    sentences : Sentences
        Is told of troubles.
    actuator : Actuator, optional
        Rules that act upon results.
    clock : callable
        Time of this machine, [ns].
    deadline : int
        Longest time from the arrival of a pattern to its answer, [ns].

    Attributes
    ----------
    plan : Plan
        What is computed.
    """

    plan: Plan

    def __init__(
        self,
        board: Board,
        gaps: Gaps,
        sentences: Sentences,
        actuator: Actuator | None,
        clock: Callable[[], int],
        deadline: int,
    ) -> None:
        self._board, self._gaps, self._sentences, self._actuator = board, gaps, sentences, actuator
        self._clock, self._deadline, self._cells = clock, deadline, board.cells
        self._shown = -_SHOWN_EVERY
        self._partial = False
        self._out: NDArray[np.float64] = np.full(len(board.layout.outputs), np.nan)

    def begin(self, bank: Bank) -> None:
        """Begin a series.

        Parameters
        ----------
        bank : Bank
            Of the series.
        """
        self._bank = bank
        self._memory, self._values, self._fates = bank.memory, bank.values, bank.fates
        _, self._stamps_at, self._places_at, _ = bank.offsets

    def use(self, plan: Plan) -> None:
        """Compute this from now on.

        Parameters
        ----------
        plan : Plan
            Numbers of kernels that it lacks are filled in later, but for patterns that rules have seen.
        """
        self.plan, self._run = plan, plan.run
        self._partial = bool(plan.missing) and self._actuator is None
        self._bank.tell(plan.found)

    def answer(self, frame: NDArray[Any], position: int, image: int, times: Times) -> None:
        """Analyse a pattern, let rules decide, and write it all down.

        Parameters
        ----------
        frame : ndarray, shape (q_y, q_x)
            Counts.
        position : int
            Scan position.
        image : int
            What the detector calls it.
        times : tuple of int
            Of the pattern.
        """
        received, decoded, exposed, opened = times
        out = self._out
        self._compute(frame, position)
        analysed = decided = self._clock()
        emitted = 0
        if self._actuator is not None:
            decided, emitted = self._actuator.step(position, out, received, analysed, image, exposed)
        self._values[position] = out
        at = self._stamps_at + _TIMES.size * position
        _TIMES.pack_into(self._memory, at, received, decoded, analysed, decided, emitted, exposed, opened)
        self._fates[position] = _OK
        cells = self._cells
        cells[_ANSWERED] += 1
        if (emitted or decided) - received > self._deadline:
            cells[_MISSED] += 1
        if self._partial:
            self._gaps.lack((position,))
        self.show(frame, position, decided)

    def chart(self, frame: NDArray[Any], position: int, image: int, times: Times) -> None:
        """Analyse a pattern for the maps alone, while no rule has the numbers that it looks at; as `answer`.

        Parameters
        ----------
        frame : ndarray, shape (q_y, q_x)
            Counts.
        position : int
            Scan position.
        image : int
            What the detector calls it.
        times : tuple of int
            Of the pattern.
        """
        self.pass_over(position, 1)
        self.fill(frame, position)
        self.show(frame, position, times[1])

    def fill(self, frame: NDArray[Any], position: int) -> None:
        """Write the numbers of a pattern without those of an answer.

        Parameters
        ----------
        frame : ndarray, shape (q_y, q_x)
            Counts.
        position : int
            Scan position.
        """
        self._compute(frame, position)
        self._values[position] = self._out
        if self._fates[position] == _PASSED:
            self._fates[position] = _LATER
            self._cells[_FILLED] += 1
        if self.plan.missing:
            self._gaps.lack((position,))

    def _compute(self, frame: NDArray[Any], position: int) -> None:
        """Have the numbers of a pattern, of those kernels at least that do not fail with it."""
        try:
            self._run(frame, self._out)
        except Exception:  # noqa: BLE001 - whatever a kernel does, the loop goes on
            self._sentences.crashed(self.plan.run_apart(frame, self._out), position)

    def pass_over(self, first: int, count: int) -> None:
        """Patterns that are not analysed now.

        Parameters
        ----------
        first : int
            Scan position.
        count : int
            How many, from there on.
        """
        self._fates[first : first + count] = bytes([_PASSED]) * count
        self._cells[_SKIPPED] += count

    def damage(self, position: int, error: MessageError) -> None:
        """A pattern that cannot be read.

        Parameters
        ----------
        position : int
            Scan position.
        error : MessageError
            Why.
        """
        self._fates[position] = _BROKEN
        self._cells[_DAMAGED] += 1
        self._sentences.damaged(error, position)

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
            self._board.show(frame, position)
