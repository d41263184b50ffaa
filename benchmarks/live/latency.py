"""Time from sending to answer, and patterns per second: ``python -m benchmarks.live.latency [CASE ...]``."""

from __future__ import annotations

import json
import multiprocessing as mp
import os
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.live.stream import POOL, Load, Sender
from parscope.core.stream import Fate
from parscope.live.pipeline.latency import percentiles
from parscope.live.pipeline.realtime import ONE_THREAD

DEADLINE = 200_000


@dataclass(frozen=True)
class Case:
    """One measurement."""

    load: Load
    analyse: tuple[str, ...]
    low_latency: bool = True
    newest: bool = False
    series: int = 1


_THREE = ("com", "bf:95.5,95.5,40", "adf:95.5,95.5,45,90")
_THREE_96 = ("com", "bf:47.5,47.5,20", "adf:47.5,47.5,22,45")
CASES = {
    "5kHz": Case(Load((200, 150), 5000), _THREE),
    "5kHz-strain": Case(Load((200, 150), 5000, dtype="uint16", disks=True), ("strain",), series=2),
    "5kHz-zmq": Case(Load((200, 150), 5000), _THREE, low_latency=False),
    "20kHz": Case(Load((400, 300), 20000, dose_rate=20000), _THREE),
    "most-192": Case(Load((500, 400), 0), _THREE),
    "most-192-120kHz-dose": Case(Load((500, 400), 0, dose_rate=120000), _THREE),
    "most-96": Case(Load((1000, 500), 0, pixels=96, dose_rate=120000), _THREE_96),
}


def measure(case: Case, real_time: bool = True) -> dict[str, Any]:
    """Send, answer, and account for every pattern."""
    os.environ.update(ONE_THREAD)  # as a session does for its processes
    sender = Sender(case.load, case.series)
    context = mp.get_context("spawn")
    ours, theirs = context.Pipe()
    receiver = context.Process(target=_receive, args=(case, sender.address, real_time, theirs))
    receiver.start()
    ours.recv()
    load = os.getloadavg()[0]
    sender.go()
    sent = sender.wait()
    told: dict[str, Any] = ours.recv()
    receiver.join()
    return {"case": asdict(case), "load": load, "sent": sent, **told}


def _receive(case: Case, address: str, real_time: bool, pipe: Any) -> None:
    """The receiving process: an engine as a session makes it."""
    from parscope.live.pipeline.analysis import analyser_of, warm
    from parscope.live.pipeline.answers import Policy
    from parscope.live.pipeline.board import Board
    from parscope.live.pipeline.engine import Engine
    from parscope.live.pipeline.realtime import release, take
    from parscope.live.pipeline.ring import Ring
    from parscope.live.sources.address import Wishes, make_source

    analyser = analyser_of(case.analyse)
    warm(analyser)
    ring = Ring.create(16 << 20)
    positions = case.load.scan[0] * case.load.scan[1]
    board = Board.create(positions, analyser.outputs, (case.load.pixels, case.load.pixels))
    source = make_source(address, Wishes(low_latency=case.low_latency))
    source.open()
    policy = Policy(case.load.scan, case.newest, DEADLINE, busy=case.low_latency, series=case.series, keep=True)
    engine = Engine.of(source, ring, board, analyser, policy, tell=lambda line: print(line, file=sys.stderr))
    standing = take(1) if real_time else None
    pipe.send("ready")
    began = time.thread_time()
    engine.run()
    busy = time.thread_time() - began
    release()
    pipe.send({"standing": standing.sentence if standing else "", "cpu": busy, **_account(board)})
    source.close()
    board.close()
    ring.close()


def _account(board: Any) -> dict[str, Any]:
    """Percentiles from the time of sending to the answer; what was lost; whether numbers are right."""
    bank = board.bank
    answered = bank.fate == Fate.ANSWERED
    stamps = bank.stamps[answered]
    sent, received, decoded, decided = stamps[:, 4], stamps[:, 0], stamps[:, 1], stamps[:, 2]
    steady = slice(min(200, len(stamps) // 2), None)
    total = ((decided - sent) / 1e3)[steady]
    span = (decided.max() - sent.min()) / 1e9
    return {
        "answered": int(answered.sum()),
        "counters": dict(board.counters),
        "latency_us": percentiles(total),
        "transport_us": percentiles(((received - sent) / 1e3)[steady]),
        "decode_us": percentiles(((decoded - received) / 1e3)[steady]),
        "analyse_us": percentiles(((decided - decoded) / 1e3)[steady]),
        "above_200us": float((total > 200).mean()),
        "per_second": len(stamps) / span,
        "wrong": _wrong(bank, np.flatnonzero(answered)),
    }


def _wrong(bank: Any, places: np.ndarray) -> int:
    """Answers that differ from those of the first round through the pool."""
    first = bank.values[:POOL]
    got = bank.values[places]
    same = np.isclose(got, first[places % POOL], rtol=1e-6, equal_nan=True).all(axis=1)
    return int((~same).sum())


def main(names: list[str]) -> None:
    """Measure what is named, or all."""
    for name in names or CASES:
        told = measure(CASES[name])
        points = ", ".join(f"{key} {value:.0f}" for key, value in told["latency_us"].items())
        print(
            f"{name}: {points} us; above 200 us {100 * told['above_200us']:.3f} %; {told['per_second']:.0f} per second"
            f"; answered {told['answered']}, wrong {told['wrong']}; load {told['load']:.1f}, {told['standing']}",
            flush=True,
        )
        parts = {k: {p: round(v, 1) for p, v in told[k].items()} for k in ("transport_us", "decode_us", "analyse_us")}
        print("   ", json.dumps(parts), json.dumps({k: v for k, v in told["counters"].items() if v}), told["sent"])


if __name__ == "__main__":
    main(sys.argv[1:])
