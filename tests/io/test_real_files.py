"""Real files of many microscopes, and small files damaged at random: they open, or are refused in one line."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from parscope.core.errors import FormatError, InputError, ParscopeError, UnreadableError
from parscope.core.frames import Frames
from parscope.io import open_frames
from parscope.io.em import EmCube

Write = Callable[[str], tuple[Path, NDArray[Any]]]
Options = Callable[[str], dict[str, Any]]
Open = Callable[[str], tuple[Frames, NDArray[Any]]]


def test_every_real_file_opens_or_is_refused_in_one_line(samples: Path) -> None:
    opened, refused = {}, {}
    for path in sorted(p for p in samples.rglob("*") if p.is_file()):
        try:
            frames = open_frames(path)
        except ParscopeError as error:
            refused[path.name] = str(error)
        else:
            opened[path.name] = frames.data[:].shape
    assert [name for name, line in refused.items() if "\n" in line or name not in line] == []
    assert opened == {"ncempy_emd_type1_stringDims.h5": (3, 4, 5, 6)}


def test_a_master_file_without_its_data_file(samples: Path) -> None:
    with pytest.raises(UnreadableError, match=r"au_145mm_68kx_microprobe_01_data_000001\.h5.*missing"):
        open_frames(samples / "dectris" / "au_145mm_68kx_microprobe_01_master.h5")


def test_a_real_master_file_with_a_data_file(samples: Path, tmp_path: Path) -> None:
    import h5py

    master = shutil.copy(samples / "dectris" / "au_145mm_68kx_microprobe_01_master.h5", tmp_path)
    with h5py.File(tmp_path / "au_145mm_68kx_microprobe_01_data_000001.h5", "w") as file:
        file.create_dataset("entry/data/data", (4096, 192, 192), np.uint32, chunks=(1, 192, 192), fillvalue=3)
    frames = open_frames(master)
    assert frames.data.shape == (64, 64, 192, 192)
    assert frames.metadata["scan_shape_guessed"] is True
    assert frames.metadata["saturation_value"] == 16738
    assert frames.metadata["entry/instrument/detector/count_time"] == pytest.approx(1.995e-4)
    assert frames.mask is not None
    assert int(frames.data[63, 63].sum()) == 3 * 192 * 192


@pytest.mark.parametrize(
    ("name", "found"),
    [("tem_dm/ncempy_3D_int16.dm4", "(66, 65, 64)"), ("tem_tia/16_STOimage_1.ser", "(1024, 1024)")],
)
def test_vendor_files_that_are_not_4d(samples: Path, name: str, found: str) -> None:
    with pytest.raises(FormatError, match="not 4D") as caught:
        open_frames(samples / name)
    assert found in str(caught.value)


def test_a_vendor_stack_with_its_scan_shape(samples: Path) -> None:
    frames = open_frames(samples / "tem_dm" / "ncempy_3D_int16.dm4", scan_shape=(11, 6))
    assert frames.data.shape == (11, 6, 65, 64)
    whole = frames.data[:]
    np.testing.assert_array_equal(frames.data[3:5, 2], whole[3:5, 2])
    assert whole.std() > 0


def test_velox_files_are_refused_with_what_they_hold(samples: Path) -> None:
    for path in (samples / "tem_velox").glob("*.emd"):
        with pytest.raises(FormatError, match=r"no 4D data set; it holds /Data/"):
            open_frames(path)


def test_damaged_files_never_show_a_foreign_exception(written: Write, options: Options, name: str) -> None:
    path, _ = written(name)
    rng, lines = np.random.default_rng(11), []
    files = [p for p in path.parent.rglob("*") if p.is_file()]
    for turn in range(16):
        file = files[turn % len(files)]
        whole = file.read_bytes()
        damaged = bytearray(whole)
        if turn % 4 == 3:
            damaged = damaged[: int(rng.integers(1, len(damaged)))]
        else:
            # headers are short: half of the flips go there
            reach = len(damaged) if turn % 2 else min(len(damaged), 2000)
            for place in rng.integers(0, reach, 12):
                damaged[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(damaged)
        try:
            frames = open_frames(path, **options(name))
            with contextlib.closing(frames.data) as data:
                data[0, 0]
                data[-1]
        except ParscopeError as error:
            lines.append(str(error))
        file.write_bytes(whole)
    assert lines
    assert [line for line in lines if "\n" in line] == []


def test_the_helper_process_ends_with_its_parent(written: Write) -> None:
    path, _ = written("blo")
    code = (
        "import sys, time; from parscope.io import open_frames; f = open_frames(sys.argv[1]); f.data[0];"
        "print(f.data._handle.process.popen.pid, 'rsciio' in sys.modules, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, imported = parent.stdout.readline().split()
        assert imported == "False"
        os.kill(int(pid), 0)
        parent.kill()
    deadline = time.monotonic() + 20
    while alive(int(pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(int(pid))


def alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be reaped does not."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_death_of_the_helper_process_is_told_and_survived(opened: Open) -> None:
    frames, data = opened("blo")
    assert isinstance(frames.data, EmCube)
    np.testing.assert_array_equal(frames.data[0], data[0])
    frames.data._handle.process.popen.send_signal(signal.SIGKILL)
    with pytest.raises(UnreadableError, match=r"ended with code -9"):
        frames.data[1]
    np.testing.assert_array_equal(frames.data[1], data[1])


def test_a_missing_library_names_its_extra(tmp_path: Path) -> None:
    (tmp_path / "a.blo").write_bytes(b"IMGBLO" + bytes(100))
    (tmp_path / "hidden.py").write_text(
        "import importlib.util as u, sys\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'rsciio' else find(name, *rest)\n"
    )
    code = "import hidden, sys; from parscope.io import open_frames; open_frames(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a.blo"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "rosettasciio is not installed; run: pip install 'parscope[em]'" in done.stderr


def test_a_vendor_file_that_is_cut_short(written: Write) -> None:
    path, _ = written("blo")
    path.write_bytes(path.read_bytes()[:6000])
    with pytest.raises(InputError):
        open_frames(path).data[:]
