"""The verb `strain`: what it writes, what it refuses in one line, and that what is stopped is resumed."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import threading
from dataclasses import fields
from html import unescape
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
import zarr
from click.testing import Result
from numpy.typing import NDArray
from typer.testing import CliRunner

from parscope.cli.main import app
from parscope.core.solver import Status
from parscope.techniques.diffraction.simulate import ScanDesign, simulate
from parscope.workflows.strain import StrainSettings
from tests.cli.full_disk import files_up_to

DESIGN = ScanDesign(scan=(12, 8), electrons=3000.0).sized((64, 64))
COUNTS = simulate(DESIGN).rows(0, 12)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def strain(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["strain", *arguments])


def refused(*arguments: str) -> str:
    """The one line said by a command that is refused."""
    answer = strain(*arguments)
    assert answer.exit_code == 2, answer.output
    assert len(answer.stderr.strip().splitlines()) == 1, answer.stderr
    assert answer.stdout == ""
    return answer.stderr


def maps(path: str) -> xr.Dataset:
    with xr.open_dataset(path, engine="zarr" if path.endswith(".zarr") else "h5netcdf", chunks=None) as result:
        return result.load()


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """One scan row a block, so that a small scan is a long job."""
    monkeypatch.setattr("parscope.workflows.strain.block._BLOCK_BYTES", 8 * 64 * 64 * 2)


def test_a_scan_becomes_a_map_a_table_and_a_report() -> None:
    np.save("scan.npy", COUNTS)
    answer = strain("scan.npy", "--step", "2", "--csv", "scan.csv")
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert "96 of 96 patterns fitted" in answer.stdout
    result = maps("scan.npy.strain.nc")
    assert result.e_xx.attrs["units"] == "1" and result.rotation.attrs["units"] == "rad"
    assert result.y.attrs["units"] == "nm" and result.y.values[1] == 2.0
    assert result.status.attrs["flag_meanings"].split()[Status.UNREADABLE] == "unreadable"
    assert result.status.attrs["flag_values"].tolist() == [s.value for s in Status]
    table = np.loadtxt("scan.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(table[:, 2].reshape(12, 8), result.e_xx, rtol=1e-8)
    assert Path("scan.csv").read_text().startswith("y [nm],x [nm],e_xx [1]")
    assert Path("scan.npy.strain.png").read_bytes()[:4] == b"\x89PNG"
    assert "<html" in Path("scan.npy.strain.html").read_text()
    settings = json.loads(result.attrs["settings"])
    assert settings.keys() >= {field.name for field in fields(StrainSettings)}
    assert settings["step"] == 2.0 and settings["pool"] is None
    before = {path: path.read_bytes() for path in Path().iterdir()}
    assert "exists" in refused("scan.npy")
    assert "exists" in refused("scan.npy", "--no-report")
    assert "scan.csv: exists" in refused("scan.npy", "--no-report", "-o", "other.nc", "--csv", "scan.csv")
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


def test_the_command_in_the_report_makes_the_same_map_again() -> None:
    COUNTS.tofile("scan.bin")
    options = ["--scan-shape", "12,8", "--pattern-shape", "64,64", "--dtype", "uint16", "--g1", "-1.9,10.2"]
    assert strain("scan.bin", "--g2", "10.3,2.1", "--pool", "1", *options).exit_code == 0
    first = maps("scan.bin.strain.nc")
    said = re.search(r"<pre>(.*?)</pre>", Path("scan.bin.strain.html").read_text())
    assert said is not None
    words = shlex.split(unescape(said.group(1)))
    assert strain(*words[2:], "--no-report", "-o", "again.nc").exit_code == 0
    again = maps("again.nc")
    assert again.attrs["settings"] == first.attrs["settings"]
    np.testing.assert_array_equal(again.e_xx, first.e_xx)


def test_what_is_read_is_never_replaced_and_nothing_is_written_twice() -> None:
    np.save("scan.npy", COUNTS)
    Path("mask.nc").write_bytes(b"mine")
    zarr.save_array("scan.zarr", COUNTS)
    before = sorted(Path().rglob("*"))
    assert "scan.npy: is read" in refused("scan.npy", "--csv", "scan.npy", "--overwrite")
    assert "scan.zarr: is read" in refused("scan.zarr", "-o", "scan.zarr", "--overwrite")
    assert "mask.nc: is read" in refused("scan.npy", "--mask", "mask.nc", "-o", "mask.nc", "--overwrite")
    assert "map.nc: is asked for twice" in refused("scan.npy", "-o", "map.nc", "--csv", "map.nc")
    assert "map.png: is asked for twice" in refused("scan.npy", "-o", "map.nc", "--csv", "map.png")
    assert "its folder does not exist" in refused("scan.npy", "-o", "map.nc", "--csv", "nowhere/map.csv")
    assert sorted(Path().rglob("*")) == before
    np.testing.assert_array_equal(np.load("scan.npy"), COUNTS)


def test_a_zarr_result_is_replaced_whole_and_a_folder_of_another_kind_is_not() -> None:
    np.save("scan.npy", COUNTS)
    assert strain("scan.npy", "--no-report", "-o", "map.zarr", "--step", "3").exit_code == 0
    assert "map.zarr: exists" in refused("scan.npy", "--no-report", "-o", "map.zarr")
    assert strain("scan.npy", "--no-report", "-o", "map.zarr", "--overwrite").exit_code == 0
    assert maps("map.zarr").y.attrs["units"] == "px"
    assert sorted(path.name for path in Path().iterdir()) == ["map.zarr", "scan.npy"]
    Path("map.zarr").rename("map.nc")
    assert "map.nc: is a folder" in refused("scan.npy", "--no-report", "-o", "map.nc", "--overwrite")


def noise(*shape: int) -> NDArray[np.uint16]:
    return np.random.default_rng(1).poisson(2.0, shape).astype(np.uint16)


def ring() -> NDArray[np.uint16]:
    y, x = np.mgrid[:64, :64] - 31.5
    mean = 4.0 * np.exp(-0.5 * ((np.hypot(y, x) - 20) / 2) ** 2) + 0.1
    return np.random.default_rng(1).poisson(mean, (6, 6, 64, 64)).astype(np.uint16)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (noise(6, 64), "scan.npy"),
        (np.zeros((4, 4, 32, 32), np.uint16), "empty or not numbers"),
        (np.full((4, 4, 32, 32), np.nan, np.float32), "empty or not numbers"),
        (np.full((4, 4, 32, 32), 7, np.uint16), "one constant value"),
        (COUNTS[:1, :1], "holds 1 patterns, strain needs at least 4"),
        (noise(6, 6, 64, 64), "scan.npy: the patterns show no lattice"),
        (ring(), "scan.npy: the patterns show no lattice"),
    ],
    ids=["not 4D", "zeros", "not numbers", "constant", "one pattern", "noise", "ring"],
)
def test_data_without_a_lattice_are_one_line(array: NDArray[np.generic], said: str) -> None:
    np.save("scan.npy", array)
    assert said in refused("scan.npy")
    assert [path.name for path in Path().iterdir()] == ["scan.npy"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.npy"], "none.npy: no such file"),
        ([""], "is a folder"),
        ([], "Missing argument"),
        (["scan.npy", "--pool", "many"], "'--pool'"),
        (["scan.npy", "--kernel", "3"], "--kernel"),
        (["scan.npy", "-o", "a" * 300 + ".nc"], "the name is too long"),
        (["text.txt"], "text.txt"),
        (["cut.npy"], "cut.npy"),
        (["cut.h5"], "cut.h5"),
        (["scan.npy", "--scan-shape", "5,5"], "scan"),
        (["scan.npy", "--scan-shape", "5"], "--scan-shape"),
        (["scan.npy", "-o", "map.tif"], "map.tif: has suffix '.tif'"),
        (["scan.npy", "-o", "nowhere/map.nc"], "its folder does not exist"),
        (["scan.npy", "-o", "/proc/map.nc"], "/proc/map.nc"),
        (["scan.npy", "--mask", "scan.npy"], "--mask: has shape (12, 8, 64, 64), the patterns (64, 64)"),
        (["scan.npy", "--mask", "text.txt"], "--mask text.txt: is no .npy file"),
        (["scan.npy", "--vacuum", "small.npy"], "--vacuum: has shape (3, 3)"),
        (["scan.npy", "--pool", "2"], "--pool: 2 is not 1, 3 or 5"),
        (["scan.npy", "--g1", "1,2"], "--g1 and --g2: needs its partner"),
        (["scan.npy", "--g1", "1", "--g2", "1,2"], "--g1: '1' is not two numbers"),
        (["scan.npy", "--g1", "0,0", "--g2", "0,0"], "--g1"),
        (["scan.npy", "--g1", "nan,20", "--g2", "20,0"], "--g1"),
        (["scan.npy", "--centre", "500,2"], "--centre"),
        (["scan.npy", "--ellipse", "0,20"], "--ellipse"),
        (["scan.npy", "--probe-radius", "-1"], "--probe-radius: -1.0 is not a positive number"),
        (["scan.npy", "--max-q", "nan"], "--max-q"),
        (["scan.npy", "--gain", "inf"], "--gain: inf is not a positive number"),
        (["scan.npy", "--reference", "all"], "--reference: 'all' is no region"),
        (["scan.npy", "--reference", "0:3,7:99"], "--reference: 0:3,7:99 is not inside the scan"),
        (["scan.npy", "--reference", "lattice"], "--reference: 'lattice' needs a lattice"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_meant_is_one_line(arguments: list[str], said: str) -> None:
    np.save("scan.npy", COUNTS)
    np.save("small.npy", np.ones((3, 3)))
    Path("text.txt").write_text("dear diary\n" * 99)
    Path("cut.npy").write_bytes(Path("scan.npy").read_bytes()[:30000])
    with h5py.File("whole.h5", "w") as file:
        file["data"] = COUNTS
    Path("cut.h5").write_bytes(Path("whole.h5").read_bytes()[:30000])
    before = sorted(Path().iterdir())
    assert said in refused(*arguments)
    assert sorted(Path().iterdir()) == before


def test_damaged_patterns_are_told_and_the_rest_is_fitted() -> None:
    counts = COUNTS.astype(np.float32)
    counts[1, 2, 5, 5] = np.nan
    counts[7, 7] = np.inf
    counts[5, 5] = 0
    with h5py.File("scan.h5", "w") as file:
        data = file.create_dataset("data", data=counts, chunks=(1, 1, 64, 64), compression="gzip")
        chunk = data.id.get_chunk_info_by_coord((6, 3, 0, 0))
    with Path("scan.h5").open("r+b") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(b"\xff" * chunk.size)
    answer = strain("scan.h5", "--no-report", "-o", "map.zarr")
    assert (answer.exit_code, answer.stderr) == (0, "")
    status = maps("map.zarr").status.values
    expected = np.zeros((12, 8), np.uint8)
    expected[1, 2] = expected[7, 7] = expected[5, 5] = Status.BAD_INPUT
    expected[6, 3] = Status.UNREADABLE
    np.testing.assert_array_equal(status, expected)
    assert (np.isnan(maps("map.zarr").e_xx.values) == (expected > 0)).all()


@pytest.mark.usefixtures("small_blocks")
def test_stopped_and_resumed_is_the_same_to_the_last_bit() -> None:
    counts = np.concatenate([COUNTS] * 3)
    np.save("scan.npy", counts)
    parts = Path("map.nc.parts")

    over = threading.Event()

    def stop_when_begun() -> None:
        while not over.wait(0.001):
            if list(parts.glob("rows_*.npz")):
                os.kill(os.getpid(), signal.SIGINT)
                return

    thread = threading.Thread(target=stop_when_begun)
    thread.start()
    answer = strain("scan.npy", "--no-report", "-o", "map.nc")
    over.set()
    thread.join()
    assert answer.exit_code == 130
    kept = len(list(parts.glob("rows_*.npz")))
    assert 0 < kept < 36
    assert f"stopped; {kept} of 36 scan rows are kept in map.nc.parts" in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1
    assert not Path("map.nc").exists()
    first = min(parts.glob("rows_*.npz"))
    with np.load(first) as block:
        marked = {**block, "electrons": block["electrons"] + 1000}
    np.savez(first, **marked)
    assert strain("scan.npy", "--no-report", "-o", "map.nc").exit_code == 0
    assert not parts.exists()
    assert strain("scan.npy", "--no-report", "-o", "whole.nc").exit_code == 0
    resumed, whole = maps("map.nc"), maps("whole.nc")
    row = int(first.stem.removeprefix("rows_"))
    # Nothing but the mark differs: the block that was kept has not been fitted again.
    assert np.flatnonzero((resumed.electrons != whole.electrons).any("x")).tolist() == [row]
    for name in whole.data_vars:
        if name != "electrons":
            np.testing.assert_array_equal(resumed[name], whole[name])


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("size", [2000, 100_000], ids=["for the parts", "for the result"])
@pytest.mark.parametrize("name", ["map.nc"])
def test_a_full_disk_leaves_nothing_half_written_and_the_next_run_resumes(size: int, name: str) -> None:
    np.save("scan.npy", COUNTS)
    with files_up_to(size):
        said = refused("scan.npy", "--no-report", "-o", name)
    assert "cannot be written" in said and "run the command again" in said
    left = sorted(path.name for path in Path().iterdir())
    assert left == [f"{name}.parts", "scan.npy"]
    kept = sorted(path.name for path in Path(f"{name}.parts").iterdir())
    assert kept == ["key", *(f"rows_{y:06d}.npz" for y in range(0 if size < 10_000 else 12))]
    assert strain("scan.npy", "--no-report", "-o", name).exit_code == 0
    assert sorted(path.name for path in Path().iterdir()) == [name, "scan.npy"]
