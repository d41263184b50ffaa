"""From spectra of a scan to a network for them: how they are distributed, training, calibration, card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from parscope.core.bound import cramer_rao
from parscope.core.separable import Separable
from parscope.core.solver import Estimate, Status
from parscope.solvers.least_squares import LeastSquares
from parscope.solvers.networks.module import NetworkModule
from parscope.solvers.networks.spectra.calibration import Calibration
from parscope.solvers.networks.spectra.card import card
from parscope.solvers.networks.spectra.decoder import Decoder, FactorPrior
from parscope.solvers.networks.spectra.draws import Anywhere, Draws, Mixed, OfFits, OfPopulation, noisy
from parscope.solvers.networks.spectra.encoder import matched
from parscope.solvers.networks.spectra.inlet import Inlet
from parscope.solvers.networks.spectra.solver import SpectraNetwork
from parscope.solvers.networks.spectra.teachers import Cycle, Labels, Rendering, Simulation
from parscope.solvers.networks.threads import one_thread
from parscope.solvers.population import Population
from parscope.solvers.prior import EmpiricalBayes
from parscope.solvers.train import Course, Progress, Recipe, Teacher, train

Array = NDArray[np.float64]

# Fits of a scan that make up a distribution by themselves: so many, and more than this share of all.
_FEWEST, _MOST = 30, 0.5
_CALIBRATED, _FLOOR = 20_000, 2_000
# Information of a flat distribution over a range of 1: one over its variance.
_FLAT = 12.0
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
        Time after which the training is brought to its end, [s].
    """

    teachers: tuple[str, ...] = ("simulation",)
    everywhere: bool = False
    seed: int = 0
    seconds: float = 300.0


@dataclass(frozen=True)
class Scan:
    """What is known of a scan before a network is trained.

    Parameters
    ----------
    signals : ndarray, shape (n, bins)
        Some of its spectra.
    fits : Estimate
        Of least squares.
    population : Population, optional
        How they are distributed, as far as a Gaussian says; None where that cannot be told.
    """

    signals: NDArray[Any]
    fits: Estimate
    population: Population | None

    @classmethod
    def of(cls, physics: Separable, signals: NDArray[Any]) -> Scan:
        """Look at some spectra of a scan.

        Parameters
        ----------
        physics : Separable
            What made them.
        signals : ndarray, shape (n, bins)
            Some spectra, of which some may be NaN.

        Returns
        -------
        Scan
        """
        exact = LeastSquares(physics)
        fits = exact(signals, posterior=False)
        good = fits.status == Status.OK
        alone = good.sum() >= max(_FEWEST, _MOST * len(good))
        return cls(signals, fits, None if alone else EmpiricalBayes(exact).learn(signals))

    @property
    def noise(self) -> float:
        """Standard deviation of the noise of a typical spectrum, in the unit of the signal."""
        known = self.fits.extra["noise"][np.isfinite(self.fits.extra["noise"])]
        return float(np.median(known)) if len(known) else 1.0

    def draws(self, decoder: Decoder) -> tuple[Draws, str]:
        """Where simulated spectra like those of the scan come from, and how that is said in words."""
        anywhere = Anywhere(decoder)
        if self.population is not None:
            scan: Draws = OfPopulation(decoder, self.population, self.noise)
            return Mixed(scan, anywhere), "a Gaussian that makes the scan most likely, and a tenth from anywhere"
        if (self.fits.status == Status.OK).sum() >= _FEWEST:
            return Mixed(OfFits(decoder, self.fits), anywhere), "fits of the scan, spread, and a tenth from anywhere"
        return anywhere, "the whole range: too few spectra of the scan could be fitted"


