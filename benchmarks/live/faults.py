"""Every fault of the emulated detector in turn: counted, shown as a hole, and everything else right.

``python -m benchmarks.live.faults [FAULT ...]``: each with a detector and a session of its own, in both streams.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from benchmarks.live.truth import centres
from parscope.core.stream import Fate
from parscope.io.open import open_frames
from parscope.live.emulator import Emulator, Faults, Scene
from parscope.live.emulator.job import Report
from parscope.live.pipeline.answers import Policy
from parscope.live.pipeline.session import Finished, Session
from parscope.live.pipeline.workers import Orders

RATE, SCAN, PATTERN = 5000.0, (25, 40), (32, 24)
N = SCAN[0] * SCAN[1]
NAMES = tuple(field.name for field in fields(Faults))
_SHARES = {"jitter": 1e-4, "no_start": 1.0, "no_end": 1.0, "two_clients": 1.0}
_SHARE, _UNREAD = 0.05, 24
_QUIET, _PATIENCE = 3.0, 30.0  # s without a message after which a session is stopped; that it may take to end
_COUNTED = ("answered", "lost", "damaged", "duplicate", "stale", "skipped", "foreign")


@dataclass(frozen=True)
class Seen:
    """What a session made of a stream with a fault.

    Parameters
    ----------
    counters : mapping of int
        Of the board.
    finished : tuple of Finished
        Series.
    told : tuple of str
        Sentences.
    """

    counters: Mapping[str, int]
    finished: tuple[Finished, ...]
    told: tuple[str, ...]


def judge(version: int, fault: str) -> list[str]:
    """What is not right when a detector has a fault; empty if all is.

    Parameters
    ----------
    version : {1, 2}
        Of the stream.
    fault : str
        One of `NAMES`.

    Returns
    -------
    list of str
    """
    scene = Scene(array=np.random.default_rng(3).poisson(4, (*SCAN, *PATTERN)).astype(np.uint8))
    preset = {"stream/format": "legacy"} if version == 1 else {}
    faults = Faults(**{fault: _SHARES.get(fault, _SHARE)})
    try:
        with tempfile.TemporaryDirectory() as folder:
            with Emulator(scene, rate=RATE, faults=faults, preset=preset) as detector:
                address = detector.stream if version == 2 else "v1" + detector.stream_v1.removeprefix("tcp")
                report, seen = _watched(detector, address, Path(folder))
            given = fault == "jitter" or fault in report.faults
            return list(_wrong(scene, report, seen)) if given else ["did not occur"]
    except Exception as error:  # noqa: BLE001, whatever is raised is no way to meet a fault
        return [f"raised {type(error).__name__}: {error}"]


def _watched(detector: Emulator, address: str, folder: Path) -> tuple[Report, Seen]:
    """One series, analysed and recorded."""
    told: list[str] = []
    orders = Orders(address, ("com", "sum"), policy=Policy(SCAN, series=1), folder=folder, record=True)
    with Session(orders, told.append) as session:
        detector.wait_for_clients()
        report = detector.run(_PATIENCE)
        _settle(session)
        return report, Seen(dict(session.board.counters), tuple(session.finished), tuple(told))


def _settle(session: Session) -> None:
    """Wait for the end of a session, which is stopped when nothing comes any more."""
    received, since, stopped = -1, time.monotonic(), 0.0
    while session.turn():
        now, before = time.monotonic(), received
        received = session.board.counters["received"]
        since = now if received != before else since
        if not stopped and now - since > _QUIET:
            session.stop()
            stopped = now
        if stopped and now - stopped > _PATIENCE:
            raise TimeoutError("the session does not end")
        time.sleep(0.01)


def _wrong(scene: Scene, report: Report, seen: Seen) -> Iterator[str]:
    """What differs from what it must be."""
    hit = {name: sorted(image for image in images if image >= 0) for name, images in report.faults.items()}
    taken = set(report.faults.get("two_clients", ()))
    if "no_start" in hit or (-1 in taken and not seen.counters["series"]):
        yield from _unannounced(N - len(hit.get("two_clients", ())), seen)
        return
    if len(seen.finished) != 1:
        yield f"{len(seen.finished)} series"
        return
    one = seen.finished[0]
    fate = np.full(N, Fate.ANSWERED)
    fate[[*hit.get("truncate", ()), *hit.get("corrupt", ())]] = Fate.DAMAGED
    fate[[*hit.get("drop", ()), *hit.get("two_clients", ())]] = Fate.LOST
    if -1 in taken:  # the end went to the other client: nobody knows that no more comes
        fate[(one.result.fate == Fate.WAITING) & (fate == Fate.LOST)] = Fate.WAITING
    if one.result.fate.tolist() != fate.tolist():
        yield f"{int((one.result.fate != fate).sum())} patterns have another fate"
    yield from _miscounted(hit, fate, seen.counters)
    counts = np.array(scene.array).reshape(N, *PATTERN)
    for image in hit.get("nodata", ()):
        lost = np.random.default_rng((scene.seed, image)).choice(counts[image].size, _UNREAD, replace=False)
        counts[image].flat[lost] = 0
    yield from _misread(counts, fate, one.result.values)
    yield from _misrecorded(np.array(scene.array).reshape(N, *PATTERN), hit, fate, one)


def _unannounced(stale: int, seen: Seen) -> Iterator[str]:
    """Without a start there is no series, all images are counted, and a sentence says why."""
    if seen.finished:
        yield "a series without a start"
    if seen.counters["stale"] != stale:
        yield f"{seen.counters['stale']} stale, not {stale}"
    if not any("series 1" in line for line in seen.told):
        yield "nobody is told why"


def _miscounted(hit: Mapping[str, list[int]], fate: NDArray[Any], counters: Mapping[str, int]) -> Iterator[str]:
    """Counters that are not what was sent."""
    wanted = {"answered": Fate.ANSWERED, "lost": Fate.LOST, "damaged": Fate.DAMAGED}
    expected = dict.fromkeys(_COUNTED, 0) | {name: int((fate == one).sum()) for name, one in wanted.items()}
    expected |= {name: len(hit.get(name, ())) for name in ("duplicate", "stale")}
    for name, count in expected.items():
        if counters[name] != count:
            yield f"{counters[name]} {name}, not {count}"
    if bool(hit.get("reorder")) != bool(counters["late"]):
        yield f"{counters['late']} late"


def _misread(counts: NDArray[Any], fate: NDArray[Any], values: NDArray[Any]) -> Iterator[str]:
    """Numbers that are wrong, or stand where there is none."""
    good = fate == Fate.ANSWERED
    right = np.isclose(values[:, :2], centres(counts), rtol=1e-6, atol=0).all(1)
    right &= values[:, 2] == counts.sum((1, 2), dtype=np.int64)
    if not right[good].all():
        yield f"{int((~right[good]).sum())} wrong answers"
    if not np.isnan(values[~good]).all():
        yield "numbers in holes"


def _misrecorded(sent: NDArray[Any], hit: Mapping[str, list[int]], fate: NDArray[Any], one: Finished) -> Iterator[str]:
    """Patterns that the file does not have as they were sent."""
    if one.recorded is None:
        yield "nothing is recorded"
        return
    with h5py.File(one.recorded.masters[0]) as master:
        apart = len(master["entry/parscope/damaged"]) if "damaged" in master["entry/parscope"] else 0
    if one.recorded.written + apart != int((fate != Fate.LOST).sum() - (fate == Fate.WAITING).sum()):
        yield f"{one.recorded.written} recorded, {apart} kept apart"
    whole = fate == Fate.ANSWERED
    whole[hit.get("nodata", [])] = False
    stored = open_frames(one.recorded.masters[0])
    places = (divmod(int(position), SCAN[1]) for position in np.flatnonzero(whole))
    differ = sum(not np.array_equal(stored.data[place], sent[place[0] * SCAN[1] + place[1]]) for place in places)
    if differ:
        yield f"{differ} differ in the file"


def main(names: list[str]) -> None:
    """Judge what is named, or all."""
    for version in (2, 1):
        for name in names or NAMES:
            began = time.monotonic()
            wrong = judge(version, name)
            print(f"V{version} {name}: {'; '.join(wrong) or 'right'} ({time.monotonic() - began:.1f} s)", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
