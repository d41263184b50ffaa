"""The page of a session that `parscope live` runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from parscope.core.errors import OptionError
from parscope.live.pipeline.session import Session
from parscope.serve.live.hub import Hub
from parscope.serve.live.patterns import RingPatterns
from parscope.serve.live.server import PageServer
from parscope.serve.live.tail import JournalTail


class SessionControl:
    """Passes commands of the page on to a session; a `Control`.

    Parameters
    ----------
    session : Session
        Running.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._armed = session.orders.armed
        journal = session.orders.journal
        self._tail = None if journal is None else JournalTail(journal)

    @property
    def running(self) -> bool:
        """Whether patterns are analysed."""
        return not self._session.board.stopping

    @property
    def armed(self) -> bool:
        """Whether rules act on the instrument, by the last command."""
        return self._armed and self.running

    def start(self) -> str:
        """A session that was stopped has ended.

        Raises
        ------
        OptionError
            Always.
        """
        raise OptionError("runs, or has ended", "session", "start another with parscope live")

    def stop(self) -> str:
        """End the session."""
        self._session.stop()
        return "Stopped; what has come is being written."

    def arm(self) -> str:
        """Let rules act.

        Raises
        ------
        OptionError
            If there are none, or this is a dry run.
        """
        orders = self._session.orders
        if orders.rules is None:
            raise OptionError("there are none", "rules", "give them with --rule")
        if orders.dry:
            raise OptionError("this is a dry run", "rules", "start again without --dry-run to arm them")
        self._session.command("arm")
        self._armed = True
        return "Armed from the next pattern on."

    def disarm(self) -> str:
        """Let rules act no more."""
        self._session.command("disarm")
        self._armed = False
        return "Disarmed from the next pattern on."

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
        hub = Hub(session.board, SessionControl(session), patterns, session.orders.policy.deadline)
        with PageServer(hub, port) as server:
            yield server
    finally:
        patterns.close()
