"""The table of the live analysis: latency, throughput, recording, and LiberTEM beside it."""

from __future__ import annotations

import tempfile
from collections import Counter
from math import nan
from pathlib import Path
from typing import Any

import numba
from threadpoolctl import threadpool_limits

from benchmarks.exchange import Run
from benchmarks.live import beside, fuzz, kernels, latency, record
from benchmarks.report import Row, Target

SEED = 1
_RECORD_S, _QUICK_S = 60.0, 3.0
_MESSAGES, _QUICK_MESSAGES = 10_000_000, 500_000
_NONE = Target(at_most=0)
_LATENCY = {
    "5kHz": ("V2, 192 x 192 u8, 5 kHz, CoM + BF + ADF, low latency", {"p50": 40.0, "p99": 100.0}, 0.1),
    "5kHz-strain": ("V2, 192 x 192 u16, 5 kHz, strain of 25 disks, low latency", {"p99": 120.0}, None),
    "5kHz-zmq": ("V2, 192 x 192 u8, 5 kHz, CoM + BF + ADF, default mode", {"p99": 150.0}, None),
}
_THROUGHPUT = {
    "most-192": ("V2, 192 x 192 u8, dose of 5 kHz, CoM + BF + ADF", 50_000.0),
    "most-192-120kHz-dose": ("V2, 192 x 192 u8, dose of 120 kHz, CoM + BF + ADF", 50_000.0),
    "most-96": ("V2, 96 x 96 u8, dose of 120 kHz, CoM + BF + ADF", 150_000.0),
}


def measure(run: Run, quick: bool) -> tuple[list[Row], list[dict[str, Any]]]:
    """Measure all, one after the other.

    Parameters
    ----------
    run : Run
        Where the answer of LiberTEM-live lives.
    quick : bool
        Whether recording is tried for three seconds rather than a minute, and fewer messages are mutated.

    Returns
    -------
    rows : list of Row
        Lines of the table.
    records : list of dict
        What each measurement said.
    """
    rows: list[Row] = []
    records: list[dict[str, Any]] = []
    seconds, messages = (_QUICK_S, _QUICK_MESSAGES) if quick else (_RECORD_S, _MESSAGES)
    for made in (_latencies(), _throughputs(), _kernels(), _beside(run), _recording(seconds), _fuzzed(messages)):
        rows += made[0]
        records += made[1]
    return rows, [{**record, "key": f"{run.name}:{record['case']}"} for record in records]


Made = tuple[list[Row], list[dict[str, Any]]]


def _told(case: str, scores: dict[str, Any], error: str | None = None) -> dict[str, Any]:
    return {"case": case, "method": "parscope", "scores": scores, "error": error}


def _latencies() -> Made:
    """Time from sending to answer at a rate."""
    rows, records = [], []
    for name, (title, aims, share) in _LATENCY.items():
        told = latency.measure(latency.CASES[name])
        case = f"{title}; {told['standing']}"
        points = told["latency_us"]
        rows += [Row(case, f"sending to answer, {p}", points[p], "us", target=_at_most(aims.get(p))) for p in _POINTS]
        rows.append(Row(case, "later than 200 us", 100 * told["above_200us"], "%", target=_at_most(share)))
        rows.append(Row(case, "wrong or without an answer", _bad(told), "1", target=_NONE))
        records.append(_told(name, _plain(told)))
    return rows, records


_POINTS = ("p50", "p90", "p99", "p99.9", "max")


def _at_most(limit: float | None) -> Target | None:
    return None if limit is None else Target(at_most=limit)


def _bad(told: dict[str, Any]) -> float:
    """Patterns that were answered wrongly, or not."""
    images = told["case"]["load"]["scan"][0] * told["case"]["load"]["scan"][1]
    return float(told["wrong"] + images - told["answered"])


def _throughputs() -> Made:
    """Patterns per second with everything sent at once."""
    rows, records = [], []
    for name, (title, least) in _THROUGHPUT.items():
        told = latency.measure(latency.CASES[name])
        rows.append(Row(title, "patterns per second", told["per_second"], "1/s", target=Target(at_least=least)))
        rows.append(Row(title, "wrong or without an answer", _bad(told), "1", target=_NONE))
        records.append(_told(name, _plain(told)))
    return rows, records


def _plain(told: dict[str, Any]) -> dict[str, Any]:
    """Figures alone."""
    return {key: value for key, value in told.items() if key not in ("case", "standing")}


def _kernels() -> Made:
    """One kernel beside LiberTEM's."""
    numba.set_num_threads(1)
    with threadpool_limits(1):
        told = kernels.beside_libertem(kernels.disk_scan())
    case = "centre of mass, 192 x 192 u8, in memory, one core"
    peer = f"LiberTEM {told['libertem']} CoMUDF, inline, one thread"
    rate, theirs = told["patterns_per_s"], told["libertem_patterns_per_s"]
    return [
        Row(case, "patterns per second and core", rate, "1/s", peer, theirs),
        Row(case, "speed, LiberTEM = 1", told["ratio"], "1", peer, 1.0, target=Target(at_least=5.0)),
    ], [_told("kernels", told)]


def _beside(run: Run) -> Made:
    """Time to a result on the same stream."""
    ours, theirs, error = beside.beside(run)
    case = "V1, 192 x 192 u8, 5 kHz, centre of mass: later than the fastest pattern"
    rows = [Row(case, p, ours[p], "us", beside.PEER, theirs.get(p)) for p in ("p50", "p99")]
    ratio = theirs.get("p50", nan) / ours["p50"]
    rows.append(Row(case, "p50 of LiberTEM-live over that of parscope", ratio, "1"))
    return rows, [_told("beside", ours), {**_told("beside", theirs, error), "method": beside.PEER}]


def _recording(seconds: float) -> Made:
    """Recording at 20 kHz."""
    with tempfile.TemporaryDirectory() as folder:
        told = record.measure(seconds, Path(folder))
    case = f"V2, 192 x 192 u8, 20 kHz for {seconds:g} s, analysed and recorded"
    lost = told["patterns"] - told["recorded"]
    return [
        Row(case, "patterns lost", float(lost), "1", target=_NONE),
        Row(case, "patterns that differ from those sent", float(told["different"]), "1", target=_NONE),
        Row(case, "patterns without an answer", float(told["patterns"] - told["answered"]), "1"),
    ], [_told("recording", told)]


def _fuzzed(messages: int) -> Made:
    """Mutated messages, at the door."""
    total: Counter[str] = Counter()
    for counts in fuzz.shares(messages, SEED):
        total.update(counts)
    case = f"{total['messages']} mutated messages"
    faults = ("crashed", "scanned differently", "decompressed differently")
    rows = [Row(case, fault, float(total[fault]), "1", target=_NONE) for fault in faults]
    return rows, [_told("fuzz", dict(total))]
