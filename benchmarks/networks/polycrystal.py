"""The polycrystal of the cycle-consistent autoencoder, measured by it, by py4DSTEM and by parscope.

``python -m benchmarks polycrystal``. Of parscope the exact workflow, and the same from networks, trained once, on a
scan of other grains under a quarter of background. The autoencoder is trained for each background anew, on what it
measures.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.book import Book
from benchmarks.exchange import Method, Run
from benchmarks.networks import published_cycle as published
from benchmarks.networks.figure import draw
from benchmarks.networks.phantom import BACKGROUNDS, ELECTRONS, PUBLISHED_PATTERN, design, polycrystal
from benchmarks.networks.score import errors, scores
from benchmarks.report import Row, Target
from benchmarks.scores import Metric, Scores, best
from benchmarks.strain.score import Array, Truth
from parscope import Frames
from parscope.solvers.networks.cycle import CycleAutoencoder, CycleDesign, View
from parscope.solvers.networks.cycle.teacher import CycleTeacher
from parscope.techniques.diffraction import reciprocal_map
from parscope.techniques.diffraction.simulate import Simulation
from parscope.workflows.train import train_strain

OURS, PY4DSTEM, NETWORK = "parscope", "py4DSTEM multicorr", "parscope, from networks"
UNITS = {
    "e_xx": ("1e-3", 1e3),
    "e_yy": ("1e-3", 1e3),
    "e_xy": ("1e-3", 1e3),
    "rotation": ("deg", 1.0),
    "missing": ("%", 1e2),
}
NOTHING = "no strain anywhere"
SEEDS, LOST = 3, 5.0
"""Trainings of the autoencoder at most, and mean error of the rotation inside grains of one that has failed, [deg]."""
PLACES = ("interior", "boundary", "all")


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Parameters
    ----------
    scan, pattern : int
        Sides, [px].
    backgrounds : tuple of int
        Shares of the electrons, [%].
    steps : tuple of int
        Of the two stages of the autoencoder, at most.
    trained : int, optional
        Background under which networks of parscope are trained, on a scan of other grains, [%]; None: no part in it.
    """

    scan: int = 48
    pattern: int = 128
    backgrounds: tuple[int, ...] = BACKGROUNDS
    steps: tuple[int, int] = (300, 300)
    trained: int | None = 25

    @property
    def cycle(self) -> str:
        """Name of the autoencoder, which says how far it is from the published one."""
        return "CC-ST-AE, small, {} + {} steps".format(*self.steps)

    def case(self, background: int) -> str:
        """Name of a case."""
        return f"polycrystal, {self.scan} x {self.scan} positions of {self.pattern} px, {background} % background"

    def methods(self, background: int, network: Path | None) -> tuple[Method, ...]:
        """Who takes part."""
        sizes = {"background": background, "classes": 1, "first": self.steps[0], "second": self.steps[1]}
        seeded = [(f"{self.cycle}, seed {seed}", {**sizes, "seed": seed}) for seed in range(SEEDS)]
        told = {"subpixel": "multicorr", "sigma_cc": 1 if self.pattern < PUBLISHED_PATTERN else 2}
        made = [
            Method(OURS, "networks/ours.py"),
            *(Method(name, "networks/cycle.py", settings=settings) for name, settings in seeded),
            Method(PY4DSTEM, "networks/peers/run_py4dstem.py", "py4dstem", told),
        ]
        if network is not None:
            made.append(Method(NETWORK, "networks/ours.py", settings={"solver": str(network)}))
        return tuple(made)

    def measure(self, run: Run, quick: bool) -> tuple[list[Row], list[dict[str, Any]]]:
        """Rows of the table, and the scores of all methods; one small scan where it is to be quick."""
        if quick:
            return replace(self, scan=24, backgrounds=(25,), steps=(20, 20), trained=None).measure(run, quick=False)
        rows: list[Row] = []
        network, records = self._trained(run)
        for background in self.backgrounds:
            scan, case = polycrystal(background, self.scan, self.pattern), self.case(background)
            found, maps, made = self._case(run, scan, background, network)
            records += made
            rows += lines(case, background, found)
            title = f"{case}, {ELECTRONS} electrons a pattern"
            draw(scan.truth.e_xx, maps, title, run.folder / f"{background:02d}.png")
        return rows, records

    def _trained(self, run: Run) -> tuple[Path | None, list[dict[str, Any]]]:
        """Folder of networks, trained unless this run has them, and what else is to be known of the methods."""
        key = f"{run.name}:networks"
        records: list[dict[str, Any]] = [
            {
                "method": name,
                "case": published.CASE.format(share),
                "key": f"{run.name}:{name}",
                "error": None,
                **figures,
            }
            for name, by in published.scores().items()
            for share, figures in by.items()
        ]
        records.append({"method": "CC-ST-AE, published size", "case": "speed", "key": key, **full_size_speed()})
        if self.trained is None:
            return None, records
        folder, seconds = run.folder / "networks", None
        if not folder.exists():
            began = time.perf_counter()
            scan = polycrystal(self.trained, self.scan, self.pattern, other=1)
            train_strain(Frames.from_array(scan.rows(0, self.scan)), folder)
            seconds = time.perf_counter() - began
        records.append(
            {"method": NETWORK, "case": f"training, {self.case(self.trained)}", "key": key, "wall_s": seconds}
        )
        return folder, records

    def _case(
        self, run: Run, scan: Simulation, background: int, network: Path | None
    ) -> tuple[dict[str, Scores], dict[str, Array], list[dict[str, Any]]]:
        """Scores and errors by method of one background."""
        case = self.case(background)
        truth, share = _truth(scan), scan.truth.share.ravel()
        folder = run.case(
            f"polycrystal-{background}-{self.scan}",
            _given(scan),
            patterns=scan.rows(0, self.scan),
            probe=_probe(scan),
        )
        found: dict[str, Scores] = {}
        maps: dict[str, Array] = {}
        records: list[dict[str, Any]] = []
        for method in self.methods(background, network):
            name = self.cycle if method.name.startswith(self.cycle) else method.name
            if name == self.cycle and found.get(name, {}).get("rotation_interior", np.inf) < LOST:
                continue
            answer = run.answer(folder, method)
            record: dict[str, Any] = {"method": method.name, "case": case, "key": answer.key, "error": answer.error}
            if answer.error is None:
                # Of the trainings the last one counts, since others follow on those that failed only.
                maps[name] = errors(answer.arrays["lattice"], truth)
                found[name] = scores(maps[name], share)
                numbers = ("seconds", "setup", "training", "parameters")
                record |= found[name] | {n: float(answer.arrays[n]) for n in numbers if n in answer.arrays}
            print(method.name, case, answer.error or "measured", flush=True)
            records.append(record)
        # What no method at all would score: strain 0 everywhere, and the rotation known.
        nothing = scores(np.concatenate([-truth.strain[:, :3], np.zeros((len(share), 1))], 1), share)
        records.append({"method": NOTHING, "case": case, "key": f"{run.name}:{NOTHING}", "error": None, **nothing})
        return found, maps, records


