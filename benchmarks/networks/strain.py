"""Networks for strain, measured: alone at any orientation, and as the start of the exact solver on polycrystals.

``python -m benchmarks networks-strain`` trains one network for the square lattice of the ``A128`` phantoms and one for
the polycrystals, from one scan each, and measures them on other draws than that of the scan, at its dose and background
and at others. One map has the 256 x 256 positions of the published polycrystal.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.book import Book
from benchmarks.exchange import Run
from benchmarks.networks.published_cycle import CC_ST_AE
from benchmarks.report import Row, Target
from benchmarks.strain import phantoms
from benchmarks.strain.bounds import Limits, limits
from benchmarks.strain.ours import COMPONENTS, lattices, of_two
from benchmarks.strain.phantoms import Phantom
from benchmarks.strain.polycrystal import FEWEST, polycrystal_scores
from benchmarks.strain.score import Measured, median, strain_between
from parscope import Frames, map_strain
from parscope.core.errors import ParscopeError
from parscope.core.solver import Status
from parscope.solvers.networks.constellation.store import load_encoder
from parscope.techniques.diffraction import DiffractionPattern
from parscope.techniques.diffraction.simulate import ScanDesign
from parscope.workflows.strain.network import NetworkStart, load_start
from parscope.workflows.strain.prepare import found_setup
from parscope.workflows.strain.settings import StrainSettings
from parscope.workflows.train import train_strain

Array = NDArray[np.float64]

TAUGHT_BY = {"A128": "A128_mod", "polycrystal": "polycrystal_25"}
"""Phantoms whose scan, at `TAUGHT_AT` electrons a pattern, the networks are trained on."""

TAUGHT_AT = 10_000
UNSEEN = 1
"""Seed of what is measured; the scans that networks are trained on are drawn with 0."""

DOSES = (1_000, 10_000, 100_000)
ALONE = ("A128_flat", "A128_mod", "polycrystal_25")
POLYCRYSTALS = ("polycrystal_00", "polycrystal_25", "polycrystal_50", "polycrystal_70")
FULL, BACKGROUND = 256, 25
"""Side of the published scan, and share of the background under which it is mapped, [%]."""
# Most patterns of a phantom for the networks alone, and misses of the lattice, [px], that are a failure.
_MOST, _FAILED = 2048, 2.0


def taught(name: str, folder: Path, seed: int, **limits: float) -> dict[str, Any]:
    """Train on a scan of a phantom; how long the whole call took, set-up and card included, and the card.

    The time is that of the command, unless there are `limits`: ``minutes``.
    """
    frames = _scan(name)
    began, cpu = time.perf_counter(), time.process_time()
    train_strain(frames, folder, seed=seed, **limits)
    seconds = {"wall_s": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}
    notes = load_encoder(folder)[2]
    return {"phantom": name, "seed": seed, **seconds, "training": notes["training"], "card": notes["card"]}


def started(name: str, folder: Path) -> NetworkStart:
    """Networks from a folder, for the set-up of the scan that they were trained on."""
    return load_start(folder, _physics(name))


@lru_cache(maxsize=1)
def _scan(name: str) -> Frames:
    """The scan of a phantom that networks are trained on."""
    return Frames.from_array(phantoms.load(name).draw(TAUGHT_AT))


@cache
def _physics(name: str) -> DiffractionPattern:
    """What its set-up finds."""
    return found_setup(_scan(name), StrainSettings()).setup.physics


def alone(phantom: Phantom, start: NetworkStart, electrons: int) -> dict[str, Any]:
    """What the networks say without the exact solver: disk positions, failures, speed.

    Positions are those of all disks of the phantom's lattice, error of a coordinate; a pattern has failed when it has
    no answer or its disks are off by more than 2 px.
    """
    chosen = np.unique(np.linspace(0, len(phantom.share) - 1, _MOST).astype(np.int64))
    patterns = phantom.draw(electrons, UNSEEN).reshape(-1, *phantom.design.pattern)[chosen]
    start.network(patterns[:256])
    began = time.process_time()
    estimate = start.network(patterns)
    seconds = time.process_time() - began
    lattice, centre, _ = start.told(patterns)
    true = phantom.truth.lattice[chosen]
    own = _in_cell_of(true, lattice)
    off = phantom.truth.indices @ (own - true) + (centre - phantom.truth.centre[chosen])[:, None]
    miss = np.sqrt(np.square(off).mean((1, 2)))
    good = miss < _FAILED
    result: dict[str, Any] = {"phantom": phantom.name, "electrons": electrons}
    for name, of in (("inside", phantom.share[chosen] == 0), ("boundary", phantom.boundary[chosen])):
        if of.any():
            result[f"position_rms_{name}"] = float(np.sqrt(np.mean(np.square(miss[of & good]))))
            result[f"failures_{name}"] = float(np.mean(~good[of]))
    status = {Status(int(s)).name: int((estimate.status == s).sum()) for s in np.unique(estimate.status)}
    return result | {"patterns_per_cpu_s": len(patterns) / seconds, "status": status}


def mapped(phantom: Phantom, folder: Path, electrons: int) -> dict[str, Any]:
    """A whole map that the networks start: precision over the limit, failures, mean absolute errors by place.

    The limit is left out at full size, where it would take hours.
    """
    frames = Frames.from_array(phantom.draw(electrons, UNSEEN))
    began = time.process_time()
    found = map_strain(frames, solver=folder)
    seconds = time.process_time() - began
    centre = np.stack([found.centre_y.values.ravel(), found.centre_x.values.ravel()], -1)
    std = np.stack([found[f"{name}_std"].values.ravel() for name in COMPONENTS], -1)
    measured = Measured(lattices(found), centre, std)
    limit = _limits(phantom.name).known if phantom.name in phantoms.DESIGNS else None
    bound = None if limit is None else limit.at(electrons)["strain_rms"]
    scores = polycrystal_scores(measured, phantom.truth, phantom.grain, phantom.share, of_two(found), bound)
    start = load_start(folder, found_setup(frames, StrainSettings(solver=folder)).setup.physics)
    told = start.told(frames.data[:].reshape(-1, *phantom.design.pattern))[0]
    by_place = {"exact": _by_place(phantom, measured.lattice), "network": _by_place(phantom, told, any_cell=True)}
    made = {"phantom": phantom.name, "background": round(100 * phantom.design.background), "electrons": electrons}
    by_chance = {} if limit is None else {"failures_limit": limit.failures(electrons)}
    return made | {"cpu_s": seconds, **scores, **by_chance, "mae": by_place}


def full_size_design() -> ScanDesign:
    """The polycrystal with as many positions as published, its grains as large as in the other phantoms."""
    design, by = phantoms.DESIGNS[f"polycrystal_{BACKGROUND}"], FULL // phantoms.POLYCRYSTAL.scan[0]
    return replace(design, scan=(FULL, FULL), grains=by**2 * design.grains)


@cache
def _limits(name: str) -> Limits:
    """Limits of a phantom, which take longer than its maps."""
    return limits(name)


def _by_place(phantom: Phantom, lattice: Array, any_cell: bool = False) -> dict[str, float]:
    """Mean absolute error of strain [1] and rotation [rad] inside the grains and on boundaries, and answers there.

    A grain's reference is its median lattice; with `any_cell` every pattern may have another cell.
    """
    error = np.full((len(lattice), 4), np.nan)
    for g in np.unique(phantom.grain[phantom.share == 0]):
        inside = (phantom.grain == g) & (phantom.share == 0)
        if inside.sum() < FEWEST or not np.isfinite(lattice[inside]).all((1, 2)).any():
            continue
        here = phantom.grain == g
        true = phantom.truth.lattice[here]
        own = _in_cell_of(true, lattice[here]) if any_cell else lattice[here]
        base = int(np.flatnonzero(np.isfinite(own).all((1, 2)))[0])
        own, true = np.linalg.solve(own[base][None], own), np.linalg.solve(true[base][None], true)
        pure = phantom.share[here] == 0
        error[here] = strain_between(own, median(own[pure])) - strain_between(true, median(true[pure]))
    result = {}
    for name, of in (("inside", phantom.share == 0), ("boundary", phantom.boundary)):
        told = of & np.isfinite(error).all(1) & (np.abs(error) < 0.1).all(1)
        result[f"answers_{name}"] = float(told.sum() / of.sum())
        result[f"strain_{name}"] = float(np.abs(error[told, :3]).mean()) if told.any() else float("nan")
        result[f"rotation_{name}"] = float(np.abs(error[told, 3]).mean()) if told.any() else float("nan")
    return result


def _in_cell_of(true: Array, lattice: Array) -> Array:
    """Lattices (n, 2, 2) in the cells of the true ones, as all cells describe the same; NaN where they cannot be."""
    known = np.isfinite(lattice).all((1, 2))
    result = np.full(lattice.shape, np.nan)
    cells = np.rint(true[known] @ np.linalg.inv(lattice[known]))
    same = np.abs(np.abs(np.linalg.det(cells)) - 1) < 0.1
    result[known] = np.where(same[:, None, None], cells @ lattice[known], np.nan)
    return result


def rows(folder: Path, seed: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything, one row after the other, as (kind, row)."""
    folders = {name: folder / name for name in TAUGHT_BY}
    starts = {}
    for name, phantom in TAUGHT_BY.items():
        yield "training", taught(phantom, folders[name], seed)
        starts[name] = started(phantom, folders[name])
    for name in ALONE:
        for electrons in DOSES:
            yield "alone", alone(phantoms.load(name), starts[name.split("_")[0]], electrons)
    for name in POLYCRYSTALS:
        for electrons in (100_000, 1_000):
            yield "mapped", _mapped(phantoms.load(name), folders["polycrystal"], electrons)
    large = phantoms.made(f"polycrystal_{BACKGROUND} of {FULL} x {FULL} positions", full_size_design())
    yield "mapped", _mapped(large, folders["polycrystal"], 100_000)


