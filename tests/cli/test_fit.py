"""The verb `fit`: what it writes, and what it refuses in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from click.testing import Result
from typer.testing import CliRunner

from parscope.cli.main import app
from parscope.techniques.band_excitation import BandExcitation
from parscope.workflows.technique import techniques

FREQUENCY = np.linspace(280e3, 359e3, 80)
SIGNALS = BandExcitation(FREQUENCY).render(np.tile([322e3, 120.0, 0.0, 1.0], (6, 1)))
SIGNALS = (SIGNALS + np.random.default_rng(1).normal(size=(6, 80, 2)).view(complex)[..., 0]).reshape(2, 3, 80)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("scan.npz", frequency=FREQUENCY, spectra=SIGNALS)
    np.savez("real.npz", frequency=FREQUENCY, spectra=SIGNALS.real)


def fit(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["fit", *arguments])


@pytest.mark.parametrize("name", ["maps.nc", "maps.zarr"])
def test_spectra_become_maps(name: str) -> None:
    answer = fit("be-sho", "scan.npz", "-o", name, "--prior", "scan", "--background")
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert answer.stdout.startswith(f"{name}: 6 of 6 spectra fitted")
    with xr.open_dataset(name, engine="zarr" if name.endswith(".zarr") else "h5netcdf", chunks=None) as maps:
        assert abs(maps["resonance"] - 322e3).max() < 100
        assert {"amplitude_std", "background_re", "resonance_prior_share", "misfit"} <= set(maps)
    assert not Path(f"{name}.parts").exists()
    assert Path("maps.png").read_bytes().startswith(b"\x89PNG")


def test_the_last_line_tells_which_spectra_have_a_value() -> None:
    noise = np.random.default_rng(2).normal(size=(80, 2)).view(complex)[..., 0]
    np.savez("mixed.npz", frequency=FREQUENCY, spectra=np.stack([*SIGNALS[0], noise, 0 * noise]))
    said = fit("be-sho", "mixed.npz").stdout
    assert "3 of 5 spectra fitted, 1 with wide errors (1 weak), 1 without a value (1 bad_input), " in said


def test_a_picture_that_exists_is_refused_before_the_work_or_left_out() -> None:
    Path("maps.png").write_bytes(b"mine")
    answer = fit("be-sho", "scan.npz", "-o", "maps.nc")
    assert (answer.exit_code, "maps.png: exists" in answer.stderr) == (2, True)
    assert not Path("maps.nc").exists()
    assert fit("be-sho", "scan.npz", "-o", "maps.nc", "--no-report").exit_code == 0
    assert Path("maps.png").read_bytes() == b"mine"


@pytest.mark.parametrize(
    "arguments",
    [
        ("be-sho", "real.npz"),
        ("be-sho", "none.npz"),
        ("be-shoe", "scan.npz"),
        ("be-sho", "scan.npz", "-o", "maps.txt"),
        ("be-sho", "scan.npz", "-o", "scan.npz", "--overwrite"),
        ("be-sho", "scan.npz", "--prior", "all"),
        ("be-sho", "scan.npz", "--dask", "tcp://127.0.0.1:9"),
        ("be-sho", "scan.npz", "--temperature", "300"),
        ("be-sho", "scan.npz", "--quality-range", "80"),
        ("be-sho", "scan.npz", "--quality-range", "80:20"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments: tuple[str, ...]) -> None:
    answer = fit(*arguments)
    assert answer.exit_code == 2, answer.output
    assert len(answer.stderr.strip().splitlines()) == 1, answer.stderr
    assert answer.stdout == ""
    assert not list(Path().glob("*.nc"))


def test_a_result_that_exists_is_replaced_only_when_asked() -> None:
    assert fit("be-sho", "scan.npz").exit_code == 0
    before = Path("scan.npz.fit.nc").stat().st_mtime_ns
    assert fit("be-sho", "scan.npz").exit_code == 2
    assert Path("scan.npz.fit.nc").stat().st_mtime_ns == before
    assert fit("be-sho", "scan.npz", "--overwrite").exit_code == 0


def test_options_of_a_technique_stand_anywhere_behind_its_name() -> None:
    for words in (("--quality-range", "50:300", "scan.npz"), ("scan.npz", "--quality-range=50:300", "--overwrite")):
        assert fit("be-sho", *words).exit_code == 0
        with xr.open_dataset("scan.npz.fit.nc", engine="h5netcdf", chunks=None) as maps:
            assert '"quality_range": [50.0, 300.0]' in maps.attrs["settings"]


def test_the_help_names_the_techniques_and_their_options() -> None:
    shown = fit("--help").stdout
    assert all(name in shown for name in techniques())
    assert "diffraction" not in shown
    assert "--quality-range LOW:HIGH" in " ".join(fit("be-sho", "--help").stdout.split())


def test_a_wrong_name_is_answered_with_those_of_spectra() -> None:
    said = fit("be-shoe", "scan.npz").stderr
    assert said == f"parscope: be-shoe: is no technique of spectra; choose one of {', '.join(techniques())}\n"
