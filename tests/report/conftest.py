"""Strain maps as the workflow writes them, with every status and every odd shape."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache

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
        ("probe_radius", model.probe.radius, "px", "half-height radius of the direct disk of the mean pattern"),
        ("probe_edge", model.probe.edge, "px", "rise of the direct disk's edge"),
        ("centre", [round(c, 2) for c in model.centre], "px", "symmetry of the lattice of the mean pattern"),
        ("distortion", model.probe.distortion.tolist(), "1", "ellipse through the edge of the direct disk"),
        ("basis", model.basis.round(2).tolist(), "px", "strongest pair of peaks of the autocorrelation"),
        ("disks", len(model.indices), "", "all with more than 1 % of the electrons of the strongest"),
        ("pool", pool, "px", "largest that keeps the thinnest layer of the reference map apart, given the dose"),
        ("gain", 1.0, "counts/electron", "variance over mean of 4096 pixels far from the disks"),
        ("mask", int(model.mask.sum()), "px", "dead and beam-stop pixels: never above 0.1 % of the mean"),
        ("reference", "flattest 10 %", "", "region of least strain gradient; override for a substrate you know"),
        ("contrast_depth", 0.12, "1", "scatter inside disks beyond Poisson noise"),
    ]
    return [dict(zip(("name", "value", "unit", "how"), row, strict=True)) for row in rows]


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
    seed: int = 0,
) -> xr.Dataset:
    """A strain map of simulated numbers that keeps the contract of the workflow."""
    rng = np.random.default_rng(seed)
    model = physics(side)
    truth, grain = fields(shape, grains, rng)
    status = failures(shape, grain, rng) if failing else np.zeros(shape, dtype=np.uint8)
    thickness = 1 + 0.3 * np.sin(np.arange(shape[1]) / 9)[None, :] + 0.1 * np.arange(shape[0])[:, None] / shape[0]
    dose = rng.poisson(electrons * thickness * np.where(status == Status.VACUUM, 1.3, 1.0)).astype(float)
    failed = status != Status.OK
    variables: dict = {}
    for name, scale in zip(COMPONENTS, (0.12, 0.12, 0.085, 0.085), strict=True):
        std = scale / np.sqrt(np.maximum(dose, 1)) * (1 + 0.05 * rng.random(shape)) / pool
        value = truth[name] + rng.normal(0, 1, shape) * std
        attrs = {"units": "rad" if name == "rotation" else "1"}
        variables[name] = (("y", "x"), np.where(failed, np.nan, value), attrs)
        variables[f"{name}_std"] = (("y", "x"), np.where(failed, np.nan, std), attrs)
    codes = np.arange(10, dtype=np.uint8)
    flags = {"flag_values": codes, "flag_meanings": " ".join(Status(int(c)).name.lower() for c in codes)}
    variables["status"] = (("y", "x"), status, flags)
    misfit = np.where(failed & (status != Status.NO_MODEL), np.nan, rng.gamma(200, 1.05 / 200, shape))
    variables["misfit"] = (("y", "x"), np.where(status == Status.NO_MODEL, 4.0, misfit))
    variables["limit_ratio"] = (("y", "x"), np.where(failed, np.nan, 1.04 + 0.1 * rng.random(shape)))
    variables["electrons"] = (("y", "x"), np.where(status == Status.NOT_DONE, np.nan, dose))
    for axis, name in enumerate(("centre_y", "centre_x")):
        drift = model.centre[axis] + 0.3 * np.mgrid[0 : shape[0], 0 : shape[1]][axis] / max(shape)
        variables[name] = (("y", "x"), np.where(failed, np.nan, drift), {"units": "px"})
    variables["grain"] = (("y", "x"), np.where(status == Status.BOUNDARY, -1, grain).astype(np.int16))
    region = np.zeros(shape, dtype=np.bool_)
    if reference == "corner":
        region[shape[0] // 2 : shape[0] - shape[0] // 8, shape[1] // 8 : max(shape[1] // 3, shape[1] // 8 + 1)] = True
    variables["reference"] = (("y", "x"), np.ones(shape, dtype=np.bool_) if reference == "all" else region)
    phase = rng.uniform(0, 6, len(model.indices))
    fringe = 1 + 0.4 * np.sin(thickness[None] * 5 + phase[:, None, None])
    fringe = rng.poisson(np.maximum(model.amplitude[:, None, None] * fringe * 20, 0)) / 20
    amplitude = np.where(np.isin(status, (Status.UNREADABLE, Status.NOT_DONE, Status.BAD_INPUT)), np.nan, fringe)
    variables["amplitude"] = (("disk", "y", "x"), amplitude)
    variables["reference_position"] = (("disk", "axis"), model.reference)
    mean = model.render(model.theta[None])[0]
    variables["mean_pattern"] = (("q_y", "q_x"), np.where(model.mask, np.nan, mean))
    theta = np.zeros((worst, 6))
    theta[:, :2] = np.array(model.centre) + rng.normal(0, 0.3, (worst, 2))
    theta[:, 2:] = reciprocal_map(*rng.normal(0, 0.01, (4, worst))).reshape(worst, 4)
    fit = model.render(theta) * electrons / max(mean.sum(), 1) if worst else np.zeros((0, side, side))
    shifted = model.render(theta + 0.03 * rng.normal(size=theta.shape)) if worst else fit
    counts = rng.poisson(shifted * electrons / max(mean.sum(), 1)).astype(float)
    fit[2::4] = np.nan
    variables["worst_pattern"] = (("worst", "q_y", "q_x"), np.where(model.mask, np.nan, counts))
    variables["worst_fit"] = (("worst", "q_y", "q_x"), fit)
    places = rng.integers(0, shape[0], worst), rng.integers(0, shape[1], worst)
    variables["worst_y"], variables["worst_x"] = (("worst",), places[0]), (("worst",), places[1])
    variables["worst_status"] = (("worst",), np.resize([0, 0, 2, 5, 3], worst).astype(np.int64))
    coords = {
        "y": ("y", step[0] * np.arange(shape[0]), {"units": unit}),
        "x": ("x", step[1] * np.arange(shape[1]), {"units": unit}),
        "disk_h": ("disk", model.indices[:, 0]),
        "disk_k": ("disk", model.indices[:, 1]),
    }
    settings = {"pool": pool, "probe_radius": model.probe.radius, "reference": None, "workers": 8, "keep_going": True}
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
        "q_scale": 0.271,
        "q_unit": "1/nm",
        "pool": pool,
        "gain": 1.0,
        "elapsed_s": 12.4,
        "patterns_per_s": 18400.0,
        "noise": "Poisson noise of the gain above; nothing else is assumed",
    }
    if unit == "px":
        attrs = {key: value for key, value in attrs.items() if not key.startswith("q_")}
    return xr.Dataset(variables, coords, attrs)


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
    "typical": lambda: build(),
    "tiny": lambda: build((4, 4)),
    "one row": lambda: build((1, 60)),
    "one column": lambda: build((40, 1), unit="px", step=(1.0, 1.0)),
    "one position": lambda: build((1, 1), failing=False),
    "long": lambda: build((6, 90)),
    "tall": lambda: build((90, 6)),
    "polycrystal": lambda: build((40, 56), grains=9, pool=3),
    "oblong steps": lambda: build((20, 20), step=(1.0, 2.5), reference="all"),
    "uncalibrated": lambda: build((16, 24), unit="px", step=(1.0, 1.0), reference="none"),
    "all failed": lambda: all_failed(build((16, 16))),
    "nothing worst": lambda: build((12, 12), worst=0),
}


@pytest.fixture(params=ODD, scope="session")
def odd_map(request: pytest.FixtureRequest) -> xr.Dataset:
    """Every map that has ever been awkward to draw."""
    return ODD[request.param]()
