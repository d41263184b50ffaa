"""The polycrystal of the cycle-consistent autoencoder, measured by it, by py4DSTEM and by parscope.

``python -m benchmarks.networks.polycrystal [--scan 48] [--network FOLDER] [--resume RUN]``
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.book import Book
from benchmarks.exchange import Method, Run
from benchmarks.networks import published_cycle as published
from benchmarks.networks.figure import draw
from benchmarks.networks.phantom import BACKGROUNDS, ELECTRONS, design, polycrystal
from benchmarks.networks.score import errors, scores
from benchmarks.report import RESULTS, Row, Target, text, write
from benchmarks.scores import Scores
from benchmarks.strain.score import Array, Truth
from parscope.solvers.networks.cycle import CycleAutoencoder, CycleDesign, View
from parscope.solvers.networks.cycle.teacher import CycleTeacher
from parscope.techniques.diffraction import reciprocal_map
from parscope.techniques.diffraction.simulate import Simulation

OURS, CYCLE, PY4DSTEM, NETWORK = "parscope", "CC-ST-AE, small, trained here", "py4DSTEM multicorr", "parscope, network"
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
    network : str, optional
        Folder of a trained network of parscope.
    """

    scan: int = 48
    pattern: int = 128
    backgrounds: tuple[int, ...] = BACKGROUNDS
    steps: tuple[int, int] = (300, 300)
    network: str | None = None

    def methods(self, background: int) -> tuple[Method, ...]:
        """Who takes part."""
        sizes = {"background": background, "classes": 1, "first": self.steps[0], "second": self.steps[1]}
        made = [
            Method(OURS, "networks/ours.py"),
            *(Method(_seeded(seed), "networks/cycle.py", settings={**sizes, "seed": seed}) for seed in range(SEEDS)),
            Method(
                PY4DSTEM,
                "networks/peers/run_py4dstem.py",
                "py4dstem",
                {"subpixel": "multicorr", "sigma_cc": 1 if self.pattern < 256 else 2},
            ),
        ]
        if self.network is not None:
            made.append(Method(NETWORK, "networks/ours.py", settings={"solver": self.network}))
        return tuple(made)

    def measure(self, run: Run, _quick: bool) -> tuple[list[Row], list[dict[str, Any]]]:
        """Rows of the table, and the scores of all methods."""
        rows: list[Row] = []
        records: list[dict[str, Any]] = []
        for background in self.backgrounds:
            scan = polycrystal(background, self.scan, self.pattern)
            case = f"polycrystal, {background} % background"
            found, maps, made = self._case(run, scan, background, case)
            records += made
            rows += _rows(case, background, found)
            draw(
                scan.truth.e_xx, maps, f"{case}, {ELECTRONS} electrons a pattern", run.folder / f"{background:02d}.png"
            )
        return rows, records

    def _case(
        self, run: Run, scan: Simulation, background: int, case: str
    ) -> tuple[dict[str, Scores], dict[str, Array], list[dict[str, Any]]]:
        """Scores and errors by method of one background."""
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
        for method in self.methods(background):
            if method.name.startswith(CYCLE) and found.get(CYCLE, {}).get("rotation_interior", np.inf) < LOST:
                continue
            answer = run.answer(folder, method)
            record: dict[str, Any] = {"method": method.name, "case": case, "key": answer.key, "error": answer.error}
            if answer.error is None:
                # Of the trainings the last one counts, since others follow on those that failed only.
                name = CYCLE if method.name.startswith(CYCLE) else method.name
                maps[name] = errors(answer.arrays["lattice"], truth)
                found[name] = scores(maps[name], share)
                numbers = ("seconds", "setup", "training", "parameters")
                record |= found[name] | {n: float(answer.arrays[n]) for n in numbers if n in answer.arrays}
            print(method.name, case, answer.error or "measured", flush=True)
            records.append({k: _plain(v) for k, v in record.items()})
        # What no method at all would score: strain 0 everywhere, and the rotation known.
        nothing = scores(np.concatenate([-truth.strain[:, :3], np.zeros((len(share), 1))], 1), share)
        records.append({"method": NOTHING, "case": case, "key": f"{run.name}:{NOTHING}", "error": None, **nothing})
        return found, maps, records


