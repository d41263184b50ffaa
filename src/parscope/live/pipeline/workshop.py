"""Sets kernels up while patterns come: each by itself, so that one that cannot be costs nothing but its own numbers."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import ParscopeError
from parscope.live.kernels.contract import Detector, Kernel
from parscope.live.kernels.plan import Plan
from parscope.live.pipeline.realtime import stand_back
from parscope.live.pipeline.series import Analyser, Setup, same_patterns

_LONGEST_REST = 64  # times the examples of a kernel


class _Job:
    """A kernel that cannot answer yet.

    While it is set up it looks on, for the case that this fails: then it is tried with what came later, and after a
    rest that grows.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.examples: list[NDArray[Any]] = []
        self.fault: ParscopeError | None = None
        self.rest = self._next = 0
        self.at_work = self.last = False

    @property
    def wants(self) -> bool:
        """Whether it is to be shown patterns, or to have them counted."""
        return len(self.examples) < self.kernel.examples

    @property
    def full(self) -> bool:
        """Whether it can be set up."""
        if self.at_work or (self.fault is not None and self.kernel.examples == 0):
            return False
        return not self.wants or (self.last and bool(self.examples))

    def take(self) -> list[NDArray[Any]]:
        """Take the examples, and begin anew."""
        taken, self.examples, self.at_work = self.examples, [], True
        wanted = self.kernel.examples
        self.rest, self._next = self._next, min(max(2 * self._next, wanted), _LONGEST_REST * wanted)
        return taken


class _Work:
    """What one thread does: it sets up some kernels, one after the other."""

    def __init__(self, plan: Plan, jobs: Sequence[_Job], setup: Setup) -> None:
        self.plan, self.jobs, self._setup = plan, jobs, setup
        self._examples = [job.take() for job in jobs]
        self.faults: dict[str, ParscopeError] = {}
        self.over = False
        self.thread = threading.Thread(target=self._run, name="parscope-set-up", daemon=True)

    def _run(self) -> None:
        """Set them up, the quickest first."""
        stand_back()  # a thread begins with the core and the priority of the loop, which must not share them
        for job, shown in zip(self.jobs, self._examples, strict=True):
            try:
                self._set_up(job.kernel, shown)
            except ParscopeError as error:
                self.faults[job.kernel.name] = error.with_traceback(None)
            except Exception as error:  # noqa: BLE001 - whatever a kernel does, the others go on
                self.faults[job.kernel.name] = ParscopeError(f"{type(error).__name__}: {error}")
        self._examples = []
        self.over = True

    def _set_up(self, kernel: Kernel, shown: list[NDArray[Any]]) -> None:
        """Set one up, and run it once by itself, for the compiler: the loop may be running the others."""
        detector = self.plan.detector
        examples = np.array(shown, np.dtype(detector.dtype)).reshape(-1, *detector.shape)
        part = self._setup(kernel, detector, examples)
        Plan.of_parts([kernel], detector, {kernel.name: part}).warm()
        self.plan = self.plan.having(kernel.name, part)


class Workshop:
    """Sets the kernels of a series up, in a thread of its own.

    A kernel that needs no examples serves again for a series of the same detector; one that does is set up anew, since
    the next series may show another crystal, unless it is to be kept.

    Parameters
    ----------
    analyser : Analyser
        What is computed.
    keep : bool, default False
        Whether what was made of the examples of one series serves for all of the same detector.

    Attributes
    ----------
    plan : Plan, optional
        The kernels that are ready; None before the first series.
    wants : bool
        Whether patterns are to be shown.
    """

    def __init__(self, analyser: Analyser, keep: bool = False) -> None:
        self.analyser, self._keep = analyser, keep
        self.plan: Plan | None = None
        self.wants = False
        self._jobs: list[_Job] = []
        self._work: _Work | None = None

    def begin(self, detector: Detector) -> None:
        """Begin a series; what is still being set up for another one is of no use any more.

        Parameters
        ----------
        detector : Detector
            Of its patterns.
        """
        kernels, before = self.analyser.kernels, self.plan
        parts: Mapping[str, Any] = {}
        same = before is not None and same_patterns(before.detector, detector)
        if before is not None and same:
            lasting = {kernel.name for kernel in kernels if self._keep or not kernel.examples}
            parts = {name: part for name, part in before.parts.items() if name in lasting}
        if before is None or not same or len(parts) < len(before.parts):
            self.plan = Plan.of_parts(kernels, detector, parts)
        self._jobs = [_Job(kernel) for kernel in kernels if kernel.name not in parts]
        self._work = None
        self._start()

    @property
    def busy(self) -> bool:
        """Whether something is being set up."""
        return self._work is not None

    @property
    def brief(self) -> bool:
        """Whether that needs no patterns, and so is there soon."""
        return self._work is not None and not any(job.kernel.examples for job in self._work.jobs)

    @property
    def settled(self) -> bool:
        """Whether each kernel has been set up, or failed once."""
        return all(job.fault is not None for job in self._jobs)

    @property
    def state(self) -> tuple[int, bool, bool]:
        """How many kernels are ready, whether that is settled, and whether others will be soon: changes with these."""
        return len(self.plan.parts) if self.plan is not None else 0, self.settled, self.brief

    @property
    def collecting(self) -> bool:
        """Whether the next pattern is an example."""
        return self.wants and any(job.wants and not job.rest for job in self._jobs)

    @property
    def faults(self) -> dict[str, ParscopeError]:
        """Why kernels have not been set up, by their names."""
        return {job.kernel.name: job.fault for job in self._jobs if job.fault is not None}

    def show(self, frame: NDArray[Any]) -> None:
        """Give an example.

        Parameters
        ----------
        frame : ndarray, shape (q_y, q_x)
            A pattern; it is copied if it is kept.
        """
        kept = None
        for job in self._jobs:
            if job.wants:
                if job.rest:
                    job.rest -= 1
                else:
                    kept = frame.copy() if kept is None else kept
                    job.examples.append(kept)
        self._start()

    def pass_by(self, count: int) -> None:
        """Count patterns that come while a kernel that failed rests.

        Parameters
        ----------
        count : int
            How many.
        """
        for job in self._jobs:
            job.rest = max(job.rest - count, 0)

    def last(self) -> None:
        """Begin with fewer examples than wanted: the series has no more."""
        for job in self._jobs:
            job.last = True
        self._start()

    def look(self) -> dict[str, ParscopeError]:
        """See what is ready, and begin what can be begun.

        Returns
        -------
        dict of ParscopeError
            Kernels that could not be set up and are tried again, by name, and why.
        """
        work = self._work
        if work is None:
            return {}
        over = work.over
        self.plan = work.plan
        if not over:
            return {}
        for job in work.jobs:
            fault = work.faults.get(job.kernel.name)
            if fault is None:
                self._jobs.remove(job)
            else:
                job.fault, job.at_work = fault, False
        self._work = None
        self._start()
        return work.faults

    def wait(self) -> None:
        """Wait until what is being set up is ready."""
        if self._work is not None:
            self._work.thread.join()

    def _start(self) -> None:
        """Set up what can be, if nothing is at work."""
        full = sorted((job for job in self._jobs if job.full), key=lambda job: job.kernel.examples)
        if full and self._work is None and self.plan is not None:
            self._work = _Work(self.plan, full, self.analyser.setup)
            self._work.thread.start()
        self.wants = any(job.wants for job in self._jobs)