def _mapped(phantom: Phantom, folder: Path, electrons: int) -> dict[str, Any]:
    """A whole map, or why there is none."""
    try:
        return mapped(phantom, folder, electrons)
    except ParscopeError as error:
        return {"phantom": phantom.name, "electrons": electrons, "refused": str(error)}


def lines(kind: str, found: dict[str, Any]) -> list[Row]:
    """Lines of the table that a measurement fills.

    Parameters
    ----------
    kind : {"training", "alone", "mapped"}
        What was measured.
    found : dict
        As the function of that name returns it; of training, the row that begins with it.

    Returns
    -------
    list of Row
    """
    return _LINES[kind](found)


def _of_training(found: dict[str, Any]) -> list[Row]:
    case = f"{found['phantom']}, training"
    return [
        Row(case, "wall time, set-up and card included", found["wall_s"], "s", target=Target(at_most=900)),
        Row(case, "parameters", found["card"]["parameters"], "1", target=Target(at_most=20_000)),
    ]


def _of_alone(found: dict[str, Any]) -> list[Row]:
    case, judged = f"{found['phantom']}, {found['electrons']} electrons, network alone", found["electrons"] == TAUGHT_AT
    wanted = Target(at_most=0.3) if judged else None
    made = [
        Row(case, "disk position RMS", found["position_rms_inside"], "px", target=wanted),
        Row(case, "failures", 100 * found["failures_inside"], "%", target=Target(at_most=1.0)),
        Row(case, "patterns per CPU second", found["patterns_per_cpu_s"], "1/s", target=Target(at_least=5000)),
    ]
    if "position_rms_boundary" in found:
        made.append(Row(case, "disk position RMS, boundary", found["position_rms_boundary"], "px"))
        made.append(Row(case, "failures, boundary", 100 * found["failures_boundary"], "%"))
    return made


