"""A writer leaves either the whole file or nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from parscope.core.errors import OptionError, OutputError, ShapeError
from parscope.io import Layout, open_frames, row_blocks, write_frames

DATA = np.random.default_rng(0).poisson(2.0, (4, 3, 8, 8)).astype(np.uint8)
LAYOUT = Layout.plain((4, 3, 8, 8), "uint8")
GENERAL = ["npy", "npz", "raw", "hdf5", "emd", "nexus", "dectris", "electron-events", "zarr", "merlin"]


@pytest.mark.parametrize("kind", GENERAL)
def test_a_file_that_exists_is_not_replaced_unasked(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "a.mib"
    write_frames(target, [DATA], LAYOUT, format=kind)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError, match="exists already"):
        write_frames(target, [DATA * 0], LAYOUT, format=kind)
    assert sorted(tmp_path.rglob("*")) == before
    options: dict[str, Any] = {"raw": {"scan_shape": (4, 3), "pattern_shape": (8, 8), "dtype": "uint8"}}.get(kind, {})
    write_frames(target, [DATA + 1], LAYOUT, format=kind, overwrite=True)
    np.testing.assert_array_equal(open_frames(target, **options).data[:], DATA + 1)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted({p.relative_to(tmp_path).parts[0] for p in before})


@pytest.mark.parametrize("kind", GENERAL)
def test_what_does_not_add_up_leaves_nothing_behind(tmp_path: Path, kind: str) -> None:
    def broken() -> Iterator[NDArray[Any]]:
        yield DATA[:2]
        raise KeyboardInterrupt

    with pytest.raises(ShapeError, match="3 rows came of 4"):
        write_frames(tmp_path / "a", [DATA[:3]], LAYOUT, format=kind)
    with pytest.raises(ShapeError, match="does not fit"):
        write_frames(tmp_path / "a", [DATA, DATA[:1]], LAYOUT, format=kind)
    with pytest.raises(OutputError, match="promised uint8"):
        write_frames(tmp_path / "a", [DATA.astype(float)], LAYOUT, format=kind)
    with pytest.raises(KeyboardInterrupt):
        write_frames(tmp_path / "a", broken(), LAYOUT, format=kind)
    assert list(tmp_path.iterdir()) == []


def test_a_format_with_no_place_for_the_data(tmp_path: Path) -> None:
    real = Layout.plain((4, 3, 8, 8), "float64")
    for kind in ("dectris", "electron-events", "merlin", "empad", "blo"):
        with pytest.raises(OutputError, match="the format holds"):
            write_frames(tmp_path / "a", [DATA.astype(float)], real, format=kind)
    with pytest.raises(OutputError, match=r"patterns of \(128, 128\)"):
        write_frames(tmp_path / "a", [DATA.astype("f4")], Layout.plain((4, 3, 8, 8), "float32"), format="empad")
    with pytest.raises(OptionError, match="choose one of"):
        write_frames(tmp_path / "a.tif", [DATA], LAYOUT)
    with pytest.raises(OptionError, match="tiff"):
        write_frames(tmp_path / "a.tif", [DATA], LAYOUT, format="tiff")
    with pytest.raises(OutputError, match="no such folder"):
        write_frames(tmp_path / "b" / "a.npy", [DATA], LAYOUT)
    assert list(tmp_path.iterdir()) == []


FULL = """
import resource, sys
import numpy as np
from parscope.core.errors import OutputError
from parscope.io import Layout, write_frames
rng = np.random.default_rng(0)
for kind in sys.argv[2:]:
    folder = sys.argv[1]
    write_frames(f"{folder}/warm", [np.zeros((1, 1, 8, 8), np.uint8)], Layout.plain((1, 1, 8, 8), "uint8"), format=kind,
                 overwrite=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    blocks = (rng.integers(0, 200, (4, 8, 64, 64), dtype=np.uint8) for _ in range(8))
    try:
        write_frames(f"{folder}/big", blocks, Layout.plain((32, 8, 64, 64), "uint8"), format=kind)
        sys.exit(f"{kind}: no error")
    except OutputError as error:
        if "disk is full" not in str(error) and "cannot be written" not in str(error):
            raise
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    print(kind, flush=True)
"""


def test_a_full_disk_is_an_error_and_leaves_nothing_behind(tmp_path: Path) -> None:
    # a limit on the size of files stops a writer in the middle just as a full disk does; zarr's files stay below it
    kinds = ["npy", "npz", "raw", "hdf5", "emd", "nexus", "dectris", "electron-events", "merlin"]
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path, *kinds], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == kinds
    assert {p.name.split(".")[0].removesuffix("_data_000001") for p in tmp_path.iterdir()} == {"warm"}


def test_a_format_is_told_from_the_suffix(tmp_path: Path) -> None:
    for name in ("a.npy", "b.npz", "c_master.h5", "d.nxs", "e.zarr", "f.mib"):
        path = write_frames(tmp_path / name, row_blocks(open_of(tmp_path)), open_of(tmp_path))
        np.testing.assert_array_equal(open_frames(path).data[:], DATA)


def open_of(folder: Path) -> Any:
    """The scan, from a file."""
    if not (folder / "source.npy").exists():
        np.save(folder / "source.npy", DATA)
    return open_frames(folder / "source.npy")


def test_row_blocks_hold_whole_rows_within_the_limit(tmp_path: Path) -> None:
    frames = open_of(tmp_path)
    row = DATA[0].nbytes
    assert [len(b) for b in row_blocks(frames, 3 * row)] == [3, 1]
    assert [len(b) for b in row_blocks(frames, 1)] == [1, 1, 1, 1]
