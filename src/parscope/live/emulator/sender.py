"""The process that sends, and the handle by which the detector's state machine holds it."""

from __future__ import annotations

import gc
import multiprocessing
import signal
import threading
from collections.abc import Callable, Mapping, MutableSequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Any

import zmq

from parscope.core.errors import InputError, ParscopeError
from parscope.live.emulator.faults import Faults, Planner
from parscope.live.emulator.files import write_files
from parscope.live.emulator.frames import Scene
from parscope.live.emulator.job import Job
from parscope.live.emulator.machine import Machine
from parscope.live.emulator.outlet import Outlet
from parscope.live.emulator.roll import Roll1, Roll2
from parscope.live.emulator.series import Shooter, Word

_LOOK = 0.02
_PATIENCE = 10.0


@dataclass(frozen=True)
class Setup:
    """All that the process that sends is given.

    Parameters
    ----------
    scene : Scene
        What the detector looks at.
    faults : Faults
        How its stream fails.
    seed : int
        Of the faults.
    host : str
        Address to listen at.
    ports : tuple of int
        Of stream V2 and V1; 0 for any that is free.
    most : int
        Messages that wait for a client at most.
    patient : bool
        Whether a client whose queue is full is waited for.
    """

    scene: Scene
    faults: Faults
    seed: int
    host: str
    ports: tuple[int, int]
    most: int
    patient: bool


@dataclass(frozen=True)
class Facts:
    """What the process that sends tells when it is ready.

    Parameters
    ----------
    ports : tuple of int
        Of stream V2 and V1.
    pattern : tuple of int
        Detector pixels (q_y, q_x).
    bits : int
        Depth of the patterns, [bit].
    scan : tuple of int
        Scan positions (y, x) of a series.
    count : int
        Different patterns.
    source : str
        Where they are from.
    extra : dict
        What the start of a series says of the scan besides its shape.
    """

    ports: tuple[int, int]
    pattern: tuple[int, int]
    bits: int
    scan: tuple[int, int]
    count: int
    source: str
    extra: dict[str, Any] = field(default_factory=dict)


