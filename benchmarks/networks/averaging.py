"""What "stochastic averaging" does: ``python -m benchmarks averaging``.

The published noise sweep, on the twin of the published film: the published network trained at each noise, on clean
spectra only, and over a range of noise; least squares without and with the explicit prior; parscope's network, trained
once; and the limit. Then what mean weights, several networks and dropout are worth at one noise.

Networks see fewer spectra than was published, so that all of it takes minutes on one core; what is trained is kept in
the cache, from which a run that broke off goes on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks import machine
from benchmarks.book import Book
from benchmarks.environments import CACHE
from benchmarks.exchange import Run
from benchmarks.networks.published import Reconstruction, Scaling, fresh, told, trained
from benchmarks.report import Row, Target, rounded
from benchmarks.scores import Scores
from benchmarks.spectroscopy.draws import NAMES, SPREAD, Array, Draw, factors, film
from benchmarks.spectroscopy.ours import in_parts, named
from benchmarks.spectroscopy.score import attainable, canonical, errors
from benchmarks.spectroscopy.twin import PUBLISHED, metrics
from parscope.core.network import Network
from parscope.solvers.least_squares import LeastSquares
from parscope.solvers.networks.module import NetworkModule, _computed
from parscope.solvers.networks.spectra.decoder import Decoder, FactorPrior
from parscope.solvers.networks.spectra.draws import OfPopulation
from parscope.solvers.networks.spectra.encoder import matched
from parscope.solvers.networks.spectra.inlet import Inlet
from parscope.solvers.networks.spectra.solver import SpectraNetwork
from parscope.solvers.networks.spectra.teachers import Simulation
from parscope.solvers.networks.store import load_network, save_network
from parscope.solvers.prior import EmpiricalBayes
from parscope.solvers.train import Recipe, train

NOISE = tuple(range(9))
"""Half width of the noise over the standard deviation of the clean data; what is published is of 1, 2, 4, 6 and 8."""
TRAINED, SCORED = 60_000, 10_000
"""Spectra of the scan that networks are trained on, and of the one that all are scored on."""
STEPS = 1000
"""Of the published network; published are 11 000."""
OURS_STEPS, SHORT = 6000, 2000
"""Of parscope's network before its rate falls, at most; of each of several, whose differences are looked at."""
SOLE, SCAN = 4, 2
"""The noise at which averaging is looked at; that of the scan which parscope's network is trained on, once."""
SEEDS = (0, 1, 2)
DROPPED, PASSES = 0.1, 20
"""Share of numbers that dropout sets to nothing behind each dense layer; passes that are averaged."""

MAKERS = ("src", "benchmarks/networks/published.py", "benchmarks/spectroscopy/draws.py")
"""What trained networks depend on, beside the settings here that are in their names."""

Spectra = NDArray[np.complex128]
LEAST, PRIOR, OURS = "least squares", "least squares, prior", "parscope network, trained once"
EACH, CLEAN, RANGE = (f"published network, {how}" for how in ("at each noise", "clean only", "over a range"))
UNIT = "distance from the clean spectra over their variance"


class Dropping(NetworkModule):
    """A network in which some numbers behind dense layers are set to nothing, whenever it is computed."""

    dropping = True

    def forward(self, signals: Tensor) -> Tensor:
        """Result of the last layer."""
        results = [signals]
        for layer in self._form.layers:
            given = [results[source] for source in layer.inputs]
            made = _computed(layer.kind, given, [self.arrays[name] for name in layer.arrays], layer.options)
            if layer.kind == "selu" and made.ndim == 2:
                made = nn.functional.dropout(made, DROPPED, self.dropping)
            results.append(made)
        return results[-1]


