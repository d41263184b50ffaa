"""Which optimiser trains the networks for spectra best: ``python -m benchmarks optimisers``.

Every optimiser gets the same network, the same simulated spectra and the same CPU seconds, from several seeds; the rate
of each is the best of a few on one further seed. Gradients much longer than usual are shortened, as in `train`.
"""

from __future__ import annotations

import functools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.book import Book
from benchmarks.environments import CACHE
from benchmarks.exchange import Run
from benchmarks.report import Row
from benchmarks.spectroscopy.draws import FREQUENCY
from parscope.solvers.networks.module import NetworkModule
from parscope.solvers.networks.spectra.decoder import Decoder
from parscope.solvers.networks.spectra.draws import Anywhere
from parscope.solvers.networks.spectra.encoder import matched
from parscope.solvers.networks.spectra.inlet import Inlet
from parscope.solvers.networks.spectra.teachers import Simulation
from parscope.techniques.band_excitation import BandExcitation

PACKAGES = ("pytorch_optimizer==4.1.0", "pytorch-minimize==0.1.0")
"""Apache 2.0 and MIT licences; they compute with the PyTorch that is there."""
SECONDS, SEEDS = 6.0, (0, 1, 2, 3, 4)
LONGER = 40.0
"""CPU seconds of one more run of the default and of the best other: an early lead may be lost later."""
QUICK = 6
"""Part of these seconds that tries it out."""
CASE, DEFAULT = "training of be-sho", "SOAP"
TUNING = 100
"""Seed on which the rates are chosen."""
CHECKS, HELD_OUT = 40, 8
RATES = (1e-3, 3e-3, 1e-2)
WARM, FALL = 0.05, 1 / 3
"""Shares of the time in which the rate rises at first and falls to nothing at last."""
NEAR = 0.1
"""A run has converged that ends so near to the best of all, [nat]."""
LEVEL = -3.0
"""Loss whose time is told, [nat]."""
LONG = 5.0
"""Multiple of the usual length of a gradient at which it is cut off."""
SHAMPOO = {"betas": (0.9, 0.99), "preconditioning_compute_steps": 20, "graft_type": 3}
"""The scalable form, whose steps are as long as those of RMSprop; without, it runs away at once."""
BATCHES = 4
"""Of which a step of the trust region is made, as it takes its batch for the truth."""

Make = Callable[[Sequence[nn.Parameter], float], torch.optim.Optimizer]


@dataclass(frozen=True)
class Entrant:
    """An optimiser.

    Parameters
    ----------
    name : str
        As the table has it.
    make : callable
        From parameters and a rate.
    rates : tuple of float
        Of which the best is taken.
    curvature : bool, default False
        Whether its step needs a gradient that can be differentiated again.
    clipped : bool, default True
        Whether long gradients are shortened.
    searches : bool, default False
        Whether its step computes the loss itself, and its rate is the first radius of trust.
    """

    name: str
    make: Make
    rates: tuple[float, ...]
    curvature: bool = False
    clipped: bool = True
    searches: bool = False


@dataclass(frozen=True)
class Course:
    """Held-out loss [nat] over CPU seconds of training, and the steps that were made."""

    seconds: list[float]
    losses: list[float]
    steps: int

    @property
    def last(self) -> float:
        """Loss at the end; infinite where it ran away."""
        return self.losses[-1] if np.isfinite(self.losses[-1]) else np.inf

    def reached(self, loss: float) -> float:
        """CPU seconds after which the loss was reached; infinite where it was not."""
        return next((s for s, found in zip(self.seconds, self.losses, strict=True) if found <= loss), np.inf)


