"""What all who watch an acquisition share: the changes of its maps, the mean of its patterns, its state."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import OptionError
from parscope.core.stream import Fate, Series
from parscope.live.pipeline.board import STAMPS, Bank, Board
from parscope.live.pipeline.latency import report_of
from parscope.live.wire.messages import appendix
from parscope.serve.live.changes import Changes
from parscope.serve.live.contract import Control, Patterns, VirtualDetector
from parscope.serve.live.drawn import Drawn
from parscope.serve.live.integrated import Integrated
from parscope.serve.live.later import Later
from parscope.serve.live.looks import maps_of, pair_of, tables
from parscope.serve.live.mean import MeanPattern

PERIOD = 1 / 30
"""Shortest time between two updates, [s]."""

_STATE_PERIOD = 0.25
_RATE_OVER = 6  # statements
_JOURNAL = 30


class Hub:
    """Looks at a board at most 30 times a second, however many watch.

    Parameters
    ----------
    board : Board
        Results of a session.
    control : Control, optional
        Who takes commands. Default: nobody, the page only watches.
    patterns : callable, optional
        Gives patterns by position. Default: only the one on the board can be shown.
    deadline_ns : int, default 200 us
        When an answer is late, [ns].
    clock : callable
        Seconds that never go back.
    """

    def __init__(
        self,
        board: Board,
        control: Control | None = None,
        patterns: Patterns | None = None,
        deadline_ns: int = 200_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.control = control
        self.lock = threading.Lock()  # who reads what is below holds it
        self.generation = self.edition = self.state_version = -1
        self.state: dict[str, Any] = {}
        self._board, self._patterns, self._deadline, self._clock = board, patterns, deadline_ns, clock
        self._looked = self._due = -np.inf
        self._head: dict[str, Any] = {}
        self._drawn = Drawn(patterns)
        self._begin(board.generation)

    def _begin(self, generation: int) -> None:
        """Forget the series before."""
        self.generation, self.edition, self._due = generation, self.edition + 1, -np.inf
        self._bank: Bank = self._board.of(generation)
        self._head = self._bank.head
        self.scan_shape = tuple(self._head.get("scan_shape", (0, 0)))
        outputs = self._board.layout.outputs
        self.changes = Changes(self.scan_shape, len(outputs))
        self.integrated = Integrated(self.scan_shape, pair_of(outputs), self._clock)
        nothing = report_of(np.zeros((0, len(STAMPS)), np.int64), np.zeros(0, np.uint8), self._deadline)
        self._account = Later(nothing, self._bank.fate.size)
        self._drawn.begin(self._head, self.scan_shape)
        self._mean = MeanPattern()
        self._counted = deque([(self._clock(), self._board.counters["received"])], maxlen=_RATE_OVER)

    def tick(self) -> None:
        """Look again, if it is time."""
        now = self._clock()
        if now - self._looked < PERIOD:
            return
        self._looked = now
        if self._board.generation != self.generation:
            self._begin(self._board.generation)
        self.changes.look(self._bank.values, self._bank.fate)
        self.integrated.follow(self.changes)
        self._drawn.step(self.changes.fate.ravel())
        self._mean.add(self._last())
        if now >= self._due:
            self.state = {**self._progress(now), **self._commands()}
            self.state_version += 1
            self._due = now + _STATE_PERIOD

    @property
    def parts(self) -> tuple[tuple[int, Changes], ...]:
        """Maps by the column that the first of them has: those of the board, the integrated deflection, drawn ones."""
        outputs = self.changes.values.shape[2]
        return (0, self.changes), (outputs, self.integrated.changes), (outputs + 1, self._drawn.changes)

    def draw(self, detectors: tuple[VirtualDetector, ...]) -> str:
        """Sum counts over detectors that a person has drawn, in place of those before.

        Parameters
        ----------
        detectors : tuple of VirtualDetector
            As drawn.

        Returns
        -------
        str
            A sentence for the person.

        Raises
        ------
        OptionError
            If that cannot be done.
        """
        plan = self._drawn.prepare(detectors)
        with self.lock:
            told = self._drawn.use(detectors, plan)
            self.edition += 1
        return told

    def refresh(self) -> None:
        """State what is going on at the next look, since a command has changed it."""
        self._due = self._looked = -np.inf

    def hello(self) -> dict[str, Any]:
        """What the page must know before it can show anything; given again at every series.

        Returns
        -------
        dict
        """
        step, outputs = self._step(), self._board.layout.outputs
        return {
            "generation": self.generation,
            "edition": self.edition,
            "series": self._head.get("series"),
            "scan": list(self.scan_shape),
            "step_nm": step,
            "maps": maps_of(outputs, self._drawn.outputs),
            "looks": tables(),
            "control": self.control is not None,
        }

    def _step(self) -> list[float] | None:
        """Distance of scan positions (y, x), [nm], as a person has told the detector; None if nobody has."""
        metadata = self._head.get("metadata", {})
        told = appendix(Series(0, "", 0, (0, 0), "uint8", (), metadata=metadata)).get("step_nm")
        try:
            step = np.broadcast_to(np.asarray(told, np.float64), 2)
        except (TypeError, ValueError):
            return None
        return step.tolist() if (np.isfinite(step) & (step > 0)).all() else None

    def _progress(self, now: float) -> dict[str, Any]:
        """How far the series is."""
        counters = dict(self._board.counters)
        fate = self.changes.fate
        counts = {kind.name.lower(): int((fate == kind).sum()) for kind in Fate}
        done = fate.size - counts["waiting"]
        # In a thread of its own for a large scan: of arrays that are written meanwhile, which moves counts by a few.
        self._account.ask(report_of, self._bank.stamps, self._bank.fate, self._deadline)
        ended = self.generation > 0 and (done == fate.size or counters["finished"] == self.generation)
        return {
            "phase": "finished" if ended else "acquiring" if done else "waiting",
            "series": self._head.get("series"),
            "done": done,
            "total": fate.size,
            "rate": self._rate(now, counters["received"]),
            "counters": counters,
            "fates": counts,
            "latency": self._account.answer.as_json(),
        }

    def _rate(self, now: float, received: int) -> float:
        """Patterns per second over the last statements."""
        before, count = self._counted[0]
        self._counted.append((now, received))
        return max(received - count, 0) / (now - before) if now > before else 0.0

    def _commands(self) -> dict[str, Any]:
        """What the one who takes commands says."""
        if self.control is None:
            return {"running": None, "armed": False, "rules": [], "journal": []}
        return {
            "running": self.control.running,
            "armed": self.control.armed,
            "rules": [dict(rule) for rule in self.control.rules()],
            "journal": [dict(entry) for entry in self.control.journal(_JOURNAL)],
        }

    def pattern(self, which: Any) -> tuple[NDArray[Any], dict[str, Any]] | None:
        """A pattern to show.

        Parameters
        ----------
        which : str or list of int
            ``last``, ``mean``, or the position (y, x).

        Returns
        -------
        tuple, optional
            The pattern, shape (q_y, q_x), NaN where there is no value, and which it is; None if it is not kept.

        Raises
        ------
        OptionError
            If it is none of these.
        """
        if which == "mean":
            mean = self._mean.value()
            return None if mean is None else (mean, {"which": "mean", "of": self._mean.count})
        last, columns = self._last(), self.scan_shape[1]
        if which == "last":
            return None if last is None else (last[1], {"which": "last", "at": list(divmod(last[0], columns))})
        at = self._position(which)
        number = at[0] * columns + at[1]
        if last is not None and last[0] == number:
            return last[1], {"which": "at", "at": at}
        found = None if self._patterns is None else self._patterns(number)
        return None if found is None else (self._valid(found), {"which": "at", "at": at})

    def _position(self, which: Any) -> list[int]:
        """Check a position that somebody asks for."""
        if not (isinstance(which, list) and len(which) == 2 and all(type(value) is int for value in which)):
            raise OptionError("no pattern", "pattern", "ask for last, mean or a position [y, x]")
        if not all(0 <= value < most for value, most in zip(which, self.scan_shape, strict=True)):
            raise OptionError(f"{which} is outside of the scan", "pattern", f"stay below {list(self.scan_shape)}")
        return which

    def _last(self) -> tuple[int, NDArray[np.float64]] | None:
        """The pattern on the board with its position; None if there is none, or it changed while it was read."""
        place = self._board.place
        if not 0 <= place < self.changes.fate.size:
            return None
        copied = self._board.pattern.copy()
        return (place, self._valid(copied)) if self._board.place == place else None

    def _valid(self, counts: NDArray[Any]) -> NDArray[np.float64]:
        """Counts, NaN where the detector says that it has none: by the largest number of its sample type."""
        made = counts.astype(np.float64)
        if "dtype" in self._head:
            made[counts == np.iinfo(self._head["dtype"]).max] = np.nan
        return made
