"""Kernels that cannot answer yet, and what is done for them: by a thread of this process, or by another process."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import ParscopeError
from parscope.live.kernels.contract import Detector, Kernel
from parscope.live.kernels.parts import part_of
from parscope.live.kernels.plan import Plan
from parscope.live.pipeline.apart import Apart, fault_of
from parscope.live.pipeline.realtime import stand_back

_LONGEST_REST = 64  # times the examples of a kernel


class Job:
    """A kernel that cannot answer yet.

    While it is set up it looks on, for the case that this fails: then it is tried with what came later, and after a
    rest that grows.

    Parameters
    ----------
    kernel : Kernel
        The kernel.
    detector : Detector
        Of the patterns.
    room : ndarray, shape (n, q_y, q_x), optional
        For as many examples as it wants, the first time. Default: that of any array, as for all later ones.
    """

    def __init__(self, kernel: Kernel, detector: Detector, room: NDArray[Any] | None = None) -> None:
        self.kernel, self._detector = kernel, detector
        self._room, self._shown = room, 0
        self.fault: ParscopeError | None = None
        self.rest = self._next = 0
        self.at_work = self.last = False

    @property
    def wants(self) -> bool:
        """Whether it is to be shown patterns, or to have them counted."""
        return self._shown < self.kernel.examples

    @property
    def full(self) -> bool:
        """Whether it can be set up."""
        if self.at_work or (self.fault is not None and self.kernel.examples == 0):
            return False
        return not self.wants or (self.last and self._shown > 0)

    def show(self, frame: NDArray[Any]) -> None:
        """Give an example, or let it rest.

        Parameters
        ----------
        frame : ndarray, shape (q_y, q_x)
            A pattern; it is copied if it is kept.
        """
        if self.rest:
            self.rest -= 1
        else:
            self._space()[self._shown] = frame
            self._shown += 1

    def take(self) -> NDArray[Any]:
        """Take the examples, and begin anew, in other room: these are read meanwhile.

        Returns
        -------
        ndarray, shape (n, q_y, q_x)
        """
        taken, self._room = self._space()[: self._shown], None
        self._shown, self.at_work = 0, True
        wanted = self.kernel.examples
        self.rest, self._next = self._next, min(max(2 * self._next, wanted), _LONGEST_REST * wanted)
        return taken

    def _space(self) -> NDArray[Any]:
        """Room for examples, made when the first of them comes."""
        if self._room is None:
            self._room = np.empty((self.kernel.examples, *self._detector.shape), self._detector.dtype)
        return self._room


class Work(Protocol):
    """Something that is done for kernels while patterns come."""

    jobs: Sequence[Job]
    plan: Plan
    """What is ready by now."""
    faults: dict[str, ParscopeError]
    """Why kernels could not be set up, by their names."""

    def look(self) -> bool:
        """See how far it is; whether it is over."""

    def wait(self) -> None:
        """Wait until there is something to see."""


class Thread:
    """What is done by a thread of this process: it sets some kernels up, the quickest first.

    Parameters
    ----------
    plan : Plan
        What is ready.
    jobs : sequence of Job
        What is not.
    parts : sequence of callable
        Each makes the part of one of them.
    """

    def __init__(self, plan: Plan, jobs: Sequence[Job], parts: Sequence[Callable[[], Any]]) -> None:
        self.plan, self.jobs, self._parts = plan, jobs, parts
        self.faults: dict[str, ParscopeError] = {}
        self._over = False
        self._thread = threading.Thread(target=self._run, name="parscope-set-up", daemon=True)
        self._thread.start()

    def look(self) -> bool:
        """Whether it is over; see `Work`."""
        return self._over

    def wait(self) -> None:
        """Wait until it is over."""
        self._thread.join()

    def _run(self) -> None:
        """Do it."""
        stand_back()  # a thread begins with the core and the priority of the loop, which must not share them
        for job, make in zip(self.jobs, self._parts, strict=True):
            try:
                part = make()
                _run_alone(self.plan, job.kernel, part)
                self.plan = self.plan.having(job.kernel.name, part)
            except Exception as error:  # noqa: BLE001 - whatever a kernel does, the others go on
                self.faults[job.kernel.name] = fault_of(error)
        self._parts = []
        self._over = True


class Errand:
    """What is done by the process that sets kernels up: it is asked for one, and what it gives is put in place.

    The loop does this between two patterns, a piece of a tenth of a ms at each look: of a thread it would have to wait
    for Python's lock, and for whoever has put that thread aside meanwhile. Only a kernel that was not compiled before
    the stream is put in place by one.

    Parameters
    ----------
    plan : Plan
        What is ready.
    job : Job
        What is not.
    apart : Apart
        By which that process is asked.
    """

    def __init__(self, plan: Plan, job: Job, apart: Apart) -> None:
        self.plan, self._apart, self._kernel = plan, apart, job.kernel
        self.jobs: Sequence[Job] = (job,)
        self.faults: dict[str, ParscopeError] = {}
        self._examples = job.take()
        self._other: Apart | Thread | None = apart
        apart.ask(job.kernel, plan.detector, self._examples)
        self._pieces = self._done()

    def look(self) -> bool:
        """Do the next piece, if it can be done; whether that was the last one."""
        return next(self._pieces)

    def wait(self) -> None:
        """Wait until the next piece can be done."""
        if self._other is not None:
            self._other.wait()

    def _done(self) -> Iterator[bool]:
        """Piece after piece; if the other process has died, a thread does it all."""
        while (answer := self._apart.answer()) is None:
            if not self._apart.alive:
                yield from self._done_by_thread(partial(part_of, self._kernel, self.plan.detector, self._examples))
            yield False
        self._other = None
        try:
            part = _unpickled(answer)
            if self._kernel.name in self._apart.uncompiled:
                yield from self._done_by_thread(lambda: part)
            yield False
            _run_alone(self.plan, self._kernel, part)
            yield False
            plan = self.plan.having(self._kernel.name, part)
            yield False
            self.plan = plan
        except Exception as error:  # noqa: BLE001 - whatever a kernel does, the loop goes on
            self.faults[self._kernel.name] = fault_of(error)
        yield True

    def _done_by_thread(self, make: Callable[[], Any]) -> Iterator[bool]:
        """The same, as a thread does it."""
        self._other = thread = Thread(self.plan, self.jobs, [make])
        while not thread.look():
            yield False
        self.plan, self.faults = thread.plan, thread.faults
        yield True


def _run_alone(plan: Plan, kernel: Kernel, part: Any) -> None:
    """Run a kernel by itself, for the compiler: the loop may be running the others."""
    Plan.of_parts([kernel], plan.detector, {kernel.name: part}).warm()


def _unpickled(answer: bytes) -> Any:
    """The part that the other process has made; raises what it says instead."""
    part = pickle.loads(answer)
    if isinstance(part, Exception):
        raise part
    return part
