"""The sheet of a fit of spectra: drawn whole for every odd scan, labelled, and true to the numbers."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pytest
import xarray as xr

from parscope.core.errors import FormatError
from parscope.core.solver import Status
from parscope.core.spectra import Spectra
from parscope.report.fit_figure import fit_figure, write_fit_png
from parscope.report.fit_summary import summary_lines
from parscope.report.fit_view import FitView
from parscope.report.sheet import png
from parscope.workflows.fit import map_spectra
from tests.report.figures import assert_drawn_within_its_sheet, panel, words
from tests.report.fits import FREQUENCY, signals, spectra


@pytest.fixture(scope="module")
def maps() -> xr.Dataset:
    """A scan of domains, some of it broken."""
    return map_spectra(spectra("y", "x"), "be-sho")


def real_parts(maps: xr.Dataset) -> xr.Dataset:
    """The same as if the spectra were real."""
    ends = [str(name) for name in maps if str(name).startswith("worst_") and "_re" in str(name)]
    return maps.rename({name: name.replace("_re", "") for name in ends})


ODD = {
    "a line": lambda: map_spectra(spectra("position"), "be-sho"),
    "one spectrum": lambda: map_spectra(Spectra.from_array(signals(1)[0], FREQUENCY), "be-sho"),
    "axes that are no lengths": lambda: map_spectra(spectra("position", "bias"), "be-sho"),
    "four axes": lambda: map_spectra(spectra("y", "x", "cycle", "bias"), "be-sho"),
    "nothing but bad spectra": lambda: map_spectra(
        Spectra.from_array(np.zeros((3, 4, 80), complex), FREQUENCY), "be-sho"
    ),
    "real spectra": lambda: real_parts(map_spectra(spectra("y", "x"), "be-sho")),
}


def test_names_and_units_of_a_hostile_file_are_words(maps: xr.Dataset) -> None:
    hostile = "$\\frac{$ 扫描\x00"
    renamed = maps.rename(y=hostile, frequency=f"{hostile} 2").rename({"worst_y": f"worst_{hostile}"})
    renamed["amplitude"].attrs["units"] = renamed["worst_spectrum_re"].attrs["units"] = hostile
    renamed[hostile].attrs["units"] = "1"
    figure = fit_figure(renamed.assign_attrs(source=f"{hostile}.h5"))
    assert_drawn_within_its_sheet(figure)
    assert "amplitude ($\\frac{$ ???)" in [axes.get_xlabel() for axes in figure.axes]


@pytest.mark.parametrize("odd", ODD)
def test_every_odd_fit_is_drawn_whole(odd: str) -> None:
    assert_drawn_within_its_sheet(fit_figure(ODD[odd]()))


def test_every_map_has_its_name_and_unit_and_its_error_beside(maps: xr.Dataset) -> None:
    figure = fit_figure(maps)
    labels = [axes.get_xlabel() for axes in figure.axes if axes.get_label() == "colour bar"]
    assert labels[::2][:4] == ["resonance (kHz)", "quality", "amplitude (mV)", "phase (°)"]
    assert labels[1::2][:4] == ["standard error (Hz)", "standard error", "standard error (mV)", "standard error (°)"]
    assert not any("response re" in text for text in words(figure).splitlines())
    assert words(figure).count("50 nm") == 10


def test_wild_values_do_not_darken_a_map_and_another_material_is_still_seen(maps: xr.Dataset) -> None:
    wild, minority = maps.copy(deep=True), maps.copy(deep=True)
    wild["quality"].values[0, :4] = 5000.0
    minority["quality"].values[:, :2] = 5000.0
    usual, beyond, both = (
        panel(fit_figure(shown), "quality").get_images()[0].get_clim()[1] for shown in (maps, wild, minority)
    )
    assert usual < beyond < 3 * usual
    assert both == pytest.approx(5000.0)


def test_many_maps_are_smaller_and_numbered_lines_go_line_by_line(maps: xr.Dataset) -> None:
    many = maps.copy()
    for name in ("width_10", "width_2"):
        many[name], many[f"{name}_std"] = maps["quality"], maps["quality_std"]
    names = [quantity.name for quantity in FitView(many).quantities]
    assert names == ["resonance", "quality", "amplitude", "phase", "width_2", "width_10"]
    figure = fit_figure(many)
    assert_drawn_within_its_sheet(figure)
    tops = {panel(figure, word).get_position().y1 for word in ("resonance (kHz)", "quality", "width 2", "width 10")}
    assert len(tops) == 1


def test_samples_are_named_as_in_their_file(maps: xr.Dataset) -> None:
    named = maps.copy(deep=True)
    named["worst_spectrum_re"].attrs["quantity"] = "log J"
    assert panel(fit_figure(named), "worst 0").get_ylabel() == "log J (V)"
    assert panel(fit_figure(maps), "worst 0").get_ylabel() == "response (V)"


def test_where_nothing_has_a_value_there_are_no_empty_maps() -> None:
    figure = fit_figure(ODD["nothing but bad spectra"]())
    assert "No spectrum has a value." in words(figure)
    assert "standard error" not in words(figure).replace("median standard error", "")


def test_angles_have_colours_without_a_seam_and_failures_are_left_out(maps: xr.Dataset) -> None:
    figure = fit_figure(maps)
    phase = panel(figure, "phase (°)").get_images()[0]
    np.testing.assert_allclose(phase.cmap(0.0), phase.cmap(1.0))
    assert phase.get_clim() == (-180, 180)
    shown = np.ma.filled(phase.get_array(), np.nan)
    np.testing.assert_array_equal(np.isnan(shown), np.isnan(maps["phase"]))
    np.testing.assert_allclose(shown, np.degrees(maps["phase"]))


def test_status_is_counted_and_medians_are_those_of_the_maps(maps: xr.Dataset) -> None:
    told = "\n".join(summary_lines(FitView(maps)))
    for status in Status:
        number = int((maps["status"] == status).sum())
        assert (f"{status.sentence}: {number} (" in told) == (number > 0)
    error = 1e-3 * float(maps["resonance_std"].median())
    assert f"resonance {1e-3 * float(maps['resonance'].median()):.3f} ± {error:.3f} kHz" in told
    assert "phase in several directions" in told
    assert "prior" not in told


def test_the_share_of_a_prior_is_told(maps: xr.Dataset) -> None:
    told = "\n".join(summary_lines(FitView(maps.assign(quality_prior_share=0 * maps["misfit"] + 0.25))))
    assert "its share in the variance, median: quality 25 %" in told


def test_further_axes_are_shown_at_their_middle_and_said(maps: xr.Dataset) -> None:
    swept = map_spectra(spectra("y", "x", "cycle", "bias"), "be-sho")
    figure = fit_figure(swept)
    shown = np.ma.filled(panel(figure, "resonance (kHz)").get_images()[0].get_array(), np.nan)
    np.testing.assert_allclose(shown, 1e-3 * swept["resonance"].values[:, :, 1, 4])
    assert "Maps are at cycle 1 (2 of 2), bias 0 V (5 of 8)" in words(figure)
    curve = panel(figure, "resonance, all positions").get_lines()[0]
    np.testing.assert_allclose(curve.get_ydata(), 1e-3 * swept["resonance"].isel(cycle=1).median(("y", "x")), rtol=1e-9)


def test_the_worst_spectra_are_the_samples_and_the_fit_at_their_place(maps: xr.Dataset) -> None:
    given = spectra("y", "x").data
    misfit = maps["misfit"].values
    valued = np.isfinite(maps["resonance"].values)
    at = (maps["worst_y"].values, maps["worst_x"].values)
    assert maps.sizes["worst"] == 9
    assert valued[at].tolist() == [True] * 6 + [False] * 3
    np.testing.assert_allclose(misfit[at][:6], np.sort(misfit[valued])[::-1][:6])
    np.testing.assert_array_equal(maps["worst_status"], maps["status"].values[at])
    np.testing.assert_allclose(maps["worst_spectrum_re"] + 1j * maps["worst_spectrum_im"], given[at], rtol=1e-6)
    assert np.isnan(maps["worst_fit_re"][6:]).all()
    residual = maps["worst_spectrum_re"] - maps["worst_fit_re"]
    assert 0.3 < float(residual[:6].std()) < 3
    assert (maps["worst_fit_re_std"][:6] > 0).any("frequency").all()


def test_a_picture_read_back_from_a_file_is_the_same(maps: xr.Dataset, tmp_path: Path) -> None:
    maps.to_netcdf(tmp_path / "maps.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "maps.nc", engine="h5netcdf") as again, matplotlib.rc_context({"font.size": 30}):
        write_fit_png(again, tmp_path / "maps.png")
    assert (tmp_path / "maps.png").read_bytes() == png(fit_figure(maps), 160)


def test_what_is_no_fit_is_refused(maps: xr.Dataset) -> None:
    with pytest.raises(FormatError, match="no fit of spectra"):
        fit_figure(maps.drop_vars("misfit"))
    foreign = maps.copy(deep=True)
    foreign["status"][0, 0] = 77
    with pytest.raises(FormatError, match=r"unknown codes \[77\]"):
        fit_figure(foreign)
    with pytest.raises(FormatError, match="not JSON"):
        fit_figure(maps.assign_attrs(settings="{"))
