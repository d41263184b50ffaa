"""A bounded queue with a thread behind it, for sinks whose way of sending takes its time."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque

from parscope.core.errors import OutputError, ParscopeError

LONGEST = 1000
"""Messages that may wait, [1]."""

_PAUSE = 0.01  # seconds between two looks for messages
_GRACE = 5.0  # seconds that the last messages have to leave


def reason_of(error: Exception) -> str:
    """Why something failed, in one line, whether or not somebody foresaw it.

    Parameters
    ----------
    error : Exception
        What was raised.

    Returns
    -------
    str

    Examples
    --------
    >>> reason_of(OutputError("is full", "here")), reason_of(ValueError("no number"))
    ('here: is full', 'ValueError: no number')
    """
    if isinstance(error, ParscopeError):
        return str(error)
    return " ".join(f"{type(error).__name__}: {error}".removesuffix(": ").split())


class QueuedSink(ABC):
    """A sink that takes messages from the loop at once, and hands them on from a thread, in order.

    The thread looks for messages a hundred times a second instead of being woken: waking it would cost the loop more
    than the queue does.

    Parameters
    ----------
    address : str
        Of the sink.
    """

    def __init__(self, address: str) -> None:
        self.address, self.fault = address, ""
        self._waiting: deque[bytes] = deque()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._refused = self._failed = 0  # the first is counted by the loop, the second by the thread

    @property
    def dropped(self) -> int:
        """Messages that found the queue full, or could not be delivered."""
        return self._refused + self._failed

    def open(self) -> None:
        """Connect, and begin to deliver.

        Raises
        ------
        OutputError
            With the address, the fault and what to do.
        MissingExtraError
            If a library is not installed that this needs.
        """
        self._begin()
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name=f"parscope-{self.address}", daemon=True)
        self._thread.start()

    def send(self, message: bytes) -> None:
        """Put one message into the queue.

        Parameters
        ----------
        message : bytes
            A decision.

        Raises
        ------
        OutputError
            If the queue is full.
        """
        if self._thread is None:
            raise OutputError("is not open", self.address)
        if len(self._waiting) >= LONGEST:
            self._refused += 1
            raise OutputError(f"{LONGEST} messages wait already", self.address, self.fault)
        self._waiting.append(message)

    def close(self) -> None:
        """Deliver what waits, for some seconds at most; the rest counts as dropped. May be called twice."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join(_GRACE)
            self._thread = None
            self._refused += len(self._waiting)
            self._waiting.clear()
            self._end()

    @abstractmethod
    def _begin(self) -> None:
        """Connect."""

    @abstractmethod
    def _deliver(self, message: bytes) -> None:
        """Hand a message on; if it raises, that counts as dropped."""

    @abstractmethod
    def _end(self) -> None:
        """Give back what is held."""

    def _run(self) -> None:
        """Look again and again; once more at the end."""
        while not self._stop.wait(_PAUSE):
            self._drain()
        self._drain()

    def _drain(self) -> None:
        while self._waiting:
            try:
                message = self._waiting.popleft()
            except IndexError:  # `close` has lost its patience
                return
            try:
                self._deliver(message)
            except Exception as error:  # noqa: BLE001 - the next one may well be delivered
                self._failed += 1
                self.fault = reason_of(error)
