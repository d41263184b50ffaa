"""A prior from the scan itself: what all signals together say of each, made explicit.

Two passes (empirical Bayes; Robbins, Proc. 3rd Berkeley Symp. 1, 157 (1956)). The first finds how the parameters are
distributed over the scan, by expectation and maximisation over a sample of its signals, so that the noise of single
fits does not widen the distribution. The second fits every signal under that Gaussian, or under one that its neighbours
tell (`from_neighbours`). Amplitudes may have two signs, as domains of opposite polarisation do.
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
Local = tuple[Array, Array]

# Signals from which the distribution is learnt; a thousand tell the width to a few per cent.
_SAMPLE = 1000
# How often trial values are drawn anew; and when the distribution has settled, in standard deviations.
_REFRESHED = 12
_CLOSE = 0.05
# A signal that tells less of a parameter than this, relative to the prior, says nothing of it to its neighbours.
_TOLD = 1e-3


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
            None where too few signals could be fitted, or all of them are the same: nothing is distributed then.
        """
        some = signals[:: max(len(signals) // _SAMPLE, 1)]
        first = self.solver(some, posterior=False)
        usable = np.isfinite(first.theta).all(axis=1)
        if usable.sum() <= first.theta.shape[1]:
            return None
        some, noise = some[usable], first.extra["noise"][usable]
        at, _ = self.solver.searched(first.theta[usable], first.covariance[usable])
        if not np.ptp(at, axis=0).all():
            return None
        found = Population(np.median(at, axis=0), at.std(axis=0), np.zeros(0), np.zeros((0, 0)), True)
        fits = self.solver(some, prior=self._prior(found, noise, first.theta[usable, at.shape[1] :]), posterior=False)
        found = distribution(*self._moments(fits))
        for _ in range(_REFRESHED):
            fits = self.solver(some, prior=self._prior(found, noise, fits.theta[:, at.shape[1] :]), posterior=False)
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

    def alone(self, estimate: Estimate, population: Population | None, /) -> tuple[Array, Array]:
        """What signals say by themselves of what is searched: the prior is taken out of their fits again.

        Parameters
        ----------
        estimate : Estimate
            Fits under the population.
        population : Population, optional
            Of the scan; None where there is none, and nothing is told.

        Returns
        -------
        value, variance : ndarray, shape (n, k)
            In units in which the population has mean 0 and variance 1; infinite variance for what is not told.
        """
        at, covariance = self.solver.searched(estimate.theta, estimate.covariance)
        if population is None:
            return np.zeros_like(at), np.full_like(at, np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            told = np.square(population.std) / np.diagonal(covariance, axis1=1, axis2=2) - 1
            value = (at - population.mean) / population.std * (1 + 1 / told)
            variance = 1 / told
        sure = np.isfinite(value) & (told > _TOLD)
        return np.where(sure, value, 0.0), np.where(sure, variance, np.inf)

    def fit(self, signals: NDArray[Any], population: Population | None, local: Local | None = None, /) -> Estimate:
        """Fit signals under a distribution.

        Parameters
        ----------
        signals : ndarray, shape (n, bins)
            Measured signals.
        population : Population, optional
            None for no prior.
        local : tuple of ndarray, shape (n, k), optional
            Mean and variance of what is searched for each signal, in the units of `alone`, such as `from_neighbours`
            finds them. Default: those of the population.

        Returns
        -------
        Estimate
        """
        if population is None:
            estimate = self.solver(signals)
            estimate.extra["prior_share"] = np.zeros_like(estimate.theta)
            return estimate
        first = self.solver(signals, posterior=False)
        noise = first.extra["noise"]
        shape = replace(population, factor_mean=np.zeros(0))
        signs = self.solver(
            signals, prior=self._prior(shape, noise, first.theta[:, len(population.mean) :], local), posterior=False
        )
        prior = self._prior(population, noise, signs.theta[:, len(population.mean) :], local)
        estimate = self.solver(signals, prior=prior)
        own = np.diagonal(estimate.covariance, axis1=1, axis2=2) / np.square(self.solver.rates(estimate.theta))
        # Distances from the best fit are larger than those from the mean, and may exceed the prior.
        share = own / np.diagonal(np.linalg.inv(prior.precision), axis1=1, axis2=2)
        estimate.extra["prior_share"] = np.minimum(share, 1.0)
        return estimate

    def _prior(self, population: Population, noise: Array, factors: Array, local: Local | None = None) -> Prior:
        """Prior of each signal; of its factors too, on their side, where their distribution is known."""
        size, k = len(self.physics.parameters), len(population.mean)
        away, spread = local or (np.zeros((1, k)), np.ones((1, k)))
        centre, variance = population.mean + population.std * away, np.square(population.std) * spread
        precision = np.zeros((len(variance), size, size))
        precision[:, range(k), range(k)] = 1 / variance
        mean = np.zeros((len(noise), size))
        mean[:, :k] = centre
        if len(population.factor_mean):
            inverse = np.linalg.inv(population.factor_covariance)
            precision[:, k:, k:] = inverse
            side = np.nan_to_num(factors) @ inverse @ population.factor_mean
            sign = np.where((side < 0) & population.two_signs, -1.0, 1.0)
            mean[:, k:] = sign[:, None] * population.factor_mean
        return Prior(mean, precision, np.nan_to_num(noise) ** 2)
