"""From spectra of a scan to a network for them: how they are distributed, training, calibration, card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from parscope.core.bound import cramer_rao
from parscope.core.separable import Separable
from parscope.solvers.networks.checkpoint import Checkpoint
from parscope.solvers.networks.module import NetworkModule
from parscope.solvers.networks.spectra.calibration import Calibration
from parscope.solvers.networks.spectra.card import card
from parscope.solvers.networks.spectra.decoder import Decoder, FactorPrior
from parscope.solvers.networks.spectra.draws import Anywhere, Draws, Mixed, noisy
from parscope.solvers.networks.spectra.encoder import matched
from parscope.solvers.networks.spectra.faculty import faculty
from parscope.solvers.networks.spectra.inlet import Inlet
from parscope.solvers.networks.spectra.scan import Scan
from parscope.solvers.networks.spectra.solver import SpectraNetwork
from parscope.solvers.networks.threads import one_thread
from parscope.solvers.train import Course, Progress, Recipe, beside, train

Array = NDArray[np.float64]

_CALIBRATED, _FLOOR = 10_000, 2_000
# Least variance of what signals are drawn over, so that what is the same in all of them has an inverse.
_LEAST = 1e-12
# Seeds of what the training must not have seen.
_CALIBRATION, _CARD = 1_000_033, 1_000_037


@dataclass(frozen=True)
class Lessons:
    """What may be set of the training of a network for spectra.

    Parameters
    ----------
    teachers : tuple of str, default simulation
        Names of the teachers, whose losses are added.
    everywhere : bool, default False
        Whether spectra are drawn from the whole range of the physics only.
    seed : int, default 0
        Fixes all that is random.
    seconds : float, default 300.0
        Time of the training, [s].
    """

    teachers: tuple[str, ...] = ("simulation",)
    everywhere: bool = False
    seed: int = 0
    seconds: float = 300.0


def learn(
    physics: Separable,
    signals: NDArray[Any],
    lessons: Lessons,
    *,
    again: NDArray[Any] | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> tuple[SpectraNetwork, dict[str, Any]]:
    """Train a network on what spectra are like.

    Parameters
    ----------
    physics : Separable
        What made them.
    signals : ndarray, shape (n, bins)
        Some spectra of a scan, of which some may be NaN.
    lessons : Lessons
        What is set.
    again : ndarray, shape (n, bins), optional
        The same spectra, measured again, for the teacher ``repeats``.
    checkpoint : Checkpoint, optional
        As for `train`.
    progress : callable, optional
        As for `train`.

    Returns
    -------
    solver : SpectraNetwork
        Calibrated.
    notes : dict
        Course of the training, and the card; as JSON.

    Raises
    ------
    OptionError
        If a teacher has nothing to teach from.
    TrainingError
        If the training ran away again and again.
    ValueError
        If nothing is searched, or a parameter that is searched is circular.
    """
    decoder, inlet = Decoder(physics), Inlet(physics)
    scan = Scan.of(physics, signals, again)
    draws, how = (Anywhere(decoder), "the whole range") if lessons.everywhere else scan.draws(decoder)
    module = NetworkModule(matched(inlet, decoder, draws, lessons.seed))
    teachers = faculty(lessons.teachers, (inlet, decoder, draws), scan)
    floor = _floor(decoder, draws, lessons.seed + _CARD) if lessons.teachers == ("simulation",) else None
    recipe = Recipe(seed=lessons.seed, seconds=lessons.seconds)
    with one_thread():
        course = train(module, teachers, recipe, checkpoint=checkpoint, progress=beside(floor, progress))
    unit = 1.0 if lessons.everywhere else scan.noise
    prior = None if lessons.everywhere else _factor_prior(scan)
    solver = SpectraNetwork(physics, module.network(), None, prior, isinstance(draws, Anywhere))
    solver.calibration = _calibrated(solver, decoder, draws, lessons.seed + _CALIBRATION)
    judged = card(solver, draws, unit, lessons.seed + _CARD)
    return solver, {"distribution": how, "training": {**_told(course, lessons), "floor": floor}, "card": judged}


def _floor(decoder: Decoder, draws: Draws, seed: int) -> float:
    """Mean loss of one with the errors of the Cramér-Rao bound who knows what signals are drawn from, [nat].

    Of signals of a scan and from anywhere it knows which are which, and of either distribution what a Gaussian says.
    """
    parts = draws.parts if isinstance(draws, Mixed) else ((1.0, draws),)
    return sum(share * _limit(decoder, each, seed) for share, each in parts)


def _limit(decoder: Decoder, draws: Draws, seed: int) -> float:
    """Mean loss at the bound for signals of one distribution, [nat]."""
    made = draws(_FLOOR, torch.Generator().manual_seed(seed))
    unit, clean = made.unit.double().numpy(), made.clean.numpy()
    theta = decoder.scale.theta(made.unit.double()).numpy()
    theta = np.concatenate([theta, decoder.solve(unit, clean).value], axis=1)
    k, rates = unit.shape[1], decoder.scale.rates(theta)
    covariance = cramer_rao(decoder.physics, theta, 1.0)[:, :k, :k] * np.square(made.noise.numpy())[:, None, None]
    known = np.isfinite(covariance).all(axis=(1, 2))
    spread = np.cov(unit, rowvar=False).reshape(k, k) + _LEAST * np.eye(k)
    information = np.linalg.inv((covariance / (rates[:, :, None] * rates[:, None, :]))[known]) + np.linalg.inv(spread)
    return float(0.5 * np.mean(k * (1 + np.log(2 * np.pi)) - np.linalg.slogdet(information)[1]))


def _factor_prior(scan: Scan) -> FactorPrior | None:
    """How factors of the scan are distributed, where a Gaussian says it."""
    found = scan.population
    return None if found is None else FactorPrior(found.factor_mean, found.factor_covariance, found.two_signs)


def _calibrated(solver: SpectraNetwork, decoder: Decoder, draws: Draws, seed: int) -> Calibration:
    """Calibration of what a network says, on signals that it has not seen."""
    chance = torch.Generator().manual_seed(seed)
    made = draws(_CALIBRATED, chance)
    signals = noisy(made, chance)
    told = solver.told((signals / signals.abs().amax(1, keepdim=True)).numpy())
    error: Array = told.unit - made.unit.numpy()
    return Calibration.of(error, np.sqrt(np.square(told.axes).sum(axis=2)))


def _told(course: Course, lessons: Lessons) -> dict[str, Any]:
    """Course of a training, as JSON."""
    return {
        "teachers": list(lessons.teachers),
        "seed": lessons.seed,
        "steps": course.step,
        "seconds": round(course.seconds, 1),
        "restarts": course.restarts,
        "anew": course.anew,
        "losses": [[step, round(loss, 4)] for step, loss in course.losses],
    }
