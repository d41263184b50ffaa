"""Fits that are stopped, killed, run twice or out of disk: nothing is half written, and the next run does the rest."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from click.testing import Result
from typer.testing import CliRunner

from parscope.cli.main import app
from parscope.techniques.band_excitation import BandExcitation
from tests.cli.full_disk import files_up_to

FREQUENCY = np.linspace(280e3, 359e3, 80)
SHAPE = (4, 100)
SIGNALS = BandExcitation(FREQUENCY).render(np.tile([322e3, 120.0, 0.0, 0.2], (400, 1)))
SIGNALS = (SIGNALS + np.random.default_rng(1).normal(size=(400, 80, 2)).view(complex)[..., 0]).reshape(*SHAPE, 80)
SMALL = f"import parscope.workflows.fit.block as b; b._BLOCK_BYTES = {SIGNALS[0, 0].nbytes}"
COMMAND = [sys.executable, "-c", f"{SMALL}; from parscope.cli.main import run; run()", "fit", "be-sho", "scan.npz"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One spectrum a block, so that a small scan is a long job."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("parscope.workflows.fit.block._BLOCK_BYTES", SIGNALS[0, 0].nbytes)
    np.savez("scan.npz", frequency=FREQUENCY, spectra=SIGNALS)


def fit(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["fit", "be-sho", "scan.npz", *arguments])


def maps(name: str) -> xr.Dataset:
    with xr.open_dataset(name, engine="h5netcdf", chunks=None) as result:
        return result.load()


def when_begun(process: subprocess.Popen[str], parts: Path) -> int:
    """Wait until some blocks are kept, but not all; return how many."""
    while len(kept := list(parts.glob("rows_*.npz"))) < 3:
        assert process.poll() is None
        time.sleep(0.002)
    return len(kept)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_killed_and_resumed_is_the_same_to_the_last_bit(sign: signal.Signals) -> None:
    parts = Path("maps.nc.parts")
    with subprocess.Popen([*COMMAND, "-o", "maps.nc"], stderr=subprocess.PIPE, text=True) as process:
        kept = when_begun(process, parts)
        process.send_signal(sign)
        said = process.communicate()[1]
    assert process.returncode == (130 if sign is signal.SIGTERM else -sign)
    assert len(said.splitlines()) == (sign is signal.SIGTERM)
    assert kept <= len(list(parts.glob("rows_*.npz"))) < 400
    assert not Path("maps.nc").exists()
    assert fit("-o", "maps.nc").exit_code == 0
    assert sorted(path.name for path in Path().iterdir()) == ["maps.nc", "maps.png", "scan.npz"]
    assert fit("-o", "whole.nc").exit_code == 0
    resumed, whole = maps("maps.nc"), maps("whole.nc")
    for name in whole.data_vars:
        np.testing.assert_array_equal(resumed[name], whole[name])


def test_a_second_run_for_the_same_output_is_refused_and_disturbs_nothing() -> None:
    with subprocess.Popen([*COMMAND, "-o", "maps.nc"], stderr=subprocess.PIPE, text=True) as process:
        when_begun(process, Path("maps.nc.parts"))
        process.send_signal(signal.SIGSTOP)
        second = fit("-o", "maps.nc")
        process.send_signal(signal.SIGCONT)
        assert process.communicate()[1] == ""
    assert (second.exit_code, len(second.stderr.splitlines())) == (2, 1)
    assert "maps.nc: is being written by another run" in second.stderr
    assert process.returncode == 0
    assert np.isfinite(maps("maps.nc")["resonance"]).all()


@pytest.mark.parametrize(("size", "kept"), [(500, 0), (10_000, 400)], ids=["for the parts", "for the result"])
def test_a_full_disk_leaves_nothing_half_written_and_the_next_run_resumes(size: int, kept: int) -> None:
    with files_up_to(size):
        answer = fit("-o", "maps.nc")
    assert (answer.exit_code, len(answer.stderr.splitlines())) == (2, 1)
    assert "cannot be written" in answer.stderr and "run the command again" in answer.stderr
    assert sorted(path.name for path in Path().iterdir()) == ["maps.nc.parts", "scan.npz"]
    assert len(list(Path("maps.nc.parts").iterdir())) == kept + 1
    assert fit("-o", "maps.nc").exit_code == 0
    assert sorted(path.name for path in Path().iterdir()) == ["maps.nc", "maps.png", "scan.npz"]
