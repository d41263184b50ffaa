"""The table of the live analysis: latency, throughput, recording, faults, and LiberTEM beside it."""

from __future__ import annotations

import pickle
import tempfile
from collections import Counter
from math import nan
from pathlib import Path
from typing import Any

import numba
from threadpoolctl import threadpool_limits

from benchmarks.exchange import Run
from benchmarks.live import beside, faults, fuzz, kernels, latency, record
from benchmarks.report import Row, Target

SEED = 1
_RECORD_S, _QUICK_S = 60.0, 3.0
_SESSIONS = 5  # of each case, in turn: what else a machine does makes some of them slower
_MESSAGES, _QUICK_MESSAGES = 10_000_000, 500_000
_QUICK_FAULTS = ("drop", "no_end")
_NONE = Target(at_most=0)
_THREE, _FOUR = "192 x 192 u8, 5 kHz, CoM + BF + ADF", "192 x 192 u16, 5 kHz, CoM + BF + ADF + strain of 25 disks"
_ALL = "as typed, every pattern of the first series"
_REST = "less the first 200 patterns"
_PLAIN = "from a sender without ZeroMQ's library"
# Title, aims of percentiles of the latency [us], and the share that may be later than 200 us [%].
_LATENCY = {
    "5kHz": (f"V2, {_THREE}, --low-latency, {_ALL}", {"p50": 40.0, "p99": 100.0}, 0.1),
    "5kHz-wire": (f"V2, {_THREE}, --low-latency, {_ALL}, {_PLAIN}", {"p50": 40.0, "p99": 100.0}, 0.1),
    "5kHz-strain": (f"V2, {_FOUR}, --low-latency, {_ALL}", {"p99": 120.0}, None),
    "5kHz-default": (f"V2, {_THREE}, default mode, {_ALL}", {"p99": 150.0}, None),
    "5kHz-steady": (f"V2, {_THREE}, --low-latency, discs given, {_REST}", {"p50": 40.0, "p99": 100.0}, 0.1),
    "5kHz-strain-steady": (f"V2, {_FOUR}, --low-latency --keep, second series, {_REST}", {"p99": 120.0}, None),
    "5kHz-default-steady": (f"V2, {_THREE}, default mode, discs given, {_REST}", {"p99": 150.0}, None),
}
_THROUGHPUT = {
    "most-192": ("V2, 192 x 192 u8, dose of 5 kHz, CoM + BF + ADF, discs given", 50_000.0),
    "most-192-120kHz-dose": ("V2, 192 x 192 u8, dose of 120 kHz, CoM + BF + ADF, discs given", 50_000.0),
    "most-96": ("V2, 96 x 96 u8, dose of 120 kHz, CoM + BF + ADF, discs given", 150_000.0),
}

Made = tuple[list[Row], list[dict[str, Any]]]


def measure(run: Run, quick: bool) -> Made:
    """Measure all, one after the other.

    Parameters
    ----------
    run : Run
        Where the answer of LiberTEM-live lives.
    quick : bool
        Whether recording is tried for three seconds rather than a minute, with fewer faults and mutated messages.

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
    names = _QUICK_FAULTS if quick else faults.NAMES
    steps = {
        "latencies": lambda: _latencies(1 if quick else _SESSIONS),
        "throughputs": _throughputs,
        "kernels": _kernels,
        "beside": lambda: _beside(run),
        "recording": lambda: _recording(seconds),
        "faults": lambda: _faulty(names),
        "fuzzed": lambda: _fuzzed(messages),
    }
    for name, step in steps.items():
        kept = run.folder / f"{name}.pickle"  # a run that breaks off goes on from here
        made = pickle.loads(kept.read_bytes()) if kept.exists() else step()
        kept.write_bytes(pickle.dumps(made))
        print(f"{name}: done", flush=True)
        rows += made[0]
        records += made[1]
    return rows, [{**one, "key": f"{run.name}:{one['case']}"} for one in records]


def _told(case: str, scores: dict[str, Any], error: str | None = None) -> dict[str, Any]:
    return {"case": case, "method": "parscope", "scores": scores, "error": error}


def _at_most(limit: float | None) -> Target | None:
    return None if limit is None else Target(at_most=limit)


def _latencies(sessions: int) -> Made:
    """Time from sending to answer at a rate: the medians of some sessions, and the worst of them."""
    every = [{name: latency.measure(latency.CASES[name]) for name in _LATENCY} for _ in range(sessions)]
    rows, records = [], []
    for name, (title, aims, share) in _LATENCY.items():
        each = [one[name] for one in every]
        told = latency.median(each)
        case = f"{title}; {told['standing']}"
        points = told["latency_us"]
        rows += [
            Row(case, f"sending to answer, {p}", points[p], "us", target=_at_most(aims.get(p))) for p in latency.POINTS
        ]
        rows.append(Row(case, "later than 200 us", 100 * told["above_200us"], "%", target=_at_most(share)))
        rows += [*_worst(case, each), *_set_up(case, told), *_right(case, told)]
        records += [_told(f"{name}-{number}", _plain(one)) for number, one in enumerate(each, 1)]
    return rows, records


def _worst(case: str, each: list[dict[str, Any]]) -> list[Row]:
    """The worst of all sessions."""
    worst = f"the worst of {len(each)} sessions"
    return [
        Row(case, f"{worst}, p99", max(one["latency_us"]["p99"] for one in each), "us"),
        Row(case, f"{worst}, later than 200 us", 100 * max(one["above_200us"] for one in each), "%"),
    ]


def _set_up(case: str, told: dict[str, Any]) -> list[Row]:
    """What it took until all kernels answered, where they look at the first patterns and nothing is left out."""
    if told["case"]["cut"]:
        return []
    return [
        Row(case, "from the first pattern until all numbers are there at once", told["set_up_ms"], "ms"),
        Row(case, "patterns that came before", float(told["before_set_up"]), "1"),
        Row(case, "patterns later than 200 us until then, or until none waits", float(told["late_for_set_up"]), "1"),
    ]


def _right(case: str, told: dict[str, Any]) -> list[Row]:
    """Whether answers are what NumPy makes of the patterns, or the strain that was put in."""
    rows = [Row(case, "patterns with a wrong number, or without one", float(told["wrong"]), "1", target=_NONE)]
    if "strain_rms" in told:
        rows.append(Row(case, "strain, error RMS", 1e3 * told["strain_rms"], "1e-3"))
    return rows


def _throughputs() -> Made:
    """Patterns per second with everything sent at once."""
    rows, records = [], []
    for name, (title, least) in _THROUGHPUT.items():
        told = latency.measure(latency.CASES[name])
        case = f"{title}, --low-latency; {told['standing']}"
        rows.append(Row(case, "patterns per second", told["per_second"], "1/s", target=Target(at_least=least)))
        rows += _right(case, told)
        records.append(_told(name, _plain(told)))
    return rows, records


def _plain(told: dict[str, Any]) -> dict[str, Any]:
    """All but what the title says."""
    return {key: value for key, value in told.items() if key != "case"}


def _kernels() -> Made:
    """One kernel beside LiberTEM's."""
    numba.set_num_threads(1)
    with threadpool_limits(1):
        told = kernels.beside_libertem(kernels.disk_scan())
    case = "centre of mass, 192 x 192 u8, in memory, one core, set-up excluded"
    peer = f"LiberTEM {told['libertem']} CoMUDF, inline, one thread"
    rate, theirs = told["patterns_per_s"], told["libertem_patterns_per_s"]
    apart = told["largest_difference_px"]
    return [
        Row(case, "patterns per second and core", rate, "1/s", peer, theirs),
        Row(case, "speed, LiberTEM = 1", told["ratio"], "1", peer, 1.0, target=Target(at_least=5.0)),
        Row(case, "largest difference from LiberTEM's", apart, "px", target=Target(at_most=1e-4)),
    ], [_told("kernels", told)]


