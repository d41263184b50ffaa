"""Sends what was decided, notes it in the journal, and sends safe actions when the loop stands still."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from numpy.typing import NDArray

from parscope.core.contracts import Sink
from parscope.core.errors import OutputError
from parscope.live.rules.decider import Decider
from parscope.live.rules.decision import Decision
from parscope.live.rules.deliveries import Deliveries
from parscope.live.rules.journal import Journal
from parscope.live.sinks.queued import reason_of


class Actuator:
    """A decider with its sinks and its journal: what the loop calls for every pattern.

    Parameters
    ----------
    decider : Decider
        Decides.
    sinks : mapping of str to Sink
        One for each of its addresses, by address; opened by `open`. In a dry run they are not needed.
    journal : Journal, optional
        Where decisions are noted; it is closed with this.
    clock : callable, optional
        Of the time of this machine, [ns].
    tell : callable, optional
        Is told, in a sentence, what a person should know: messages that were lost, of any thread.

    Raises
    ------
    OutputError
        If an address has no sink.

    Examples
    --------
    ::

        actuator = Actuator(decider, {address: make_sink(address) for address in decider.addresses}, journal)
        actuator.open()
        actuator.begin(series=1, scan_shape=(256, 256))
        actuator.arm()
        decided, emitted = actuator.step(position, values, received, now, image)  # for every pattern
        actuator.safe("no pattern was answered for 0.5 s")  # by the watchdog, from its own thread
        actuator.close()
    """

    def __init__(
        self,
        decider: Decider,
        sinks: Mapping[str, Sink],
        journal: Journal | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        missing = [address for address in decider.addresses if address not in sinks and not decider.dry]
        if missing:
            raise OutputError("has no sink", missing[0])
        self.decider, self.sinks, self.journal, self._clock = decider, dict(sinks), journal, clock
        self._tell = tell
        self._columns, self._noted, self._untold = 0, 0, 0
        self._lock = threading.Lock()  # the loop and its watchdog may both send
        self._deliveries = Deliveries(self.sinks, self._note, tell, clock)
        self._texts = [rule.text for rule in decider.rules]
        self._note(self._head())

    @property
    def armed(self) -> bool:
        """Whether messages are to be sent."""
        return self.decider.armed

    def open(self) -> None:
        """Open all sinks; none stays open if one cannot be.

        Raises
        ------
        OutputError
            With the address, the fault and what to do.
        """
        opened: list[Sink] = []
        try:
            for sink in () if self.decider.dry else self.sinks.values():
                sink.open()
                opened.append(sink)
        except BaseException:
            for sink in opened:
                sink.close()
            raise
        self._deliveries.start()

    def close(self) -> None:
        """Close sinks and journal, and tell what was lost; may be called twice."""
        self.decider.disarm()
        with self._lock:
            for sink in self.sinks.values():
                sink.close()
        self._deliveries.stop()
        self._deliveries.sum_up()
        if self.journal is not None:
            self.journal.close()
            if self.journal.dropped > self._untold:
                self._untold = self.journal.dropped
                self._tell(f"{self._untold} lines of the journal {self.journal.path} were lost")

    def arm(self) -> None:
        """Let messages be sent, from the next pattern on.

        Raises
        ------
        OptionError
            If this is a dry run.
        """
        self.decider.arm()

    def disarm(self) -> None:
        """Let nothing be sent, from the next pattern on."""
        self.decider.disarm()

    def begin(
        self,
        series: int,
        scan_shape: tuple[int, int] | None = None,
        report: Callable[[Sequence[str]], None] = lambda _: None,
    ) -> None:
        """Begin a series.

        Parameters
        ----------
        series : int
            Its number.
        scan_shape : tuple of int, optional
            Scan positions (y, x).
        report : callable, optional
            Is given a sentence for each sink that has lost messages of this series, again whenever there are more.
        """
        self._deliveries.begin(report)
        self._columns = 0 if scan_shape is None else scan_shape[1]
        self.decider.begin(series, self._columns)
        self._note({"t": "series", "series": series, "scan_shape": scan_shape, "at_ns": self._clock()})

    def step(
        self, position: int, values: NDArray[Any], received: int, now: int, image: int = -1, detector: int = -1
    ) -> tuple[int, int]:
        """Decide upon one pattern, and send what came of it.

        Parameters
        ----------
        position : int
            Scan position, row by row, from 0.
        values : ndarray of float, shape (number of outputs,)
            Its numbers, in the units of the outputs.
        received, now : int
            When it was received, and when this is called, [ns]; the journal has the latter as the time of the decision.
        image : int, default -1
            What the detector calls it.
        detector : int, default -1
            When its exposure ended, by the clock of the detector, [ns]; 0 or less where it did not say.

        Returns
        -------
        tuple of int
            When all rules had been tried, and when the last message was handed over, [ns]; 0 if there was none.
        """
        decisions = self.decider.decide(position, values, received, now, image, detector if detector > 0 else -1)
        decided = self._clock()
        if len(self.decider.switches) > self._noted:
            self._note_switches()
        return decided, self._emit(decisions) if decisions else 0

    def safe(self, reason: str) -> int:
        """Send the safe actions of all rules, if they are armed: for the watchdog of the loop, of any thread.

        Parameters
        ----------
        reason : str
            Why, for the journal.

        Returns
        -------
        int
            When the last message was handed over, [ns]; 0 if there was none.
        """
        now = self._clock()
        self._note({"t": "watchdog", "reason": reason, "armed": self.armed, "at_ns": now})
        return self._emit(self.decider.safe(now))

    def _emit(self, decisions: Sequence[Decision]) -> int:
        """Send and note; a sink that fails holds nothing up."""
        emitted = 0
        with self._lock:
            for decision in decisions:
                at, fault = self._send(decision) if decision.sent else (0, "")
                emitted = at or emitted
                if self.journal is not None:
                    self.journal.add(self._line(decision, at, fault))
        return emitted

    def _send(self, decision: Decision) -> tuple[int, str]:
        """When it was handed over, or why not."""
        address, message = self.decider.address(decision), self.decider.message(decision)
        try:
            self.sinks[address].send(message)
        except Exception as error:  # noqa: BLE001 - whatever a sink does, the loop goes on
            fault = reason_of(error)
            self._deliveries.count(address, fault)
            return 0, fault
        self._deliveries.count(address)
        return self._clock(), ""

    def _line(self, decision: Decision, emitted: int, fault: str) -> dict[str, Any]:
        """A decision, as the journal has it."""
        known = decision.position >= 0 and self._columns > 0
        y, x = divmod(decision.position, self._columns) if known else (-1, -1)
        return {
            "t": "decision",
            "name": self.decider.names[decision.rule],
            "text": self._texts[decision.rule],
            "address": self.decider.address(decision),
            "y": y,
            "x": x,
            "emitted": emitted,
            "fault": fault,
            **{name: getattr(decision, name) for name in _FIELDS},
        }

    def _head(self) -> dict[str, Any]:
        """What a journal begins with, each time that a program begins to write to it."""
        return {
            "t": "rules",
            "journal": 1,
            "utc": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "at_ns": self._clock(),
            "dry": self.decider.dry,
            "rules": [{"name": n, "text": t} for n, t in zip(self.decider.names, self._texts, strict=True)],
            "outputs": [{"name": output.name, "unit": output.unit} for output in self.decider.outputs],
            "limits": {address: asdict(limits) for address, limits in self.decider.limits.items()},
        }

    def _note_switches(self) -> None:
        switches = self.decider.switches[self._noted :]
        self._noted += len(switches)
        for switch in switches:
            self._note({"t": "switch", **vars(switch)})

    def _note(self, record: Mapping[str, Any]) -> None:
        if self.journal is not None:
            self.journal.add(record)


_FIELDS = tuple(Decision.__dataclass_fields__)
