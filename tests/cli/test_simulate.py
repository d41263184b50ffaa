"""The verb `simulate`: what it writes, and how it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from click.testing import Result
from typer.testing import CliRunner

from parscope.cli.main import app
from parscope.cli.options import shape
from parscope.core.errors import OptionError


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def simulate(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["simulate", "4dstem", *arguments])


def test_options_reach_the_scan_and_the_truth(tmp_path: Path) -> None:
    size = ("--scan", "6,5", "--pattern", "64x48", "--electrons", "300", "--dtype", "uint8")
    answer = simulate("scan.npy", *size, "--grains", "3", "--vacuum", "0.2", "--descan", "0")
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout.splitlines() == ["scan.npy: 6 x 5 patterns of 64 x 48 pixels", "scan.truth.nc: the truth"]
    scan = np.load(tmp_path / "scan.npy")
    assert (scan.shape, scan.dtype) == ((6, 5, 64, 48), np.uint8)
    assert abs(scan.sum() / 30 - 300) < 20
    with xr.open_dataset(tmp_path / "scan.truth.nc", engine="h5netcdf") as truth:
        assert float(truth.centre_y.std()) == 0
        assert (truth.grain[:, -1] == -1).all()


def test_what_exists_is_replaced_only_when_asked(tmp_path: Path) -> None:
    (tmp_path / "scan.npy").write_text("mine")
    refused = simulate("scan.npy", "--scan", "1,1")
    assert refused.exit_code == 2
    assert "scan.npy: exists already" in refused.stderr
    assert (tmp_path / "scan.npy").read_text() == "mine"
    assert simulate("scan.npy", "--scan", "1,1", "--overwrite").exit_code == 0
    assert np.load(tmp_path / "scan.npy").shape == (1, 1, 128, 128)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["scan.jpg"], "scan.jpg: the suffix names no format that is written"),
        (["scan.npy", "--format", "tape", "--scan", "0,4"], "--scan: '0,4' is not above zero"),
        (["scan.npy", "--scan", "many"], "--scan: 'many' is not two whole numbers"),
        (["scan.npy", "--descan", "-1"], "descan: -1.0 is not a number from 0 on"),
        (["scan.npy", "--max-rotation", "nan"], "max_rotation: nan is not a number from 0 on"),
        (["scan.npy", "--gain", "inf"], "detector gain: inf is not a positive number"),
        (["nowhere/scan.npy"], "nowhere: there is no such folder"),
    ],
)
def test_nonsense_is_one_line_and_exit_code_2(tmp_path: Path, arguments: list[str], said: str) -> None:
    answer = simulate(*arguments)
    assert answer.exit_code == 2
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("text", "sizes"), [("3,4", (3, 4)), ("3x4", (3, 4)), (" 3 , 4 ", (3, 4))])
def test_sizes_are_written_with_a_comma_or_an_x(text: str, sizes: tuple[int, int]) -> None:
    assert shape(text, "--scan") == sizes


@pytest.mark.parametrize("text", ["", "3", "3,4,5", "3.5,4", "a,b", "0,4", "-1,4"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match="--scan"):
        shape(text, "--scan")


def test_a_technique_of_spectra_is_a_command_with_its_own_options() -> None:
    words = ["simulate", "be-sho", "--snr", "30", "--scan", "3,4", "--background", "--at", "quality=90"]
    answer = CliRunner().invoke(app, words)
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert answer.stdout.splitlines() == ["be-sho.h5: 3 x 4 spectra of be-sho, SNR 30", "be-sho.truth.nc: the truth"]
    fitted = CliRunner().invoke(app, ["fit", "be-sho", "be-sho.h5", "--background"])
    assert fitted.stdout.startswith("be-sho.h5.fit.nc: 12 of 12 spectra fitted")


@pytest.mark.parametrize(
    "words",
    [
        ["be-shoe"],
        ["be-sho", "--snr", "0"],
        ["be-sho", "--scan", "3"],
        ["be-sho", "-o", "nowhere/scan.h5"],
        ["be-sho", "-o", "scan.txt"],
    ],
)
def test_spectra_that_cannot_be_simulated_are_refused_in_one_line(words: list[str], tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["simulate", *words])
    assert answer.exit_code == 2, answer.output
    assert len(answer.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
