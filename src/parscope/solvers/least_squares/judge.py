"""What a fit is worth: parameters and covariance in the units of the physics, misfit and status."""

from __future__ import annotations

import math

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.core.solver import Status
from parscope.solvers.least_squares.layout import CONVERGED, FAST, SINGULAR, Array, Fits, Model

# Explained energy over twice the variance of the noise below which the posterior is given: about a peak signal to
# noise ratio of 5 for lines of few bins.
GATE = 25.0
# A signal of which less than this share is explained, and whose misfit is this many standard deviations from one,
# does not follow the model.
_EXPLAINED, _UNLIKELY = 0.5, 6.0

_OK, _WEAK, _NO_MODEL = int(Status.OK), int(Status.WEAK), int(Status.NO_MODEL)
_AT_BOUND, _BAD_INPUT = int(Status.AT_BOUND), int(Status.BAD_INPUT)


@nb.njit(**FAST)
def _leans(model: Model, found: Array) -> bool:
    """Whether a parameter ended at a bound."""
    for j in range(model.lower.size):
        if found[j] <= model.lower[j] or found[j] >= model.upper[j]:
            return True
    return False


@nb.njit(**FAST)
def _to_units(model: Model, found: Array, covariance: Array, variance: float) -> None:
    """From what is searched to parameters, in place."""
    for j in range(found.size):
        for k in range(found.size):
            covariance[j, k] *= variance
    for j in range(model.lower.size):
        if model.logarithmic[j]:
            found[j] = math.exp(found[j])
            covariance[j, :] *= found[j]
            covariance[:, j] *= found[j]


@nb.njit(**FAST)
def judge(model: Model, fits: Fits, energy: Array, sound: NDArray[np.bool_], noise: float) -> tuple[Array, ...]:
    """Convert fits, in place, and give each a status.

    Parameters
    ----------
    model : Model
        The physics.
    fits : Fits
        Where the searches ended; parameters and covariance in the units of the physics afterwards.
    energy : ndarray, shape (n,)
        Squared signal less what constant columns explain.
    sound : ndarray of bool, shape (n,)
        Whether a signal can be fitted at all.
    noise : float
        Standard deviation of a sample in the unit of the signal; 0 where it is not known.

    Returns
    -------
    misfit : ndarray, shape (n,)
        Squared residual over its expectation. Where the noise is not known it is told by neighbouring samples: half
        the mean squared difference of their residuals (von Neumann, doi:10.1214/aoms/1177731677).
    detection : ndarray, shape (n,)
        Explained energy over twice the variance of the noise.
    variance : ndarray, shape (n,)
        Of the noise of a sample.
    status : ndarray of uint8, shape (n,)
        WEAK where the posterior is to be asked.
    """
    n = energy.size
    freedom = model.parts * model.axis.size - fits.found.shape[1]
    misfit, detection, variance = np.empty(n), np.empty(n), np.empty(n)
    status = np.full(n, _OK, np.uint8)
    for s in range(n):
        residual = fits.residual[s] if fits.end[s] != SINGULAR else energy[s]
        variance[s] = noise * noise if noise > 0 else residual / freedom
        expected = variance[s] if noise > 0 else fits.change[s]
        misfit[s] = residual / freedom / max(expected, 1e-300)
        detection[s] = (energy[s] - residual) / max(2 * variance[s], 1e-300)
        strange = misfit[s] > 1 + _UNLIKELY * math.sqrt(2 / freedom)
        if not sound[s]:
            status[s] = _BAD_INPUT
        elif detection[s] < GATE:
            status[s] = _WEAK
        elif fits.end[s] != CONVERGED or (strange and energy[s] - residual < _EXPLAINED * energy[s]):
            status[s] = _NO_MODEL
        elif _leans(model, fits.found[s]):
            status[s] = _AT_BOUND
        if status[s] == _OK:
            _to_units(model, fits.found[s], fits.covariance[s], variance[s])
        elif status[s] != _WEAK:
            fits.found[s] = math.nan
            fits.covariance[s] = math.nan
            misfit[s] = misfit[s] if sound[s] else math.nan
    return misfit, detection, variance, status
