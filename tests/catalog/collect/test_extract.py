"""Whatever a reader does, there is an answer, and the next file is read as if nothing had been."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from parscope.catalog.collect.document import of_description
from parscope.catalog.collect.extract import Extractor
from parscope.core.description import Description
from parscope.core.errors import CatalogError
from tests.catalog.collect.played_describer import play


@pytest.fixture(scope="module")
def extractor() -> Iterator[Extractor]:
    with Extractor() as made:
        yield made


def test_a_file_is_read(extractor: Extractor, folder: Path) -> None:
    path = play(folder / "a.play", number=1.5e-06, nan=float("nan"))
    told = extractor(path, folder, path.stat().st_size)
    assert (told.error, told.reader) == (None, f"played: numpy {np.__version__}")
    assert told.document["vendor"]["number"] == 1.5e-06
    assert np.isnan(told.document["vendor"]["nan"])
    assert told.document["file"] == {"bytes": path.stat().st_size, "suffix": ".play"}
    assert told.thumbnail is not None and told.thumbnail.startswith(b"\x89PNG")


@pytest.fixture
def _in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as there:
        there.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_in_berlin")
@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("2024-07-05T10:30:00", "2024-07-05T10:30:00+02:00"),
        ("2024-01-05T10:30:00.25", "2024-01-05T10:30:00.250000+01:00"),
        ("2024-07-05T10:30:00+00:00", None),
        ("", None),
        ("once", None),
    ],
)
def test_a_time_without_a_zone_is_of_the_zone_of_this_machine(told: str, kept: str | None) -> None:
    document = of_description(Path("a"), 1, Description("played", "image", "numpy 2", acquired=told))
    assert document.get("acquired", "") == (kept or told)
    assert document.get("assumed") == (["time zone of acquired"] if kept else None)


FAULTS = {
    "refuse": "this file: is of no use; throw it away",
    "fail": r"its reader failed with ZeroDivisionError: one by \x1b[31mnothing\x00",
    "leave": "its reader crashed (exit code 3)",
    "vanish": "its reader crashed (exit code 4)",
    "crash": "its reader crashed (SIGSEGV)",
    "devour": "its reader needs more than 4 GB of memory",
    "write": "its reader failed with OSError: [Errno 27] File too large",
    "talk": "has 20 MB of metadata, and at most 16 MB are kept",
    "deepen": "the document is more than 100 levels deep",
    "spin": "its reader did not end within 1 s",
    "print": "its reader did not end within 1 s",
}


@pytest.mark.parametrize("do", FAULTS)
def test_a_reader_that_goes_wrong_is_an_error_of_its_file_alone(
    extractor: Extractor, folder: Path, do: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, good = play(folder / "bad.play", do), play(folder / "good.play", answer=do)
    with monkeypatch.context() as hurried:
        hurried.setattr(extractor, "seconds", 1.0 if "within" in FAULTS[do] else 60.0)
        told = extractor(path, folder, 100)
    assert told.error == FAULTS[do]
    assert told.document == {
        "kind": "unread",
        "name": "bad.play",
        "error": told.error,
        "file": {"bytes": 100, "suffix": ".play"},
    }
    assert extractor(good, folder, 100).document["vendor"]["answer"] == do


def test_scans_larger_than_all_memory_are_read(extractor: Extractor, folder: Path) -> None:
    """Only what is looked at is read; the files have holes instead of patterns, and take no room."""
    shape = (300, 300, 256, 256)
    header = np.lib.format.header_data_from_array_1_0(np.zeros((0, *shape[1:]), np.uint16)) | {"shape": shape}
    array, volume = folder / "scan.npy", folder / "scan.mrc"
    with array.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
    with mrcfile.new(volume) as made:
        made.set_data(np.zeros((2, 256, 256), np.int16))
        made.header.nz = made.header.mz = 300 * 300
    for path in (array, volume):
        os.truncate(path, path.stat().st_size + 2 * np.prod(shape))
        told = extractor(path, folder, path.stat().st_size)
        assert told.error is None
        assert np.prod(told.document["signals"][0]["shape"]) == np.prod(shape)
        assert told.thumbnail is not None


def test_what_cannot_be_drawn_is_told_all_the_same(extractor: Extractor, folder: Path) -> None:
    told = extractor(play(folder / "a.play", "daub", number=3), folder, 1)
    assert (told.error, told.thumbnail, told.document["vendor"]["number"]) == (None, None, 3)
    assert told.document["warnings"][0].startswith("It could not be drawn (ValueError: ")


def test_a_process_that_cannot_be_started_is_not_the_fault_of_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with Extractor() as extractor, pytest.raises(CatalogError, match="the process that reads files: cannot be started"):
        extractor(play(folder / "a.play"), folder, 1)


def test_a_process_that_ends_before_it_reads_anything_is_not_the_fault_of_the_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "h5py.py").write_text("raise ImportError('half installed')")
    (tmp_path / "numpy.py").write_text("raise ImportError('half installed')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with (
        Extractor() as extractor,
        pytest.raises(CatalogError, match="cannot be started: exit code 1; see that parscope"),
    ):
        extractor(play(folder / "a.play"), folder, 1)


def test_the_answer_of_a_fork_is_not_taken_for_that_of_the_next_file(extractor: Extractor, folder: Path) -> None:
    play(folder / "fork.play", "fork")
    for number in range(4):
        extractor(folder / "fork.play", folder, 1)
        told = extractor(play(folder / "next.play", number=number), folder, 1)
        assert told.document["vendor"]["number"] == number


def test_what_a_reader_started_ends_with_it(extractor: Extractor, folder: Path) -> None:
    note = folder / "pid"
    assert extractor(play(folder / "breed.play", "breed", note=str(note)), folder, 1).error
    stat = Path(f"/proc/{note.read_text()}/stat")
    for _ in range(100):
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.02)
    pytest.fail("it lives")


def test_a_parent_that_is_killed_leaves_nothing_behind(folder: Path, played: Path) -> None:
    path = play(folder / "a.play")
    script = (
        "import os, sys, pathlib; from parscope.catalog.collect.extract import Extractor; reader = Extractor();"
        "path = pathlib.Path(sys.argv[1]); reader(path, path.parent, 1);"
        "print(reader._process.popen.pid, reader._process.folder.name, flush=True); os.kill(os.getpid(), 9)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(played), *sys.path])}
    command = [sys.executable, "-c", script, str(path)]
    said = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False).stdout.split()
    for _ in range(200):
        if not Path("/proc", said[0]).exists() and not Path(said[1]).exists():
            return
        time.sleep(0.05)
    pytest.fail("it lives")


def test_nothing_outside_of_the_folder_is_left_behind(folder: Path) -> None:
    with Extractor() as extractor:
        extractor(play(folder / "write.play", "write"), folder, 1)
        process = extractor._process
        assert process is not None
        place = Path(process.folder.name)
        assert place.is_dir()
    assert not place.exists()
    assert not Path(f"/proc/{process.popen.pid}").exists()
