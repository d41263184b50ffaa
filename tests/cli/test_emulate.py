"""The verb emulate, as people and programs use it."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from parscope.cli.main import app
from tests.cli.emulating import PORTS, emulating
from tests.live.emulator.listening import listening


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan in a folder without anything else."""
    monkeypatch.chdir(tmp_path)
    np.save("scan.npy", np.random.default_rng(0).poisson(3, (4, 5, 32, 32)).astype(np.uint8))
    np.save("wave.npy", np.zeros((2, 2, 8, 8), np.float32))


def test_a_client_arms_it_over_http_and_ctrl_c_ends_it() -> None:
    options = (
        "--file",
        "scan.npy",
        "--scan",
        "10x10",
        "--rate",
        "4000",
        "--fault",
        "drop=0.1",
        "--log",
        "new/log.jsonl",
    )
    with emulating(*options, "--set", "stream/header_detail=all") as (process, at):
        assert set(at) == {"SIMPLON 1.8.0", "stream V2", "stream V1"}
        base = at["SIMPLON 1.8.0"]
        with listening(at["stream V2"]) as client:
            assert httpx.put(f"{base}command/initialize").status_code == 200
            while httpx.get(f"{base.replace('detector', 'stream')}status/clients").json()["value"] < 1:
                pass
            assert httpx.get(f"{base}config/ntrigger").json()["value"] == 100
            assert httpx.put(f"{base}command/arm").json() == {"sequence id": 1}
            said = process.stdout.readline() if process.stdout else ""
            sent = re.fullmatch(r"series 1: 100 images, (\d+) sent, \d+ per second( \(\d+ late\))?; drop (\d+)\n", said)
            assert sent is not None
            assert int(sent[1]) + int(sent[3]) == 100
            client.await_messages(int(sent[1]) + 2)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    head, fault = [json.loads(line) for line in Path("new/log.jsonl").read_text().splitlines()]
    assert (head["event"], head["images"], head["sent"]) == ("series", 100, int(sent[1]))
    assert (fault["fault"], len(fault["images"])) == ("drop", int(sent[3]))


def test_series_may_start_by_themselves_when_a_client_is_there() -> None:
    options = ("--file", "scan.npy", "--rate", "0", "--start", "2", "--set", "stream/format=legacy")
    with emulating(*options) as (process, at), listening(at["stream V1"]) as client:
        client.await_messages(44)
        said = process.stdout.read() if process.stdout else ""
        assert process.wait(60) == 0
    assert [line.split(",")[:2] for line in said.splitlines()] == [
        ["series 1: 20 images", " 20 sent"],
        ["series 2: 20 images", " 20 sent"],
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pilatus"], "DETECTOR: there is no 'pilatus'; choose one of arina"),
        (["--fault", "fire=1"], "--fault: there is no fault 'fire'; choose one of drop, duplicate"),
        (["--trigger", "often"], "--trigger: 'often' is no rate; write it as 5000, or hand"),
        (["--trigger", "-5"], "--trigger: '-5' is no rate"),
        (["--trigger", "nan"], "--trigger: 'nan' is no rate"),
        (["--trigger", "inf"], "--trigger: 'inf' is no rate"),
        (["--rate", "nan"], "rate: nan is not within 0 and 1e6 per second"),
        (["--seed", "-1"], "Invalid value for '--seed'"),
        (["--start", "-1"], "Invalid value for '--start'"),
        (["--queue", "-1"], "Invalid value for '--queue'"),
        (["--queue", "0"], "Invalid value for '--queue'"),
        (["--set", "speed"], "--set: 'speed' is no parameter; write it as detector/roi_mode=merge2x2"),
        (["--scan", "0x4"], "--scan: '0x4' is not above zero"),
        (["--rate", "-1"], "rate: -1.0 is not within 0 and 1e6 per second"),
        (["--file", "none.h5"], "none.h5: no such file"),
        (["--physics", "wood"], "specimen: there is no 'wood'; choose one of crystal, magnetic"),
        (
            ["--physics", "magnetic", "--file", "scan.npy"],
            "--physics: the patterns are those of the file; leave it out",
        ),
        (["--file", "wave.npy"], "wave.npy: its patterns are float32, not counts"),
        (
            ["--file", "scan.npy", "--files", "scan.npy"],
            "scan.npy: cannot be written (File exists); choose another folder",
        ),
        (["--file", "scan.npy", "--set", "detector/colour=red"], "--set: there is no detector/colour"),
        (["--file", "scan.npy", "--set", "detector/nimages=0"], "nimages: 0 is not within 1"),
    ],
)
def test_what_cannot_be_emulated_is_said_in_one_line(arguments: list[str], said: str) -> None:
    answer = CliRunner().invoke(app, ["emulate", *arguments, *PORTS])
    assert answer.exit_code == 2
    assert said in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


def test_a_port_that_is_taken_is_said_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        arguments = ["emulate", "--file", "scan.npy", "--rest-port", "0", "--stream-port", str(port), "--v1-port", "0"]
        answer = CliRunner().invoke(app, arguments)
    assert (answer.exit_code, f"127.0.0.1:{port}: cannot listen" in answer.stderr) == (2, True)


@pytest.mark.parametrize(("module", "library"), [("zmq", "pyzmq"), ("uvicorn", "FastAPI")])
def test_a_library_that_is_missing_is_named(module: str, library: str) -> None:
    hidden = f"import sys; sys.modules[{module!r}] = None; from parscope.cli.main import run; run()"
    command = [sys.executable, "-c", hidden, "emulate", *PORTS, "--file", "scan.npy", "--start", "1"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == f"parscope: {library} is not installed; run: pip install 'parscope[live]'\n"