def entrants() -> tuple[Entrant, ...]:
    """All of them; others' packages are fetched into the cache when first needed."""
    folder = CACHE / "optimisers"
    if not (folder / "torchmin").is_dir():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *PACKAGES]
        subprocess.run(pip, check=True)
    sys.path.append(str(folder))
    from pytorch_optimizer import SOAP, AdaHessian, ScalableShampoo
    from torchmin.optim import Minimizer

    return (
        Entrant("AdamW", lambda p, r: torch.optim.AdamW(p, r, weight_decay=1e-4), RATES),
        Entrant(
            "AdamW, nothing clipped", lambda p, r: torch.optim.AdamW(p, r, weight_decay=1e-4), RATES, clipped=False
        ),
        Entrant("Adam", torch.optim.Adam, RATES),
        Entrant("AdaHessian", AdaHessian, (0.1, 0.3, 1.0), curvature=True),
        Entrant("Shampoo", functools.partial(ScalableShampoo, **SHAMPOO), (3e-4, 1e-3, 3e-3)),
        Entrant("SOAP", lambda p, r: SOAP(p, r, weight_decay=1e-4), (3e-3, 1e-2, 3e-2)),
        Entrant(
            "trust-region Newton-CG",
            lambda p, r: Minimizer(p, "trust-ncg", max_iter=4, options={"initial_trust_radius": r}),
            (0.1, 1.0, 5.0),
            searches=True,
        ),
    )


class Task:
    """Resonances from anywhere, and the network that is to tell their parameters."""

    def __init__(self) -> None:
        physics = BandExcitation(FREQUENCY)
        self._parts = Inlet(physics), Decoder(physics), Anywhere(Decoder(physics))
        self._teacher = Simulation(*self._parts)

    def module(self, seed: int) -> NetworkModule:
        """A network that has learnt nothing."""
        return NetworkModule(matched(*self._parts, seed))

    def loss(self, module: nn.Module, chance: torch.Generator, batches: int = 1) -> Tensor:
        """Mean loss of some batches, [nat]."""
        return torch.stack([self._teacher.loss(module, chance) for _ in range(batches)]).mean()

    def held_out(self, module: nn.Module) -> float:
        """Loss on the same spectra every time, [nat]."""
        with torch.no_grad():
            return float(self.loss(module, torch.Generator().manual_seed(1_000_003), HELD_OUT))


def descend(task: Task, entrant: Entrant, rate: float, seed: int, seconds: float) -> Course:
    """One training of so many CPU seconds; checks do not count."""
    torch.manual_seed(seed)
    module = task.module(seed)
    climber = Climber(task, entrant, module, rate, torch.Generator().manual_seed(seed))
    used, course = 0.0, Course([0.0], [task.held_out(module)], 0)
    while used < seconds and np.isfinite(course.losses[-1]):
        start = time.process_time()
        try:
            climber.step(share(used / seconds))
        except torch.linalg.LinAlgError:
            return Course([*course.seconds, used], [*course.losses, np.inf], climber.steps)
        used += time.process_time() - start
        if used - course.seconds[-1] >= seconds / CHECKS or used >= seconds:
            course = Course([*course.seconds, used], [*course.losses, task.held_out(module)], climber.steps)
    return course


def share(done: float) -> float:
    """Of the highest rate, after a part of the time."""
    return min(1.0, (done + 1e-3) / WARM, max(1 - done, 0.0) / FALL)


class Climber:
    """A network with its optimiser."""

    def __init__(self, task: Task, entrant: Entrant, module: nn.Module, rate: float, chance: torch.Generator) -> None:
        self._task, self._entrant, self._module, self._rate, self._chance = task, entrant, module, rate, chance
        self._optimiser = entrant.make(list(module.parameters()), rate)
        self._usual, self.steps = np.inf, 0

    def step(self, share: float) -> None:
        """One step of any kind."""
        self.steps += 1
        self._optimiser.zero_grad()
        if self._entrant.searches:
            self._state = self._chance.get_state()
            self._optimiser.step(self._again)
            return
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate * share
        self._task.loss(self._module, self._chance).backward(create_graph=self._entrant.curvature)
        if self._entrant.clipped:
            longest = LONG * self._usual
            length = float(nn.utils.clip_grad_norm_(self._module.parameters(), longest))
            usual = length if np.isinf(self._usual) else self._usual
            self._usual = 0.98 * usual + 0.02 * min(length, LONG * usual)
        self._optimiser.step()

    def _again(self) -> Tensor:
        """The loss of this step, always on the same spectra."""
        self._chance.set_state(self._state)
        self._optimiser.zero_grad()
        return self._task.loss(self._module, self._chance, BATCHES)


