"""Commands of the page, from its process to that of the frame loop and back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

from parscope.core.errors import OptionError, OutputError, ParscopeError
from parscope.live.pipeline.board import Board
from parscope.live.rules.actuator import Actuator
from parscope.serve.live.contract import VirtualDetector
from parscope.serve.live.tail import JournalTail

_PATIENCE = 5.0  # s
_GRACE = 0.5  # s in which what was begun in time is answered

Drawn = Callable[[tuple[VirtualDetector, ...]], str]
"""Takes detectors that a person has drawn, and says in a sentence from when on they are used."""


class Listener:
    """In the process of the frame loop: does what the page asks for, between two patterns.

    Parameters
    ----------
    connection : multiprocessing.connection.Connection
        One end of a pipe; the other belongs to `Remote`.
    actuator : Actuator, optional
        What is armed. Default: there are no rules.
    drawn : callable, optional
        Takes detectors. Default: they cannot be changed.

    Examples
    --------
    ::

        engine.run(between=Listener(connection, actuator).poll)
    """

    def __init__(self, connection: Connection, actuator: Actuator | None = None, drawn: Drawn | None = None) -> None:
        self._connection, self._actuator, self._drawn = connection, actuator, drawn

    def poll(self) -> None:
        """Do what was asked for, if something was."""
        try:
            if not self._connection.poll():
                return
            number, due, verb, given = self._connection.recv()
            if time.monotonic() > due:
                return  # the person has been told that nothing happened, and so nothing must happen
            answer: str | tuple[str, str, str]
            try:
                answer = self._do(verb, given)
            except ParscopeError as error:
                answer = error.what, error.where, error.advice
            self._connection.send((number, answer, self._actuator is not None and self._actuator.armed))
        except (EOFError, OSError):
            return  # the page is gone; what is armed stays armed, and Ctrl-C and the watchdog are there

    def _do(self, verb: str, given: Any) -> str:
        """Do it, and say so."""
        if verb == "masks":
            if self._drawn is None:
                raise OptionError("cannot be changed while this session runs", "detectors", "give them to --analyse")
            return self._drawn(given)
        if self._actuator is None:
            raise OptionError("there are none", "rules", "give them with --rule")
        if verb == "arm":
            self._actuator.arm()
            return "Armed from the next pattern on."
        self._actuator.disarm()
        return "Disarmed from the next pattern on."


class Remote:
    """In the process of the page: passes commands on; a `Control`.

    Parameters
    ----------
    board : Board
        Of the session; told to stop it.
    connection : multiprocessing.connection.Connection
        One end of a pipe; the other belongs to `Listener`.
    journal : JournalTail, optional
        Where rules and decisions are read.
    patience : float, default 5.0
        How long the frame loop may take to answer, [s].
    """

    def __init__(
        self, board: Board, connection: Connection, journal: JournalTail | None = None, patience: float = _PATIENCE
    ) -> None:
        self._board, self._connection, self._journal, self._patience = board, connection, journal, patience
        self._lock = threading.Lock()
        self._number = 0
        self._armed: bool | None = None

    @property
    def running(self) -> bool:
        """Whether patterns are analysed."""
        return not self._board.stopping

    @property
    def armed(self) -> bool:
        """Whether rules act on the instrument, as far as the frame loop has said."""
        if self._armed is None:
            return self._journal is not None and self._journal.armed
        return self._armed

    def start(self) -> str:
        """A session that was stopped has ended.

        Raises
        ------
        OptionError
            Always.
        """
        raise OptionError("has ended", "session", "start another with parscope live")

    def stop(self) -> str:
        """End the session, with its report."""
        self._board.stop()
        return "Stopped; the report is being written."

    def arm(self) -> str:
        """Let rules act."""
        return self._ask("arm")

    def disarm(self) -> str:
        """Let rules act no more."""
        return self._ask("disarm")

    def set_masks(self, detectors: tuple[VirtualDetector, ...]) -> str:
        """Sum counts over these."""
        return self._ask("masks", detectors)

    def rules(self) -> Sequence[Mapping[str, Any]]:
        """Rules in force."""
        if self._journal is None:
            return []
        self._journal.follow()
        return self._journal.rules()

    def journal(self, last: int) -> Sequence[Mapping[str, Any]]:
        """The last decisions, newest first."""
        return [] if self._journal is None else self._journal.last(last)

    def _ask(self, verb: str, given: Any = None) -> str:
        """Have the frame loop do something."""
        with self._lock:
            try:
                answer = self._exchange(verb, given)
            except (EOFError, OSError):
                raise OutputError("has ended", "session", "start another with parscope live") from None
        if isinstance(answer, tuple):
            raise ParscopeError(*answer)
        return str(answer)

    def _exchange(self, verb: str, given: Any) -> str | tuple[str, str, str]:
        """The answer to this question, whatever answers to others still come."""
        self._number += 1
        due = time.monotonic() + self._patience
        self._connection.send((self._number, due, verb, given))
        while self._connection.poll(max(due + _GRACE - time.monotonic(), 0)):
            number, answer, armed = self._connection.recv()
            if number == self._number:
                self._armed = bool(armed)
                told: str | tuple[str, str, str] = answer
                return told
        raise OutputError("does not answer, and has not done it", "frame loop", "try again")
