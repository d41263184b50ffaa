"""Takes the machine for itself as far as that is permitted: one core, real-time priority, no pauses of Python's own."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
"""Environment of a process whose libraries must not start threads: they would spin on the cores of the loop."""

PRIORITY = 5
_TASKS = Path("/proc/self/task")
_CORES = os.sched_getaffinity(0) if sys.platform == "linux" else set[int]()  # before one of them is taken


@dataclass(frozen=True)
class Standing:
    """What the system granted.

    Parameters
    ----------
    core : int
        The core that the threads stay on; -1 if any.
    real_time : bool
        Whether they go before all others.
    lacking : tuple of str
        What was refused, in sentences.
    """

    core: int
    real_time: bool
    lacking: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """One sentence for a report."""
        core = f"pinned to core {self.core}" if self.core >= 0 else "on any core"
        priority = "with real-time priority" if self.real_time else "without real-time priority"
        return "; ".join([f"{core}, {priority}", *self.lacking])


def take(core: int | None = None, priority: int = PRIORITY) -> Standing:
    """Give this process one core and real-time priority, and stop the garbage collector.

    Parameters
    ----------
    core : int, optional
        Which. Default: the last one that this process may use.
    priority : int, default `PRIORITY`
        Of the calling thread; that of its other threads, which only bring messages, is above it.

    Returns
    -------
    Standing
        What was granted: nothing of it is necessary.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    if sys.platform != "linux":
        return Standing(-1, False, ("pinning and priority are known for Linux only",))
    lacking = []
    chosen = max(os.sched_getaffinity(0)) if core is None else core
    try:
        for thread in _threads():
            os.sched_setaffinity(thread, {chosen})
    except OSError:
        lacking.append(f"core {chosen} cannot be had")
        chosen = -1
    try:
        for thread in _threads():
            own = thread == threading.get_native_id()
            os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(priority if own else priority + 10))
        real_time = True
    except OSError:
        real_time = False
        lacking.append("real-time priority needs the capability CAP_SYS_NICE, or a limit of rtprio")
    return Standing(chosen, real_time, tuple(lacking))


def release() -> None:
    """Give it back: for what is done after the loop, such as saving."""
    gc.enable()
    gc.unfreeze()
    if sys.platform == "linux":
        for thread in _threads():
            stand_back(thread)


def stand_back(thread: int = 0) -> None:
    """Let a thread run as any other: at normal priority, on any core that this process was given.

    Parameters
    ----------
    thread : int, optional
        Its native identifier. Default: the calling one.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
            os.sched_setaffinity(thread, _CORES)


def _threads() -> list[int]:
    """Threads of this process."""
    return [int(task.name) for task in _TASKS.iterdir()]


class Watchdog:
    """Calls for safe actions when the loop does not show that it lives.

    Parameters
    ----------
    beaten : callable
        When the loop last lived, [ns]; 0 before it runs.
    act : callable
        Is told why, once until the loop lives again.
    patience : float, default 0.5
        How long the loop may be silent, [s].
    clock : callable, optional
        Time of this machine, [ns].

    Examples
    --------
    >>> told, now = [], [0]
    >>> dog = Watchdog(lambda: 1_000, told.append, 0.5, lambda: now[0])
    >>> for now[0] in (400_000_000, 900_000_000, 1_000_000_000):
    ...     dog.look()
    >>> told
    ['the loop has stood still for 0.9 s']
    """

    def __init__(
        self,
        beaten: Callable[[], int],
        act: Callable[[str], object],
        patience: float = 0.5,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.beaten, self.act, self.patience, self.clock = beaten, act, patience, clock
        self._barked_at = 0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Look once."""
        beaten = self.beaten()
        silent = (self.clock() - beaten) / 1e9
        if beaten and silent > self.patience and self._barked_at != beaten:
            self._barked_at = beaten
            self.act(f"the loop has stood still for {silent:.2g} s")

    def start(self) -> None:
        """Look from now on, in a thread of its own."""
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more; may be called twice."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        """Look several times in the time that the loop may be silent."""
        while not self._over.wait(self.patience / 4):
            self.look()
