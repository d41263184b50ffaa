"""Simulated spectra are fitted to the truth that is written beside them, whatever the technique."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from parscope.core.errors import OptionError, OutputError
from parscope.core.solver import Status
from parscope.io import open_spectra
from parscope.workflows.fit import map_spectra
from parscope.workflows.simulate_spectra import simulate_spectra
from parscope.workflows.technique import techniques

SMALL = (12, 16)


@pytest.mark.parametrize("technique", techniques())
def test_a_fit_finds_the_truth_of_every_technique(technique: str, tmp_path: Path) -> None:
    file = simulate_spectra(tmp_path / "scan.h5", technique, 50.0, scan=SMALL)
    maps = map_spectra(file, technique)
    fitted = (maps["status"] == Status.OK).values
    assert fitted.mean() > 0.95
    with xr.open_dataset(tmp_path / "scan.truth.nc", engine="h5netcdf") as truth:
        assert dict(truth.sizes) == dict(maps["status"].sizes)
        for name in ("y", "x"):
            np.testing.assert_allclose(maps[name].values, truth[name].values)
        for name, known in truth.data_vars.items():
            assert known.attrs["units"] == maps[name].attrs["units"]
            away = maps[name].values - known.values
            if name == "phase":
                away = np.angle(np.exp(1j * away))
            spread = 1.4826 * np.median(np.abs(away / maps[f"{name}_std"].values)[fitted])
            assert 0.7 < spread < 1.4, name


def test_the_same_seed_is_the_same_scan(tmp_path: Path) -> None:
    def data(name: str, seed: int) -> np.ndarray:
        spectra = open_spectra(simulate_spectra(tmp_path / name, "be-sho", scan=(2, 3), seed=seed))
        return np.array(spectra.data[:])

    np.testing.assert_array_equal(data("one.h5", 4), data("two.h5", 4))
    assert (data("three.h5", 5) != data("four.h5", 4)).all()


def test_the_noise_is_that_of_the_ratio(tmp_path: Path) -> None:
    file = simulate_spectra(tmp_path / "scan.h5", "be-sho", 8.0, scan=SMALL)
    with xr.open_dataset(tmp_path / "scan.truth.nc", engine="h5netcdf") as truth:
        peak = float((truth["amplitude"] * truth["quality"]).median())
        assert truth.attrs["noise"] == pytest.approx(peak / 8, rel=0.01)
    ends = np.asarray(open_spectra(file).data[:])[..., :8]
    change = np.diff(ends, n=2, axis=-1)
    assert np.sqrt(np.mean(np.abs(change) ** 2) / 12) == pytest.approx(truth.attrs["noise"], rel=0.05)


def test_there_is_a_wall_with_the_phase_turned_behind_it(tmp_path: Path) -> None:
    simulate_spectra(tmp_path / "scan.h5", "be-sho", scan=SMALL)
    with xr.open_dataset(tmp_path / "scan.truth.nc", engine="h5netcdf") as truth:
        left, right = truth["phase"].values[:, 0], truth["phase"].values[:, -1]
    np.testing.assert_allclose(np.abs(np.angle(np.exp(1j * (left - right)))), np.pi)


@pytest.mark.parametrize("there", ["scan.h5", "scan.truth.nc"])
def test_nothing_that_exists_is_lost(there: str, tmp_path: Path) -> None:
    (tmp_path / there).write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        simulate_spectra(tmp_path / "scan.h5", "be-sho", scan=(2, 2))
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {there: "mine"}
    simulate_spectra(tmp_path / "scan.h5", "be-sho", scan=(2, 2), overwrite=True)
    assert open_spectra(tmp_path / "scan.h5").navigation_shape == (2, 2)


@pytest.mark.parametrize("words", [{"snr": -1.0}, {"at": {"q": 1.0}}, {"span": (2.0, 1.0)}, {"temperature": 3.0}])
def test_what_cannot_be_meant_is_refused_before_anything_is_written(words: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(OptionError):
        simulate_spectra(tmp_path / "scan.h5", "be-sho", **words)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
