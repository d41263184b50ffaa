"""How the parameters of all signals of a scan are distributed, integrated over what each signal leaves open.

Expectation and maximisation (Dempster, Laird, Rubin, doi:10.1111/j.2517-6161.1977.tb01600.x). The factors of a signal
are Gaussian given the other parameters, and integrated in closed form; the others by trial values, weighed by their
probability (importance sampling). Best values instead of integrals would favour narrow lines, which fit noise best.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.separable import Separable
from parscope.solvers.least_squares.grid import stack

Array = NDArray[np.float64]

# Trial values of a signal: half about its best fit, a little wider than its posterior is; half from the population.
_TRIALS, _WIDER = 32, 1.3
_ROUNDS, _CLOSE = 200, 3e-4
# Factors of which a smaller share than this is of the other sign are of one sign.
_RARE = 0.02
# Signals at a time, whose columns are held in memory.
_CHUNK = 50


@dataclass(frozen=True)
class Population:
    """Gaussian distribution of what is searched (k) and, about plus or minus a mean, of the factors (f)."""

    mean: Array
    std: Array
    factor_mean: Array
    factor_covariance: Array
    two_signs: bool

    def near(self, other: Population, share: float) -> bool:
        """Whether mean and standard deviation of what is searched differ by less than a share of the latter."""
        change = np.maximum(np.abs(self.mean - other.mean), np.abs(self.std - other.std))
        return bool(np.all(change <= share * other.std))


@dataclass(frozen=True)
class _Weighed:
    """Probabilities (n, t, 2) of trial values and signs, and the factors (n, t, 2, f) with their covariance."""

    share: Array
    factors: Array
    covariance: Array


@dataclass(frozen=True)
class Trials:
    """Trial values of n signals, and what a signal says of the factors at each.

    Parameters
    ----------
    nodes : ndarray, shape (n, t, k)
        Values of what is searched.
    rarity : ndarray, shape (n, t)
        Minus the logarithm of the density from which they were drawn.
    information : ndarray, shape (n, t, f, f)
        Inverse covariance of the factors.
    target : ndarray, shape (n, t, f)
        The same times their best values.
    """

    nodes: Array
    rarity: Array
    information: Array
    target: Array

    @classmethod
    def around(
        cls, physics: Separable, signals: NDArray[Any], noise: Array, fits: tuple[Array, Array], population: Population
    ) -> Trials:
        """Draw trial values about fits and from a population.

        Parameters
        ----------
        physics : Separable
            Declares the columns.
        signals : ndarray, shape (n, bins)
            Measured signals.
        noise : ndarray, shape (n,)
            Their standard deviation.
        fits : tuple of ndarray
            What was found, shape (n, k), and its covariance, shape (n, k, k).
        population : Population
            As far as it is known.

        Returns
        -------
        Trials
        """
        nodes, rarity = _draw(*fits, population)
        parts = [slice(first, first + _CHUNK) for first in range(0, len(signals), _CHUNK)]
        seen = [_see(physics, signals[part], noise[part], nodes[part]) for part in parts]
        return cls(nodes, rarity, *(np.concatenate(some) for some in zip(*seen, strict=True)))

    def maximise(self, population: Population) -> Population:
        """The population under which the signals are most probable, by rounds from one that is near it."""
        for _ in range(_ROUNDS):
            before, population = population, self._round(population)
            if population.near(before, _CLOSE):
                break
        return population

    def _round(self, population: Population) -> Population:
        """One round of expectation and maximisation."""
        weighed = self._weigh(population)
        share = weighed.share.sum(axis=2) / len(self.nodes)
        mean = np.einsum("nt,ntk->k", share, self.nodes)
        std = np.sqrt(np.einsum("nt,ntk->k", share, np.square(self.nodes - mean)))
        sign = np.array([1.0, -1.0])
        joint = weighed.share / len(self.nodes)
        turned = weighed.factors * sign[:, None]
        centre = np.einsum("nts,ntsf->f", joint, turned)
        away = turned - centre
        spread = np.einsum("nts,ntsf,ntsg->fg", joint, away, away)
        covariance = spread + np.einsum("nt,ntfg->fg", share, weighed.covariance)
        return replace(population, mean=mean, std=std, factor_mean=centre, factor_covariance=covariance)

    def _weigh(self, population: Population) -> _Weighed:
        """How probable each trial value is, with either sign of the factors."""
        away = (self.nodes - population.mean) / population.std
        inverse = np.linalg.inv(population.factor_covariance)
        precision = self.information + inverse
        covariance = np.linalg.inv(precision)
        drawn = inverse @ population.factor_mean
        target = np.stack([self.target + drawn, self.target - drawn], axis=2)
        factors = np.einsum("ntfg,ntsg->ntsf", covariance, target)
        power = 0.5 * np.einsum("ntsf,ntsf->nts", factors, target)
        power += (self.rarity - 0.5 * np.sum(away**2, axis=2) - 0.5 * np.linalg.slogdet(precision)[1])[:, :, None]
        if not population.two_signs:
            power[:, :, 1] = -np.inf
        share = np.exp(power - power.max(axis=(1, 2), keepdims=True))
        return _Weighed(share / share.sum(axis=(1, 2), keepdims=True), factors, covariance)


def distribution(at: Array, variance: Array, factors: Array, own: Array) -> Population:
    """Distribution of which given fits and variances would be typical."""
    mean = at.mean(axis=0)
    std = np.sqrt(np.mean(np.square(at - mean) + variance, axis=0))
    axis = np.linalg.eigh(factors.T @ factors)[1][:, -1]
    sign = np.where(factors @ axis < 0, -1.0, 1.0)
    two = bool(min(np.mean(sign < 0), np.mean(sign > 0)) > _RARE)
    sign = sign if two else np.full(len(sign), np.sign(sign.sum()))
    turned = factors * sign[:, None]
    centre = turned.mean(axis=0)
    away = turned - centre
    centre = centre if two else centre * sign[0]
    return Population(mean, std, centre, away.T @ away / len(away) + own.mean(axis=0), two)


def _draw(found: Array, covariance: Array, population: Population) -> tuple[Array, Array]:
    """Trial values, shape (n, t, k), and minus the logarithm of the density from which they come, shape (n, t)."""
    n, k = found.shape
    normal = np.random.default_rng(0).normal(size=(n, _TRIALS, k))
    root = np.linalg.cholesky(covariance) * _WIDER
    wide = population.std * _WIDER
    nodes = np.where(
        (np.arange(_TRIALS) % 2 == 0)[:, None],
        found[:, None] + np.einsum("nij,ntj->nti", root, normal),
        population.mean + wide * normal,
    )
    near = np.einsum("nij,ntj->nti", np.linalg.inv(root), nodes - found[:, None])
    size = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    anywhere = (nodes - population.mean) / wide
    density = np.logaddexp(
        -0.5 * np.sum(near**2, axis=2) - size[:, None],
        -0.5 * np.sum(anywhere**2, axis=2) - np.log(wide).sum(),
    )
    return nodes, -density


def _see(physics: Separable, signals: NDArray[Any], noise: Array, nodes: Array) -> tuple[Array, Array]:
    """Inverse covariance of the factors at each trial value, and its product with their best values."""
    n, t, k = nodes.shape
    columns = stack(physics, nodes.reshape(n * t, k)).reshape(n, t, signals.shape[1], -1)
    gram = np.einsum("ntbi,ntbj->ntij", columns.conj(), columns, optimize=True)
    target = np.einsum("ntbi,nb->nti", columns.conj(), signals, optimize=True)
    if physics.complex:
        turn = np.array([1.0, 1j])
        gram = np.einsum("p,ntij,q->ntipjq", turn.conj(), gram, turn).real.reshape(n, t, *[2 * gram.shape[2]] * 2)
        target = np.stack([target.real, target.imag], axis=3).reshape(n, t, -1)
    variance = np.square(noise)[:, None]
    return gram / variance[..., None, None], target / variance[..., None]
