"""Strain maps as the workflow writes them, with every status and every odd shape."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from parscope.core.solver import Status
from parscope.techniques.diffraction import Background, DiffractionPattern, Probe, reciprocal_map

COMPONENTS = ("e_xx", "e_yy", "e_xy", "rotation")
MakeMap = Callable[..., xr.Dataset]


@cache
def physics(side: int = 64) -> DiffractionPattern:
    """A pattern of 21 disks on an oblique, slightly elliptical lattice, with a beam stop."""
    h, k = np.mgrid[-2:3, -2:3]
    indices = np.stack([h.ravel(), k.ravel()], -1)
    indices = indices[np.abs(indices).sum(1) < 4]
    unit = side / 64
    basis = np.array([[1.8, 11.2], [10.9, -2.3]]) * unit
    q = np.linalg.norm(indices @ basis, axis=1)
    mask = np.zeros((side, side), dtype=np.bool_)
    mask[: side // 5, int(0.45 * side) : int(0.5 * side)] = True
    return DiffractionPattern(
        shape=(side, side),
        probe=Probe(3.4 * unit, 0.6, np.array([[1.02, 0.01], [0.01, 0.98]])),
        centre=(31.2 * unit, 32.6 * unit),
        basis=basis,
        indices=indices,
        amplitude=np.where(q < 1, 30.0, 9.0 * np.exp(-((q / (16 * unit)) ** 2))),
        background=Background(2.0, 9.0 * unit, 0.05),
        mask=mask,
    )


def fields(shape: tuple[int, int], grains: int, rng: np.random.Generator) -> tuple[dict, NDArray]:
    """Strained layer with a dislocation for one grain, a patchwork of constants for several."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    v, u = y / max(shape[0], 2), x / max(shape[1], 2)
    layer = 0.5 * (np.tanh((u - 0.45) * 18) - np.tanh((u - 0.75) * 18))
    r2 = (v - 0.5) ** 2 + (u - 0.45) ** 2 + 0.01
    truth = {
        "e_xx": 0.011 * layer + 0.0008 * (v - 0.5) / r2 * 0.2,
        "e_yy": -0.004 * layer,
        "e_xy": 0.0006 * (u - 0.45) / r2 * 0.2,
        "rotation": 0.004 * (u - 0.45) / r2 * 0.2 + 0.002 * layer,
    }
    if grains < 2:
        return truth, np.zeros(shape, dtype=np.int16)
    seeds = rng.uniform(0, 1, (grains, 2))
    grain = np.argmin((v[..., None] - seeds[:, 0]) ** 2 + (u[..., None] - seeds[:, 1]) ** 2, axis=-1)
    for name, spread in zip(COMPONENTS, (0.003, 0.003, 0.002, 0.02), strict=True):
        truth[name] = 0.3 * truth[name] + rng.normal(0, spread, grains)[grain]
    return truth, grain.astype(np.int16)


