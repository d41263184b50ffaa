"""The verbs collect and verify, as people use them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from parscope.cli.main import app

COMMAND = [sys.executable, "-c", "from parscope.cli.main import run; run()"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two scans and something that no reader knows, in the folder of an instrument."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARSCOPE_CATALOG", str(tmp_path / "lab.db"))
    Path("instrument").mkdir()
    np.save("instrument/one.npy", np.zeros((2, 3, 8, 8), np.uint16))
    np.save("instrument/two.npy", np.ones((16, 16), np.float32))
    Path("instrument/unknown.bin").write_bytes(b"\0\xff\0\xff no format")
    Path("instrument/three.npy.part").write_bytes(b"half")


def collect(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["collect", *arguments])


def verify(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["verify", *arguments])


def test_a_folder_is_collected_and_verified(tmp_path: Path) -> None:
    answer = collect("instrument", "--once", "--settle", "0")
    assert answer.exit_code == 0
    first, *others = answer.stdout.splitlines()
    assert first == "0 queued, 2 done, 1 quarantined, 0 missing"
    assert [line.partition("\t")[0] for line in others] == [str(tmp_path / "instrument" / "unknown.bin")]
    assert answer.stderr == "passed over: 1 unfinished files (.part, .tmp, ~, locks)\n"
    told = json.loads(collect("--status", "--json").stdout)
    assert told.pop("errors")[0]["path"] == str(tmp_path / "instrument" / "unknown.bin")
    assert told == {"queued": 0, "done": 2, "quarantined": 1, "missing": 0}
    answer = verify()
    assert (answer.exit_code, answer.stdout) == (0, "3 files are whole, 0 are not (0.0 MB read)\n")
    answer = verify("--resume")
    assert answer.stdout.startswith("3 files are whole")
    assert answer.stderr == "no verification had been stopped: this one read all files\n"


def test_a_damaged_file_is_reported_with_an_exit_code_of_its_own(tmp_path: Path) -> None:
    collect("instrument", "--once", "--settle", "0")
    path = tmp_path / "instrument" / "two.npy"
    told = path.stat()
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))
    (tmp_path / "instrument" / "one.npy").unlink()
    answer = verify("--rate", "100")
    assert answer.exit_code == 3
    first, *others = answer.stdout.splitlines()
    assert first.startswith("1 files are whole, 2 are not")
    faults = {Path(line.split("\t")[2]).name: line.split("\t")[0] for line in others}
    assert faults == {"one.npy": "missing", "two.npy": "damaged"}
    assert {fault["fault"] for fault in json.loads(verify("--json").stdout)["faults"]} == {"missing", "damaged"}


def test_a_disk_that_is_not_mounted_is_said_and_nothing_is_marked_missing() -> None:
    collect("instrument", "--once", "--settle", "0")
    Path("instrument").rename("mounted")
    Path("instrument").mkdir()
    answer = collect("instrument", "--once", "--settle", "0")
    assert answer.exit_code == 2
    assert "is empty, though the catalog has files of it; none of them is marked missing" in answer.stderr
    assert json.loads(collect("--status", "--json").stdout)["missing"] == 0


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (("collect", "nowhere", "--once"), "nowhere: there is no such folder; check the path"),
        (("collect",), "FOLDER: no folder is given; name the folder in which your instruments save"),
        (("collect", "--status"), "there is no catalog"),
        (("verify",), "there is no catalog"),
        (("collect", "instrument", "--once", "--catalog", "instrument"), "is a folder, not a catalog"),
        (
            ("collect", "instrument", "--once", "--catalog", "instrument/one.npy"),
            "is not a catalog; it is left as it is",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line(command: tuple[str, ...], line: str) -> None:
    answer = CliRunner().invoke(app, command)
    assert (answer.exit_code, len(answer.stderr.splitlines())) == (2, 1)
    assert line in answer.stderr


def test_a_rate_is_above_zero() -> None:
    collect("instrument", "--once", "--settle", "0")
    answer = verify("--rate", "0")
    assert (answer.exit_code, answer.stderr) == (2, "parscope: --rate: 0 MB/s is no rate; give a number above 0\n")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_running_collector_kindly(sign: signal.Signals) -> None:
    command = [*COMMAND, "collect", "instrument", "--settle", "0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(300):
            time.sleep(0.1)
            told = collect("--status", "--json").stdout if Path("lab.db").exists() else "{}"
            if told.startswith("{") and json.loads(told).get("done") == 2:
                break
        process.send_signal(sign)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out.splitlines()[0]) == (0, "0 queued, 2 done, 1 quarantined, 0 missing")
    assert "Traceback" not in err