def compared(seconds: float, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Every optimiser: its best rate, then all seeds."""
    task, found = Task(), []
    for entrant in entrants():
        run = functools.partial(descend, task, entrant, seconds=seconds)
        tried = {rate: run(rate=rate, seed=TUNING).last for rate in entrant.rates}
        rate = min(tried, key=tried.__getitem__)
        courses = [run(rate=rate, seed=seed) for seed in seeds]
        print(f"{entrant.name}: tried {tried}; ends {[round(c.last, 3) for c in courses]}", flush=True)
        found.append({"name": entrant.name, "rate": rate, "tried": tried, "courses": courses})
    return found


def longer(found: list[dict[str, Any]], seconds: float) -> dict[str, Course]:
    """One longer run of the default and of the best other."""
    task, known = Task(), {entrant.name: entrant for entrant in entrants()}
    order = sorted(found, key=lambda each: statistics.median(c.last for c in each["courses"]))
    best = next(each for each in order if each["name"] != DEFAULT)
    own = next(each for each in order if each["name"] == DEFAULT)
    return {e["name"]: descend(task, known[e["name"]], e["rate"], SEEDS[0], seconds) for e in (own, best)}


def scored(found: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Share that converged, the last loss, and the time to a loss."""
    best = min(c.last for each in found for c in each["courses"])
    made = {}
    for each in found:
        courses = each["courses"]
        made[each["name"]] = {
            "converged": sum(c.last <= best + NEAR for c in courses) / len(courses),
            "loss": statistics.median(c.last for c in courses),
            "worst": max(c.last for c in courses),
            "reached": statistics.median(c.reached(LEVEL) for c in courses),
            "steps": statistics.median(c.steps for c in courses),
            "rate": each["rate"],
        }
    return made


def rows(scores: dict[str, dict[str, float]], further: dict[str, Course]) -> list[Row]:
    """Lines of the table: the default beside the best of the others."""
    ours = scores[DEFAULT]
    others = {name: s for name, s in scores.items() if name != DEFAULT}
    shown = (
        ("converged", "runs that end within 0.1 nat of the best", "%", 100.0, max),
        ("loss", "loss at the end, median", "nat", 1.0, min),
        ("worst", "loss at the end, worst run", "nat", 1.0, min),
        ("reached", f"time to {LEVEL:g} nat, median", "s", 1.0, min),
    )
    made = []
    for key, metric, unit, factor, best in shown:
        name = best(others, key=lambda n, key=key: others[n][key])
        made.append(Row(f"{CASE}, {SECONDS:g} s", metric, factor * ours[key], unit, name, factor * others[name][key]))
    (_, own), (name, best) = further.items()
    return [*made, Row(f"{CASE}, {LONGER:g} s", "loss at the end, one run", own.last, "nat", name, best.last)]


def measure(run: Run, quick: bool) -> tuple[list[Row], list[dict[str, Any]]]:
    """Train with every optimiser; short runs of one seed where it is to be quick."""
    torch.set_num_threads(1)
    part, seeds = (QUICK, SEEDS[:1]) if quick else (1, SEEDS)
    found = compared(SECONDS / part, seeds)
    scores, further = scored(found), longer(found, LONGER / part)
    methods = [
        {
            "case": CASE,
            "method": each["name"],
            "settings": {
                "rates": {str(r): _finite(loss) for r, loss in each["tried"].items()},
                "seconds": SECONDS / part,
                "packages": PACKAGES,
            },
            "key": f"{run.name}:{each['name']}",
            "error": None,
            "scores": {key: _finite(value) for key, value in scores[each["name"]].items()},
            "courses": [_told(course) for course in each["courses"]],
        }
        for each in found
    ]
    methods += [
        {
            "case": f"{CASE}, {LONGER:g} s",
            "method": name,
            "settings": {},
            "key": f"{run.name}:{name}, longer",
            "error": None,
            "scores": {"loss": _finite(course.last), "steps": course.steps},
            "courses": [_told(course)],
        }
        for name, course in further.items()
    ]
    return rows(scores, further), methods


def _told(course: Course) -> dict[str, list[float | None]]:
    return {"seconds": [_finite(s) for s in course.seconds], "losses": [_finite(loss) for loss in course.losses]}


def _finite(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None


BOOK = Book(
    name="optimisers",
    peers=(),
    libraries=("torch", "numpy", "pytorch_optimizer"),
    seeds={"runs": list(SEEDS), "choice of the rate": TUNING},
    measure=measure,
)
