"""The page of a session that `parscope live` runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from parscope.core.errors import OutputError, ParscopeError
from parscope.live.pipeline.session import Session
from parscope.serve.live.hub import Hub
from parscope.serve.live.patterns import RingPatterns
from parscope.serve.live.server import PageServer
from parscope.serve.live.tail import JournalTail

_PATIENCE = 5.0  # s
_GRACE = 0.5  # s in which what was begun in time is answered


class SessionControl:
    """Passes commands of the page on to a session; a `Control`.

    Parameters
    ----------
    session : Session
        Running.
    patience : float, default 5.0
        How long the frame loop may take to begin with a command, [s]; it does none that it comes to later.
    """

    def __init__(self, session: Session, patience: float = _PATIENCE) -> None:
        self._session, self._patience = session, patience
        self._lock, self._number = threading.Lock(), 0
        journal = session.orders.journal
        self._tail = None if journal is None else JournalTail(journal)

    @property
    def running(self) -> bool:
        """Whether patterns are analysed."""
        board = self._session.board
        return not (board.stopping or board.halted)

    @property
    def armed(self) -> bool:
        """Whether rules act on the instrument, as far as the frame loop has said."""
        return self._session.board.armed and self.running

    def start(self) -> str:
        """Analyse again, from the next pattern on; rules stay disarmed.

        Raises
        ------
        ParscopeError
            If the frame loop does not answer.
        """
        return self._ask("start")

    def stop(self) -> str:
        """Analyse no more, from the next pattern on; the recording goes on, and rules are disarmed.

        Raises
        ------
        ParscopeError
            If the frame loop does not answer.
        """
        return self._ask("stop")

    def arm(self) -> str:
        """Let rules act.

        Raises
        ------
        ParscopeError
            If there are none, this is a dry run, or the frame loop does not answer.
        """
        return self._ask("arm")

    def disarm(self) -> str:
        """Let rules act no more.

        Raises
        ------
        ParscopeError
            If there are none, or the frame loop does not answer.
        """
        return self._ask("disarm")

    def rules(self) -> Sequence[Mapping[str, Any]]:
        """Rules in force."""
        if self._tail is not None:
            self._tail.follow()
            if told := self._tail.rules():
                return told
        rules = self._session.orders.rules
        return [] if rules is None else [{"text": rule.text} for rule in rules.rules]

    def journal(self, last: int) -> Sequence[Mapping[str, Any]]:
        """The last decisions, newest first; none where nothing is saved."""
        return [] if self._tail is None else self._tail.last(last)

    def _ask(self, verb: str) -> str:
        """Have the frame loop do something."""
        with self._lock:
            try:
                answer = self._exchange(verb)
            except (EOFError, OSError):
                raise OutputError("has ended", "session", "start another with parscope live") from None
        if isinstance(answer, tuple):
            raise ParscopeError(*answer)
        return answer

    def _exchange(self, verb: str) -> str | tuple[str, str, str]:
        """The answer to this question, whatever answers to others still come."""
        self._number += 1
        desk, due = self._session.desk, time.monotonic() + self._patience
        desk.send((self._number, due, verb, None))
        while desk.poll(max(due + _GRACE - time.monotonic(), 0)):
            number, answer = desk.recv()
            if number == self._number:
                told: str | tuple[str, str, str] = answer
                return told
        raise OutputError("does not answer, and has not done it", "frame loop", "try again")


@contextmanager
def page_of(session: Session, port: int | None = None) -> Iterator[PageServer]:
    """Serve the page of a session while the block runs.

    Parameters
    ----------
    session : Session
        Running.
    port : int, optional
        Where to listen; 0 takes any. Default: 8400, or the next one that is free.

    Yields
    ------
    PageServer
        Its ``url`` is for the person.

    Raises
    ------
    OptionError
        If the port is taken.
    """
    patterns = RingPatterns(session.board, session.ring.name)
    try:
        hub = Hub(session.board, SessionControl(session), patterns, notes=lambda: session.notes)
        session.extras = hub.drawn_of
        with PageServer(hub, port) as server:
            yield server
    finally:
        patterns.close()
