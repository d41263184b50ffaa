"""An emulated detector as one object: its addresses, a series on request, and a log of every fault."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from parscope.core.errors import OptionError
from parscope.live.emulator.dcu import Dcu
from parscope.live.emulator.faults import Faults
from parscope.live.emulator.frames import Scene
from parscope.live.emulator.job import Report
from parscope.live.emulator.machine import Machine
from parscope.live.emulator.modules import Modules, Pace
from parscope.live.emulator.parameters import READOUT
from parscope.live.emulator.sender import Facts, Sender, Setup
from parscope.live.emulator.server import Server
from parscope.live.folder import writable

_LOOK = 0.005


@dataclass
class Emulator:
    """A DECTRIS detector with nothing behind it: the same interfaces, patterns from a file or from physics.

    It starts a process of its own, by the means of `multiprocessing`: a script that uses it needs the usual
    ``if __name__ == "__main__"``.

    Parameters
    ----------
    scene : Scene
        What the detector looks at; default physics.
    rate : float, default 5000.0
        Images per second, unless a client sets another ``frame_time``; 0 for as fast as possible, [Hz].
    trigger : float, optional
        External pulses per second, in the modes ``exte`` and ``exts``; 0 for as fast as possible, negative for pulses
        by hand, see `pulse`; at the rate of the images if not given, [Hz].
    faults : Faults
        How the stream fails; default not at all.
    seed : int, default 7
        Of the faults: the same seed gives the same ones.
    host : str, default "127.0.0.1"
        Address to listen at.
    ports : tuple of int, default (0, 0, 0)
        Of the HTTP interface, of stream V2 and of stream V1; 0 for any that is free.
    files : Path, optional
        Where the filewriter writes, made if it is not there; it cannot be enabled without.
    log : Path, optional
        File to which a line of JSON is added for each series, and for each kind of fault in it.
    preset : mapping, default {}
        Parameters after switching on that differ: ``{"stream/format": "legacy"}``.
    most : int, default 10000
        Messages that wait for a client at most.
    patient : bool, default False
        Whether a client whose queue is full is waited for, which no detector does: what comes then is lost otherwise.

    Raises
    ------
    OptionError
        If the rate or the folder cannot be; on entry also if a port is taken, or a preset is no parameter.
    InputError
        On entry, if the patterns cannot be opened.

    Examples
    --------
    ::

        with Emulator(rate=5000, faults=Faults(drop=0.01)) as detector:
            ...  # connect a PULL socket to detector.stream
            report = detector.run()
            print(report.faults["drop"])
    """

    scene: Scene = field(default_factory=Scene)
    rate: float = 5000.0
    trigger: float | None = None
    faults: Faults = field(default_factory=Faults)
    seed: int = 7
    host: str = "127.0.0.1"
    ports: tuple[int, int, int] = (0, 0, 0)
    files: Path | None = None
    log: Path | None = None
    preset: Mapping[str, Any] = field(default_factory=dict)
    most: int = 10_000
    patient: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not (0 <= self.rate <= 1e6):
            raise OptionError(f"{self.rate} is not within 0 and 1e6 per second", "rate")

    def __enter__(self) -> Self:
        """Start the process that sends, and the HTTP interface."""
        for folder in (self.files, self.log.parent if self.log else None):
            if folder is not None:
                writable(folder)
        ports = (self.ports[1], self.ports[2])
        setup = Setup(self.scene, self.faults, self.seed, self.host, ports, self.most, self.patient)
        self._sender = Sender(setup)
        try:
            self._log: IO[str] | None = self.log.open("a", encoding="utf-8") if self.log else None
            self.facts = self._sender.facts
            modules = Modules(self.facts.pattern, self.facts.bits, {**self._usual(self.facts), **self.preset})
            pace = Pace(unhurried=self.rate > 0, pulse=self._pulse())
            files = str(self.files) if self.files else ""
            self.machine = Machine(self._sender, modules, pace, files, self._note)
            self.dcu = Dcu(self.machine)
            self._server = Server(self.dcu, self.host, self.ports[0])
        except BaseException:
            self._sender.close()
            raise
        self._sender.attach(self.machine)
        self._sender.prepare(modules.order(0, pace, files))
        return self

    def __exit__(self, *_: object) -> None:
        """End both."""
        self._server.close()
        self._sender.close()
        if self._log:
            self._log.close()

    def _usual(self, facts: Facts) -> dict[str, Any]:
        """Parameters as an operator of a scan sets them: one image per pulse of the scan engine."""
        frame = 1 / self.rate if self.rate else 1e-5
        dwell = {"scan_shape": list(facts.scan), "dwell_ns": round(frame * 1e9), **facts.extra}
        return {
            "detector/frame_time": frame,
            "detector/count_time": frame - READOUT,
            "detector/trigger_mode": "exte",
            "detector/ntrigger": facts.scan[0] * facts.scan[1],
            "stream/header_appendix": dwell,
        }

    def _pulse(self) -> float | None:
        return 0.0 if self.trigger is None and not self.rate else self.trigger

    @property
    def address(self) -> str:
        """Of the HTTP interface: ``http://...``."""
        return f"http://{self.host}:{self._server.port}"

    @property
    def stream(self) -> str:
        """Of stream V2: ``tcp://...``."""
        return f"tcp://{self.host}:{self.facts.ports[0]}"

    @property
    def stream_v1(self) -> str:
        """Of stream V1: ``tcp://...``."""
        return f"tcp://{self.host}:{self.facts.ports[1]}"

    @property
    def status(self) -> Mapping[str, int]:
        """What is counted while it runs: ``sent``, ``dropped``, ``clients``."""
        return self._sender.status()

    @property
    def pid(self) -> int:
        """Number of the process that sends: for whoever gives it a processor of its own."""
        return self._sender.pid

    def wait_for_clients(self, clients: int = 1, seconds: float = 60.0) -> None:
        """Wait until clients are connected to the streams.

        Parameters
        ----------
        clients : int, default 1
            How many.
        seconds : float, default 60.0
            How long at most, [s].

        Raises
        ------
        TimeoutError
            If they do not come.
        """
        end = time.monotonic() + seconds
        while self.status["clients"] < clients:
            if time.monotonic() > end:
                raise TimeoutError(f"there are {self.status['clients']} clients after {seconds:g} s, not {clients}")
            time.sleep(_LOOK)

    def start(self) -> int:
        """Arm, and give the triggers of the modes ``ints`` and ``inte``, as a client would.

        Returns
        -------
        int
            Number of the series, which external pulses carry on.

        Raises
        ------
        OptionError
            If a series is running.
        """
        if self.machine.state in ("na", "error"):
            self.machine.initialize()
        series = self.machine.arm()["sequence id"]
        detector = self.machine.modules.values["detector"]
        if detector["trigger_mode"].startswith("int"):
            for _ in range(detector["ntrigger"]):
                self.machine.trigger()
        return series

    def run(self, seconds: float = 600.0) -> Report:
        """Take one series from beginning to end.

        Parameters
        ----------
        seconds : float, default 600.0
            How long at most, [s].

        Returns
        -------
        Report
            What became of it.

        Raises
        ------
        OptionError
            If a series is running, or the patterns cannot be read.
        TimeoutError
            If it is not over in time.
        """
        return self.machine.wait_for(self.start(), seconds)

    def pulse(self, pulses: int = 1) -> None:
        """Give external pulses by hand, as a scan engine does; see `trigger`.

        Parameters
        ----------
        pulses : int, default 1
            How many, one right after the other.

        Raises
        ------
        OptionError
            If the detector does not wait for them.
        """
        self.machine.pulse(pulses)

    def _note(self, report: Report) -> None:
        """Add a series to the log."""
        if self._log is None:
            return
        dropped = self.status["dropped"]
        head = {"event": "series", "series": report.series, "images": report.images, "sent": report.sent}
        tail = {
            "dropped": dropped,
            "seconds": report.seconds,
            "rate": report.rate,
            "late": report.late,
            "files": list(report.files),
        }
        lines: list[dict[str, Any]] = [{**head, **tail}]
        for name, images in report.faults.items():
            lines.append({"event": "fault", "series": report.series, "fault": name, "images": list(images)})
        self._log.writelines(json.dumps(line) + "\n" for line in lines)
        self._log.flush()
