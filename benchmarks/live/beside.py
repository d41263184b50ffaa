"""Time to a result on one stream V1, by LiberTEM-live and by parscope, one after the other, from the same emulator."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.exchange import Method, Run
from parscope.core.stream import Fate
from parscope.live.emulator.emulator import Emulator
from parscope.live.emulator.frames import Scene
from parscope.live.pipeline.answers import Policy
from parscope.live.pipeline.session import Session
from parscope.live.pipeline.workers import Orders
from parscope.live.sources.address import Wishes

RATE, SCAN = 5000.0, (128, 128)
PEER = "LiberTEM-live 0.3.0, a stack of 8, partitions of 128"


def beside(run: Run) -> tuple[dict[str, float], dict[str, float], str | None]:
    """Measure both.

    Parameters
    ----------
    run : Run
        Where the answer of the peer lives.

    Returns
    -------
    ours, theirs : dict of float
        Percentiles of the time to a result above that of the fastest pattern, [us].
    error : str, optional
        Why the peer gave none.
    """
    # LiberTEM-live takes no appendix of the header.
    preset = {"stream/format": "legacy", "stream/header_appendix": ""}
    with Emulator(Scene(scan=SCAN), rate=RATE, preset=preset, patient=True) as detector:
        api, data = (int(address.rpartition(":")[2]) for address in (detector.address, detector.stream_v1))
        settings = {"api": api, "data": data, "scan": SCAN, "partition": 128, "stack": 8}
        answer = run.answer(
            run.case("beside", {"rate": RATE}),
            Method(PEER, "live/peers/run_libertem_live.py", "libertem-live", settings),
        )
        with tempfile.TemporaryDirectory() as folder:
            ours = _ours(detector, Path(folder))
    theirs = _late(answer.arrays["when"]) if answer.arrays else {}
    return _late(ours), theirs, answer.error


def _ours(detector: Emulator, folder: Path) -> NDArray[np.float64]:
    """Time at which each centre of mass was there, [s]."""
    orders = Orders(
        f"v1://{detector.stream_v1.partition('://')[2]}",
        ("com",),
        Wishes(low_latency=True),
        Policy(SCAN, busy=True, series=1),
        folder=folder,
    )
    with Session(orders, lambda line: print(line, flush=True)) as session:
        detector.wait_for_clients(1)
        detector.start()
        session.run()
    (one,) = session.finished
    when: NDArray[np.float64] = np.where(one.result.fate == Fate.ANSWERED, one.result.stamps[:, 2] / 1e9, np.nan)
    return when


def _late(when: NDArray[np.float64]) -> dict[str, float]:
    """Percentiles of how much later than the fastest one the results of patterns at a steady rate were there."""
    late = when - np.arange(len(when)) / RATE
    late = late[np.isfinite(late)][len(late) // 10 :]
    above = 1e6 * (late - late.min())
    return {"p50": float(np.median(above)), "p99": float(np.percentile(above, 99)), "answered": float(len(above))}
