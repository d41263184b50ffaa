"""Every figure, of every awkward map: it builds, it is labelled, and a failed position never looks like a value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib import colormaps
from matplotlib.colors import Colormap, to_rgb
from matplotlib.image import imread

from parscope.core.errors import FormatError
from parscope.core.solver import Status
from parscope.report.maps import nice_length
from parscope.report.palette import CYCLIC, DIVERGING, FAILED_FACE, FAILED_LINE, INTENSITY, SEQUENTIAL, STATUS
from parscope.report.quality_figure import quality_figure, virtual_images
from parscope.report.setup_figure import setup_figure
from parscope.report.sheet import png
from parscope.report.strain_figure import strain_figure, write_png
from parscope.report.view import COMPONENTS, StrainView
from parscope.report.worst_figure import residual, worst_figure
from tests.report.figures import assert_drawn_within_its_sheet, colour_at, panel, pixels, words

PANELS = (*COMPONENTS, *(f"{name}_std" for name in COMPONENTS))


def test_strain_figure_of_every_odd_scan_is_drawn_whole(odd_map: xr.Dataset) -> None:
    assert_drawn_within_its_sheet(strain_figure(odd_map))


@pytest.mark.parametrize(
    "odd_map", ["one column", "one position", "polycrystal", "all failed"], indirect=True, scope="session"
)
def test_quality_figure_of_odd_scans_is_drawn_whole(odd_map: xr.Dataset) -> None:
    assert_drawn_within_its_sheet(quality_figure(odd_map))


@pytest.mark.parametrize("draw", [setup_figure, worst_figure])
@pytest.mark.parametrize("detector", ["square", "wide", "tall", "nothing kept"])
def test_patterns_of_every_odd_detector_are_drawn_whole(draw: Callable, detector: str, make_map: Callable) -> None:
    dataset = make_map((4, 4), worst=0 if detector == "nothing kept" else 3)
    rows, columns = {"wide": (26, 64), "tall": (64, 20)}.get(detector, (64, 64))
    assert_drawn_within_its_sheet(draw(dataset.isel(q_y=slice(rows), q_x=slice(columns))))


def test_large_scans_are_drawn_whole(make_map: Callable) -> None:
    assert_drawn_within_its_sheet(strain_figure(make_map((300, 260), worst=0)))


def test_strain_figure_names_every_map_with_its_unit(make_map: Callable) -> None:
    figure = strain_figure(make_map())
    assert {axes.get_label() for axes in figure.axes} >= set(PANELS)
    labels = [axes.get_xlabel() for axes in figure.axes if axes.get_label() == "colour bar"]
    assert labels.count("strain (%)") == 3
    assert labels.count("standard error (%)") == 3
    assert labels.count("standard error (°)") == 1
    assert labels.count("rotation, from +x towards +y (°)") == 1
    assert words(figure).count("20 nm") == 8


def test_strains_share_symmetric_colours(make_map: Callable) -> None:
    figure = strain_figure(make_map())
    limits = {panel(figure, name).get_images()[0].get_clim() for name in ("e_xx", "e_yy", "e_xy")}
    assert len(limits) == 1
    low, high = limits.pop()
    assert low == -high
    turn = panel(figure, "rotation").get_images()[0].get_clim()
    assert turn[0] == -turn[1]


def test_drawn_colours_are_the_values_and_failed_positions_are_none_of_them(make_map: Callable) -> None:
    dataset = make_map((20, 24), reference="none")
    figure = strain_figure(dataset)
    drawn = pixels(figure)
    fitted = StrainView(dataset).fitted
    ramp = {name: colormaps[name](np.linspace(0, 1, 256))[:, :3] for name in (DIVERGING, SEQUENTIAL)}
    for name in PANELS:
        axes = panel(figure, name)
        image = axes.get_images()[0]
        values = StrainView(dataset).shown(name)
        colours = ramp[SEQUENTIAL if name.endswith("_std") else DIVERGING]
        for y, x in np.argwhere(fitted)[::17]:
            expected = np.asarray(image.cmap(image.norm(values[y, x])))[:3]
            assert np.abs(colour_at(drawn, axes, y, x) - expected).max() < 0.02, (name, y, x)
        for y, x in np.argwhere(~fitted):
            colour = colour_at(drawn, axes, y, x)
            assert np.ptp(colour) < 0.01, (name, y, x)
            assert FAILED_LINE[0] - 0.01 <= colour[0] <= FAILED_FACE[0] + 0.01, (name, y, x)
            assert np.abs(colours - colour).max(axis=1).min() > 0.05, (name, y, x)


def test_all_failed_says_so_and_shows_no_scale(make_map: Callable) -> None:
    dataset = make_map((8, 8))
    dataset["status"][:] = int(Status.VACUUM)
    figure = strain_figure(dataset)
    assert words(figure).count("no value anywhere") == 8
    assert not [axes for axes in figure.axes if axes.get_label() == "colour bar"]
    assert "vacuum: the direct beam only: 64 (100 %)" in words(figure)


def test_legend_counts_every_status(make_map: Callable) -> None:
    dataset = make_map()
    said = words(strain_figure(dataset))
    view = StrainView(dataset)
    assert f"fitted: {int(view.fitted.sum())}" in said
    for status, number in view.counts.items():
        if status != Status.OK:
            assert f"{status.sentence}: {number} (" in said


def test_line_scan_shows_values_errors_and_gaps(make_map: Callable) -> None:
    dataset = make_map((1, 40))
    axes = panel(strain_figure(dataset), "e_xx")
    line = axes.get_lines()[0]
    np.testing.assert_allclose(line.get_ydata(), StrainView(dataset).shown("e_xx")[0])
    assert axes.get_xlabel() == "x (nm)"
    assert axes.get_ylabel() == "strain (%)"
    assert any(patch.get_hatch() for patch in axes.patches)


def test_map_keeps_the_shape_of_the_scan(make_map: Callable) -> None:
    figure = strain_figure(make_map((20, 10), step=(1.0, 3.0)))
    box = panel(figure, "e_xx").get_position()
    width, height = box.width * figure.get_figwidth(), box.height * figure.get_figheight()
    assert height / width == pytest.approx(20 / 30)


def test_grains_and_reference_are_outlined(make_map: Callable) -> None:
    plain = panel(strain_figure(make_map(reference="none", failing=False)), "e_xx")
    marked = panel(strain_figure(make_map(failing=False)), "e_xx")
    grains = panel(strain_figure(make_map(grains=4, failing=False)), "e_xx")
    assert len(plain.collections) == 0
    # Each grain has its own zero strain: only the boundaries are drawn, on a halo of their own or none.
    assert 0 < len(grains.collections) < 3
    assert len(marked.collections) == 2
    frame = marked.collections[-1].get_segments()
    region = make_map()["reference"].values
    rows, columns = np.nonzero(region.any(1))[0], np.nonzero(region.any(0))[0]
    assert len(frame) == 2 * (len(rows) + len(columns))


def test_status_map_uses_the_colours_of_its_legend(make_map: Callable) -> None:
    dataset = make_map((20, 24))
    figure = quality_figure(dataset)
    drawn = pixels(figure)
    axes = panel(figure, "status")
    for y, x in np.argwhere(dataset["status"].values >= 0)[::7]:
        expected = to_rgb(STATUS[Status(int(dataset["status"].values[y, x]))])
        assert np.abs(colour_at(drawn, axes, y, x) - expected).max() < 0.01


def test_virtual_images_are_bright_field_sum_and_strongest(make_map: Callable) -> None:
    dataset = make_map()
    view = StrainView(dataset)
    images = virtual_images(view, 5)
    titles = [title for title, _ in images]
    assert titles[:2] == ["bright field (0 0)", "all dark fields"]
    assert len(titles) == len(set(titles)) == 5
    amplitude = dataset["amplitude"]
    direct = (dataset["disk_h"] == 0) & (dataset["disk_k"] == 0)
    total = amplitude.where(~direct, drop=True).sum("disk").values
    there = np.isfinite(images[1][1])
    np.testing.assert_allclose(images[1][1][there], total[there])
    strength = [np.nansum(image) for _, image in images[2:]]
    assert strength == sorted(strength, reverse=True)
    assert strength[0] == pytest.approx(float(amplitude.where(~direct).sum(("y", "x")).max()))


def test_setup_figure_draws_the_choices_where_they_are(make_map: Callable) -> None:
    dataset = make_map()
    axes = panel(setup_figure(dataset), "mean pattern")
    outlines = [path.vertices.mean(axis=0) for path in axes.collections[0].get_paths()]
    expected = dataset["reference_position"].values[:, ::-1] + [dataset.attrs["centre_x"], dataset.attrs["centre_y"]]
    np.testing.assert_allclose(outlines, expected, atol=0.2)
    said = words(setup_figure(dataset))
    assert "g1 11.34 px = 3.074 1/nm" in said
    assert "half-height radius" in said
    assert "48 masked pixels" in said


def test_setup_figure_of_an_uncalibrated_pattern_names_pixels_only(make_map: Callable) -> None:
    said = words(setup_figure(make_map(unit="px")))
    assert "g1 11.34 px" in said
    assert "1/nm" not in said


def test_residual_is_in_units_of_the_expected_noise() -> None:
    rng = np.random.default_rng(1)
    fit = np.full((200, 200), 40.0)
    left = residual(2.0 * rng.poisson(fit / 2.0), fit, gain=2.0)
    assert left.std() == pytest.approx(1.0, abs=0.02)
    assert np.isnan(residual(fit, np.full_like(fit, np.nan), 1.0)).all()


def test_worst_figure_captions_position_status_and_misfit(make_map: Callable) -> None:
    dataset = make_map()
    said = words(worst_figure(dataset))
    y, x = int(dataset["worst_y"][0]), int(dataset["worst_x"][0])
    assert f"y {y}, x {x} · fitted" in said
    assert "expected standard deviations (1)" in said
    assert "no fit" in said


def test_png_is_written_whole_at_200_dpi(make_map: Callable, tmp_path: Path) -> None:
    dataset = make_map((6, 8))
    path = write_png(dataset, tmp_path / "new" / "strain.png")
    assert imread(path).shape[1] == int(200 * strain_figure(dataset).get_figwidth())
    assert [p.name for p in path.parent.iterdir()] == ["strain.png"]


@pytest.fixture(scope="module")
def small_png(make_map: Callable) -> bytes:
    """A small map as an image."""
    return png(strain_figure(make_map((6, 8))), 50)


def test_figures_ignore_the_settings_of_the_person(make_map: Callable, small_png: bytes) -> None:
    with matplotlib.rc_context({"font.size": 30, "axes.grid": True, "image.cmap": "jet"}):
        assert png(strain_figure(make_map((6, 8))), 50) == small_png


def test_what_is_no_strain_map_is_refused(make_map: Callable) -> None:
    with pytest.raises(FormatError, match="no variable 'e_xy'"):
        strain_figure(make_map((4, 4)).drop_vars("e_xy"))
    with pytest.raises(FormatError, match="dimensions"):
        strain_figure(make_map((4, 4)).transpose("x", "y", ...))
    foreign = make_map((4, 4))
    foreign["status"][0, 0] = 77
    with pytest.raises(FormatError, match=r"unknown codes \[77\]"):
        strain_figure(foreign)
    broken = make_map((4, 4))
    broken.attrs["choices"] = "{not json"
    with pytest.raises(FormatError, match="'choices' is not JSON"):
        setup_figure(broken)


def test_a_map_read_back_from_a_file_draws_the_same(make_map: Callable, small_png: bytes, tmp_path: Path) -> None:
    make_map((6, 8)).to_netcdf(tmp_path / "map.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "map.nc", engine="h5netcdf") as again:
        assert png(strain_figure(again), 50) == small_png


@pytest.mark.parametrize(("longest", "nice"), [(37.0, 20.0), (1.0, 1.0), (0.09, 0.05), (5000.0, 5000.0)])
def test_scale_bars_have_round_lengths(longest: float, nice: float) -> None:
    assert nice_length(longest) == pytest.approx(nice)


# Severity 1.0 of G. M. Machado et al., IEEE Trans. Vis. Comput. Graph. 15 (2009) 1291, doi:10.1109/TVCG.2009.113
DEFICIENCIES = {
    "none": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]
    ),
}


def seen(colours: np.ndarray, deficiency: np.ndarray) -> np.ndarray:
    """CIELAB coordinates of sRGB colours as a reader with a colour deficiency sees them."""
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ deficiency.T, 0, 1)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    )
    xyz = linear @ to_xyz.T / [0.95047, 1.0, 1.08883]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
@pytest.mark.parametrize("name", [DIVERGING, SEQUENTIAL, INTENSITY, CYCLIC])
def test_colour_blind_readers_tell_failures_from_values(name: str | Colormap, deficiency: str) -> None:
    values = seen(colormaps.get_cmap(name)(np.linspace(0, 1, 256))[:, :3], DEFICIENCIES[deficiency])
    for grey in np.linspace(FAILED_LINE[0], FAILED_FACE[0], 8):
        failed = seen(np.full(3, grey), DEFICIENCIES[deficiency])
        assert np.linalg.norm(values - failed, axis=-1).min() > 10


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_colour_blind_readers_tell_every_status_from_fitted(deficiency: str) -> None:
    colours = {s: seen(np.array(to_rgb(c)), DEFICIENCIES[deficiency]) for s, c in STATUS.items()}
    for status, colour in colours.items():
        if status != Status.OK:
            assert np.linalg.norm(colour - colours[Status.OK]) > 20, status
