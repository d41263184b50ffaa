"""Sessions as Python starts them: several series, a process that dies, a folder that cannot be written."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from parscope.core.errors import OutputError, ParscopeError
from parscope.io.open import open_frames
from parscope.live.emulator import Emulator, Scene
from parscope.live.kernels import Output
from parscope.live.pipeline.answers import Policy
from parscope.live.pipeline.memory import Segment, folder
from parscope.live.pipeline.session import Session
from parscope.live.pipeline.workers import Orders
from parscope.live.rules.file import RuleSet
from parscope.live.rules.journal import read
from parscope.live.rules.limits import Limits
from parscope.live.sources.address import Wishes
from parscope.techniques.diffraction.simulate import ScanDesign, simulate
from tests.cli.full_disk import files_up_to


@pytest.fixture
def scan(tmp_path: Path) -> tuple[Path, np.ndarray]:
    array = np.random.default_rng(3).poisson(4, (4, 5, 16, 16)).astype(np.uint16)
    np.save(tmp_path / "scan.npy", array)
    return tmp_path / "scan.npy", array


def ours() -> list[Path]:
    return list(folder().glob(f"parscope-live-{os.getpid()}-*"))


def test_each_series_is_saved_and_recorded(scan: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, array = scan
    told: list[str] = []
    orders = Orders(
        f"replay:{path}", ("sum",), Wishes(rate=100, series=2), Policy(), folder=tmp_path / "out", record=True
    )
    with Session(orders, told.append) as session:
        session.run()
    assert [one.result.head["series"] for one in session.finished] == [1, 2]
    for one in session.finished:
        assert one.result.values.ravel().tolist() == array.sum((2, 3)).ravel().tolist()
        assert one.saved is not None and one.saved.is_dir()
        assert one.recorded is not None
        assert np.array_equal(np.asarray(open_frames(one.recorded.masters[0]).data[:]), array)
    assert (session.faults, told) == ([], [])
    assert ours() == []


def test_what_is_saved_says_what_its_zero_is_and_how_it_was_analysed(tmp_path: Path) -> None:
    rules = RuleSet.of_texts(["when sum.counts > 1e9: send udp://127.0.0.1:9"])
    limited = RuleSet(rules.rules, {"": Limits(per_second=7)})
    orders = Orders(
        "physics:96x96",
        ("sum", "bf", "adf", "dpc", "strain", "pattern-strain"),
        Wishes(scan=(12, 12), series=2),
        Policy(keep=True, channel="threshold_1"),
        rules=limited,
        dry=True,
        folder=tmp_path,
    )
    with Session(orders) as session:
        session.extras = lambda generation: {
            "x.counts": (Output("x.counts", "counts", "x"), np.full(144, generation, np.float32), "x=disc:1,2,3")
        }
        session.run()
    assert [one.result.counters["answered"] for one in session.finished] == [144, 144]
    for generation, one in enumerate(session.finished, 1):
        with xr.open_zarr(one.saved) as maps:
            found, settings = json.loads(maps.attrs["found"]), json.loads(maps.attrs["settings"])
            assert (maps["x.counts"] == generation).all() and maps["x.counts"].attrs["detector"] == "x=disc:1,2,3"
            stamps = maps["stamps"].values
        assert (settings["keep"], settings["channel"]) == (True, "threshold_1")
        assert settings["limits"]["default"]["per_second"] == 7
        assert set(found) == {"bf", "adf", "dpc", "strain", "pattern-strain"}
        truth = simulate(replace(ScanDesign().sized((96, 96)), scan=(12, 12))).truth
        for name in ("strain", "pattern-strain"):
            assert found[name]["centre_px"] == pytest.approx(found["bf"]["centre_px"], abs=0.5)
            lengths = np.linalg.norm(found[name]["vectors_px"], axis=1)
            assert lengths == pytest.approx(np.linalg.norm(truth.basis, axis=1), rel=0.05)
        assert found["adf"]["inner_px"] > found["bf"]["radius_px"]
        assert found["dpc"]["centre_px"] == pytest.approx(found["bf"]["centre_px"], abs=5)
        assert not stamps[..., 5:].any()  # a simulation at all speed has no clock


def test_the_last_sentences_are_kept(scan: tuple[Path, np.ndarray]) -> None:
    told: list[str] = []
    session = Session(Orders(f"replay:{scan[0]}", ("sum",)), told.append)
    session.close()
    for number in range(25):
        session.tell(f"line {number}")
    assert told == [f"line {number}" for number in range(25)]
    assert session.notes == told[5:]


def test_a_frame_loop_that_is_killed_is_told_and_the_recording_is_complete(
    scan: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    path, array = scan
    orders = Orders(f"replay:{path}", ("sum",), Wishes(rate=20, series=100), folder=tmp_path / "out", record=True)
    with Session(orders) as session:
        assert session._loop is not None
        while session.board.counters["recorded"] < 3:
            session.turn()
        os.kill(session._loop.process, signal.SIGKILL)
        with pytest.raises(ParscopeError, match=r"analysis: its process has died \(exit code -9\)"):
            session.run()
    assert ours() == []
    stored = np.asarray(open_frames(next((tmp_path / "out").glob("*_master.h5"))).data[:])
    assert np.array_equal(stored[0, :3], array[0, :3])


@contextmanager
def daq() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.settimeout(60)
        yield made


def rules_for(listener: socket.socket) -> RuleSet:
    safe = f"udp://127.0.0.1:{listener.getsockname()[1]}"
    return RuleSet.of_texts([f"when sum.counts < 0 : send udp://127.0.0.1:9 else send {safe}"])


def test_safe_actions_of_a_frame_loop_that_is_killed_are_sent_by_the_session(
    scan: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    told: list[str] = []
    with daq() as listener:
        orders = Orders(
            f"replay:{scan[0]}", ("sum",), Wishes(rate=50, series=100), rules=rules_for(listener), armed=True,
            folder=tmp_path / "out",
        )  # fmt: skip
        with Session(orders, told.append) as session:
            while session.board.counters["answered"] < 3:
                session.turn()
            assert session._loop is not None
            os.kill(session._loop.process, signal.SIGKILL)
            with pytest.raises(ParscopeError, match="its process has died"):
                session.run()
        message = json.loads(listener.recv(2000))
    assert (message["action"], message["rule"], message["series"]) == ("safe", "rule-1", 1)
    assert told[-1].startswith("the safe action was sent to udp://127.0.0.1:")
    lines = list(read(next((tmp_path / "out").glob("*_decisions.jsonl"))))
    assert [line["reason"] for line in lines if line["t"] == "watchdog"] == ["its process has died"]
    assert lines[-1]["outcome"] == "safe" and lines[-1]["emitted"] > 0
    assert [line["t"] for line in lines].count("rules") == 1


def test_a_link_that_is_lost_in_the_middle_of_a_scan_is_answered_by_the_safe_action() -> None:
    with daq() as listener, Emulator(Scene(array=np.ones((40, 50, 16, 16), np.uint8)), rate=200) as detector:
        orders = Orders(
            detector.stream, ("sum",), policy=Policy((40, 50), newest=True), rules=rules_for(listener), armed=True
        )
        with Session(orders) as session:
            detector.wait_for_clients()
            detector.start()
            while session.board.counters["answered"] < 20:
                session.turn()
            os.kill(detector.pid, signal.SIGSTOP)
            message = json.loads(listener.recv(2000))
            os.kill(detector.pid, signal.SIGCONT)
            assert session.board.armed
    assert message["action"] == "safe"


def test_a_loop_that_ends_armed_leaves_the_instrument_in_its_safe_state(
    scan: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    with daq() as listener:
        orders = Orders(
            f"replay:{scan[0]}", ("sum",), Wishes(rate=0), rules=rules_for(listener), armed=True, folder=tmp_path
        )
        with Session(orders) as session:
            session.run()
            assert not session.board.armed
        assert json.loads(listener.recv(2000))["action"] == "safe"
    lines = list(read(next(tmp_path.glob("*_decisions.jsonl"))))
    assert [line["reason"] for line in lines if line["t"] == "watchdog"] == ["the analysis has ended"]


def test_a_recorder_that_is_killed_does_not_hold_up_the_analysis(tmp_path: Path) -> None:
    array = np.random.default_rng(3).integers(0, 60_000, (40, 10, 32, 32)).astype(np.uint16)
    np.save(tmp_path / "scan.npy", array)
    told: list[str] = []
    orders = Orders(f"replay:{tmp_path / 'scan.npy'}", ("sum",), folder=tmp_path / "out", record=True, buffer=1 << 17)
    with Session(orders, told.append) as session:
        assert session._recorder is not None
        os.kill(session._recorder.process, signal.SIGKILL)
        session.run()
    (one,) = session.finished
    assert one.report.fates["answered"] == 400
    assert (one.recorded, len(told), len(session.faults)) == (None, 1, 1)
    assert told[0] == "recorder: its process has died (exit code -9)"
    assert ours() == []


def test_what_a_recorder_had_recorded_when_it_was_killed_is_readable(tmp_path: Path) -> None:
    array = np.random.default_rng(3).poisson(4, (20, 10, 32, 32)).astype(np.uint16)
    np.save(tmp_path / "scan.npy", array)
    told: list[str] = []
    orders = Orders(f"replay:{tmp_path / 'scan.npy'}", ("sum",), Wishes(rate=100), folder=tmp_path / "out", record=True)
    with Session(orders, told.append) as session:
        assert session._recorder is not None
        while session.board.counters["recorded"] < 60:
            session.turn()
        os.kill(session._recorder.process, signal.SIGKILL)
        session.run()
    (master,) = (tmp_path / "out").glob("*_master.h5")
    assert told == [
        "recorder: its process has died (exit code -9)",
        f"what had been recorded until then is in {master}",
    ]
    frames = open_frames(master)
    stored = np.asarray(frames.data[:]).reshape(-1, 32, 32)
    there = (stored != 65535).any((1, 2))
    assert np.array_equal(stored[there], array.reshape(-1, 32, 32)[there])
    assert len(stored) == 200
    assert not list((tmp_path / "out").glob(".*"))


KILLED = """
import os, signal, sys
from pathlib import Path
from parscope.live.pipeline.session import Session
from parscope.live.pipeline.workers import Orders
from parscope.live.sources.address import Wishes
if __name__ == "__main__":
    orders = Orders(f"replay:{sys.argv[1]}", ("sum",), Wishes(rate=50, series=1000), folder=Path("out"), record=True)
    with Session(orders) as session:
        while session.board.counters["recorded"] < 10:
            session.turn()
        print(os.getpid(), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_processes_of_a_session_that_is_killed_end_and_its_memory_goes(
    scan: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    (tmp_path / "killed.py").write_text(KILLED)
    command = [sys.executable, str(tmp_path / "killed.py"), str(scan[0])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert done.stderr == ""  # it is at its end when the last process has ended
    masters = sorted((tmp_path / "out").glob("*_master.h5"))
    assert masters and all(open_frames(master).scan_shape == (4, 5) for master in masters)
    with Segment.create(4096):  # whoever is next clears away
        assert not list(folder().glob(f"parscope-live-{done.stdout.strip()}-*"))
    assert not list((tmp_path / "out").glob(".*"))


def test_a_folder_that_cannot_be_written_is_refused_at_once(scan: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    orders = Orders(f"replay:{scan[0]}", ("sum",), folder=tmp_path / "file" / "out", record=True)
    with pytest.raises(OutputError, match="choose another folder"), Session(orders):
        pass
    assert ours() == []


def test_a_disk_that_takes_no_more_ends_the_recording_alone(tmp_path: Path) -> None:
    array = np.random.default_rng(3).integers(0, 60_000, (10, 10, 32, 32)).astype(np.uint16)
    np.save(tmp_path / "scan.npy", array)
    told: list[str] = []
    orders = Orders(f"replay:{tmp_path / 'scan.npy'}", ("sum",), folder=tmp_path / "out", record=True)
    session = Session(orders, told.append)
    with files_up_to(100_000):
        session.__enter__()
    session.run()
    session.close()
    (line,) = told
    assert line.startswith("--record: recording has stopped, what was recorded is readable: ")
    assert [str(fault) for fault in session.faults] == [line]
    (one,) = session.finished
    assert one.report.fates["answered"] == 100
    assert one.saved is not None
    assert ours() == []
