"""A prior from the scan itself: what all signals together say of each, made explicit.

Two passes (empirical Bayes; Robbins, Proc. 3rd Berkeley Symp. 1, 157 (1956)). The first finds how the parameters are
distributed over the scan, by expectation and maximisation over a sample of its signals, so that the noise of single
fits does not widen the distribution. The second fits every signal under that Gaussian. Amplitudes may have two signs,
as domains of opposite polarisation do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.solver import Estimate
from parscope.solvers.least_squares.layout import Prior
from parscope.solvers.least_squares.solver import LeastSquares
from parscope.solvers.population import Population, Trials, distribution

Array = NDArray[np.float64]

# Signals from which the distribution is learnt; a thousand tell the width to a few per cent.
_SAMPLE = 1000
# How often trial values are drawn anew; and when the distribution has settled, in standard deviations.
_REFRESHED = 12
_CLOSE = 0.05


class EmpiricalBayes:
    """Least squares under a prior that is learnt from the signals themselves.

    Weak signals come out nearer to the others of the scan than their own data would say: a map made so looks smoother
    than the data are. How much of each number is the prior is given with it. Do not use it where the scan is of
    several materials, or to look for the rare pixel.

    Parameters
    ----------
    solver : LeastSquares
        For a separable physics.
    """

    def __init__(self, solver: LeastSquares) -> None:
        self.solver = solver

    @property
    def physics(self) -> Any:
        """The physics that is inverted."""
        return self.solver.physics

    def __call__(self, signals: NDArray[Any], /) -> Estimate:
        """Estimate the parameters of every signal, under the distribution of all of them.

        Parameters
        ----------
        signals : ndarray, shape (n, bins)
            Measured signals.

        Returns
        -------
        Estimate
            With ``prior_share``, shape (n, k), in `extra`: the variance of each parameter over that of the prior, from
            0 where the data decide to 1 where the prior does, [1].
        """
        return self.fit(signals, self.learn(signals))

    def learn(self, signals: NDArray[Any], /) -> Population | None:
        """How the parameters are distributed over a scan.

        Parameters
        ----------
        signals : ndarray, shape (n, bins)
            Measured signals.

        Returns
        -------
        Population, optional
            None where no signal could be fitted.
        """
        some = signals[:: max(len(signals) // _SAMPLE, 1)]
        first = self.solver(some)
        usable = np.isfinite(first.theta).all(axis=1)
        if usable.sum() <= first.theta.shape[1]:
            return None
        some, noise = some[usable], first.extra["noise"][usable]
        at, _ = self.solver.searched(first.theta[usable], first.covariance[usable])
        found = Population(np.median(at, axis=0), at.std(axis=0), np.zeros(0), np.zeros((0, 0)), True)
        fits = self.solver(some, prior=self._prior(found, noise, first.theta[usable, at.shape[1] :]))
        found = distribution(*self._moments(fits))
        for _ in range(_REFRESHED):
            fits = self.solver(some, prior=self._prior(found, noise, fits.theta[:, at.shape[1] :]))
            good = np.isfinite(fits.theta).all(axis=1)
            fitted = self.solver.searched(fits.theta[good], fits.covariance[good])
            trials = Trials.around(self.physics, some[good], noise[good], fitted, found)
            before, found = found, trials.maximise(found)
            if found.near(before, _CLOSE):
                break
        return found

    def _moments(self, fits: Estimate) -> tuple[Array, Array, Array, Array]:
        """What is searched and its variance, the factors and their covariance."""
        good = np.isfinite(fits.theta).all(axis=1)
        at, own = self.solver.searched(fits.theta[good], fits.covariance[good])
        k = at.shape[1]
        return at, np.diagonal(own, axis1=1, axis2=2), fits.theta[good, k:], fits.covariance[good, k:, k:]

    def fit(self, signals: NDArray[Any], population: Population | None, /) -> Estimate:
        """Fit signals under a distribution.

        Parameters
        ----------
        signals : ndarray, shape (n, bins)
            Measured signals.
        population : Population, optional
            None for no prior.

        Returns
        -------
        Estimate
        """
        first = self.solver(signals)
        if population is None:
            first.extra["prior_share"] = np.zeros_like(first.theta)
            return first
        noise = first.extra["noise"]
        shape = replace(population, factor_mean=np.zeros(0))
        signs = self.solver(signals, prior=self._prior(shape, noise, first.theta[:, len(population.mean) :]))
        prior = self._prior(population, noise, signs.theta[:, len(population.mean) :])
        estimate = self.solver(signals, prior=prior)
        rate = self.solver.rates(estimate.theta)
        # of the variance that the prior was weighed with, which is that of the fit without it
        scale = prior.variance / np.maximum(np.square(estimate.extra["noise"]), np.finfo(np.float64).tiny)
        searched = np.diagonal(estimate.covariance, axis1=1, axis2=2) / np.square(rate) * scale[:, None]
        estimate.extra["prior_share"] = searched / np.diagonal(np.linalg.inv(prior.precision))
        return estimate

    def _prior(self, population: Population, noise: Array, factors: Array) -> Prior:
        """Prior of each signal; of its factors too, on their side, where their distribution is known."""
        size, k = len(self.physics.parameters), len(population.mean)
        precision = np.zeros((size, size))
        precision[:k, :k] = np.diag(population.std**-2.0)
        mean = np.zeros((len(noise), size))
        mean[:, :k] = population.mean
        if len(population.factor_mean):
            inverse = np.linalg.inv(population.factor_covariance)
            precision[k:, k:] = inverse
            side = np.nan_to_num(factors) @ inverse @ population.factor_mean
            sign = np.where((side < 0) & population.two_signs, -1.0, 1.0)
            mean[:, k:] = sign[:, None] * population.factor_mean
        return Prior(mean, precision, np.nan_to_num(noise) ** 2)
