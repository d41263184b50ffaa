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
_TASKS, _LIMITS = Path("/proc/self/task"), Path("/proc/sys/kernel")
_CORES = os.sched_getaffinity(0) if sys.platform == "linux" else set[int]()  # before one of them is taken
_TAKEN: set[int] = set()
_WATCHDOGS: set[int] = set()  # native identifiers of their threads
_ZMQ = "ZMQbg"  # what ZeroMQ's library calls its threads
_HANDOVER = 1e-4  # s
_MARGIN = 0.01
_PATIENCE = 0.5  # s


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


def calm() -> None:
    """Spare a loop the pauses of Python's own: no garbage collection, and threads that give its lock back soon."""
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(_HANDOVER)


def take(core: int | None = None, priority: int = PRIORITY) -> Standing:
    """Give the calling thread one core and real-time priority, and see that others do not disturb it.

    Threads that bring messages, and the watchdog, go before it on its core. All others (of sinks, of the journal) run
    beside it, at normal priority; those that it starts later do not inherit its priority.

    Parameters
    ----------
    core : int, optional
        Which. Default: the last one that this process may use.
    priority : int, default `PRIORITY`
        Of the calling thread; that of the threads that bring messages is above it.

    Returns
    -------
    Standing
        What was granted: nothing of it is necessary.
    """
    if sys.platform != "linux":
        return Standing(-1, False, ("pinning and priority are known for Linux only",))
    lacking = []
    chosen = max(os.sched_getaffinity(0)) if core is None else core
    own = threading.get_native_id()
    first = {thread for thread in _threads() if _goes_first(thread)}
    try:
        for thread in (own, *first):
            os.sched_setaffinity(thread, {chosen})
        _TAKEN.add(chosen)
    except OSError:
        lacking.append(f"core {chosen} cannot be had")
        chosen = -1
    try:
        for thread in (own, *first):
            above = priority if thread == own else priority + 10
            os.sched_setscheduler(thread, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(above))
        real_time = True
    except OSError:
        real_time = False
        lacking.append("real-time priority needs the capability CAP_SYS_NICE, or a limit of rtprio")
    for thread in set(_threads()) - first - {own}:
        stand_back(thread)
    return Standing(chosen, real_time, tuple(lacking))


def release() -> None:
    """Give it back: for what is done after the loop, such as saving."""
    gc.enable()
    gc.unfreeze()
    _TAKEN.clear()
    if sys.platform == "linux":
        for thread in _threads():
            stand_back(thread)


def stand_back(thread: int = 0) -> None:
    """Let a thread run as any other: at normal priority, on any core that this process was given but for those taken.

    Parameters
    ----------
    thread : int, optional
        Its native identifier. Default: the calling one.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            _lower(thread)
            os.sched_setaffinity(thread, _CORES - _TAKEN or _CORES)


def keep_off(core: int | None = None) -> None:
    """Leave the calling process all cores but the one that the frame loop takes, in another process.

    Parameters
    ----------
    core : int, optional
        As of `take`, by the other.
    """
    if _CORES:
        _TAKEN.add(max(_CORES) if core is None else core)
        stand_back()


def rest_due() -> float:
    """Share of the time that the calling thread has to sleep, lest the system stop it.

    Returns
    -------
    float
        [1]; 0 unless it has real-time priority, and the system limits that.
    """
    if sys.platform != "linux" or os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK != os.SCHED_FIFO:
        return 0.0
    try:
        run, period = (int((_LIMITS / f"sched_rt_{name}_us").read_text()) for name in ("runtime", "period"))
    except (OSError, ValueError):
        return 0.0
    return 1 - run / period + _MARGIN if 0 < run < period else 0.0


def _lower(thread: int) -> None:
    """Take real-time priority from a thread; who may not undo that threads inherit nothing leaves that."""
    nothing = os.sched_param(0)
    try:
        os.sched_setscheduler(thread, os.SCHED_OTHER, nothing)
    except PermissionError:
        os.sched_setscheduler(thread, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, nothing)


def _goes_first(thread: int) -> bool:
    """Whether a thread brings messages, or watches over the loop."""
    try:
        name = (_TASKS / str(thread) / "comm").read_text().strip()
    except OSError:
        return False  # it has ended
    return name.startswith(_ZMQ) or thread in _WATCHDOGS


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
    patience : callable, optional
        How long it may be silent, [s]. Default: half a second.
    clock : callable, optional
        Time of this machine, [ns].

    Examples
    --------
    >>> told, now = [], [0]
    >>> dog = Watchdog(lambda: 1_000, told.append, lambda: 0.5, lambda: now[0])
    >>> for now[0] in (400_000_000, 900_000_000, 1_000_000_000):
    ...     dog.look()
    >>> told
    ['no pattern was answered for 0.9 s']
    """

    def __init__(
        self,
        beaten: Callable[[], int],
        act: Callable[[str], object],
        patience: Callable[[], float] = lambda: _PATIENCE,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.beaten, self.act, self.patience, self.clock = beaten, act, patience, clock
        self._barked_at = 0
        self._over, self._up = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Look once."""
        beaten = self.beaten()
        silent = (self.clock() - beaten) / 1e9
        if beaten and silent > self.patience() and self._barked_at != beaten:
            self._barked_at = beaten
            self.act(f"no pattern was answered for {silent:.2g} s")

    def start(self) -> None:
        """Look from now on, in a thread of its own."""
        self._thread = threading.Thread(target=self._watch, name="parscope-watchdog", daemon=True)
        self._thread.start()
        self._up.wait()

    def stop(self) -> None:
        """Look no more; may be called twice."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        """Look several times in the time that the loop may be silent."""
        own = threading.get_native_id()
        _WATCHDOGS.add(own)
        self._up.set()
        while not self._over.wait(_PATIENCE / 4):
            self.look()
        _WATCHDOGS.discard(own)