class Study:
    """Trains what is needed, once, and scores it.

    Parameters
    ----------
    quick : bool
        Whether a few steps are enough.
    """

    def __init__(self, quick: bool) -> None:
        self._part = 50 if quick else 1
        digest = machine.sources_digest(*(machine.ROOT / part for part in MAKERS))
        self._kept = CACHE / ("averaging-quick" if quick else "averaging") / digest
        self._kept.mkdir(parents=True, exist_ok=True)
        self.scored = {n: film(n, SCORED // self._part, 0) for n in NOISE}
        self.scaling = Scaling.of(self._scan(0))

    def _scan(self, noise: float, seed: int = 1) -> Draw:
        return film(noise, TRAINED // self._part, seed)

    def _range(self) -> Spectra:
        """Spectra of all noises, from none to the largest."""
        return np.concatenate([film(n, TRAINED // self._part // 9, 10 + n).spectra for n in range(9)])

    def kept(self, name: str, make: Callable[[], dict[str, Network]]) -> dict[str, Network]:
        """Networks of that name from the cache, else made now."""
        notes = self._kept / f"{name}.json"
        if not notes.exists():
            start = time.process_time()
            made = make()
            for part, network in made.items():
                save_network(self._kept / f"{name}-{part}", network, {})
            seconds = time.process_time() - start
            notes.write_text(json.dumps({"parts": list(made), "seconds": seconds}))
            print(f"{name}: trained in {seconds:.0f} CPU s", flush=True)
        parts = json.loads(notes.read_text())["parts"]
        return {part: load_network(self._kept / f"{name}-{part}")[0] for part in parts}

    def seconds(self) -> dict[str, float]:
        """CPU seconds of each training."""
        files = sorted(self._kept.glob("*.json"))
        return {f.stem: round(float(json.loads(f.read_text())["seconds"]), 1) for f in files}

    def published(
        self, noise: int | None, seed: int = 0, kind: type[NetworkModule] = NetworkModule
    ) -> dict[str, Network]:
        """The published network, at a noise or over a range: last and mean weights."""

        def make() -> dict[str, Network]:
            spectra = self._range() if noise is None else self._scan(noise).spectra
            module = kind(fresh(spectra.shape[1], seed))
            last, mean = trained(module, Reconstruction(self.scaling, spectra), STEPS // self._part, seed)
            return {"last": last, "mean": mean}

        how = "dropping" if kind is Dropping else "published"
        return self.kept(f"{how}-{'range' if noise is None else noise}-{seed}-{STEPS}", make)

    def ours(self, steps: int, seed: int = 0, average: float = Recipe().average) -> SpectraNetwork:
        """parscope's network for all noises, from one noisy scan."""
        scan = self._scan(SCAN)
        population = EmpiricalBayes(LeastSquares(scan.physics)).learn(scan.spectra)
        assert population is not None, "the scan has a distribution"
        decoder, inlet = Decoder(scan.physics), Inlet(scan.physics)

        def make() -> dict[str, Network]:
            some = LeastSquares(scan.physics)(scan.spectra[:2048], posterior=False)
            draws = OfPopulation(decoder, population, float(np.nanmedian(some.extra["noise"])))
            module = NetworkModule(matched(inlet, decoder, draws, seed))
            recipe = Recipe(most=steps // self._part, average=average, seed=seed)
            train(module, {"simulation": (Simulation(inlet, decoder, draws), 1.0)}, recipe)
            return {"mean": module.network()}

        network = self.kept(f"ours-{seed}-{average}-{steps}", make)["mean"]
        prior = FactorPrior(population.factor_mean, population.factor_covariance, population.two_signs)
        return SpectraNetwork(scan.physics, network, prior=prior)


def scores_of(found: Array, draw: Draw) -> Scores:
    """Median errors, the RMS of that of the resonance where there is a fit, and the distance from the clean spectra.

    No fit has an infinite error, and counts as a fit by nothing.
    """
    away = errors(found, draw.truth)
    there = np.isfinite(away).all(axis=1)
    size = np.where(there[:, None], np.abs(away), np.inf)
    clean = draw.physics.render(factors(draw.truth))
    fitted = np.zeros_like(clean)
    fitted[there] = draw.physics.render(factors(canonical(found)[there]))
    medians = {f"median_{name}": float(np.median(size[:, k])) for k, name in enumerate(NAMES)}
    rms = float(np.sqrt(np.mean(np.square(away[there, 0])))) if there.any() else np.inf
    return medians | {
        "missing": float(np.mean(~there)),
        "rms_resonance": rms,
        "mse": float(np.mean(np.abs(fitted - clean) ** 2) / np.var(clean)),
    }


def least_squares(draw: Draw) -> Array:
    """Without a prior."""
    theta, covariance, _ = in_parts(LeastSquares(draw.physics), draw.spectra)
    return named(draw.physics, theta, covariance)[0]


def with_prior(draw: Draw) -> Array:
    """With the explicit prior, learnt from the same spectra."""
    found = EmpiricalBayes(LeastSquares(draw.physics))(draw.spectra)
    return named(draw.physics, found.theta, found.covariance)[0]


def by(network: SpectraNetwork, draw: Draw) -> Array:
    """By parscope's network."""
    found = network(draw.spectra)
    return named(draw.physics, found.theta, found.covariance)[0]


def sweep(study: Study) -> dict[int, dict[str, Scores]]:
    """Scores of all methods at all noises."""
    clean, ranging, ours = study.published(0)["last"], study.published(None)["last"], study.ours(OURS_STEPS)
    found = {}
    for noise, draw in study.scored.items():
        networks = {EACH: study.published(noise)["last"], CLEAN: clean, RANGE: ranging}
        answers = {
            name: told([NetworkModule(network)], study.scaling, draw.spectra) for name, network in networks.items()
        }
        answers |= {OURS: by(ours, draw), LEAST: least_squares(draw)}
        # Without noise there is nothing that a prior could add, and no limit.
        answers |= {PRIOR: with_prior(draw)} if noise else {}
        found[noise] = {name: scores_of(answer, draw) for name, answer in answers.items()}
        for name, scores in found[noise].items():
            print(f"n = {noise}: {name}: { {k: rounded(v) for k, v in scores.items()} }", flush=True)
    return found


def averaged(study: Study) -> dict[str, list[Scores]]:
    """Scores at one noise: of single networks, of their mean weights, of all together, and with dropout."""
    draw = study.scored[SOLE]

    def tell(networks: list[NetworkModule]) -> Scores:
        return scores_of(told(networks, study.scaling, draw.spectra), draw)

    single = [study.published(SOLE, seed) for seed in SEEDS]
    mean = [NetworkModule(networks["mean"]) for networks in single]
    dropping = Dropping(study.published(SOLE, 0, Dropping)["last"])
    torch.manual_seed(0)
    drawn = [tell([dropping] * PASSES)]
    dropping.dropping = False
    ours = [study.ours(SHORT, seed) for seed in SEEDS]
    return {
        "published network, one": [tell([NetworkModule(networks["last"])]) for networks in single],
        "published network, mean weights": [tell([network]) for network in mean],
        f"published network, mean of {len(SEEDS)}": [tell([NetworkModule(n["last"]) for n in single])],
        f"published network, mean weights, mean of {len(SEEDS)}": [tell(mean)],
        "published network, trained with dropout, used without": [tell([dropping])],
        f"published network, dropout, mean of {PASSES} passes": drawn,
        "parscope network, one": [scores_of(by(network, draw), draw) for network in ours],
        "parscope network, last weights": [scores_of(by(study.ours(SHORT, s, 0.0), draw), draw) for s in SEEDS],
        f"parscope network, mean of {len(SEEDS)}": [scores_of(together(ours, draw), draw)],
    }


def together(networks: list[SpectraNetwork], draw: Draw) -> Array:
    """Mean of the answers of several networks."""
    theta = np.mean([network(draw.spectra).theta for network in networks], axis=0)
    return named(draw.physics, theta, np.zeros((len(theta), 4, 4)))[0]


def rows(found: dict[int, dict[str, Scores]], study: Study) -> list[Row]:
    """Lines of the table: parscope's network beside the published one, which was trained at each noise."""
    stored = json.loads(PUBLISHED.read_text())
    mse, made = stored["noise sweep"], []
    for noise in NOISE[1:]:
        case, scores = f"noise sweep on the twin, n = {noise}", found[noise]
        limits = attainable(study.scored[noise], SPREAD)
        for name in NAMES:
            key = f"median_{name}"
            shown, errors = metrics("")[key], stored["network"].get(str(noise))
            target = None if errors is None else Target(at_most=rounded(errors[name] * shown.factor))
            values = [s * shown.factor for s in (scores[OURS][key], scores[EACH][key], limits[key])]
            made.append(Row(case, shown.name, values[0], shown.unit, EACH, values[1], values[2], target))
        whole = mse["network"].get(str(noise))
        target = None if whole is None else Target(at_most=rounded(whole - mse["floor"]))
        made.append(Row(case, UNIT, scores[OURS]["mse"], "1", EACH, scores[EACH]["mse"], None, target))
    return made


def records(run: str, case: str, found: dict[str, list[Scores]]) -> list[dict[str, Any]]:
    """Scores of all methods on one case; of several runs their median, and all of them beside it."""
    return [
        {
            "case": case,
            "method": name,
            "settings": {},
            "key": f"{run}:{name}:{case}",
            "error": None,
            "scores": {key: rounded(float(np.median([s[key] for s in some]))) for key in some[0]},
            "runs": [{key: rounded(value) for key, value in s.items()} for s in some],
        }
        for name, some in found.items()
    ]


def measure(run: Run, quick: bool) -> tuple[list[Row], list[dict[str, Any]]]:
    """Train and score; a few steps where it is to be quick."""
    torch.set_num_threads(1)
    study = Study(quick)
    found, worth = sweep(study), averaged(study)
    methods = [
        record
        for noise, scores in found.items()
        for record in records(run.name, f"noise sweep on the twin, n = {noise}", {n: [s] for n, s in scores.items()})
    ]
    methods += records(run.name, f"averaging, n = {SOLE}", worth)
    settings = {"spectra": TRAINED, "steps": STEPS, "steps of parscope": OURS_STEPS}
    key = f"{run.name}:trainings"
    methods.append({"case": "trainings", "method": "all", "settings": settings, "key": key, "cpu_s": study.seconds()})
    return rows(found, study), methods


BOOK = Book(
    name="averaging",
    peers=(),
    libraries=("torch", "numpy", "numba"),
    seeds={"networks": list(SEEDS), "scan that is trained on": 1, "scan that is scored": 0},
    measure=measure,
)