def _truth(scan: Simulation) -> Truth:
    """Truth for the scoring."""
    truth = scan.truth
    lattice = truth.basis @ np.swapaxes(truth.affine, -1, -2)
    centre = truth.centre.reshape(-1, 2)
    return Truth(lattice.reshape(-1, 2, 2), centre, truth.basis, truth.indices, truth.reference.ravel())


def _probe(scan: Simulation) -> NDArray[np.float32]:
    """Image of the probe without specimen, of sum 1, centred at half the length of each axis."""
    offsets = np.stack(np.meshgrid(*(np.arange(n) - n / 2 for n in scan.design.pattern), indexing="ij"), -1)
    disk = scan.pattern().template(offsets, scan.design.edge)[0]
    return (disk / disk.sum()).astype(np.float32)


def _given(scan: Simulation) -> dict[str, Any]:
    """What programs are told; of the grains, how each is turned and strained on the whole."""
    design, truth, crystals = scan.design, scan.truth, scan.crystals
    maps = reciprocal_map(*crystals.own[: design.grains].T)
    return {
        "radius": design.radius,
        "edge": design.edge,
        "distortion": design.distortion.tolist(),
        "centre": [n / 2 for n in design.pattern],
        "basis": truth.basis.tolist(),
        "indices": truth.indices.tolist(),
        "grain": truth.grain.ravel().tolist(),
        "bases": (truth.basis @ np.swapaxes(maps, -1, -2)).tolist(),
    }


def lines(case: str, background: int, found: Mapping[str, Scores]) -> list[Row]:
    """Lines of the table: parscope beside the better of the others, and half of what was published as target.

    Parameters
    ----------
    case : str
        What was measured.
    background : int
        Share of the electrons, [%].
    found : mapping of dict
        Scores by method.

    Returns
    -------
    list of Row
        Those of parscope from networks follow on those of the exact workflow, if they took part.
    """
    promised = published.scores()["CC-ST-AE, published"].get(background, {})
    others = {name: scores for name, scores in found.items() if name not in (OURS, NETWORK)}
    rows = []
    for own, named in ((OURS, case), (NETWORK, f"{case}, from networks")):
        for place in PLACES if own in found else ():
            for part, (unit, factor) in UNITS.items():
                key = f"{part}_{place}"
                metric = Metric(f"{part}, {place}" if part == "missing" else f"{part} MAE, {place}", unit, factor)
                peer, whole = best(key, metric, others), promised.get(f"{part}_all")
                target = Target(at_most=whole * factor / 2) if whole and part != "rotation" else None
                beside = None if peer is None else others[peer][key] * factor
                value = found[own].get(key, np.nan) * factor
                rows.append(Row(named, metric.name, value, unit, peer, beside, None, target))
    return rows


def full_size_speed() -> dict[str, float]:
    """CPU seconds that the network of the published size needs for one pattern: an answer, and a step of training."""
    torch.set_num_threads(1)
    module, view = CycleAutoencoder(CycleDesign()), View((0, 0), 200, (50.0, 85.0), 10.0, 1.0, 1e3)
    frames = torch.rand(4, 1, 200, 200)
    seconds = {}
    start = time.process_time()
    with torch.no_grad():
        module(frames)
    seconds["answer_s"] = (time.process_time() - start) / 4
    for name, starts in (("first_stage_step_s", None), ("second_stage_step_s", torch.zeros(4))):
        teacher = CycleTeacher(frames, view, 4, starts)
        start = time.process_time()
        teacher.loss(module, torch.Generator().manual_seed(0)).backward()  # type: ignore[no-untyped-call]
        seconds[name] = (time.process_time() - start) / 4
    return {"parameters": sum(p.numel() for p in module.parameters()), **{k: round(v, 3) for k, v in seconds.items()}}


BOOK = Book(
    name="polycrystal",
    peers=("py4dstem",),
    libraries=("numpy", "numba", "torch"),
    seeds={"phantom": design(0, 8, 128).seed, "networks": 0, "autoencoder": f"0, of failed ones up to {SEEDS - 1}"},
    measure=Plan().measure,
)
