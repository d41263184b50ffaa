"""Soft bounds, and the question whether there is anything to fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.separable import Separable
from parscope.core.solver import Status
from parscope.solvers.least_squares.judge import Verdict
from parscope.solvers.least_squares.layout import Prior

# Squared second differences of white noise are this many times its variance.
_SECOND = 6.0


def soft_bounds(physics: Separable, signals: NDArray[Any], sound: NDArray[np.bool_]) -> Prior | None:
    """The soft bounds of a physics as a prior, weighed by the noise that neighbouring samples tell.

    Parameters
    ----------
    physics : Separable
        Declares what is usual.
    signals : ndarray, shape (n, bins)
        Measured signals.
    sound : ndarray of bool, shape (n,)
        Which can be fitted.

    Returns
    -------
    Prior, optional
        None where nothing is usual.
    """
    if not physics.usual:
        return None
    size, k = len(physics.parameters), len(physics.usual)
    mean, precision = np.zeros((1, size)), np.zeros((1, size, size))
    mean[0, :k] = [value for value, _ in physics.usual]
    precision[0, :k, :k] = np.diag([spread**-2.0 for _, spread in physics.usual])
    change = np.abs(np.diff(np.where(sound[:, None], signals, 0), n=2, axis=1))
    return Prior(mean, precision, np.mean(np.square(change), axis=1) / (_SECOND * (1 + physics.complex)))


def refuse_absent(verdict: Verdict, searched: int, samples: int, freedom: float) -> None:
    """Give ABSENT, in place, to signals that Bayes' criterion wants explained without what is searched.

    Parameters
    ----------
    verdict : Verdict
        Of the fits.
    searched : int
        How many parameters go with what is searched.
    samples : int
        Real samples of a signal.
    freedom : float
        Samples less parameters where the noise is told by the fit; infinite where it is known, [1].
    """
    gain = 2 * verdict.detection
    if np.isfinite(freedom):
        gain = samples * np.log1p(gain / freedom)
    absent = (gain < searched * np.log(samples)) & (verdict.status != Status.BAD_INPUT)
    verdict.status[absent] = Status.ABSENT
    verdict.found[absent] = np.nan
    verdict.covariance[absent] = np.nan