def _seeded(seed: int) -> str:
    """Name of a training of the autoencoder."""
    return f"{CYCLE}, seed {seed}"


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


def _rows(case: str, background: int, found: dict[str, Scores]) -> list[Row]:
    """Lines of the table: parscope beside the autoencoder as trained here, and half of what it published as target."""
    promised = published.scores()["CC-ST-AE, published"].get(background, {})
    rows = []
    for place in PLACES:
        for part, (unit, factor) in UNITS.items():
            key = f"{part}_{place}"
            value, peer = (found.get(name, {}).get(key, np.nan) * factor for name in (OURS, CYCLE))
            whole = promised.get(f"{part}_all")
            target = Target(at_most=whole * factor / 2) if whole and part != "rotation" else None
            metric = f"{part}, {place}" if part == "missing" else f"{part} MAE, {place}"
            rows.append(Row(case, metric, value, unit, CYCLE, peer, None, target))
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


def comparison(made: dict[str, Any], backgrounds: Iterable[int]) -> str:
    """All methods side by side, for a terminal."""
    names = [f"{part}_{place}" for place in PLACES for part in UNITS]
    lines = [f"{'':46}" + "".join(f"{n.replace('interior', 'in').replace('boundary', 'bd'):>12}" for n in names)]
    for share in backgrounds:
        measured = [m for m in made["methods"] if m["case"].endswith(f" {share} % background")]
        others = [{"method": name, **by.get(share, {})} for name, by in published.scores().items()]
        for record in measured + others:
            cells = [_cell(record.get(n), UNITS[n.rsplit("_", 1)[0]][1]) for n in names]
            lines.append(f"{share:3} %  {record['method']:39}" + "".join(cells))
    return "\n".join(lines)


def _cell(value: float | None, factor: float) -> str:
    return f"{'-' if value is None else f'{value * factor:.3g}':>12}"


def _plain(value: Any) -> Any:
    """A number that JSON has, else None."""
    return None if isinstance(value, float) and not np.isfinite(value) else value


def main(arguments: list[str] | None = None) -> int:
    """Measure the polycrystal and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.networks.polycrystal", description=main.__doc__)
    parser.add_argument("--scan", type=int, default=48, help="side of the scan; 256 is the published one")
    parser.add_argument("--pattern", type=int, default=128, help="side of a pattern; 256 is the published one")
    parser.add_argument("--backgrounds", type=int, nargs="+", default=list(BACKGROUNDS), metavar="PERCENT")
    parser.add_argument("--steps", type=int, nargs=2, default=(300, 300), help="most steps of the two stages")
    parser.add_argument("--network", metavar="FOLDER", help="a network of `parscope train strain` to compare as well")
    parser.add_argument("--resume", metavar="RUN", help="go on with a run that broke off")
    given = parser.parse_args(arguments)
    plan = Plan(given.scan, given.pattern, tuple(given.backgrounds), tuple(given.steps), given.network)
    seeds = {"phantom": design(0, 8, 128).seed, "training": 0, "electrons": ELECTRONS}
    book = Book("polycrystal", ("py4dstem",), ("numpy", "numba", "torch"), seeds, plan.measure)
    made = book.make(resume=given.resume)
    made["head"]["commands"] = ["python -m benchmarks.networks.polycrystal " + " ".join(arguments or sys.argv[1:])]
    made["head"] |= {"published_size": full_size_speed(), "scan": given.scan, "pattern": given.pattern}
    made["published"] = published.scores()
    path = RESULTS / "polycrystal.json"
    write(made, path)
    print("\n" + text(made) + "\n\n" + comparison(made, plan.backgrounds) + f"\n{path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
