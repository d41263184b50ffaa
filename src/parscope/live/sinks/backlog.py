"""A bounded queue with a thread behind it, for sinks whose way of sending takes its time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from parscope.core.errors import OutputError, ParscopeError

_GRACE = 5.0  # seconds that the last messages have to leave


class Backlog:
    """Takes messages from the loop at once, and hands them on from a thread, in order.

    The thread looks for messages instead of being woken: waking it would cost the loop more than the queue does.

    Parameters
    ----------
    deliver : callable
        Given each message; what it raises as `ParscopeError` counts as dropped, and is kept as `fault`.
    address : str
        Of the sink, for errors.
    longest : int, default 1000
        Messages that may wait, [1].
    pause : float, default 0.005
        Time between two looks, [s].
    """

    def __init__(
        self, deliver: Callable[[bytes], None], address: str, longest: int = 1000, pause: float = 0.005
    ) -> None:
        self._deliver, self._address, self._longest, self._pause = deliver, address, longest, pause
        self._waiting: deque[bytes] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="parscope-sink", daemon=True)
        self._refused = self._failed = 0  # the first is counted by the loop, the second by the thread
        self.fault = ""

    @property
    def dropped(self) -> int:
        """Messages that found the queue full, or could not be delivered."""
        return self._refused + self._failed

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def put(self, message: bytes) -> None:
        """Take one message.

        Parameters
        ----------
        message : bytes
            Any.

        Raises
        ------
        OutputError
            If as many wait as may.
        """
        if len(self._waiting) >= self._longest:
            self._refused += 1
            raise OutputError(f"{self._longest} messages wait already{self._why()}", self._address)
        self._waiting.append(message)

    def stop(self) -> None:
        """Deliver what waits, for some seconds at most, and end; what is left then counts as dropped."""
        self._stop.set()
        self._thread.join(_GRACE)
        left = len(self._waiting)
        self._waiting.clear()
        self._refused += left

    def _run(self) -> None:
        """Look again and again; once more at the end."""
        while not self._stop.wait(self._pause):
            self._drain()
        self._drain()

    def _drain(self) -> None:
        while self._waiting:
            try:
                self._deliver(self._waiting.popleft())
            except IndexError:  # `stop` has lost its patience
                return
            except ParscopeError as error:
                self._failed += 1
                self.fault = str(error)

    def _why(self) -> str:
        return f" ({self.fault})" if self.fault else ""
