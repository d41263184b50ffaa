"""The verb `train`, and fits with what it made."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from click.testing import Result
from typer.testing import CliRunner

from parscope.cli.main import app
from parscope.techniques.band_excitation import BandExcitation

FREQUENCY = np.linspace(280e3, 319e3, 40)


def spectra(snr: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Resonances and spectra of a scan of 10 x 12 positions."""
    rng = np.random.default_rng(seed)
    resonance = rng.normal(300e3, 3e3, 120)
    theta = np.stack([resonance, np.full(120, 100.0), np.full(120, snr / 100), np.zeros(120)], axis=1)
    noise = rng.normal(size=(120, 40, 2)).view(complex)[..., 0]
    return resonance.reshape(10, 12), (BandExcitation(FREQUENCY).render(theta) + noise).reshape(10, 12, 40)


def again_of(snr: float, seed: int) -> np.ndarray:
    """The same spectra, with other noise and a bad one."""
    again = spectra(snr, seed)[1] + spectra(0.0, seed + 100)[1] - spectra(0.0, seed)[1]
    again[1, 2] = np.nan
    return again


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with scans, and a network that was trained on one of them."""
    folder = tmp_path_factory.mktemp("home")
    np.savez(folder / "scan.npz", frequency=FREQUENCY, spectra=spectra(12.0, seed=1)[1])
    np.savez(folder / "weak.npz", frequency=FREQUENCY, spectra=spectra(2.5, seed=2)[1])
    np.savez(folder / "nothing.npz", frequency=FREQUENCY, spectra=np.full((4, 40), np.nan + 0j))
    np.savez(folder / "noise.npz", frequency=FREQUENCY, spectra=spectra(0.0, seed=3)[1])
    np.savez(folder / "again.npz", frequency=FREQUENCY, spectra=again_of(12.0, seed=1))
    np.savez(folder / "other.npz", frequency=FREQUENCY + 5e3, spectra=spectra(12.0, seed=1)[1])
    answer = run("train", "be-sho", str(folder / "scan.npz"), "-o", str(folder / "net"), "--minutes", "0.05")
    assert answer.exit_code == 0, answer.output
    assert "18119 parameters" in answer.stdout
    assert answer.stdout.splitlines()[1].startswith("trained on spectra drawn from fits of the scan")
    assert "resonance" in answer.stdout.splitlines()[3]
    return folder


@pytest.fixture(autouse=True)
def _there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


def test_the_folder_says_what_the_network_is_for_and_what_it_is_worth() -> None:
    assert sorted(path.name for path in Path("net").iterdir()) == ["model.json", "weights.safetensors"]
    assert not Path("net.training").exists()
    notes = json.loads(Path("net/model.json").read_text(encoding="utf-8"))["notes"]
    assert notes["technique"] == "be-sho"
    assert notes["source_fingerprint"].startswith("sampled-sha256:")
    assert notes["training"]["steps"] >= 200
    assert {"by_snr", "bias", "refusals", "spectra_per_cpu_s", "parameters"} <= set(notes["card"])


def test_a_scan_that_was_measured_twice_teaches_both_ways() -> None:
    answer = run("train", "be-sho", "scan.npz", "--again", "again.npz", "-o", "twice", "--minutes", "0.05")
    assert answer.exit_code == 0, answer.output
    notes = json.loads(Path("twice/model.json").read_text(encoding="utf-8"))["notes"]
    assert notes["training"]["teachers"] == ["simulation", "repeats"]
    assert notes["again"].endswith("again.npz")
    assert notes["again_fingerprint"] != notes["source_fingerprint"]
    assert run("fit", "be-sho", "weak.npz", "--solver", "twice", "-o", "twice.nc", "--no-report").exit_code == 0


def test_strong_spectra_are_fitted_as_without_it_and_weak_ones_have_its_errors() -> None:
    for name, snr, seed in (("scan", 12.0, 1), ("weak", 2.5, 2)):
        answer = run("fit", "be-sho", f"{name}.npz", "--solver", "net", "-o", f"{name}.nc", "--overwrite")
        assert (answer.exit_code, answer.stderr) == (0, "")
        assert Path(f"{name}.png").exists()
        with xr.open_dataset(f"{name}.nc", engine="h5netcdf") as maps:
            truth = spectra(snr, seed)[0]
            inside = np.abs(maps["resonance"] - truth) < 1.96 * maps["resonance_std"]
            assert inside.mean() > 0.85
            settings = json.loads(maps.attrs["settings"])
            assert settings["solver"] == "net"
            assert settings["solver_fingerprint"].startswith("sampled-sha256:")
    assert run("fit", "be-sho", "scan.npz", "-o", "plain.nc", "--no-report").exit_code == 0
    with (
        xr.open_dataset("scan.nc", engine="h5netcdf") as with_it,
        xr.open_dataset("plain.nc", engine="h5netcdf") as plain,
    ):
        np.testing.assert_allclose(with_it["resonance"], plain["resonance"], rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "be-sho", "scan.npz", "-o", "net"), "net: exists already; choose another name or pass --overwrite"),
        (("train", "be-sho", "none.npz"), "none.npz: no such file"),
        (("train", "be-sho", "scan.npz", "-o", "a/b"), "a/b: is in no folder that exists"),
        (("train", "be-sho", "scan.npz", "--teacher", "me"), "'me' is not one of 'simulation'"),
        (("train", "be-sho", "scan.npz", "--teacher", "cycle"), "--teacher cycle: is content with a constant answer"),
        (("train", "be-sho", "scan.npz", "--seed", "-1"), "--seed: -1 is no seed"),
        (("train", "be-sho", "scan.npz", "--minutes", "-1"), "--minutes: -1 is no time"),
        (("train", "be-sho", "scan.npz", "--minutes", "nan"), "--minutes: nan is no time"),
        (("train", "be-sho", "scan.npz", "--gain", "2"), "--gain: is for strain"),
        (("train", "be-sho", "scan.npz", "--format", "npy"), "--format: is for strain"),
        (("train", "be-sho", "nothing.npz"), "nothing.npz: has no spectrum of finite numbers other than zero"),
        (
            ("train", "be-sho", "nothing.npz", "--everywhere", "--teacher", "rendering"),
            "--teacher rendering: has no spectrum of finite numbers",
        ),
        (("train", "be-sho", "noise.npz", "--teacher", "labels"), "--teacher labels: least squares fitted none"),
        (("train", "be-sho", "scan.npz", "--again", "none.npz"), "none.npz: no such file"),
        (("train", "be-sho", "scan.npz", "--again", "nothing.npz"), "nothing.npz: has shape (4, 40), not (10, 12, 40)"),
        (("train", "be-sho", "scan.npz", "--again", "other.npz"), "other.npz: is along another axis"),
        (("train", "be-what", "scan.npz"), "be-what: is no technique"),
        (("train", "be-loop", "scan.npz"), "scan.npz: not spectra of be-loop"),
        (("fit", "be-sho", "scan.npz", "--solver", "none"), "none: is no folder with a network"),
        (("fit", "be-loop", "scan.npz", "--solver", "net"), "--solver net: is for be-sho, not for be-loop"),
        (("fit", "be-sho", "other.npz", "--solver", "net"), "--solver net: is for 40 samples from 280000 to 319000"),
        (("fit", "be-sho", "scan.npz", "--solver", "net", "--background"), "--solver net: tells ["),
        (("fit", "be-sho", "scan.npz", "--solver", "net", "--prior", "scan"), "--solver net: has its own prior"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    before = sorted(Path().iterdir())
    answer = run(*arguments)
    assert answer.exit_code == 2
    assert said in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert sorted(Path().iterdir()) == before


def _changed(notes: dict[str, Any]) -> None:
    notes["calibration"]["size"] = notes["calibration"]["size"][:1]


def _prior(notes: dict[str, Any]) -> None:
    notes["factor_prior"] = {"mean": [0.0], "covariance": [[1.0]], "two_signs": True}


@pytest.mark.parametrize("damage", [_changed, _prior])
def test_a_damaged_network_is_said_to_be_one_before_any_fit(damage: Callable[[dict[str, Any]], None]) -> None:
    shutil.copytree("net", "damaged")
    file = Path("damaged/model.json")
    told = json.loads(file.read_text(encoding="utf-8"))
    damage(told["notes"])
    file.write_text(json.dumps(told), encoding="utf-8")
    answer = run("fit", "be-sho", "scan.npz", "--solver", "damaged", "-o", "damaged.nc")
    shutil.rmtree("damaged")
    assert (answer.exit_code, answer.stderr.count("\n")) == (2, 1)
    assert "damaged: is damaged: " in answer.stderr and "train it again" in answer.stderr
    assert not list(Path().glob("damaged.nc*"))