class Sender:
    """Starts the process that sends, and speaks with it.

    Parameters
    ----------
    setup : Setup
        What it is given.

    Raises
    ------
    ParscopeError
        If it cannot start: no such file, a port that is taken.
    """

    def __init__(self, setup: Setup) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        words = context.RawArray("q", len(Word))
        self._process = context.Process(target=_run, args=(setup, words, theirs), name="emulator", daemon=True)
        self._process.start()
        theirs.close()
        self.words: MutableSequence[int] = words
        try:
            answer = self._pipe.recv()
        except EOFError:
            answer = InputError("the process that sends ended before it began", "emulator")
        if isinstance(answer, Exception):
            self._process.join(_PATIENCE)
            raise answer
        self.facts: Facts = answer
        self._listener: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid or 0

    def attach(self, machine: Machine) -> None:
        """Tell a state machine from now on what happens.

        Parameters
        ----------
        machine : Machine
            The detector.
        """
        self._listener = threading.Thread(target=self._listen, args=(machine,), name="emulator", daemon=True)
        self._listener.start()

    def arm(self, job: Job) -> None:
        """Order a series.

        Parameters
        ----------
        job : Job
            The order.
        """
        for word, value in ((Word.GRANTED, 0), (Word.STOP, 0), (Word.DROPPED, 0), (Word.SENT, 0), (Word.COUNT_NS, -1)):
            self.words[word] = value
        self._pipe.send(("take", job))

    def prepare(self, job: Job) -> None:
        """Have the messages of a series made, so that the first one of its kind is armed at once.

        Parameters
        ----------
        job : Job
            The order, as it is likely to come.
        """
        self._pipe.send(("load", job))

    def release(self, bursts: int, count_ns: int) -> None:
        """Give triggers.

        Parameters
        ----------
        bursts : int
            How many.
        count_ns : int
            Counting time, or -1 for that of the job, [ns].
        """
        self.words[Word.COUNT_NS] = count_ns
        self.words[Word.GRANTED] += bursts

    def stop(self, *, at_once: bool) -> None:
        """End the series.

        Parameters
        ----------
        at_once : bool
            Whether no message tells of the end.
        """
        self.words[Word.STOP] = 2 if at_once else 1

    def status(self) -> Mapping[str, int]:
        """Numbers that are read while it runs.

        Returns
        -------
        mapping of str to int
        """
        words = self.words
        return {"dropped": words[Word.DROPPED], "sent": words[Word.SENT], "clients": words[Word.CLIENTS]}

    def close(self) -> None:
        """End the process; a series ends at once."""
        self.words[Word.STOP] = 2
        if self._process.is_alive():
            try:
                self._pipe.send(("quit", None))
            except OSError:
                self._process.kill()  # It is about to end, or ended, by itself.
        self._process.join(_PATIENCE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        if self._listener is not None:
            self._listener.join()
        self._pipe.close()

    def _listen(self, machine: Machine) -> None:
        """Pass on what the process tells, until it ends."""
        tell: dict[str, Callable[[Any], None]] = {
            "waiting": machine.waiting,
            "finished": machine.finished,
            "failed": machine.failed,
        }
        while True:
            try:
                what, value = self._pipe.recv()
            except (EOFError, OSError):
                if machine.busy:
                    machine.failed("the process that sends has ended")
                return
            tell[what](value)


def _run(setup: Setup, words: Any, pipe: Connection) -> None:
    """What the process does: open the scene and the sockets, then one series after the other."""
    # Ctrl-C goes to all processes of a terminal; the one that speaks with people ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        studio = _Studio(setup, words, pipe)
    except (ParscopeError, OSError) as error:
        pipe.send(error)
        return
    try:
        # Without anybody to be told, the process is to end, as it does.
        with suppress(BrokenPipeError):
            studio.serve()
    finally:
        studio.close()


class _Studio:
    """Sockets, patterns and messages of the process that sends."""

    def __init__(self, setup: Setup, words: MutableSequence[int], pipe: Connection) -> None:
        self.setup, self.words, self.pipe = setup, words, pipe
        self.views = setup.scene.open()
        self.rolls: dict[int, Roll1 | Roll2] = {1: Roll1(self.views), 2: Roll2(self.views)}
        self.context = zmq.Context()
        self.outlets: dict[int, Outlet] = {}
        for version, port in zip((2, 1), setup.ports, strict=True):
            try:
                self.outlets[version] = Outlet(self.context, setup.host, port, setup.most)
            except ParscopeError:
                self.close()
                raise
        frames = self.views.frames
        step = frames.axes[1]
        extra = {"step_nm": float(step.scale)} if step.unit == "nm" else {}
        pipe.send(
            Facts(
                ports=(self.outlets[2].port, self.outlets[1].port),
                pattern=frames.pattern_shape,
                bits=self.views.bits,
                scan=self.views.scan,
                count=self.views.count,
                source=frames.source,
                extra=extra,
            )
        )

    def close(self) -> None:
        """Close all sockets."""
        for outlet in self.outlets.values():
            outlet.close()
        self.context.term()

    def serve(self) -> None:
        """Take orders until there are no more."""
        while True:
            self.words[Word.CLIENTS] = sum(outlet.clients() for outlet in self.outlets.values())
            try:
                if not self.pipe.poll(_LOOK):
                    continue
                what, job = self.pipe.recv()
            except (EOFError, OSError):
                return
            if what == "quit":
                return
            try:
                self._take(job) if what == "take" else self._load(job)
            except (ParscopeError, OSError) as error:
                self._tell("failed", str(error))

    def _load(self, job: Job) -> Roll1 | Roll2:
        """Make the messages of a series."""
        roll = self.rolls[job.version or 2]
        roll.load(job)
        return roll

    def _take(self, job: Job) -> None:
        """Take the images of one series, and tell how it went."""
        planner = Planner(self.setup.faults, self.setup.seed, job.series)
        roll = self._load(job)
        gc.collect()
        gc.disable()
        try:
            shooter = Shooter(job, self.views, roll, planner, self.words, lambda done: self._tell("waiting", done))
            report = shooter.run(self.outlets.get(job.version), self.setup.patient)
        finally:
            gc.enable()
        if job.filing is not None:
            missing = planner.marks.get("nodata", ())
            report = replace(report, files=write_files(job, job.filing, self.views, report.images, missing))
        self._tell("finished", report)

    def _tell(self, what: str, value: Any) -> None:
        self.pipe.send((what, value))
