"""What became of messages after they were handed over: counted for each sink, and told when some are lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parscope.core.contracts import Sink

_PAUSE = 1.0  # seconds between two looks
_AGAIN = 60_000_000_000  # ns between two lines of the journal about one sink


class Deliveries:
    """Accounts of the sinks, with a thread that looks at them once a second.

    A sink that takes a message at once may find out much later that nobody has it. The journal gets a line soon after
    the first that was lost, and then one a minute at most while there are more of them; a person is told once a series,
    and of the sum when it is over.

    Parameters
    ----------
    sinks : mapping of str to Sink
        By address.
    note : callable
        Puts a record into the journal.
    tell : callable
        Is told, in a sentence, what a person should know.
    clock : callable
        Of the time of this machine, [ns].
    """

    def __init__(
        self,
        sinks: Mapping[str, Sink],
        note: Callable[[Mapping[str, Any]], None],
        tell: Callable[[str], None],
        clock: Callable[[], int],
    ) -> None:
        self._of = {address: _Account(sink) for address, sink in sinks.items()}
        self._note, self._tell, self._clock = note, tell, clock
        self._lock = threading.Lock()
        self._report: Callable[[Sequence[str]], None] = lambda _: None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, report: Callable[[Sequence[str]], None]) -> None:
        """Begin a series; what was lost and found out until now belongs to the last one.

        Parameters
        ----------
        report : callable
            Is given a sentence for each sink that has lost messages of this series, again whenever there are more.
        """
        self.sum_up()
        with self._lock:
            self._report = report
            for account in self._of.values():
                account.before = account.given, account.noted

    def start(self) -> None:
        """Begin to look."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="parscope-deliveries", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more; may be called twice."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def count(self, address: str, fault: str = "") -> None:
        """Count a message.

        Parameters
        ----------
        address : str
            Of the sink.
        fault : str, optional
            Why the sink refused it; empty if it took it.
        """
        account = self._of[address]
        account.given += 1
        if fault:
            account.refused += 1
            account.reason = fault

    def sum_up(self) -> None:
        """Note and tell all that was lost since this was done last: the series is over, and so may be the session."""
        with self._lock:
            for address, account in self._of.items():
                self._write(address, account)
                self._say(address, account)
                account.told = False

    def look(self) -> None:
        """Note what was lost, if it is time for that, and tell it, once a series."""
        now = self._clock()
        with self._lock:
            for address, account in self._of.items():
                if now >= account.due and self._write(address, account):
                    account.due = now + _AGAIN
                    if not account.told:
                        self._say(address, account)
                        account.told = True

    def _write(self, address: str, account: _Account) -> bool:
        """A line of the journal, if there is something new."""
        lost = account.lost
        if lost <= account.noted:
            return False
        account.noted = lost
        self._note(
            {
                "t": "sink",
                "address": address,
                "given": account.given,
                "lost": lost,
                "fault": account.why,
                "at_ns": self._clock(),
            }
        )
        self._report([_sentence(name, one, *one.before) for name, one in self._of.items() if one.noted > one.before[1]])
        return True

    def _say(self, address: str, account: _Account) -> None:
        """A sentence, if there is something new."""
        if account.noted > account.said:
            account.said = account.noted
            self._tell(_sentence(address, account))

    def _run(self) -> None:
        while not self._stop.wait(_PAUSE):
            self.look()


@dataclass
class _Account:
    """Of one sink: messages it was given and refused, losses that were noted and said, and what was before a series."""

    sink: Sink
    given: int = 0
    refused: int = 0
    reason: str = ""
    noted: int = 0
    said: int = 0
    before: tuple[int, int] = (0, 0)
    told: bool = False
    due: int = 0

    @property
    def lost(self) -> int:
        """Messages that nobody has got; a sink counts those among them that it has refused."""
        return max(self.sink.dropped, self.refused)

    @property
    def why(self) -> str:
        """Why the last one was lost."""
        return self.sink.fault or self.reason


def _sentence(address: str, account: _Account, given: int = 0, lost: int = 0) -> str:
    """How many messages were lost since so many had been given and lost.

    Where that is more than were given since, some are older: of how many is left out then.
    """
    given, lost = account.given - given, account.noted - lost
    many = f"{lost} of {given}" if lost <= given else str(lost)
    why = account.why.removeprefix(f"{address}: ")
    return f"{many} messages to {address} were lost" + (f": {why}" if why else "")