def _beside(run: Run) -> Made:
    """Time to a result on the same stream."""
    ours, theirs, error = beside.beside(run)
    rows, records = [], [{**_told("beside", theirs, error), "method": beside.PEER}]
    for mode, told in ours.items():
        case = f"V1, 192 x 192 u8, 5 kHz, centre of mass, sending to a reader of the result, {mode}"
        for point in ("p50", "p99"):
            ratio = theirs.get(point, nan) / told[point]
            rows.append(Row(case, point, told[point], "us", beside.PEER, theirs.get(point)))
            rows.append(Row(case, f"{point} of LiberTEM-live over that of parscope", ratio, "1"))
        late = theirs.get("sent_late")
        rows.append(Row(case, "patterns that left more than 50 us late", told["sent_late"], "1", beside.PEER, late))
        records.append(_told(f"beside, {mode}", told))
    return rows, records


def _recording(seconds: float) -> Made:
    """Recording at 20 kHz."""
    with tempfile.TemporaryDirectory() as folder:
        told = record.measure(seconds, Path(folder))
    what = f"V2, 192 x 192 u8, 20 kHz for {seconds:g} s, CoM + BF + ADF, discs given, recorded"
    case = f"{what}; {told['standing']}"
    lost = {
        "patterns refused, as 10 000 wait for the receiver": told["sent"]["refused"],
        "patterns lost, those among them": told["patterns"] - told["recorded"],
        "patterns that differ from those sent": told["different"],
        "patterns without an answer": told["patterns"] - told["answered"],
    }
    rate, answer = told["sent"]["per_second"], told["answer_us"]
    return [
        Row(case, "patterns sent per second", rate, "1/s", target=Target(at_least=record.RATE)),
        *(Row(case, name, float(count), "1", target=_NONE) for name, count in lost.items()),
        *(Row(case, f"arrival to answer, {point}", answer.get(point), "us") for point in ("p50", "p99")),
    ], [_told("recording", told)]


def _faulty(names: tuple[str, ...]) -> Made:
    """Each fault of the emulator."""
    rows, records = [], []
    for version in (2, 1):
        wrong = {name: faults.judge(version, name) for name in names}
        right = sum(not found for found in wrong.values())
        case = f"V{version}, 5 kHz, each of {len(names)} faults of the emulator in turn"
        target = Target(at_least=len(names))
        rows.append(Row(case, "counted, shown as a hole, and all else right", float(right), "1", target=target))
        records.append(_told(f"faults-v{version}", wrong))
    return rows, records


_FUZZED = {
    "crashed": ("crashed", _NONE),
    "unexpected errors": ("errors that are no refusal", _NONE),
    "scanned differently": ("scanned otherwise than by cbor2", _NONE),
    "read by the scanner, not by cbor2": ("read by the scanner, refused by cbor2", _NONE),
    "decompressed differently": ("decompressed differently by the two", _NONE),
    "samples taken by the library only": (
        "taken by the library only, which asks less of what frames blocks",
        None,
    ),
    "samples taken by numba only": ("taken by numba only, to which the size of a block is but a limit", None),
}


def _fuzzed(messages: int) -> Made:
    """Mutated messages, at the door."""
    total: Counter[str] = Counter()
    for counts in fuzz.shares(messages, SEED):
        total.update(counts)
    case = f"{total['messages']:,} mutated messages".replace(",", " ")
    rows = [Row(case, title, float(total[name]), "1", target=aim) for name, (title, aim) in _FUZZED.items()]
    return rows, [_told("fuzz", dict(total))]
