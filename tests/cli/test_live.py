"""The verbs live and tee, as people use them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zmq
from click.testing import Result
from typer.testing import CliRunner

from parscope.cli.main import app
from parscope.core.stream import Fate
from parscope.io.open import open_frames
from parscope.live.emulator import Emulator, Scene
from parscope.live.pipeline.memory import folder

COMMAND = [sys.executable, "-c", "from parscope.cli.main import run; run()"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARSCOPE_CATALOG", str(tmp_path / "lab.db"))


@pytest.fixture
def array() -> np.ndarray:
    return np.random.default_rng(3).poisson(4, (6, 8, 32, 24)).astype(np.uint8)


def live(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["live", "--no-page", *arguments])


def our_memory() -> list[str]:
    return [path.name for path in folder().glob(f"parscope-live-{os.getpid()}-*")]


def test_a_file_is_replayed_recorded_and_in_the_catalog(array: np.ndarray) -> None:
    np.save("scan.npy", array)
    answer = live("replay:scan.npy", "--analyse", "com,sum", "--record", "out", "--json", "--deadline", "1s")
    assert answer.exit_code == 0, answer.output
    (told,) = json.loads(answer.stdout)
    assert told["report"]["fates"] == {"waiting": 0, "answered": 48, "skipped": 0, "lost": 0, "damaged": 0, "filled": 0}
    assert (told["scan_shape"], told["written"]) == ([6, 8], 48)
    maps = xr.open_zarr(told["maps"])
    assert np.array_equal(maps["sum.counts"], array.sum((2, 3)))
    assert maps["sum.counts"].attrs["units"] == "counts"
    assert (maps["fate"] == Fate.ANSWERED).all()
    assert json.loads(maps.attrs["latency"])["deadline_us"] == 1e6
    assert np.array_equal(np.asarray(open_frames(told["recorded"][0]).data[:]), array)
    maps.close()
    found = CliRunner().invoke(app, ["find", "--json", ""]).stdout
    assert {"4D-STEM"} <= {json.loads(line)["document"].get("kind") for line in found.splitlines()}
    assert our_memory() == []


def test_ctrl_c_ends_a_session_kindly_and_rules_are_journalled(array: np.ndarray) -> None:
    scene = Scene(array=array, scan=(60, 80))
    with Emulator(scene, rate=2000) as detector:
        command = [*COMMAND, "live", detector.stream, "--analyse", "sum", "--out", "new/out", "--json", "--no-page"]
        command += ["--rule", "when sum.counts > 1 every 1 s: send udp://127.0.0.1:9", "--dry-run"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            detector.wait_for_clients()
            detector.start()
            while detector.status["sent"] < 200:
                time.sleep(0.02)
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, ""), err
    (told,) = json.loads(out.splitlines()[-1])
    fates = told["report"]["fates"]
    assert fates["answered"] >= 1
    assert sum(fates.values()) == 4800
    assert (told["written"], told["recorded"]) == (None, None)
    lines = [json.loads(line) for line in next(Path("new/out").glob("*_decisions.jsonl")).read_text().splitlines()]
    assert {"rules", "series", "decision"} <= {line["t"] for line in lines}
    assert not any(line.get("emitted") for line in lines)


def test_a_wrong_scan_shape_of_a_detector_is_one_line(array: np.ndarray) -> None:
    with Emulator(Scene(array=array), rate=0) as detector:
        threading.Thread(target=lambda: (detector.wait_for_clients(), detector.run()), daemon=True).start()
        answer = live(detector.stream, "--scan", "6x9", "--analyse", "sum")
    assert (answer.exit_code, len(answer.stderr.splitlines())) == (2, 1)
    assert "--scan: 6 x 9 are 54 positions, series 1 has 48; give the shape of this scan" in answer.stderr
    assert our_memory() == []


def test_a_series_is_told_on_lines_and_none_on_one(array: np.ndarray) -> None:
    np.save("scan.npy", array)
    lines = live("replay:scan.npy", "--analyse", "sum", "--deadline", "1s").stdout.splitlines()
    assert lines[:2] == ["series 1", "  48 positions: 48 answered"]
    with Emulator(Scene(array=array)) as detector:
        answer = live(detector.stream, "--analyse", "sum", "--duration", "1s")
    assert (answer.exit_code, answer.stdout) == (0, "")
    assert answer.stderr.splitlines() == [f"no series of {detector.stream} began meanwhile"]


def test_nothing_there_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    answer = live(f"tcp://127.0.0.1:{port}", "--scan", "4x4")
    assert (answer.exit_code, len(answer.stderr.splitlines())) == (2, 1)
    assert "nothing listens there; is the stream enabled, and the port right?" in answer.stderr
    assert our_memory() == []


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("nowhere",), "nowhere: is no address of a source; write tcp://HOST:31001"),
        (("tcp://host",), "is no address of a stream"),
        (("physics:", "--analyse", "everything"), "there is no 'everything'"),
        (("physics:", "--deadline", "soon"), "--deadline: 'soon' is no time above zero; write it as 200us"),
        (("physics:", "--deadline", "0us"), "is no time above zero"),
        (("physics:", "--policy", "oldest"), "--policy: there is no 'oldest'; choose one of all, newest"),
        (("physics:", "--arm"), "there are no rules"),
        (
            ("physics:", "--arm", "--rule", "when sum > 1: send udp://a:1"),
            "--arm: what rules do would be noted nowhere; give --out or --record for the journal",
        ),
        (("physics:", "--port", "8400"), "--port, --no-page: there is no page; leave one of them out"),
        (("physics:", "--port", "70000"), "'--port': Input should be less than or equal to 65535"),
        (("physics:", "--port", "-1"), "'--port': Input should be greater than or equal to 0"),
        (
            ("physics:", "--record", "a", "--out", "b"),
            "--out: the maps go with the patterns; leave it out, or --record",
        ),
        (("physics:", "--scan", "64"), "--scan"),
        (("physics:", "--rule", "when nothing: send udp://a:1"), "rule, column 13"),
        (("physics:", "--rule", "when sum.counts > 1: send udp://a:1"), "sum.counts"),
    ],
)
def test_what_cannot_be_done_is_one_line(arguments: tuple[str, ...], line: str) -> None:
    answer = live(*arguments)
    assert (answer.exit_code, len(answer.stderr.splitlines())) == (2, 1), answer.output
    assert line in answer.stderr
    assert our_memory() == []


def test_a_tee_gives_all_to_each() -> None:
    context = zmq.Context()
    push = context.socket(zmq.PUSH)
    port = push.bind_to_random_port("tcp://127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = [server.getsockname()[1] for server in (one, two)]
    command = [*COMMAND, "tee", f"tcp://127.0.0.1:{port}", "--to", str(ports[0]), "--to", str(ports[1])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(f"tcp://127.0.0.1:{port} -> ")
        pulls = [context.socket(zmq.PULL) for _ in ports]
        for pull, to in zip(pulls, ports, strict=True):
            pull.connect(f"tcp://127.0.0.1:{to}")
            pull.setsockopt(zmq.RCVTIMEO, 10_000)
        time.sleep(0.5)
        sent = [[b"%d" % number, b"x" * 1000] for number in range(500)]
        for parts in sent:
            push.send_multipart(parts)
        assert [[pull.recv_multipart() for _ in sent] for pull in pulls] == [sent, sent]
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    for made in (push, *pulls):
        made.close(0)
    context.term()
    assert process.returncode == 0
    assert out.splitlines()[0] == "500 messages"
    assert all(line.endswith("500 passed on, 0 dropped") for line in out.splitlines()[1:])


def test_a_tee_says_what_is_wrong() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        answer = CliRunner().invoke(app, ["tee", "tcp://nowhere.invalid:1", "--to", str(taken)])
        assert (answer.exit_code, len(answer.stderr.splitlines())) == (2, 1)
        context = zmq.Context()
        push = context.socket(zmq.PUSH)
        port = push.bind_to_random_port("tcp://127.0.0.1")
        answer = CliRunner().invoke(app, ["tee", f"tcp://127.0.0.1:{port}", "--to", str(taken)])
        push.close(0)
        context.term()
    assert answer.exit_code == 2
    assert f"port {taken}: cannot listen" in answer.stderr
