"""What a fit is worth: parameters and covariance in the units of the physics, misfit and status."""

from __future__ import annotations

import math
from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.core.solver import GATE, Status
from parscope.solvers.least_squares.bank import Taken
from parscope.solvers.least_squares.kernel import fit
from parscope.solvers.least_squares.layout import CONVERGED, FAST, SINGULAR, Array, Fits, Integers, Model, Prior

EXPLAINED, UNLIKELY = 0.5, 6.0
"""A signal of which less than this share is explained, and whose misfit is this many standard deviations from one, does
not follow the model."""

_OK, _WEAK, _NO_MODEL = int(Status.OK), int(Status.WEAK), int(Status.NO_MODEL)
_AT_BOUND, _BAD_INPUT = int(Status.AT_BOUND), int(Status.BAD_INPUT)


@nb.njit(**FAST)
def _leans(model: Model, found: Array) -> bool:
    """Whether a parameter ended at a bound."""
    count = 0
    for j in range(model.lower.size):
        count += found[j] <= model.lower[j] or found[j] >= model.upper[j]
    return count > 0


@nb.njit(**FAST)
def _status(end: int, detection: float, foreign: bool, leans: bool) -> int:
    """Status of a sound signal: `foreign` to the model, or leaning against a bound."""
    if end == SINGULAR or foreign:
        return _NO_MODEL
    if detection < GATE:
        return _WEAK
    if end != CONVERGED:
        return _NO_MODEL
    return _AT_BOUND if leans else _OK


@nb.njit(**FAST)
def to_units(model: Model, found: Array, covariance: Array, variance: float) -> None:
    """From what is searched to parameters, in place."""
    for j in range(found.size):
        for k in range(found.size):
            covariance[j, k] *= variance
    for j in range(model.lower.size):
        if model.logarithmic[j]:
            found[j] = math.exp(found[j])
            covariance[j, :] *= found[j]
            covariance[:, j] *= found[j]
        if model.period[j] > 0:
            found[j] -= model.period[j] * math.floor((found[j] - model.origin[j]) / model.period[j])


class Verdict(NamedTuple):
    """What a fit says of n signals.

    Attributes
    ----------
    found : ndarray, shape (n, p)
        Parameters in the units of the physics; as they are searched where the status is WEAK.
    covariance : ndarray, shape (n, p, p)
        Their covariance, likewise.
    misfit : ndarray, shape (n,)
        Squared residual over its expectation. Where the noise is not known it is told by neighbouring samples: half
        the mean squared difference of their residuals (von Neumann, doi:10.1214/aoms/1177731677).
    detection : ndarray, shape (n,)
        Explained energy over twice the variance of the noise.
    variance : ndarray, shape (n,)
        Of the noise of a sample.
    status : ndarray of uint8, shape (n,)
        WEAK where the posterior is to be asked for the errors.
    """

    found: Array
    covariance: Array
    misfit: Array
    detection: Array
    variance: Array
    status: NDArray[np.uint8]


@nb.njit(**FAST)
def settle(model: Model, verdict: Verdict, weak: Integers) -> None:
    """Bring weak signals to the units of the physics, in place.

    Parameters
    ----------
    model : Model
        The physics.
    verdict : Verdict
        Of all signals.
    weak : ndarray, shape (m,)
        Which are weak.
    """
    for s in weak:
        to_units(model, verdict.found[s], verdict.covariance[s], verdict.variance[s])


@nb.njit(**FAST)
def solve(model: Model, taken: Taken, start: Array, noise: float, prior: Prior) -> Verdict:
    """Fit signals from `start`, shape (n, k), and judge each fit, in one call from Python."""
    verdict: Verdict = judge(model, taken, fit(model, taken.rows, start, prior), noise)
    return verdict


@nb.njit(**FAST)
def judge(model: Model, taken: Taken, fits: Fits, noise: float) -> Verdict:
    """Judge fits.

    Parameters
    ----------
    model : Model
        The physics.
    taken : Taken
        Signals.
    fits : Fits
        How the searches ended.
    noise : float
        Standard deviation of a sample in the `unit` of the signal; 0 where it is not known.

    Returns
    -------
    Verdict
    """
    n = taken.energy.size
    freedom = taken.rows.shape[1] - fits.found.shape[1]
    verdict = Verdict(fits.found, fits.covariance, np.empty(n), np.empty(n), np.empty(n), np.full(n, _OK, np.uint8))
    for s in range(n):
        residual = fits.residual[s] if fits.end[s] != SINGULAR else taken.energy[s]
        variance = noise * noise if noise > 0 else residual / freedom
        expected = variance if noise > 0 else fits.change[s]
        verdict.variance[s] = variance
        verdict.misfit[s] = residual / freedom / max(expected, 1e-300) if taken.sound[s] else math.nan
        verdict.detection[s] = (taken.energy[s] - residual) / max(2 * variance, 1e-300)
        verdict.status[s] = _BAD_INPUT
        if taken.sound[s]:
            strange = verdict.misfit[s] > 1 + UNLIKELY * math.sqrt(2 / freedom)
            foreign = strange and taken.energy[s] - residual < EXPLAINED * taken.energy[s]
            # Without a search there is no wrong place to end in, however weak the signal.
            detected = verdict.detection[s] if model.lower.size else math.inf
            verdict.status[s] = _status(fits.end[s], detected, foreign, _leans(model, fits.found[s]))
        if verdict.status[s] == _OK:
            to_units(model, fits.found[s], fits.covariance[s], variance)
        elif verdict.status[s] != _WEAK:
            fits.found[s] = math.nan
            fits.covariance[s] = math.nan
    return verdict
