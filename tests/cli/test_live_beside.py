"""What goes on beside a session that people start: its page, its reports, the catalog."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from parscope.catalog.store.catalog import Catalog
from parscope.cli.live_catalog import Shelf
from parscope.cli.main import app
from parscope.core.errors import CatalogError
from parscope.live.emulator import Emulator, Scene
from parscope.live.pipeline.memory import folder

RUN = "from parscope.cli.main import run; run()"
TRIAL = ("live", "physics:32x32", "--scan", "4x4", "--analyse", "sum")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARSCOPE_CATALOG", str(tmp_path / "lab.db"))


def without(*libraries: str) -> list[str]:
    """The command on a machine that lacks some libraries."""
    lacking = "".join(f"sys.modules[{library!r}] = None; " for library in libraries)
    return [sys.executable, "-c", f"import sys; {lacking}{RUN}"]


def our_memory() -> list[str]:
    return [path.name for path in folder().glob(f"parscope-live-{os.getpid()}-*")]


def until(holds: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


def test_there_is_a_page_unless_it_is_not_wanted() -> None:
    command = [sys.executable, "-c", RUN, *TRIAL, "--rate", "5", "--scan", "30x30"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = re.fullmatch(r"Watch it at (http://127\.0\.0\.1:\d+/)#token=\S+\n", process.stderr.readline())
        assert told
        with urllib.request.urlopen(told[1]) as page:
            assert page.status == 200
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


def test_a_port_that_is_taken_is_refused_before_anything_begins() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        answer = CliRunner().invoke(app, [*TRIAL, "--port", port, "--out", "out"])
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr == f"parscope: --port {port}: taken, or not for everybody to use; choose another with --port\n"
    assert not Path("out").exists()
    assert our_memory() == []


def test_without_the_libraries_of_the_page_there_is_a_note_and_an_analysis() -> None:
    done = subprocess.run([*without("fastapi"), *TRIAL], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr.startswith("there is no page: fastapi") and len(done.stderr.splitlines()) == 1
    assert "16 answered" in done.stdout


def test_decisions_that_are_not_kept_are_said_to_be() -> None:
    rule = ("--rule", "when sum > 1e9: send udp://127.0.0.1:9", "--no-page")
    answer = CliRunner().invoke(app, [*TRIAL, *rule])
    assert answer.exit_code == 0
    assert answer.stderr == "decisions are not kept: --out or --record give them a journal\n"
    assert CliRunner().invoke(app, [*TRIAL, *rule, "--out", "out"]).stderr == ""


def test_a_wrong_catalog_is_refused_at_once() -> None:
    Path("no.db").write_text("no catalog at all, but long enough to be looked at " * 100)
    answer = CliRunner().invoke(app, [*TRIAL, "--no-page", "--record", "out", "--catalog", "no.db"])
    assert (answer.exit_code, len(answer.stderr.splitlines())) == (2, 1)
    assert "no.db" in answer.stderr
    assert not Path("out").exists()


def test_a_recording_is_no_failure_where_nobody_has_a_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARSCOPE_CATALOG")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    arguments = (*TRIAL, "--no-page", "--record", "out")
    for lacking, line in (
        ((), "there is no catalog to take it: parscope collect out makes one"),
        (("sqlalchemy",), "the catalog takes nothing: sqlalchemy"),
    ):
        done = subprocess.run([*without(*lacking), *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0
        assert done.stderr.startswith(line) and len(done.stderr.splitlines()) == 1
        assert "16 of 16 patterns recorded" in done.stdout


def test_a_catalog_that_fails_afterwards_fails_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    np.save(tmp_path / "out" / "one.npy", np.zeros((2, 2, 8, 8), np.uint8))
    with Shelf(tmp_path / "out", str(tmp_path / "lab.db")) as shelf:
        (tmp_path / "lab.db").write_bytes(b"overwritten by somebody " * 1000)
        shelf.take(tmp_path / "out" / "one")
    told = capsys.readouterr().err.replace("Taking what was recorded into the catalog ...\n", "")
    assert told.startswith("not all is in the catalog (") and told.endswith(
        f"parscope collect {tmp_path / 'out'} takes it\n"
    )
    with pytest.raises(CatalogError):
        Shelf(tmp_path / "out", str(tmp_path / "lab.db"))


def test_only_the_files_of_a_series_are_taken_as_long_as_others_are_written(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for value, name in enumerate(("x_001_series_1_data", "x_002_series_2_data")):
        np.save(tmp_path / "out" / f"{name}.npy", np.full((2, 2, 8, 8), value, np.uint8))
    shelf = Shelf(tmp_path / "out", str(tmp_path / "lab.db"))
    shelf.take(tmp_path / "out" / "x_001_series_1")
    assert [job.result() for job in shelf._jobs] == [""]
    assert names(tmp_path / "lab.db") == ["x_001_series_1_data.npy"]
    shelf.__exit__(None, None, None)
    assert names(tmp_path / "lab.db") == ["x_001_series_1_data.npy", "x_002_series_2_data.npy"]


def names(catalog: Path) -> list[str]:
    """Files of which a catalog has a record."""
    with Catalog(catalog) as opened:
        return sorted(str(found.document["name"]) for found in opened.find().records)


def test_a_series_is_told_and_in_the_catalog_before_the_next_one_comes(tmp_path: Path) -> None:
    array = np.random.default_rng(3).poisson(4, (6, 8, 32, 24)).astype(np.uint8)
    with Emulator(Scene(array=array), rate=2000) as detector:
        command = [
            sys.executable,
            "-c",
            RUN,
            "live",
            detector.stream,
            "--analyse",
            "sum",
            "--record",
            "out",
            "--no-page",
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            detector.wait_for_clients()
            detector.run()
            assert next(line for line in process.stdout if "positions" in line) == "  48 positions: 48 answered\n"
            until(lambda: any(name.endswith("_master.h5") for name in names(tmp_path / "lab.db")))
            assert process.poll() is None
            detector.run()
            assert next(line for line in process.stdout if "positions" in line) == "  48 positions: 48 answered\n"
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert sum(name.endswith("_master.h5") for name in names(tmp_path / "lab.db")) == 2


def children(of: int) -> list[int]:
    """Processes that a session has started to work for it."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            parent = int(place.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            if parent == of and b"spawn_main" in place.joinpath("cmdline").read_bytes():
                found.append(int(place.name))
    return found


