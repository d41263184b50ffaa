"""What all who watch an acquisition share: the changes of its maps, the mean of its patterns, its state."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import OptionError
from parscope.core.stream import Fate
from parscope.serve.live.changes import Changes
from parscope.serve.live.contract import Board, Control
from parscope.serve.live.looks import maps_of, tables
from parscope.serve.live.mean import MeanPattern
from parscope.serve.live.timing import EDGES_US, summary

PERIOD = 1 / 30
"""Shortest time between two updates, [s]."""

_STATE_PERIOD = 0.25
_JOURNAL = 30


class Hub:
    """Looks at a board at most 30 times a second, however many watch.

    Parameters
    ----------
    boards : callable
        Gives the board of the series that is measured; None before the first.
    control : Control, optional
        Who takes commands. Default: nobody, the page only watches.
    clock : callable
        Seconds that never go back.
    """

    def __init__(
        self,
        boards: Callable[[], Board | None],
        control: Control | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.control = control
        self.board: Board | None = None
        self.generation = -1
        self.lock = threading.Lock()  # what it holds changes only under this one
        self.changes = Changes((0, 0), 0)
        self._boards, self._clock = boards, clock
        self._looked = self._stated = -np.inf
        self._state: dict[str, Any] = {}
        self._mean = MeanPattern()
        self._counted = (0.0, 0)
        self.state_version = 0

    def tick(self) -> None:
        """Look again, if it is time."""
        now = self._clock()
        if now - self._looked < PERIOD:
            return
        self._looked = now
        self._follow()
        if self.board is not None:
            self.changes.look(self.board.values, self.board.fate)
            self._mean.add(self.board.last())
        if now - self._stated >= _STATE_PERIOD:
            self._state, self._stated = self._now(now), now
            self.state_version += 1

    def _follow(self) -> None:
        """Begin anew where there is another series."""
        self.board = self._boards()
        generation = -1 if self.board is None else self.board.generation
        if generation != self.generation:
            self.generation, self._stated = generation, -np.inf
            self._mean, self._counted = MeanPattern(), (self._clock(), 0)
            if self.board is not None:
                head = self.board.head
                self.changes = Changes(tuple(head["scan_shape"]), len(head["outputs"]))

    def hello(self) -> dict[str, Any]:
        """What the page must know before it can show anything; given again at every series."""
        head = {} if self.board is None else dict(self.board.head)
        step = head.get("step_nm")
        return {
            "generation": self.generation,
            "series": head.get("series"),
            "scan": list(head.get("scan_shape", (0, 0))),
            "step_nm": [float(v) for v in np.broadcast_to(step, 2)] if step else None,
            "maps": maps_of(head.get("outputs", ())),
            "looks": tables(),
            "edges_us": EDGES_US.tolist(),
            "control": self.control is not None,
        }

    def state(self) -> dict[str, Any]:
        """What is going on, as of at most a quarter of a second ago."""
        return self._state

    def refresh(self) -> None:
        """State what is going on at the next look, since a command has changed it."""
        self._stated = -np.inf

    def _now(self, now: float) -> dict[str, Any]:
        """Say what is going on."""
        return {**self._progress(now), **self._commands()}

    def _progress(self, now: float) -> dict[str, Any]:
        """How far the series is."""
        board = self.board
        if board is None:
            return {"phase": "waiting", "series": None, "done": 0, "total": 0, "rate": None, "counters": {}}
        fate, counters = self.changes.fate, {name: int(count) for name, count in board.counters.items()}
        done, total = int((fate != Fate.WAITING).sum()), fate.size
        finished = bool(board.head.get("finished")) or done == total
        return {
            "phase": "finished" if finished else "acquiring" if done else "waiting",
            "series": board.head.get("series"),
            "done": done,
            "total": total,
            "rate": self._rate(now, counters.get("received", done)),
            "counters": counters,
            "fates": {kind.name.lower(): int((fate == kind).sum()) for kind in Fate},
            "latency": summary(board.stamps, board.fate, board.head.get("deadline_ns")),
            "patterns": self._mean.count,
        }

    def _rate(self, now: float, received: int) -> float:
        """Patterns per second since the last statement."""
        (before, count), self._counted = self._counted, (now, received)
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
            The pattern, shape (q_y, q_x), and which it is; None if it is not kept.

        Raises
        ------
        OptionError
            If it is none of these.
        """
        if self.board is None:
            return None
        rows, columns = self.board.head["scan_shape"]
        if which == "mean":
            mean = self._mean.value()
            return None if mean is None else (mean, {"which": "mean", "of": self._mean.count})
        last = self.board.last()
        if which == "last":
            return None if last is None else (last[1], {"which": "last", "at": list(divmod(last[0], columns))})
        at = _position(which, (rows, columns))
        number = at[0] * columns + at[1]
        found = last[1] if last is not None and last[0] == number else None
        if found is None and self.control is not None:
            found = self.control.pattern(number)
        return None if found is None else (found, {"which": "at", "at": at})


def _position(which: Any, scan_shape: tuple[int, int]) -> list[int]:
    """Check a position that somebody asks for."""
    if not (isinstance(which, list) and len(which) == 2 and all(type(v) is int for v in which)):
        raise OptionError("no pattern", "pattern", "ask for last, mean or a position [y, x]")
    if not all(0 <= v < n for v, n in zip(which, scan_shape, strict=True)):
        raise OptionError(f"{which} is outside of the scan of {scan_shape[0]} x {scan_shape[1]}", "pattern")
    return which
