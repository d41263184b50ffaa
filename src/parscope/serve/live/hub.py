"""What all who watch an acquisition share: the changes of its maps, the mean of its patterns, its state."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import OptionError
from parscope.core.stream import Fate, Series
from parscope.live.kernels.contract import Output
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
_NOTES = 3


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
    clock : callable
        Seconds that never go back.
    notes : callable, optional
        Gives what was told of the session, one sentence each, the oldest first. Default: nothing was.

    Attributes
    ----------
    watching : int
        How many watch; whoever feeds them counts.
    over : bool
        Whether the session has ended, and the state says so for the last time.
    """

    def __init__(
        self,
        board: Board,
        control: Control | None = None,
        patterns: Patterns | None = None,
        clock: Callable[[], float] = time.monotonic,
        notes: Callable[[], Sequence[str]] = lambda: (),
    ) -> None:
        self.control = control
        self.lock = threading.Lock()  # who reads what is below holds it
        self.generation = self.edition = self.state_version = -1
        self.state: dict[str, Any] = {}
        self.watching, self.over, self._ended = 0, False, False
        self._board, self._patterns, self._clock, self._notes = board, patterns, clock, notes
        self._deadline = board.layout.deadline
        self._looked = self._due = -np.inf
        self._drawn = self._drawn_before = Drawn(patterns, -1, {})
        self._follow()

    def _follow(self) -> None:
        """Go over to the newest series, through the one before if nobody has looked meanwhile."""
        newest = self._board.generation
        for generation in range(max(self.generation + 1, newest - 1), newest + 1):
            self._begin(generation)

    def _begin(self, generation: int) -> None:
        """Forget the series before, but for what was drawn in it, which is saved when its recording is complete."""
        self.generation, self.edition, self._due = generation, self.edition + 1, -np.inf
        self._bank: Bank = self._board.of(generation)
        self._head: dict[str, Any] = self._bank.head
        self.scan_shape = tuple(self._head.get("scan_shape", (0, 0)))
        outputs = self._board.layout.outputs
        self.changes = Changes(self.scan_shape, len(outputs))
        self.integrated = Integrated(self.scan_shape, pair_of(outputs), self._clock)
        nothing = report_of(np.zeros((0, len(STAMPS)), np.int64), np.zeros(0, np.uint8), self._deadline)
        self._account = Later(nothing, self._bank.fate.size)
        self._drawn_before = self._drawn
        self._drawn = Drawn(self._patterns, generation, self._head, self._drawn.detectors)
        self._mean = MeanPattern()
        self._counted = deque([(self._clock(), self._board.counters["received"])], maxlen=_RATE_OVER)

    def tick(self) -> None:
        """Look again, if it is time and the session has not ended."""
        now = self._clock()
        if self.over or now - self._looked < PERIOD:
            return
        self._looked = now
        # Before the numbers are looked at: those of a session that has ended are its last.
        self._ended |= now >= self._due and not self._board.there
        self._follow()
        self.changes.look(self._bank.values, self._bank.fate)
        (self.integrated.complete if self._ended else self.integrated.follow)(self.changes)
        self._drawn.step(self.changes.fate.ravel())
        self._mean.add(self._last())
        if now >= self._due:
            self.state = {**self._progress(now), **self._commands(), "notes": [*self._notes()][: -_NOTES - 1 : -1]}
            self.state_version += 1
            self._due, self.over = now + _STATE_PERIOD, self._ended

    def end(self) -> None:
        """State at the next look, and for the last time, what there is: the session has ended."""
        with self.lock:
            self._ended = True
            self.refresh()

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
        taken = {output.name.partition(".")[0] for output in self._board.layout.outputs}
        for one in detectors:
            if one.name in taken:
                raise OptionError("is the name of another map", one.name, "give the detector its own")
        drawn = self._drawn
        plan = drawn.prepare(detectors)
        with self.lock:
            now = self._drawn  # another series may have begun while it was compiled
            now.use(detectors, plan if now is drawn else now.prepare(detectors))
            self.edition += 1
        if not detectors:
            return "No detector is in use."
        spelled = f"--analyse {','.join(one.spelled for one in detectors)}"
        if self.control is None:
            return f"In use here, and not saved. To have them saved and in rules, start a session with: {spelled}"
        saved = "saved with the maps of this series if those are"
        return f"In use, and {saved}. To have them in rules, next time: {spelled}"

    @property
    def drawing(self) -> bool:
        """Whether counts are summed over detectors that a person has drawn."""
        return bool(self._drawn.detectors)

    def drawn_of(self, generation: int) -> Mapping[str, tuple[Output, NDArray[np.float32], str]]:
        """Maps of the detectors that a person has drawn, of a series that is over.

        Sums over patterns that are still kept are completed first. Who asks does not hold the lock.

        Parameters
        ----------
        generation : int
            Which series, as the board counts them: the newest, or the one before.

        Returns
        -------
        mapping of tuple
            By the name of the map: what it is; its values, ndarray of float32, shape (positions,), NaN where no pattern
            was summed; and the detector as ``--analyse`` takes it. Empty if there are none, or the series is older.
        """
        while True:
            with self.lock:  # in between, pages have their turn
                self._follow()
                back = self.generation - generation
                drawn = (self._drawn, self._drawn_before)[back] if back in (0, 1) else None
                if drawn is None:
                    return {}
                if drawn.step(self._board.of(generation).fate):
                    return drawn.saved()

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
            "draws": self._patterns is not None,
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
        account = self._account.now if self._ended else self._account.ask
        account(report_of, self._bank.stamps, self._bank.fate, self._deadline)
        finished = self.generation > 0 and (done == fate.size or counters["finished"] == self.generation)
        return {
            "ended": self._ended,
            "phase": "finished" if finished else "acquiring" if done else "waiting",
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
        """What the one who takes commands says; where nobody does, what the frame loop has said."""
        control, board = self.control, self._board
        running = not board.halted if control is None else control.running
        return {
            "running": None if self._ended else running,
            "armed": (board.armed if control is None else control.armed) and not self._ended,
            "rules": [] if control is None else [dict(rule) for rule in control.rules()],
            "journal": [] if control is None else [dict(entry) for entry in control.journal(_JOURNAL)],
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
        found = None if self._patterns is None else self._patterns(number, self.generation)
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
