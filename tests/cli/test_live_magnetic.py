"""Live centre of mass of a magnetic film from an emulated ARINA: what is measured is what deflects."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray
from typer.testing import CliRunner

from parscope.cli.main import app
from parscope.live.kernels.integrate import icom
from parscope.techniques.diffraction.magnetic import MagneticFilm
from tests.cli.emulating import emulating

N = 32
FILM = MagneticFilm(scan=(N, N))
# By hand: 200 kV are 2.5079 pm, h / e = 4.1357e-15 T m2; 20 nm of 1 T; 7.5 urad a pixel.
MOVED = 2.5079e-12 * 20e-9 * 1.0 / 4.1357e-15 / 7.5e-6

Maps = dict[str, NDArray[np.float64]]


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Maps:
    """Numbers of a scan, (y, x) pairs on the last axis, from a detector in another process."""
    folder = tmp_path_factory.mktemp("magnetic")
    with emulating("--physics", "magnetic", "--scan", f"{N}x{N}", "--rate", "2000", "--start", "1", "--wait") as (
        _,
        at,
    ):
        command = ["live", at["stream V2"], "--analyse", "com,dpc,sum", "--out", str(folder), "--series", "1", "--json"]
        answer = CliRunner().invoke(app, command)
    assert answer.exit_code == 0, answer.output
    (told,) = json.loads(answer.stdout)
    assert told["report"]["fates"]["answered"] == N * N
    with xr.open_zarr(Path(told["maps"])) as stored:
        pairs = {name: np.stack([stored[f"{name}.y"], stored[f"{name}.x"]], -1) for name in ("com", "dpc")}
        return {
            name: values.astype(np.float64) for name, values in {**pairs, "sum": stored["sum.counts"].values}.items()
        }


def test_it_equals_the_deflection_within_the_shot_noise(maps: Maps) -> None:
    (disk,) = FILM.simulation.expected(0, 1)[:, 0].astype(np.float64)
    variance = disk.sum(1) @ (np.arange(192) - 96.0) ** 2 / disk.sum()
    noise = np.sqrt(variance / maps["sum"])[..., None]
    for name, centre in (("com", 96.0), ("dpc", 0.0)):
        away = (maps[name] - centre - FILM.deflection) / noise
        # The zero of dpc is the mean of 64 patterns, and as uncertain as that.
        assert np.abs(away.mean((0, 1))).max() < (4 / N if name == "com" else 4 / 8)
        spread = (away - away.mean((0, 1))).var()
        assert spread == pytest.approx(1, abs=4 * np.sqrt(2 / away.size))


@pytest.mark.parametrize("name", ["com", "dpc"])
def test_electrons_go_along_plus_b_y_minus_b_x(maps: Maps, name: str) -> None:
    moved = maps[name] - (96.0 if name == "com" else 0.0)
    b_y, b_x = np.moveaxis(FILM.induction, -1, 0)
    for domain in (b_y < -0.99, b_y > 0.99, b_x < -0.99, b_x > 0.99):
        assert domain.sum() > 40
        y, x = moved[domain].mean(0)
        expected = MOVED * b_y[domain].mean(), -MOVED * b_x[domain].mean()
        assert (x, y) == pytest.approx(expected, abs=0.08)


def test_the_direction_turns_once_around_the_core(maps: Maps) -> None:
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)  # from +x towards +y
    y, x = (np.rint((N - 1) / 2 + 7 * part(turn)).astype(int) for part in (np.sin, np.cos))
    way = np.arctan2(maps["dpc"][y, x, 0], maps["dpc"][y, x, 1])
    turned = np.unwrap(np.append(way, way[0]))
    assert turned[-1] - turned[0] == pytest.approx(2 * np.pi)


def test_the_integrated_map_is_the_phase_of_four_domains(maps: Maps) -> None:
    y, x = np.abs(np.mgrid[:N, :N] - (N - 1) / 2)
    # A tent: 480 nm from the edge to the middle, of 40 nm a step.
    tent = MOVED * np.maximum(480 / FILM.step - np.maximum(y, x), 0)
    image = icom(maps["dpc"][..., 0], maps["dpc"][..., 1])
    assert np.corrcoef(image.ravel(), tent.ravel())[0, 1] > 0.995
    assert np.ptp(image) == pytest.approx(np.ptp(tent), rel=0.1)
