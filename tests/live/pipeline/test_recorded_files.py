"""What a recorder leaves behind can be opened by others, whatever came and whatever ended it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from parscope.io.open import open_frames
from parscope.live.pipeline.rescue import rescue
from parscope.live.wire.scan import scan as scan_message

from .conftest import SHAPE, series, whole
from .recording import Record, recording, stored, truth


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    with recording(tmp_path) as run:
        yield run


def by_rosettasciio(master: Path) -> np.ndarray:
    arina = pytest.importorskip("rsciio.arina")
    read: np.ndarray = arina.file_reader(str(master), navigation_shape=(3, 4))[0]["data"]
    return read


def by_libertem(master: Path) -> np.ndarray:
    """All patterns, through a function that LiberTEM applies to each."""
    api = pytest.importorskip("libertem.api")
    from libertem.executor.inline import InlineJobExecutor
    from libertem.udf.raw import PickUDF

    context = api.Context(executor=InlineJobExecutor(inline_threads=1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        opened = context.load("auto", path=str(master))
    picked: np.ndarray = context.run_udf(dataset=opened, udf=PickUDF(), roi=np.ones(opened.shape.nav, bool))[
        "intensity"
    ].raw_data
    return picked.reshape(tuple(opened.shape))


READERS = pytest.mark.parametrize("read", [by_rosettasciio, by_libertem])


@READERS
@pytest.mark.parametrize("per_file", [5, 4, 100])
def test_others_read_the_same(record: Record, read: object, per_file: int) -> None:
    there = [0, 1, 2, 4, 6, 7, 11]
    (done,) = record(whole(series(), there), per_file=per_file).done
    wanted = truth()
    wanted[[3, 5, 8, 9, 10]] = 255
    got = read(done.masters[0])  # type: ignore[operator]
    assert got.shape == (3, 4, *SHAPE)
    assert np.array_equal(got.reshape(-1, *SHAPE), wanted)


@READERS
def test_a_corrupt_pattern_keeps_nobody_from_the_others(record: Record, read: object) -> None:
    messages = whole(series())
    for number, place, value in ((3, 12, 0xFF), (5, 16, 0xF0), (8, 20, 0xEE)):
        good = scan_message(messages[number + 1]).channels[0]
        broken = bytearray(messages[number + 1])
        broken[good.offset + place] = value
        messages[number + 1] = bytes(broken)
    (done,) = record(messages).done
    with h5py.File(done.masters[0]) as master:
        apart = [int(name) for name in master["entry/parscope/damaged"]]
        assert master["entry/parscope/missing"][:].tolist() == apart
    assert set(apart) <= {3, 5, 8} and 3 in apart and len(apart) > 1
    got = read(done.masters[0]).reshape(-1, *SHAPE)  # type: ignore[operator]
    assert (got[apart] == 255).all()
    rest = np.setdiff1d(np.arange(12), [3, 5, 8])
    assert np.array_equal(got[rest], truth()[rest])


KILLED = """
import os, signal, sys
from pathlib import Path
from parscope.live.pipeline.recorder import Recorder
from parscope.live.pipeline.ring import Reader, Ring
from tests.live.pipeline.conftest import series, whole
if __name__ == "__main__":
    ring = Ring.create(1 << 20)
    reader = Reader(ring.name, lossless=True)
    made = Recorder(reader, lambda *_: Path(sys.argv[1]) / "s_001", (3, 4), per_file=3)
    for message in whole(series(dtype="uint8"), [0, 1, 2, 4, 5])[:int(sys.argv[2])]:
        ring.put(message, 0)
        made.step()
    for files in made._files.values():
        files.flush()
    ring.close()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("messages", "there"), [(6, [0, 1, 2, 4, 5]), (4, [0, 1, 2]), (1, [])])
def test_after_a_recorder_was_killed_all_files_are_there(tmp_path: Path, messages: int, there: list[int]) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in (str(Path.cwd()), *sys.path) if p)}
    command = [sys.executable, str(script), str(tmp_path), str(messages)]
    with subprocess.Popen(command, env=environment) as process:
        assert process.wait(60) == -signal.SIGKILL
    assert rescue(tmp_path, "s", process.pid) == [tmp_path / "s_001_master.h5"]
    frames = open_frames(tmp_path / "s_001_master.h5")
    assert frames.scan_shape == (3, 4)
    wanted = np.full((12, *SHAPE), 255, np.uint8)
    wanted[there] = truth()[there]
    assert np.array_equal(stored(tmp_path / "s_001_master.h5"), wanted)
    with h5py.File(tmp_path / "s_001_master.h5") as master:
        assert master["entry/parscope/missing"][:].tolist() == np.setdiff1d(np.arange(12), there).tolist()
        assert np.array_equal(master["entry/parscope/patterns"][:].reshape(-1, *SHAPE), wanted)
    assert not list(tmp_path.glob(".*"))
    assert rescue(tmp_path, "s", process.pid) == []