def _of_mapped(found: dict[str, Any]) -> list[Row]:
    case, dim = f"{found['phantom']}, {found['electrons']} electrons, from the network", found["electrons"] < TAUGHT_AT
    if "refused" in found:
        return [
            Row(case, "strain RMS over the limit", None, "1", bound=1.0, target=Target(at_most=1.3)),
            Row(case, "failures", 100.0, "%", target=Target(at_most=1.0)),
        ]
    half = None if dim else Target(at_most=round(_half(found["background"]), 3))
    exact, network = found["mae"]["exact"], found["mae"]["network"]
    over = "strain RMS over the limit"
    limit = [Row(case, over, found["ratio"], "1", bound=1.0, target=Target(at_most=1.3))] if "ratio" in found else []
    by_chance = 100 * found["failures_limit"] if "failures_limit" in found else None
    return [
        *limit,
        Row(case, "failures", 100 * found["failures"], "%", bound=by_chance, target=Target(at_most=1.0)),
        Row(case, "strain MAE, interior", 1e3 * exact["strain_inside"], "1e-3", target=half),
        Row(case, "rotation MAE, interior", 1e3 * exact["rotation_inside"], "mrad"),
        Row(case, "strain MAE, boundary", 1e3 * exact["strain_boundary"], "1e-3", target=half),
        Row(case, "rotation MAE, boundary", 1e3 * exact["rotation_boundary"], "mrad"),
        Row(case, "missing, boundary", 100 * (1 - exact["answers_boundary"]), "%"),
        Row(case, "strain MAE, boundary, network alone", 1e3 * network["strain_boundary"], "1e-3", target=half),
        Row(case, "rotation MAE, boundary, network alone", 1e3 * network["rotation_boundary"], "mrad"),
    ]


def _half(background: int) -> float:
    """Half of what CC-ST-AE was published with under the same background, mean of the components of strain, [1e-3]."""
    return float(np.mean(CC_ST_AE[background][:3])) / 2


_LINES: dict[str, Callable[[dict[str, Any]], list[Row]]] = {
    "training": _of_training,
    "alone": _of_alone,
    "mapped": _of_mapped,
}


def measure(run: Run, quick: bool) -> tuple[list[Row], list[dict[str, Any]]]:
    """Run everything; see `benchmarks.spectroscopy.table.measure`. There is no quick way: training takes minutes."""
    made: list[Row] = []
    records = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (kind, found) in enumerate(rows(Path(folder), 0)):
            print(kind, json.dumps(found), flush=True)
            made += lines(kind, found)
            records.append({"method": "parscope", "key": f"{run.name}:{number}", "case": kind, **found})
    return made, records


BOOK = Book(
    name="networks-strain",
    peers=(),
    libraries=("numpy", "numba", "scipy", "torch", "safetensors"),
    seeds={
        "scans that are trained on": "the number of electrons",
        "scans that are measured": f"the number of electrons + {UNSEEN}",
        "networks": 0,
    },
    measure=measure,
)
