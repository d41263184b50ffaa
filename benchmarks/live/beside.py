"""Time from sending to a result on one stream V1, by LiberTEM-live and by parscope, from the same emulator in turn.

The detector has one core, whoever receives has the other. A result of LiberTEM-live is there when its caller has it;
one of parscope when another process than the one that computed it sees it on the board.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.exchange import Method, Run
from parscope.core.stream import Fate
from parscope.live.emulator.emulator import Emulator
from parscope.live.emulator.frames import Scene
from parscope.live.emulator.job import Report
from parscope.live.pipeline.answers import Policy
from parscope.live.pipeline.session import Session
from parscope.live.pipeline.workers import Orders
from parscope.live.sources.address import Wishes

RATE, SCAN = 5000.0, (128, 128)
PEER = "LiberTEM-live 0.3.0, a stack of 8, partitions of 128"
MODES = {"default mode": False, "--low-latency": True}
_LOOK = 1e-4  # s between looks at the board

Scores = dict[str, float]


def beside(run: Run) -> tuple[dict[str, Scores], Scores, str | None]:
    """Measure both, ours in the two modes.

    Parameters
    ----------
    run : Run
        Where the answer of the peer lives.

    Returns
    -------
    ours : dict of dict
        By mode, percentiles of the time from sending to a result [us], patterns with one, and patterns sent late.
    theirs : dict of float
        The same of LiberTEM-live; empty if it gave none.
    error : str, optional
        Why the peer gave none.
    """
    # LiberTEM-live takes no appendix of the header.
    preset = {"stream/format": "legacy", "stream/header_appendix": ""}
    with Emulator(Scene(scan=SCAN), rate=RATE, preset=preset, patient=True) as detector, _apart(detector) as core:
        api, data = (int(address.rpartition(":")[2]) for address in (detector.address, detector.stream_v1))
        settings = {"api": api, "data": data, "scan": SCAN, "partition": 128, "stack": 8, "core": core}
        answer = run.answer(
            run.case("beside", {"rate": RATE}),
            Method(PEER, "live/peers/run_libertem_live.py", "libertem-live", settings),
        )
        theirs = late(answer.arrays["when"], detector.machine.reports[-1]) if answer.arrays else {}
        ours = {mode: late(_ours(detector, busy), detector.machine.reports[-1]) for mode, busy in MODES.items()}
    return ours, theirs, answer.error


@contextmanager
def _apart(detector: Emulator) -> Iterator[int]:
    """The process that sends has the first core, its library's threads first; this one and its children the last."""
    before = os.sched_getaffinity(0)
    for task in [int(path.name) for path in Path(f"/proc/{detector.pid}/task").iterdir()]:
        os.sched_setaffinity(task, {min(before)})
        if task != detector.pid:
            with suppress(PermissionError):
                os.sched_setscheduler(task, os.SCHED_FIFO, os.sched_param(20))
    os.sched_setaffinity(0, {max(before)})
    try:
        yield max(before)
    finally:
        os.sched_setaffinity(0, before)


def _ours(detector: Emulator, busy: bool) -> NDArray[np.float64]:
    """When a reader of the board saw each centre of mass, [s]."""
    address = f"v1://{detector.stream_v1.partition('://')[2]}"
    orders = Orders(address, ("com",), Wishes(busy), Policy(SCAN, busy=busy, series=1))
    when = np.full(SCAN[0] * SCAN[1], np.nan)
    with Session(orders, lambda line: print(line, flush=True)) as session:
        detector.wait_for_clients(1)
        series = detector.start()
        while session.turn():
            _look(session.board, when)
        detector.machine.wait_for(series, 60)
    return when


def _look(board: Any, when: NDArray[np.float64], looks: int = 100) -> None:
    """Look at the board for a while, and note when patterns are seen to be answered."""
    fate = board.bank.fate if board.generation else np.zeros(0, np.uint8)
    for _ in range(looks):
        time.sleep(_LOOK)
        if len(fate):
            new = (fate == Fate.ANSWERED) & np.isnan(when)
            when[new] = time.monotonic()


def late(when: NDArray[np.float64], report: Report) -> Scores:
    """Percentiles of how much later than they were sent the results of patterns at a steady rate were there.

    Parameters
    ----------
    when : ndarray, shape (positions,)
        Time of each result; NaN where there was none, [s].
    report : Report
        Of the detector, which tells when it sent the first one.

    Returns
    -------
    dict of float
    """
    passed = 1e6 * (when - report.began_ns / 1e9 - np.arange(len(when)) / RATE)
    passed = np.where(np.isfinite(passed), passed, np.inf)
    p50, p99 = np.percentile(passed, [50, 99], method="higher")
    told = {"p50": float(p50), "p99": float(p99)}
    return {**told, "answered": float(np.isfinite(passed).sum()), "sent_late": float(report.late)}


if __name__ == "__main__":
    print(beside(Run()))
