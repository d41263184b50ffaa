"""The spectrum of a pixel is that of the file, its fit that of the maps, and its band holds what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from parscope.core.errors import FormatError, InputError, ShapeError
from parscope.core.spectra import Spectra
from parscope.io.usid_write import write_spectra
from parscope.techniques.band_excitation import BandExcitation
from parscope.workflows.fit import map_spectra
from parscope.workflows.fit.block import Plan
from parscope.workflows.fit.curves import fit_curves
from parscope.workflows.look import Look, open_fit
from tests.report.fits import FREQUENCY, spectra

GIVEN = spectra("y", "x")
SAMPLES = np.asarray(GIVEN.data)


@pytest.fixture
def maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Maps beside their spectra, made by a command that named both without a folder."""
    monkeypatch.chdir(tmp_path)
    write_spectra("scan.h5", [SAMPLES], GIVEN.axes)
    map_spectra("scan.h5", "be-sho", "maps.nc")
    return tmp_path / "maps.nc"


def test_samples_and_fit_are_those_of_the_file_and_of_the_maps(maps: Path) -> None:
    look = open_fit(maps)
    for position in [(0, 0), (3, 5), (5, 7)]:
        seen, there = look(position), {"y": position[0], "x": position[1]}
        here = look.maps.isel(there)
        modulus, phase = seen["samples"].values
        np.testing.assert_allclose(
            modulus * np.exp(1j * np.radians(phase)), SAMPLES[position].astype(np.complex64), rtol=1e-5
        )
        theta = [[float(here[name]) for name in ("resonance", "quality", "response_re", "response_im")]]
        fit = BandExcitation(FREQUENCY).render(np.array(theta))[0]
        np.testing.assert_allclose(seen["fit"].values[0], np.abs(fit), rtol=1e-9)
        np.testing.assert_allclose(np.cos(np.radians(seen["fit"].values[1])), np.cos(np.angle(fit)), atol=1e-9)
        assert 0.8 < np.sqrt(np.mean(seen["residual"].values ** 2)) < 1.2


def test_under_a_prior_of_neighbours_the_fit_is_that_of_the_maps(maps: Path) -> None:
    map_spectra("scan.h5", "be-sho", "helped.nc", prior="neighbours")
    look = open_fit(maps.with_name("helped.nc"))
    names = ("resonance", "quality", "response_re", "response_im")
    for position in [(0, 0), (3, 5)]:
        theta = [[float(look.maps[name].values[position]) for name in names]]
        fit = np.abs(BandExcitation(FREQUENCY).render(np.array(theta))[0])
        np.testing.assert_allclose(look(position)["fit"].values[0], fit, rtol=1e-9)
    worst = {name: int(look.maps[f"worst_{name}"][0]) for name in ("y", "x")}
    theta = [[float(look.maps.isel(worst)[name]) for name in names]]
    fit = BandExcitation(FREQUENCY).render(np.array(theta))[0]
    np.testing.assert_allclose(look.maps["worst_fit_re"].values[0], fit.real, rtol=1e-5, atol=1e-5)


def test_a_spectrum_without_a_value_has_samples_alone(maps: Path) -> None:
    seen = open_fit(maps)((0, 4))
    assert np.isfinite(seen["samples"]).all()
    assert np.isnan(seen["fit"]).all()
    assert np.isnan(seen["fit_std"]).all()


def test_real_spectra_have_one_curve() -> None:
    from parscope.techniques.lines import Lines

    physics = Lines(np.linspace(480, 560, 60), ((515, 526),))
    clean = physics.render(np.array([[520.0, 8.0, 10.0, 3.0, 1.0]]))
    noisy = clean + np.random.default_rng(0).normal(scale=0.1, size=(1, 60))
    plan = Plan(Spectra.from_array(noisy, physics.axis, "shift", "1/cm"), physics, prior=None)
    seen = Look(xr.Dataset(), plan)((0,))
    assert seen["curve"].values.tolist() == ["response"]
    assert np.abs(seen["fit"].values - clean).max() < 0.2
    assert (np.abs(seen["fit"].values - clean) < 4 * seen["fit_std"].values).all()


def test_bands_are_as_wide_as_fits_of_the_same_spectrum_are_apart() -> None:
    rng = np.random.default_rng(5)
    physics = BandExcitation(FREQUENCY)
    clean = physics.render(np.array([[322e3, 120.0, 0.3, 0.4]]))
    noisy = clean + rng.normal(size=(400, 80, 2)).view(complex)[..., 0]
    curves = fit_curves(Plan(Spectra.from_array(noisy, FREQUENCY), physics, prior=None), noisy)
    along = np.conj(curves.fit) / np.abs(curves.fit)
    for turn, apart in (
        (1.0, curves.fit.real),
        (-1j, curves.fit.imag),
        (along, np.abs(curves.fit)),
        (-1j * along / np.abs(curves.fit), np.angle(curves.fit / clean)),
    ):
        assert np.median(np.median(curves.std(turn), axis=0) / apart.std(axis=0)) == pytest.approx(1, abs=0.1)


def test_spectra_are_found_beside_the_maps_or_where_a_person_says(maps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = maps.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert open_fit(maps)((1, 1))["samples"].notnull().all()
    (maps.parent / "scan.h5").rename(elsewhere / "moved.h5")
    with pytest.raises(InputError, match=r"scan\.h5: the spectra are not there any more; say where .* --spectra"):
        open_fit(maps)
    assert open_fit(maps, "moved.h5")((1, 1))["samples"].notnull().all()
    with pytest.raises(InputError, match=r"nowhere\.h5: there is no such file"):
        open_fit(maps, "nowhere.h5")


def test_other_spectra_than_those_of_the_maps_are_refused(maps: Path) -> None:
    write_spectra("scan.h5", [1.01 * SAMPLES], GIVEN.axes, overwrite=True)
    with pytest.raises(InputError, match="its content differs"):
        open_fit(maps)


def test_maps_of_an_array_ask_for_a_file_of_the_same_shape(maps: Path) -> None:
    map_spectra(Spectra(SAMPLES[:4], (GIVEN.axes[0].__class__("y", 4), *GIVEN.axes[1:])), "be-sho", "array.nc")
    with pytest.raises(InputError, match="made from an array in memory"):
        open_fit("array.nc")
    with pytest.raises(ShapeError, match=r"\(6, 8\)"):
        open_fit("array.nc", "scan.h5")


def test_what_is_no_fit_is_refused(maps: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_fit("none.nc")
    Path("text.nc").write_text("no maps")
    with pytest.raises(FormatError, match="cannot be read"):
        open_fit("text.nc")
    xr.Dataset({"status": ("x", [0])}).to_netcdf("other.nc", engine="h5netcdf")
    with pytest.raises(FormatError, match="no fit of spectra"):
        open_fit("other.nc")
    xr.Dataset({"spectra": ("x", [0])}).to_netcdf("scan.nc", engine="h5netcdf")
    with pytest.raises(FormatError, match=r"scan\.nc.*no fit of spectra"):
        open_fit("scan.nc")
