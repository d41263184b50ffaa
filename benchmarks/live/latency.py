"""Time from sending to answer, and patterns per second: ``python -m benchmarks.live.latency [CASE ...]``.

Each case is a session as ``parscope live`` makes it, at a sender of its own on the other core.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.live import truth
from benchmarks.live.stream import Load, Sender
from parscope.core.stream import Fate
from parscope.live.pipeline.answers import Policy
from parscope.live.pipeline.board import STAMPS, Board
from parscope.live.pipeline.latency import percentiles
from parscope.live.pipeline.results import Result
from parscope.live.pipeline.session import Session
from parscope.live.pipeline.workers import Orders
from parscope.live.sources.address import Wishes

DEADLINE = 200_000
POINTS = {"p50": 50, "p90": 90, "p99": 99, "p99.9": 99.9, "max": 100}


@dataclass(frozen=True)
class Case:
    """One measurement.

    Parameters
    ----------
    load : Load
        What is sent.
    analyse : tuple of str
        What is computed.
    low_latency : bool
        Whether as with ``--low-latency``.
    series : int
        How many; of more than one the last is told, and the others have what was found in the first (``--keep``).
    cut : int
        First patterns of that series which are left out.
    """

    load: Load
    analyse: tuple[str, ...]
    low_latency: bool = True
    series: int = 1
    cut: int = 0


_TYPED = ("com", "bf", "adf")
_STRAIN = (*_TYPED, "strain")
_GIVEN = ("com", "bf:95.5,95.5,40", "adf:95.5,95.5,45,90")
_GIVEN_96 = ("com", "bf:47.5,47.5,20", "adf:47.5,47.5,22,45")
_FIVE = Load((200, 150), 5000)
_WIRE = Load((200, 150), 5000, plain=True)
_CRYSTAL = Load((200, 150), 5000, dtype="uint16", disks=True)
CASES = {
    "5kHz": Case(_FIVE, _TYPED),
    "5kHz-wire": Case(_WIRE, _TYPED),
    "5kHz-strain": Case(_CRYSTAL, _STRAIN),
    "5kHz-default": Case(_FIVE, _TYPED, low_latency=False),
    "5kHz-steady": Case(_FIVE, _GIVEN, cut=200),
    "5kHz-strain-steady": Case(_CRYSTAL, _STRAIN, series=2, cut=200),
    "5kHz-default-steady": Case(_FIVE, _GIVEN, low_latency=False, cut=200),
    "most-192": Case(Load((500, 400), 0), _GIVEN),
    "most-192-120kHz-dose": Case(Load((500, 400), 0, dose_rate=120000), _GIVEN),
    "most-96": Case(Load((1000, 500), 0, pixels=96, dose_rate=120000), _GIVEN_96),
}


def measure(case: Case) -> dict[str, Any]:
    """Send, answer, and account for every pattern."""
    sender = Sender(case.load, case.series)
    policy = Policy(case.load.scan, False, DEADLINE, busy=case.low_latency, series=case.series, keep=case.series > 1)
    orders = Orders(sender.address, case.analyse, Wishes(case.low_latency), policy)
    load = os.getloadavg()[0]
    cores = os.sched_getaffinity(0)
    if not case.low_latency:
        os.sched_setaffinity(0, {1})  # a detector takes no core of the receiver's machine; the sender has core 0
    try:
        with Session(orders, lambda line: print(line, file=sys.stderr)) as session:
            whole = _run(session, sender)
            sent = sender.wait()
    finally:
        os.sched_setaffinity(0, cores)
    result = session.finished[-1].result
    told = account(result, case.cut) | set_up(result, whole)
    told |= truth.judged(case.load, case.analyse, [output.name for output in result.outputs], result.values)
    standing = session.standing or "on one core, at normal priority; the sender has the other"
    return {"case": asdict(case), "load": load, "sent": sent, "standing": standing, **told}


def _run(session: Session, sender: Sender) -> int:
    """Let each series come when the one before is over; when all numbers of a pattern first were seen, [ns], or 0."""
    seen = begun = 0
    while session.turn():
        if len(session.finished) == begun < sender.series:
            begun += 1
            sender.go()
        seen = seen or (time.monotonic_ns() if _whole(session.board) else 0)
        time.sleep(0.02 if seen else 0.005)
    return seen


def _whole(board: Board) -> bool:
    """Whether the first or the newest pattern has all its numbers."""
    last = board.counters["answered"] - 1
    if last < 0 or not board.generation:
        return False
    values = board.bank.values
    return bool(np.isfinite(values[[0, min(last, len(values) - 1)]]).all(1).any())


def _times(result: Result) -> list[NDArray[np.int64]]:
    """When patterns were received, decoded, answered, and sent: that is the end of the exposure here, [ns]."""
    return [result.stamps[:, STAMPS.index(name)] for name in ("received", "decoded", "decided", "exposed")]


def account(result: Result, cut: int) -> dict[str, Any]:
    """Percentiles from the time of sending to the answer, and what was late or lost.

    A pattern without an answer is later than any.
    """
    received, decoded, decided, sent = (part[cut:] for part in _times(result))
    answered = result.fate[cut:] == Fate.ANSWERED
    total = np.where(answered, (decided - sent) / 1e3, np.inf)
    parts = {"transport": received - sent, "decode": decoded - received, "analyse": decided - decoded}
    span = np.ptp(np.concatenate([sent[answered], decided[answered]])) if answered.any() else np.inf
    return {
        "answered": int((result.fate == Fate.ANSWERED).sum()),
        "counters": dict(result.counters),
        "latency_us": {name: float(np.percentile(total, point, method="higher")) for name, point in POINTS.items()},
        **{f"{name}_us": percentiles(part[answered] / 1e3) for name, part in parts.items()},
        "above_200us": float((total > DEADLINE / 1e3).mean()),
        "per_second": float(answered.sum() / (span / 1e9)),
    }


def median(each: list[dict[str, Any]]) -> dict[str, Any]:
    """What several sessions of one case have in the middle; of what must not be, the most.

    Parameters
    ----------
    each : list of dict
        As from `measure`.

    Returns
    -------
    dict
        As from `measure`, without what no table tells.
    """
    points = {name: statistics.median(one["latency_us"][name] for one in each) for name in POINTS}
    middle = ("above_200us", "set_up_ms", "before_set_up", "late_for_set_up")
    most = [name for name in ("wrong", "strain_rms") if name in each[0]]
    return {
        **{name: each[0][name] for name in ("case", "standing")},
        "latency_us": points,
        **{name: statistics.median(np.inf if one[name] is None else one[name] for one in each) for name in middle},
        **{name: max(one[name] for one in each) for name in most},
    }


def set_up(result: Result, whole: int) -> dict[str, Any]:
    """How long it took until all kernels answered, and what came meanwhile, or was late for it.

    Parameters
    ----------
    result : Result
        Of the series.
    whole : int
        When all numbers of a pattern first were there, [ns].

    Returns
    -------
    dict
        ``set_up_ms`` from the first pattern on; how many patterns were there ``before_set_up`` was over; how many
        were ``late_for_set_up``: those before the first one after it that was answered in time.
    """
    received, _, decided, sent = _times(result)
    late = (decided - sent > DEADLINE) | (result.fate != Fate.ANSWERED)
    after = np.flatnonzero((received > whole) & ~late)
    there = received[received > 0]
    return {
        "set_up_ms": max(0, whole - int(there.min())) / 1e6 if whole and len(there) else None,
        "before_set_up": int(((received > 0) & (received < whole)).sum()),
        "late_for_set_up": int(late[: after[0] if len(after) else None].sum()),
    }


def main(names: list[str]) -> None:
    """Measure what is named, or all."""
    for name in names or CASES:
        told = measure(CASES[name])
        points = ", ".join(f"{key} {value:.0f}" for key, value in told["latency_us"].items())
        print(
            f"{name}: {points} us; above 200 us {100 * told['above_200us']:.3f} %; {told['per_second']:.0f} per second"
            f"; answered {told['answered']}, wrong {told['wrong']}; set-up {told['set_up_ms']} ms, "
            f"{told['before_set_up']} before, {told['late_for_set_up']} late for it; load {told['load']:.1f}, "
            f"{told['standing']}",
            flush=True,
        )
        parts = {k: {p: round(v, 1) for p, v in told[k].items()} for k in ("transport_us", "decode_us", "analyse_us")}
        print("   ", json.dumps(parts), json.dumps({k: v for k, v in told["counters"].items() if v}), told["sent"])


if __name__ == "__main__":
    main(sys.argv[1:])
