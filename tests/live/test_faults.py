"""The emulated detector fails in every way it knows: each fault is counted, a hole, and everything else is right."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from parscope.core.stream import Fate
from parscope.io.open import open_frames
from parscope.live.emulator import Emulator, Faults, Scene
from parscope.live.pipeline import course
from parscope.live.pipeline.analysis import analyser_of
from parscope.live.pipeline.answers import Policy
from parscope.live.pipeline.board import Board
from parscope.live.pipeline.engine import Engine
from parscope.live.pipeline.recorder import Recorder
from parscope.live.pipeline.ring import Reader, Ring
from parscope.live.pipeline.rivals import shared, strange
from parscope.live.sources.address import Wishes, make_source

SCAN, PATTERN = (20, 25), (32, 24)
LEGACY = {"stream/format": "legacy"}
N = SCAN[0] * SCAN[1]


class Receiver:
    """Frame loop and recorder, each in a thread, at a detector."""

    def __init__(self, address: str, folder: Path, low_latency: bool, series: int) -> None:
        analyser = analyser_of(["com", "sum"])
        self.ring, self.board = Ring.create(16 << 20), Board.create(N, analyser.outputs, (64, 64))
        self.source = make_source(address, Wishes(low_latency=low_latency))
        self.source.open()
        self.told: list[str] = []
        policy = Policy(SCAN, series=series)
        self.engine = Engine.of(self.source, self.ring, self.board, analyser, policy, tell=self.told.append)
        reader = Reader(self.ring.name, lossless=True)
        self.recorder = Recorder(reader, lambda generation, _: folder / f"g{generation}", SCAN, self.board)
        self._threads = [threading.Thread(target=work) for work in (self.engine.run, self.recorder.run)]
        for thread in self._threads:
            thread.start()

    def join(self, seconds: float = 60.0) -> None:
        """Wait for the end, and see that there is one."""
        for thread in self._threads:
            thread.join(seconds)
            assert not thread.is_alive()

    def settle(self) -> None:
        """Wait until nothing comes any more and all is answered, and end."""
        quiet, before = 0, -1
        while quiet < 30:
            time.sleep(0.01)
            received, engine = self.board.counters["received"], self.engine
            still = received == before and not engine.reader.waiting and not engine.answers.held_up
            quiet, before = quiet + 1 if still else 0, received
        self.board.stop()
        self.join()

    def counted(self) -> dict[str, int]:
        """Counters that are not zero, but for those that depend on how fast this machine is."""
        left = ("ring_high_water", "finished", "stalls", "missed", "recorded")
        return {name: count for name, count in self.board.counters.items() if count and name not in left}

    def close(self) -> None:
        self.board.stop()
        self.join()
        self.source.close()
        self.ring.close()
        self.board.close()


@pytest.fixture(scope="module")
def array() -> np.ndarray:
    return np.random.default_rng(3).poisson(4, (*SCAN, *PATTERN)).astype(np.uint8)


@pytest.fixture
def receivers(tmp_path: Path) -> Iterator[object]:
    made: list[Receiver] = []

    def make(address: str, low_latency: bool = False, series: int = 1) -> Receiver:
        made.append(Receiver(address, tmp_path, low_latency, series))
        return made[-1]

    yield make
    for one in made:
        one.close()


def sums(array: np.ndarray, seed: int, unread: list[int]) -> np.ndarray:
    """Counts of each pattern, without the pixels that were not read."""
    flat = array.reshape(N, -1).astype(np.int64)
    for image in unread:
        lost = np.random.default_rng((seed, image)).choice(flat.shape[1], 24, replace=False)
        flat[image, lost] = 0
    return flat.sum(1)


def address(detector: Emulator, legacy: bool) -> str:
    """Of the stream that is listened to, V1 or V2."""
    return "v1" + detector.stream_v1.removeprefix("tcp") if legacy else detector.stream


ALL = Faults(drop=0.05, duplicate=0.05, reorder=0.05, stale=0.05, truncate=0.05, corrupt=0.05, nodata=0.05, jitter=1e-4)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("low_latency", [False, True])
def test_all_faults_of_images_at_once(array: np.ndarray, receivers, low_latency: bool, legacy: bool) -> None:
    scene = Scene(array=array)
    with Emulator(scene, rate=5000, faults=ALL, preset=LEGACY if legacy else {}) as detector:
        receiver = receivers(address(detector, legacy), low_latency)
        detector.wait_for_clients()
        report = detector.run()
        receiver.join()
    faults = {name: set(images) for name, images in report.faults.items()}
    assert set(faults) >= {"drop", "duplicate", "reorder", "stale", "truncate", "corrupt", "nodata"}
    fate = np.full(N, Fate.ANSWERED)
    fate[sorted(faults["truncate"] | faults["corrupt"])] = Fate.DAMAGED
    fate[sorted(faults["drop"])] = Fate.LOST
    bank = receiver.board.bank
    assert bank.fate.tolist() == fate.tolist()
    counted = receiver.counted()
    late = counted.pop("late")
    assert 0 < late <= 8 * len(faults["reorder"])
    assert counted == {
        "received": report.sent + 2,
        "answered": int((fate == Fate.ANSWERED).sum()),
        "lost": len(faults["drop"]),
        "damaged": int((fate == Fate.DAMAGED).sum()),
        "duplicate": len(faults["duplicate"]),
        "stale": len(faults["stale"]),
        "series": 1,
    }
    unread = sorted(faults["nodata"])
    good = fate == Fate.ANSWERED
    assert np.array_equal(receiver.board.map("sum.counts").ravel()[good], sums(array, scene.seed, unread)[good])
    assert np.isnan(bank.values[~good]).all()
    assert {line.split(" ")[0] for line in receiver.told} == {"image", "images"}
    (recorded,) = receiver.recorder.done
    with h5py.File(recorded.masters[0]) as master:
        apart = {int(name) for name in master["entry/parscope/damaged"]}
    assert apart == set(np.flatnonzero(fate == Fate.DAMAGED))
    assert recorded.written == N - len(faults["drop"]) - len(apart)
    frames = open_frames(recorded.masters[0])
    whole = good.copy()
    whole[unread] = False
    for position in np.flatnonzero(whole):
        place = divmod(int(position), SCAN[1])
        assert np.array_equal(frames.data[place], array[place])


def test_a_missing_end_and_a_missing_start(array: np.ndarray, receivers) -> None:
    with Emulator(Scene(array=array), rate=0, faults=Faults(no_end=1)) as detector:
        receiver = receivers(detector.stream, series=2)
        detector.wait_for_clients()
        detector.run()
        detector.run()
        receiver.join()
    assert receiver.counted() == {"received": 2 * (N + 1), "answered": 2 * N, "series": 2}
    with Emulator(Scene(array=array), rate=0, faults=Faults(no_start=1)) as detector:
        receiver = receivers(detector.stream)
        detector.wait_for_clients()
        detector.run()
        receiver.settle()
    assert receiver.counted() == {"received": N + 1, "stale": N}
    assert receiver.told == [strange(1, 0, -1)]


def test_an_end_and_last_images_that_are_lost(array: np.ndarray, receivers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "_SILENCE", 2_500_000_000)
    preset = {"detector/trigger_mode": "ints", "detector/nimages": N // 2, "detector/ntrigger": 2}
    with Emulator(Scene(array=array), rate=0, preset=preset) as detector:
        receiver = receivers(detector.stream)
        detector.wait_for_clients()
        detector.machine.initialize()
        detector.machine.arm()
        detector.machine.trigger()
        detector.machine.abort()
        receiver.join()
    assert receiver.counted() == {"received": N // 2 + 1, "answered": N // 2, "lost": N // 2, "series": 1}
    (line,) = receiver.told
    assert line.startswith("nothing has come for ") and line.endswith(": the series ends without its last patterns")
    (recorded,) = receiver.recorder.done
    assert recorded.written == N // 2
    assert np.array_equal(np.asarray(open_frames(recorded.masters[0]).data[:5]), array[:5])


def test_a_second_client_takes_half_of_the_patterns(array: np.ndarray, receivers) -> None:
    with Emulator(Scene(array=array), rate=0, faults=Faults(two_clients=1), seed=3) as detector:
        receiver = receivers(detector.stream)
        detector.wait_for_clients()
        report = detector.run()
        receiver.settle()
    taken = {image for image in report.faults["two_clients"] if image >= 0}
    counted = receiver.counted()
    if "series" in counted:  # the start was not the other's
        assert receiver.told[-1] == shared(1, receiver.board.bank.fate) != ""
        there = np.setdiff1d(np.arange(N), sorted(taken))
        assert counted["answered"] == len(there)
        assert np.flatnonzero(receiver.board.bank.fate == Fate.ANSWERED).tolist() == there.tolist()
    else:
        assert counted["stale"] == N - len(taken)
        assert receiver.told == [strange(1, 0, -1)]
    assert len(taken) == N // 2
