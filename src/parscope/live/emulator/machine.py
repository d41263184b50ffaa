"""The state machine of a SIMPLON detector: na, idle, ready, acquire, and what a command does in each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from parscope.core.errors import OptionError
from parscope.live.emulator.job import Job, Report
from parscope.live.emulator.modules import Modules, Pace

_RUNNING = ("ready", "acquire")
_PATIENCE = 600.0
_SECOND = 10**9


class Camera(Protocol):
    """Takes the images; the state machine orders them, and is told through its methods `waiting` and `finished`."""

    def arm(self, job: Job) -> None:
        """Prepare a series and send its start; answers by `Machine.waiting` or `Machine.finished`."""

    def release(self, bursts: int, count_ns: int) -> None:
        """Give triggers; the counting time is in ns, or -1 for that of the job."""

    def stop(self, *, at_once: bool) -> None:
        """End the series: after the image at hand, or at once and without a message of its end."""

    def status(self) -> Mapping[str, int]:
        """Numbers that are read while it runs: ``dropped``, ``clients``, ``sent``."""


class Machine:
    """What a detector does on command, and what it is doing.

    Parameters
    ----------
    camera : Camera
        What takes the images.
    modules : Modules
        Its parameters.
    pace : Pace
        Of the images and pulses.
    folder : str, default ""
        Where the filewriter writes.
    note : callable, optional
        Told of each series that is over, before anybody else.
    """

    def __init__(
        self,
        camera: Camera,
        modules: Modules,
        pace: Pace,
        folder: str = "",
        note: Callable[[Report], None] | None = None,
    ) -> None:
        self._note = note
        self.camera, self.modules, self.pace, self.folder = camera, modules, pace, folder
        self.state, self.series, self.fault = "na", 0, ""
        self.files: list[str] = []
        self.reports: list[Report] = []
        self._released = 0
        self._changed = threading.Condition()

    @property
    def busy(self) -> bool:
        """Whether a series is prepared or running."""
        return self.state in ("configure", *_RUNNING)

    def initialize(self) -> None:
        """Switch on: all parameters as they were delivered.

        Raises
        ------
        OptionError
            If a series is running.
        """
        if self.state in _RUNNING:
            self.disarm()
        with self._changed:
            self.demand("initialize", "na", "idle", "error")
            self.modules.reset()
            self.state, self.fault = "idle", ""

    def arm(self) -> dict[str, int]:
        """Prepare a series, and send its start.

        Returns
        -------
        dict
            Its number, as ``sequence id``.

        Raises
        ------
        OptionError
            If the detector is not idle, or the source of its images fails.
        """
        with self._changed:
            self.demand("arm", "idle")
            self.state, self.series, self._released = "configure", self.series + 1, 0
            number = self.series
            job = self.modules.order(number, self.pace, self.folder)
        try:
            self.camera.arm(job)
        except OSError:
            self.failed("the process that sends has ended; start the emulator again")
        self._until(lambda: self.state != "configure" or self.series != number)
        if self.fault:
            raise OptionError(self.fault, "arm", "see status/error")
        return {"sequence id": number}

    def trigger(self, value: float | None = None) -> dict[str, int]:
        """Take the images of one trigger, and wait for the last.

        Parameters
        ----------
        value : float, optional
            Counting time, in the mode ``inte``, [s].

        Returns
        -------
        dict
            Number of the series, as ``sequence id``.

        Raises
        ------
        OptionError
            If the detector is not ready, or waits for external pulses.
        """
        with self._changed:
            self.demand("trigger", "ready")
            mode = self.modules.values["detector"]["trigger_mode"]
            if not mode.startswith("int"):
                raise OptionError(f"trigger_mode is {mode}", "trigger", "it takes external pulses; set ints or inte")
            if value is not None and mode != "inte":
                raise OptionError("takes a counting time in trigger_mode inte only", "trigger")
            count = -1 if value is None else round(float(value) * _SECOND)
            self._release(1, count)
            number = self.series
        self._until(lambda: self.state != "acquire" or self.series != number, None)  # as long as the images take
        return {"sequence id": number}

    def pulse(self, pulses: int | None = None) -> None:
        """Give external pulses by hand, as a scan engine does, without waiting for the images.

        Parameters
        ----------
        pulses : int, optional
            How many, one right after the other; one if not given.

        Raises
        ------
        OptionError
            If the detector does not wait for them.
        """
        with self._changed:
            self.demand("pulse", *_RUNNING)
            mode = self.modules.values["detector"]["trigger_mode"]
            if mode.startswith("int") or (self.pace.pulse is None or self.pace.pulse >= 0):
                raise OptionError("pulses are not given by hand", "pulse", "set exte or exts, and --trigger hand")
            self._release(1 if pulses is None else pulses, -1)

    def disarm(self) -> dict[str, int]:
        """End the series after the image at hand; ``cancel`` is the same.

        Returns
        -------
        dict
            Number of the series, as ``sequence id``.
        """
        return self._stop(at_once=False)

    def abort(self) -> dict[str, int]:
        """End the series at once: what was not sent is lost, and no message tells of the end.

        Returns
        -------
        dict
            Number of the series, as ``sequence id``.
        """
        return self._stop(at_once=True)

    def _stop(self, *, at_once: bool) -> dict[str, int]:
        self._until(lambda: self.state != "configure")
        if self.state in _RUNNING:
            self.camera.stop(at_once=at_once)
            self._until(lambda: self.state not in _RUNNING)
        return {"sequence id": self.series}

    def _release(self, bursts: int, count_ns: int) -> None:
        self._released += bursts
        self.state = "acquire"
        self.camera.release(bursts, count_ns)

    def restart(self) -> None:
        """Switch off and on again: a series is lost, and the detector wants to be initialized."""
        self.abort()
        with self._changed:
            self.state = "na"

    # What the camera tells.

    def waiting(self, bursts: int) -> None:
        """The start was sent, or all images of the triggers so far.

        Parameters
        ----------
        bursts : int
            Triggers that are done; -1 if pulses come by themselves.
        """
        with self._changed:
            if bursts < 0:
                self.state = "acquire"
            elif bursts == self._released:
                self.state = "ready"
            self._changed.notify_all()

    def finished(self, report: Report) -> None:
        """The series is over.

        Parameters
        ----------
        report : Report
            What became of it.
        """
        if self._note is not None:
            self._note(report)
        with self._changed:
            self.reports.append(report)
            self.files.extend(report.files)
            self.state = "idle"
            self._changed.notify_all()

    def failed(self, fault: str) -> None:
        """The camera cannot go on.

        Parameters
        ----------
        fault : str
            One line that says why.
        """
        with self._changed:
            self.state, self.fault = "error", fault
            self._changed.notify_all()

    def wait_for(self, series: int, seconds: float) -> Report:
        """Wait for the end of a series.

        Parameters
        ----------
        series : int
            Its number.
        seconds : float
            How long at most, [s].

        Returns
        -------
        Report

        Raises
        ------
        TimeoutError
            If it is not over in time.
        """
        self._until(lambda: any(report.series == series for report in self.reports) or bool(self.fault), seconds)
        found = [report for report in self.reports if report.series == series]
        if not found:
            raise OptionError(self.fault, f"series {series}")
        return found[0]

    def _until(self, true: Callable[[], bool], seconds: float | None = _PATIENCE) -> None:
        with self._changed:
            if not self._changed.wait_for(true, seconds):
                raise TimeoutError(f"the detector is still in state {self.state} after {seconds:g} s")

    @contextmanager
    def at_rest(self, what: str, running: bool = False) -> Iterator[None]:
        """Hold the state while something is changed that only a detector at rest allows.

        Parameters
        ----------
        what : str
            What is changed.
        running : bool, default False
            Whether a detector that takes images allows it too, for the next series.

        Yields
        ------
        None

        Raises
        ------
        OptionError
            If it takes images, or was not initialized.
        """
        with self._changed:
            self.demand(what, "idle", *(_RUNNING if running else ("ready",)))
            yield

    def demand(self, what: str, *states: str) -> None:
        """Refuse what the state does not allow.

        Parameters
        ----------
        what : str
            What is asked.
        *states : str
            Those that allow it.

        Raises
        ------
        OptionError
            In any other.
        """
        if self.state not in states:
            advice = "initialize it first" if self.state == "na" else f"wait for state {' or '.join(states)}"
            raise OptionError(f"not possible in state {self.state}", what, advice)