def test_what_was_over_is_told_when_the_rest_is_lost(tmp_path: Path) -> None:
    array = np.random.default_rng(3).poisson(4, (6, 8, 32, 24)).astype(np.uint8)
    with Emulator(Scene(array=array), rate=2000) as detector:
        command = [sys.executable, "-c", RUN, "live", detector.stream, "--analyse", "sum", "--out", "out", "--json"]
        with subprocess.Popen(
            [*command, "--no-page"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            detector.wait_for_clients()
            detector.run()
            until(lambda: list(Path("out").glob("*_live.zarr")))
            (loop,) = children(process.pid)
            os.kill(loop, signal.SIGKILL)
            out, err = process.communicate(timeout=60)
    assert (process.returncode, "its process has died" in err) == (2, True), err
    (told,) = json.loads(out)
    assert told["report"]["fates"]["answered"] == 48


@pytest.mark.parametrize(
    "command",
    [
        ("emulate", "--rest-port", "70000"),
        ("emulate", "--stream-port", "-1"),
        ("tee", "tcp://127.0.0.1:1", "--to", "0"),
    ],
)
def test_a_port_that_is_none_is_one_line(command: tuple[str, ...]) -> None:
    answer = CliRunner().invoke(app, command)
    assert (answer.exit_code, len(answer.stderr.splitlines())) == (2, 1)
    assert f"{command[-2]}': Input should be " in answer.stderr
