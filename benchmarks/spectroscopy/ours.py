"""Runner of parscope on resonances: many at once, one at a time, and with nothing declared but how they look."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import array_api_compat
import numpy as np
from numpy.typing import NDArray

from benchmarks.spectroscopy.draws import Array
from benchmarks.spectroscopy.peers.job import Job
from parscope.core import Estimate, Parameter, Physics, propagate
from parscope.solvers.least_squares import LeastSquares
from parscope.solvers.prior import EmpiricalBayes
from parscope.techniques.band_excitation import BandExcitation

AT_ONCE = 2048
"""Spectra in a call, as `map_spectra` has them."""
REPEATS = 3
"""Calls after the first, unless the settings say otherwise."""

Solve = Callable[[NDArray[Any]], Estimate]


@dataclass(frozen=True)
class Rendered(Physics):
    """The oscillator as somebody writes it who knows nothing of factors.

    Parameters
    ----------
    frequency : ndarray, shape (bins,)
        Frequencies, [Hz].
    """

    frequency: Array

    noise = "complex gaussian"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Amplitude, phase, and the searched ones in the range that band excitation has."""
        resonance, quality = BandExcitation(self.frequency).nonlinear
        turn = Parameter("phase", "rad", -np.pi, np.pi, "circular")
        return resonance, quality, Parameter("amplitude", "V", 0.0), turn

    @property
    def signal_shape(self) -> tuple[int, ...]:
        """Shape of one signal, (bins,)."""
        return self.frequency.shape

    def render(self, theta: Any, /) -> Any:
        """Spectra, shape (n, bins)."""
        xp = array_api_compat.array_namespace(theta)
        f, (f0, q, a, phi) = xp.asarray(self.frequency), (theta[:, j, None] for j in range(4))
        return a * (xp.cos(phi) + 1j * xp.sin(phi)) * f0**2 / ((f - f0) * (f + f0) - 1j * (f * f0 / q))


def in_parts(solve: Solve, spectra: NDArray[Any]) -> tuple[Array, Array, NDArray[np.uint8]]:
    """Parameters of the search, their covariance, and status, of spectra given in parts."""
    parts = [solve(spectra[first : first + AT_ONCE]) for first in range(0, len(spectra), AT_ONCE)]
    return (
        np.concatenate([p.theta for p in parts]),
        np.concatenate([p.covariance for p in parts]),
        np.concatenate([p.status for p in parts]),
    )


def timed(work: Callable[[], Any], repeats: int = REPEATS) -> tuple[Any, float, float]:
    """Result, CPU seconds of the first call, and the median of those after it."""
    seconds = []
    for _ in range(1 + repeats):
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
    return result, seconds[0], float(np.median(seconds[1:]))


def named(physics: BandExcitation, theta: Array, covariance: Array) -> tuple[Array, Array]:
    """Resonance, quality, amplitude and phase, and their standard errors, both of shape (n, 4)."""
    derived, std = propagate(physics, theta, covariance)
    searched = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))[:, :2]
    return np.concatenate([theta[:, :2], derived], axis=1), np.concatenate([searched, std], axis=1)


def fit(job: Job) -> dict[str, Any]:
    """As a person does it, who is told nothing but the frequencies."""
    physics, spectra = BandExcitation(job.array("frequency")), job.spectra
    solver = LeastSquares(physics)
    (theta, covariance, status), first, seconds = timed(
        lambda: in_parts(solver, spectra), job.settings.get("repeats", REPEATS)
    )
    found, std = named(physics, theta, covariance)
    return {"theta": found, "std": std, "status": status, "seconds": seconds, "setup": first - seconds}


def fit_with_prior(job: Job) -> dict[str, Any]:
    """Under a prior that is learnt from the same spectra; the learning counts."""
    physics, spectra = BandExcitation(job.array("frequency")), job.spectra
    bayes = EmpiricalBayes(LeastSquares(physics))
    start = time.process_time()
    estimate = bayes(spectra)
    seconds = time.process_time() - start
    found, std = named(physics, estimate.theta, estimate.covariance)
    share = estimate.extra["prior_share"]
    return {"theta": found, "std": std, "status": estimate.status, "seconds": seconds, "prior_share": share}


def one(job: Job) -> dict[str, Any]:
    """One spectrum a call, and the wall time of each, [s]."""
    physics, spectra = BandExcitation(job.array("frequency")), job.spectra
    solver = LeastSquares(physics)
    solver(spectra)
    times, found = [], []
    for k in range(len(spectra)):
        start = time.perf_counter()
        estimate = solver(spectra[k : k + 1])
        times.append(time.perf_counter() - start)
        found.append(estimate)
    theta = np.concatenate([e.theta for e in found])
    covariance = np.concatenate([e.covariance for e in found])
    return {"theta": named(physics, theta, covariance)[0], "seconds": sum(times), "times": times}


def generic(job: Job) -> dict[str, Any]:
    """From `render` alone, beside the compiled search on the same spectra."""
    physics, spectra = BandExcitation(job.array("frequency")), job.spectra
    solver = LeastSquares(Rendered(job.array("frequency")))
    (theta, covariance, status), first, seconds = timed(lambda: in_parts(solver, spectra))
    std = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    compiled, _ = named(physics, *in_parts(LeastSquares(physics), spectra)[:2])
    return {
        "theta": theta,
        "std": std,
        "status": status,
        "seconds": seconds,
        "setup": first - seconds,
        "compiled": compiled,
    }


def main() -> None:
    """Do what the settings ask for."""
    job = Job.from_command()
    task = {"fit": fit, "prior": fit_with_prior, "one": one, "generic": generic}[job.settings["task"]]
    np.savez(job.result, **task(job))


if __name__ == "__main__":
    main()
