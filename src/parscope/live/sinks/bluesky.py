"""Bluesky: a live scan as a device that a plan flies, with its maps as the events of the run, line by line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from parscope.core.errors import InputError, MissingExtraError
from parscope.core.stream import Fate
from parscope.live.pipeline.board import Board
from parscope.live.pipeline.results import Result

_PAUSE = 0.02  # seconds between two looks


class LiveScan:
    """A live scan for Bluesky's RunEngine: Flyable, and Collectable with one event for each line of the scan.

    ``kickoff`` starts the scan and is done when its series has begun, ``complete`` is done when it has ended, and
    ``collect`` gives the maps: every output as an array of one line, NaN where a pattern was not analysed, and
    ``fate``, which says why (`parscope.core.stream.Fate`).

    Parameters
    ----------
    name : str
        Of the device, and what its data keys begin with.
    board : Board
        Of the session that analyses the scan: `parscope.live.pipeline.session.Session.board`, or
        `parscope.live.pipeline.board.Board.attach` from another process.
    start : callable, optional
        Starts the scan, as by arming the detector; without it somebody else does, after ``kickoff``.
    patience : float, default 60
        How long the beginning may take, and how long no pattern may come, [s].

    Examples
    --------
    ::

        from bluesky import RunEngine
        from bluesky.plans import fly

        RE = RunEngine()
        with Session(Orders("tcp://DCU:31001", ("com", "bf"))) as session:
            RE(fly([LiveScan("stem", session.board, start=detector.arm)]), on_document)
    """

    parent = None
    """Bluesky asks for it: this is part of no other device."""

    def __init__(
        self, name: str, board: Board, start: Callable[[], object] | None = None, patience: float = 60.0
    ) -> None:
        self.name, self.board, self._start, self._patience = name, board, start, patience
        self._generation = board.generation

    def kickoff(self) -> Any:
        """Start the scan.

        Returns
        -------
        Status
            Done when its series has begun; failed if it has not after `patience`.

        Raises
        ------
        MissingExtraError
            If ophyd-async is not installed.
        """
        return _status(self._begin(self.board.generation))

    def complete(self) -> Any:
        """Wait for the end of the scan.

        Returns
        -------
        Status
            Done when its series has ended; failed if no pattern came for `patience`.

        Raises
        ------
        MissingExtraError
            If ophyd-async is not installed.
        """
        return _status(self._end())

    def describe_collect(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Say what the events hold.

        Returns
        -------
        dict
            By the name of the stream, which is that of the device, and by data key.

        Raises
        ------
        InputError
            If no series has begun, or a later one has taken the place of its numbers.
        """
        _, columns = self._result().head["scan_shape"]
        kinds = [(output.name, output.unit, "<f4") for output in self.board.layout.outputs] + [("fate", "1", "|u1")]
        keys: dict[str, dict[str, Any]] = {
            self._key(name): {
                "source": f"parscope:{name}",
                "dtype": "array",
                "dtype_numpy": kind,
                "shape": [columns],
                "units": unit,
            }
            for name, unit, kind in kinds
        }
        keys[self._key("line")] = {"source": "parscope:line", "dtype": "integer", "dtype_numpy": "<i8", "shape": []}
        return {self.name: keys}

    def collect(self) -> Iterator[dict[str, Any]]:
        """Give the maps, line by line.

        Yields
        ------
        dict
            A partial event: ``time``, ``data`` and ``timestamps``.

        Raises
        ------
        InputError
            If no series has begun, or a later one has taken the place of its numbers.
        """
        result = self._result()
        rows, columns = result.head["scan_shape"]
        names = [self._key(output.name) for output in result.outputs]
        values, fate = result.values.reshape(rows, columns, -1), result.fate.reshape(rows, columns)
        now = time.time()
        for line in range(rows):
            data: dict[str, Any] = {name: values[line, :, index] for index, name in enumerate(names)}
            data |= {self._key("fate"): fate[line], self._key("line"): line}
            yield {"time": now, "data": data, "timestamps": dict.fromkeys(data, now)}

    async def _begin(self, before: int) -> None:
        """Start, and wait for a series that was not there before."""
        if self._start is not None:
            await asyncio.to_thread(self._start)
        until = time.monotonic() + self._patience
        while self.board.generation == before:
            if time.monotonic() > until:
                raise InputError(f"no series began within {self._patience:g} s", self.name, "start the scan")
            await asyncio.sleep(_PAUSE)
        self._generation = before + 1

    async def _end(self) -> None:
        """Wait for the end, as long as patterns come."""
        seen, until = -1, time.monotonic() + self._patience
        while self.board.counters["finished"] < self._generation:
            waiting = int(np.count_nonzero(self.board.of(self._generation).fate == Fate.WAITING))
            if waiting != seen:
                seen, until = waiting, time.monotonic() + self._patience
            elif time.monotonic() > until:
                raise InputError(f"no pattern came for {self._patience:g} s", self.name, "look at the detector")
            await asyncio.sleep(_PAUSE)

    def _result(self) -> Result:
        """The series that was flown."""
        if self._generation == 0:
            raise InputError("no series has begun", self.name, "kick it off before")
        found = Result.of(self.board, self._generation)
        if found is None:
            raise InputError("its maps are lost: the next series came too soon", self.name, "collect at once")
        return found

    def _key(self, name: str) -> str:
        """A data key: a dot would be taken for a part of something."""
        return f"{self.name}-{name.replace('.', '-')}"


def _status(waiting: Any) -> Any:
    """What Bluesky waits for."""
    try:
        from ophyd_async.core import AsyncStatus
    except ImportError:
        waiting.close()
        raise MissingExtraError("ophyd-async", "bluesky") from None
    return AsyncStatus(waiting)
