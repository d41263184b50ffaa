"""A prior from the scan itself: what all signals together say of each, made explicit.

Two passes (empirical Bayes; Robbins, Proc. 3rd Berkeley Symp. 1, 157 (1956)). The first finds how the parameters are
distributed over the scan, by expectation and maximisation over a sample of its signals, so that the noise of single fits does
not widen the distribution. The second fits every signal under that Gaussian. Amplitudes may
have two signs, as domains of opposite polarisation do.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from parscope.core.solver import Estimate
from parscope.solvers.least_squares.layout import Prior
from parscope.solvers.least_squares.solver import LeastSquares

Array = NDArray[np.float64]

# Signals from which the distribution is learnt; a few thousand tell the width to a few per cent.
_SAMPLE = 2000
_PASSES, _ROUNDS = 6, 200
_CLOSE = 1e-4
# Distance, in standard deviations, beyond which a signal is left out; and the least share of the data in a number.
_FAR, _LEAST = 4.0, 1e-6


class Population(NamedTuple):
    """Gaussian distribution of what is searched (k) and, about plus or minus a mean, of the factors (f)."""

    mean: Array
    std: Array
    factor_mean: Array
    factor_covariance: Array
    two_signs: bool


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
            With ``prior_share``, shape (n, k), in `extra`: the part of the information on each parameter that is the
            prior's, from 0 to 1, [1]. As without a prior, nothing but OK, WEAK and AMBIGUOUS has values.
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
        at, own = self.solver.searched(first.theta[usable], first.covariance[usable])
        found = Population(np.median(at, axis=0), at.std(axis=0), np.zeros(0), np.zeros((0, 0)), False)
        for _ in range(_PASSES):
            second = self.solver(some, prior=self._prior(found, noise, None))
            good = np.isfinite(second.theta).all(axis=1)
            at, own = self.solver.searched(second.theta[good], second.covariance[good])
            mean, std = _distribution(at, np.diagonal(own, axis1=1, axis2=2), found)
            found = found._replace(mean=mean, std=std)
        k = at.shape[1]
        return Population(found.mean, found.std, *_two_domains(second.theta[good, k:], second.covariance[good, k:, k:]))

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
        blank = population._replace(factor_mean=np.zeros(0))
        signs = self.solver(signals, prior=self._prior(blank, noise, None))
        prior = self._prior(population, noise, signs.theta[:, len(population.mean) :])
        estimate = self.solver(signals, prior=prior)
        rate = self.solver.rates(estimate.theta)
        searched = estimate.covariance / (rate[:, :, None] * rate[:, None, :])
        estimate.extra["prior_share"] = np.einsum("njk,kj->nj", searched, prior.precision)
        return estimate

    def _prior(self, population: Population, noise: Array, factors: Array | None) -> Prior:
        """Prior of each signal: of the factors too, on the side of the first fit, where `factors` are given."""
        size, k = len(self.physics.parameters), len(population.mean)
        precision = np.zeros((size, size))
        precision[:k, :k] = np.diag(population.std**-2.0)
        mean = np.zeros((len(noise), size))
        mean[:, :k] = population.mean
        if factors is not None and len(population.factor_mean):
            inverse = np.linalg.inv(population.factor_covariance)
            precision[k:, k:] = inverse
            side = np.sign(np.nan_to_num(factors) @ inverse @ population.factor_mean)
            mean[:, k:] = np.where(side < 0, -1.0, 1.0)[:, None] * population.factor_mean
            mean[:, k:] *= 1.0 if population.two_signs else np.where(side < 0, -1.0, 1.0)[:, None]
        return Prior(mean, precision, np.nan_to_num(noise) ** 2)


def _distribution(at: Array, variance: Array, under: Population) -> tuple[Array, Array]:
    """Mean and standard deviation over the scan of what is searched, from fits under another distribution.

    Taking that distribution out again leaves what the data of each signal say, a Gaussian about `value`. Signals far
    from all others say nothing about these.
    """
    share = np.minimum(variance / under.std**2, 1 - _LEAST)
    value = (at - share * under.mean) / (1 - share)
    own = variance / (1 - share)
    mean, std = under.mean, under.std
    for _ in range(_ROUNDS):
        near = np.square(value - mean) < _FAR**2 * (own + std**2)
        pull = std**2 / (std**2 + own)
        moved = np.where(near, value * pull + mean * (1 - pull), np.nan)
        mean = np.nanmean(moved, axis=0)
        square = np.nanmean(np.square(moved - mean) + np.where(near, own * pull, np.nan), axis=0)
        before, std = std, np.sqrt(square)
        if np.all(np.abs(std - before) <= _CLOSE * before):
            break
    return mean, std


def _two_domains(factors: Array, own: Array) -> tuple[Array, Array, bool]:
    """Gaussian of the factors, about one mean, or about plus and minus one, whichever is likelier."""
    one = _mixture(factors, own, factors.mean(axis=0), False)
    axis = np.linalg.eigh(factors.T @ factors)[1][:, -1]
    length = np.mean(np.abs(factors @ axis))
    two = _mixture(factors, own, axis * length, True)
    return (*two[:2], True) if two[2] > one[2] else (*one[:2], False)


def _mixture(factors: Array, own: Array, mean: Array, two: bool) -> tuple[Array, Array, float]:
    """Mean and covariance less the noise of each fit, and the logarithm of the likelihood."""
    count = factors.shape[1]
    start = np.cov(factors.T).reshape(count, count)
    covariance = start if not two else np.eye(count) * np.mean(np.square(factors)) / 4
    score = -np.inf
    for _ in range(_ROUNDS):
        total = covariance + own
        inverse = np.linalg.inv(total)
        away = np.stack([factors - mean, factors + mean]) if two else (factors - mean)[None]
        power = -0.5 * np.einsum("snf,nfg,sng->sn", away, inverse, away) - 0.5 * np.linalg.slogdet(total)[1]
        top = power.max(axis=0)
        weight = np.exp(power - top)
        score = float(np.sum(top + np.log(weight.mean(axis=0))))
        weight /= weight.sum(axis=0)
        pull = np.einsum("fg,ngh,snh->snf", covariance, inverse, away)
        left = covariance - covariance @ inverse @ covariance
        sign = np.array([1.0, -1.0])[: len(away)]
        new = np.einsum("sn,s,snf->f", weight, sign, pull + sign[:, None, None] * mean) / len(factors)
        change = pull + sign[:, None, None] * (mean - new)
        covariance = np.einsum("sn,snf,sng->fg", weight, change, change) / len(factors) + left.mean(axis=0)
        covariance += np.eye(count) * 1e-9 * np.trace(start)
        mean = new
    return mean, covariance, score
