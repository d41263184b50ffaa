"""Sets kernels up while patterns come: each by itself, so that one that cannot be costs nothing but its own numbers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from numpy.typing import NDArray

from parscope.core.errors import ParscopeError
from parscope.live.kernels.contract import Detector
from parscope.live.kernels.parts import part_of
from parscope.live.kernels.plan import Plan
from parscope.live.pipeline.jobs import Errand, Job, Thread, Work
from parscope.live.pipeline.series import Analyser, same_patterns


class Workshop:
    """Sets the kernels of a series up: those that learn from patterns in another process, if there is one.

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
        self._jobs: list[Job] = []
        self._work: Work | None = None

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
        apart = self.analyser.apart
        new = [kernel for kernel in kernels if kernel.name not in parts]
        self._jobs = [Job(one, detector, None if apart is None else apart.room(one, detector)) for one in new]
        self._work = None
        self._start()

    @property
    def busy(self) -> bool:
        """Whether something is being set up, or will be at the next look."""
        return self._work is not None or any(job.full for job in self._jobs)

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
        for job in self._jobs:
            if job.wants:
                job.show(frame)
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
        """See what is ready, or begin what can be begun: a little of it, as a pattern may come meanwhile.

        Returns
        -------
        dict of ParscopeError
            Kernels that could not be set up and are tried again, by name, and why.
        """
        work = self._work
        if work is None:
            self._start()
            return {}
        over = work.look()
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
        self.wants = any(job.wants for job in self._jobs)
        return work.faults

    def wait(self) -> None:
        """Wait until there is something to see."""
        if self._work is not None:
            self._work.wait()

    def _start(self) -> None:
        """Set up what can be, if nothing is at work."""
        full = [job for job in self._jobs if job.full]
        if full and self._work is None and self.plan is not None:
            self._work = self._begun(self.plan, sorted(full, key=lambda job: job.kernel.examples))
        self.wants = any(job.wants for job in self._jobs)

    def _begun(self, plan: Plan, jobs: list[Job]) -> Work:
        """Begin with the quickest."""
        apart = self.analyser.apart
        if apart is not None:
            if apart.can(jobs[0].kernel):
                return Errand(plan, jobs[0], apart)
            jobs = [job for job in jobs if not apart.can(job.kernel)]
        return Thread(plan, jobs, [partial(part_of, job.kernel, plan.detector, job.take()) for job in jobs])