def learn(
    physics: Separable,
    signals: NDArray[Any],
    lessons: Lessons,
    *,
    folder: Path | None = None,
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
    folder : Path, optional
        Where to keep checkpoints.
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
    TrainingError
        If the training ran away again and again.
    ValueError
        If nothing is searched, or a parameter that is searched is circular.
    """
    decoder, inlet = Decoder(physics), Inlet(physics)
    scan = Scan.of(physics, signals)
    draws, how = (Anywhere(decoder), "the whole range") if lessons.everywhere else scan.draws(decoder)
    module = NetworkModule(matched(inlet, decoder, draws, lessons.seed))
    faculty: dict[str, tuple[Teacher, float]] = {
        name: (_TEACHERS[name](inlet, decoder, draws, scan), 1.0) for name in lessons.teachers
    }
    floor = _floor(decoder, draws, lessons.seed + _CARD) if lessons.teachers == ("simulation",) else None
    recipe = Recipe(seed=lessons.seed, seconds=lessons.seconds)
    with one_thread():
        course = train(module, faculty, recipe, folder=folder, progress=_beside(floor, progress))
    unit = 1.0 if lessons.everywhere else scan.noise
    prior = None if lessons.everywhere else _factor_prior(scan)
    solver = SpectraNetwork(physics, module.network(), None, prior)
    solver.calibration = _calibrated(solver, decoder, draws, lessons.seed + _CALIBRATION)
    judged = card(solver, draws, unit, lessons.seed + _CARD)
    return solver, {"distribution": how, "training": {**_told(course, lessons), "floor": floor}, "card": judged}


def _beside(floor: float | None, progress: Progress | None) -> Progress | None:
    """Progress that shows the floor beside the loss."""
    if floor is None or progress is None:
        return progress
    return lambda phase, done, total: progress(f"{phase} (floor {floor:.2f})", done, total)


def _floor(decoder: Decoder, draws: Draws, seed: int) -> float:
    """Mean loss of one whose errors are those of the Cramér-Rao bound, and who knows the range besides, [nat]."""
    made = draws(_FLOOR, torch.Generator().manual_seed(seed))
    unit, clean = made.unit.double().numpy(), made.clean.numpy()
    theta = decoder.scale.theta(made.unit.double()).numpy()
    theta = np.concatenate([theta, decoder.solve(unit, clean).value], axis=1)
    k, rates = unit.shape[1], decoder.scale.rates(theta)
    covariance = cramer_rao(decoder.physics, theta, 1.0)[:, :k, :k] * np.square(made.noise.numpy())[:, None, None]
    known = np.isfinite(covariance).all(axis=(1, 2))
    information = np.linalg.inv((covariance / (rates[:, :, None] * rates[:, None, :]))[known]) + _FLAT * np.eye(k)
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
        "losses": [[step, round(loss, 4)] for step, loss in course.losses],
    }


def _measured(scan: Scan) -> tuple[NDArray[np.intp], torch.Tensor]:
    """Which spectra of a scan can be used, and these, of moduli about 1, in single precision."""
    largest = np.abs(scan.signals).max(axis=1, initial=0.0)
    sound = np.flatnonzero(np.isfinite(scan.signals).all(axis=1) & (largest > 0))
    kind = np.complex64 if np.iscomplexobj(scan.signals) else np.float32
    return sound, torch.as_tensor((scan.signals[sound] / largest[sound, None]).astype(kind))


def _simulation(inlet: Inlet, decoder: Decoder, draws: Draws, scan: Scan) -> Teacher:
    return Simulation(inlet, decoder, draws)


def _rendering(inlet: Inlet, decoder: Decoder, draws: Draws, scan: Scan) -> Teacher:
    return Rendering(inlet, decoder, _measured(scan)[1])


def _cycle(inlet: Inlet, decoder: Decoder, draws: Draws, scan: Scan) -> Teacher:
    return Cycle(inlet, decoder, _measured(scan)[1])


def _labels(inlet: Inlet, decoder: Decoder, draws: Draws, scan: Scan) -> Teacher:
    sound, signals = _measured(scan)
    fitted = scan.fits.status[sound] == Status.OK
    theta, k = scan.fits.theta[sound][fitted], decoder.scale.size
    rates = decoder.scale.rates(theta)
    covariance = scan.fits.covariance[sound][fitted][:, :k, :k] / (rates[:, :, None] * rates[:, None, :])
    axes = np.linalg.cholesky(covariance + 1e-12 * np.eye(k))
    unit = torch.as_tensor(decoder.scale.unit(theta), dtype=torch.float32)
    return Labels(inlet, decoder, signals[torch.as_tensor(fitted)], unit, torch.as_tensor(axes, dtype=torch.float32))


_TEACHERS: dict[str, Callable[[Inlet, Decoder, Draws, Scan], Teacher]] = {
    "simulation": _simulation,
    "rendering": _rendering,
    "cycle": _cycle,
    "labels": _labels,
}