def failures(shape: tuple[int, int], grain: NDArray, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Vacuum in a corner, weak pixels at its rim, and a little of everything else."""
    status = np.zeros(shape, dtype=np.uint8)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    depth = x / max(shape[1], 2) + 0.6 * y / max(shape[0], 2)
    differs = (grain[1:, :] != grain[:-1, :])[:, :]
    status[:-1][differs] = Status.BOUNDARY
    status[rng.random(shape) < 0.004] = Status.NO_MODEL
    status[rng.random(shape) < 0.004] = Status.AT_BOUND
    status[(abs(depth - 0.95) < 0.02) & (rng.random(shape) < 0.6)] = Status.SECOND_LATTICE
    status[depth < 0.14] = Status.WEAK
    status[depth < 0.10] = Status.VACUUM
    if min(shape) > 8:
        status[shape[0] // 3, : shape[1] // 4] = Status.UNREADABLE
        status[shape[0] // 2, shape[1] // 2] = Status.BAD_INPUT
        status[-1, -(shape[1] // 3) :] = Status.NOT_DONE
    return status


def choices(model: DiffractionPattern, pool: int) -> list[dict]:
    """The set-up page."""
    rows = [
        ("probe radius", model.probe.radius, "px", "half-height radius of the direct disk of the mean pattern"),
        ("probe edge", model.probe.edge, "px", "rise of the direct disk's edge"),
        ("centre", [round(c, 2) for c in model.centre], "px", "symmetry of the lattice of the mean pattern"),
        ("distortion", model.probe.distortion.tolist(), "1", "ellipse through the edge of the direct disk"),
        ("basis", model.basis.round(2).tolist(), "px", "strongest pair of peaks of the autocorrelation"),
        ("disks", len(model.indices), "", "all with more than 1 % of the electrons of the strongest"),
        ("pool", pool, "px", "largest that keeps the thinnest layer of the reference map apart, given the dose"),
        ("gain", 1.0, "counts/electron", "variance over mean of 4096 pixels far from the disks"),
        ("mask", int(model.mask.sum()), "px", "dead and beam-stop pixels: never above 0.1 % of the mean"),
        ("reference", "flattest 10 %", "", "region of least strain gradient; override for a substrate you know"),
        ("contrast depth", 0.12, "1", "scatter inside disks beyond Poisson noise"),
    ]
    listed = [dict(zip(("name", "value", "unit", "how"), row, strict=True)) for row in rows]
    listed[0]["std"], listed[1]["std"], listed[8]["option"] = 0.004, float("nan"), "--mask-file"
    return listed


def scan_maps(shape: tuple[int, int], status: NDArray, truth: dict, dose: NDArray, pool: int, rng: Any) -> dict:
    """What was fitted at every position, with errors that follow the dose."""
    failed = status != Status.OK
    maps: dict = {}
    for name, scale in zip(COMPONENTS, (0.12, 0.12, 0.085, 0.085), strict=True):
        std = scale / np.sqrt(np.maximum(dose, 1)) * (1 + 0.05 * rng.random(shape)) / pool
        value = truth[name] + rng.normal(0, 1, shape) * std
        attrs = {"units": "rad" if name == "rotation" else "1"}
        maps[name] = (("y", "x"), np.where(failed, np.nan, value), attrs)
        maps[f"{name}_std"] = (("y", "x"), np.where(failed, np.nan, std), attrs)
    codes = np.arange(10, dtype=np.uint8)
    flags = {"flag_values": codes, "flag_meanings": " ".join(Status(int(c)).name.lower() for c in codes)}
    maps["status"] = (("y", "x"), status, flags)
    misfit = np.where(failed, np.nan, rng.gamma(200, 1.05 / 200, shape))
    maps["misfit"] = (("y", "x"), np.where(status == Status.NO_MODEL, 4.0, misfit))
    maps["limit_ratio"] = (("y", "x"), np.where(failed, np.nan, 1.04 + 0.1 * rng.random(shape)))
    maps["electrons"] = (("y", "x"), np.where(status == Status.NOT_DONE, np.nan, dose))
    for axis, name in enumerate(("centre_y", "centre_x")):
        drift = 32 + 0.3 * np.mgrid[0 : shape[0], 0 : shape[1]][axis] / max(shape)
        maps[name] = (("y", "x"), np.where(failed, np.nan, drift), {"units": "px"})
    return maps


def reference_region(shape: tuple[int, int], reference: str) -> NDArray[np.bool_]:
    """A rectangle in the lower left, everything, or nothing."""
    region = np.full(shape, reference == "all", dtype=np.bool_)
    if reference == "corner":
        region[shape[0] // 2 : shape[0] - shape[0] // 8, shape[1] // 8 : max(shape[1] // 3, shape[1] // 8 + 1)] = True
    return region


def disk_images(model: DiffractionPattern, status: NDArray, thickness: NDArray, rng: Any) -> NDArray:
    """Counts per disk with thickness fringes, NaN where there was no pattern."""
    phase = rng.uniform(0, 6, len(model.indices))
    fringe = 1 + 0.4 * np.sin(thickness[None] * 5 + phase[:, None, None])
    counts = rng.poisson(np.maximum(model.amplitude[:, None, None] * fringe * 20, 0)) / 20
    return np.where(np.isin(status, (Status.UNREADABLE, Status.NOT_DONE, Status.BAD_INPUT)), np.nan, counts)


def patterns(model: DiffractionPattern, shape: tuple[int, int], worst: int, electrons: float, rng: Any) -> dict:
    """The mean pattern and the worst ones, each fourth without a fit."""
    mean = model.render(model.theta[None])[0]
    theta = np.zeros((worst, 6))
    theta[:, :2] = np.array(model.centre) + rng.normal(0, 0.3, (worst, 2))
    theta[:, 2:] = reciprocal_map(*rng.normal(0, 0.01, (4, worst))).reshape(worst, 4)
    moved = theta + 0.03 * rng.normal(size=theta.shape)
    scale = electrons / mean.sum()
    fit, expected = (model.render(t) * scale if worst else np.zeros((0, *mean.shape)) for t in (theta, moved))
    fit[2::4] = np.nan
    return {
        "mean_pattern": (("q_y", "q_x"), np.where(model.mask, np.nan, mean)),
        "worst_pattern": (("worst", "q_y", "q_x"), np.where(model.mask, np.nan, rng.poisson(expected))),
        "worst_fit": (("worst", "q_y", "q_x"), fit),
        "worst_y": (("worst",), rng.integers(0, shape[0], worst)),
        "worst_x": (("worst",), rng.integers(0, shape[1], worst)),
        "worst_status": (("worst",), np.resize([0, 0, 2, 5, 3], worst).astype(np.int64)),
    }


def attributes(model: DiffractionPattern, pool: int, source: str, calibrated: bool) -> dict:
    """Set-up and provenance."""
    options = ("probe_radius", "probe_edge", "centre", "gain", "contrast_depth")
    settings = {"pool": pool, **dict.fromkeys(options), "reference": [12, 3, 20, 10], "workers": 8, "resume": True}
    attrs = {
        "source": source,
        "parscope_version": "0.1.0",
        "source_fingerprint": "sampled-sha256:" + "3fa9" * 16,
        "settings": json.dumps(settings),
        "choices": json.dumps(choices(model, pool)),
        "probe_radius": model.probe.radius,
        "probe_edge": model.probe.edge,
        "centre_y": model.centre[0],
        "centre_x": model.centre[1],
        "distortion": json.dumps(model.probe.distortion.tolist()),
        "reference_basis": json.dumps(model.basis.tolist()),
        "pool": pool,
        "gain": 1.0,
        "elapsed_s": 12.4,
        "patterns_per_s": 18400.0,
        "noise": "Poisson noise of the gain above; nothing else is assumed",
    }
    return attrs | ({"q_scale": 0.271, "q_unit": "1/nm"} if calibrated else {})


def build(
    shape: tuple[int, int] = (24, 32),
    *,
    grains: int = 1,
    unit: str = "nm",
    step: tuple[float, float] = (2.0, 2.0),
    electrons: float = 3000.0,
    failing: bool = True,
    pool: int = 1,
    reference: str = "corner",
    worst: int = 10,
    side: int = 64,
    source: str = "/data/2024-05-17/scan_0042.h5",
) -> xr.Dataset:
    """A strain map of simulated numbers that keeps the contract of the workflow."""
    rng = np.random.default_rng(0)
    model = physics(side)
    truth, grain = fields(shape, grains, rng)
    status = failures(shape, grain, rng) if failing else np.zeros(shape, dtype=np.uint8)
    thickness = 1 + 0.3 * np.sin(np.arange(shape[1]) / 9)[None, :] + 0.1 * np.arange(shape[0])[:, None] / shape[0]
    dose = rng.poisson(electrons * thickness * np.where(status == Status.VACUUM, 1.3, 1.0)).astype(float)
    variables = scan_maps(shape, status, truth, dose, pool, rng) | patterns(model, shape, worst, electrons, rng)
    variables["grain"] = (("y", "x"), np.where(status == Status.BOUNDARY, -1, grain).astype(np.int16))
    variables["reference"] = (("y", "x"), reference_region(shape, reference))
    variables["amplitude"] = (("disk", "y", "x"), disk_images(model, status, thickness, rng))
    variables["reference_position"] = (("disk", "axis"), model.reference)
    coords = {
        "y": ("y", step[0] * np.arange(shape[0]), {"units": unit}),
        "x": ("x", step[1] * np.arange(shape[1]), {"units": unit}),
        "disk_h": ("disk", model.indices[:, 0]),
        "disk_k": ("disk", model.indices[:, 1]),
    }
    return xr.Dataset(variables, coords, attributes(model, pool, source, unit != "px"))


@pytest.fixture(scope="session")
def make_map() -> MakeMap:
    """Builder of strain maps; see `build`."""
    return build


def all_failed(dataset: xr.Dataset) -> xr.Dataset:
    """The same map with every fit failed."""
    lost = dataset.copy(deep=True)
    for name in lost.data_vars:
        if lost[name].dims == ("y", "x") and lost[name].dtype == np.float64:
            lost[name] = lost[name] * np.nan
    lost["status"] = (("y", "x"), np.full(lost["status"].shape, Status.VACUUM, dtype=np.uint8), lost["status"].attrs)
    lost["reference"] = lost["reference"] & False
    return lost


ODD = {
    "tiny, oblong steps": lambda: build((4, 4), step=(1.0, 2.5), reference="all"),
    "one row": lambda: build((1, 60)),
    "one column": lambda: build((40, 1), unit="px", step=(1.0, 1.0)),
    "one position": lambda: build((1, 1), failing=False),
    "long": lambda: build((6, 90)),
    "tall and uncalibrated": lambda: build((90, 6), unit="px", step=(1.0, 1.0), reference="none"),
    "polycrystal": lambda: build((40, 56), grains=9, pool=3),
    "all failed": lambda: all_failed(build((16, 16))),
}


@pytest.fixture(params=ODD, scope="session")
def odd_map(request: pytest.FixtureRequest) -> xr.Dataset:
    """Every map that has ever been awkward to draw."""
    return ODD[request.param]()
