"""Starts from pieces of a signal, soft bounds, and the question whether there is anything to fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.separable import Separable
from parscope.core.solver import Status
from parscope.solvers.least_squares.bank import take
from parscope.solvers.least_squares.judge import Verdict
from parscope.solvers.least_squares.layout import Array, Prior

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
    mean, precision = np.zeros((1, size)), np.zeros((size, size))
    mean[0, :k] = [value for value, _ in physics.usual]
    precision[:k, :k] = np.diag([spread**-2.0 for _, spread in physics.usual])
    change = np.abs(np.diff(np.where(sound[:, None], signals, 0), n=2, axis=1))
    return Prior(mean, precision, np.mean(np.square(change), axis=1) / (_SECOND * (1 + physics.complex)))


def start_from_pieces(pieces: list[Any], signals: NDArray[Any]) -> Array:
    """Best node of each piece.

    Parameters
    ----------
    pieces : list of (slice, LeastSquares)
        Samples, and the solver whose bank is asked.
    signals : ndarray, shape (n, bins)
        Measured signals.

    Returns
    -------
    ndarray, shape (n, k)
        As it is searched.
    """
    starts = []
    for samples, solver in pieces:
        taken = take(np.ascontiguousarray(signals[:, samples]), 1 + solver.physics.complex, solver.level)
        starts.append(solver.bank.start(taken.unit))
    return np.concatenate(starts, axis=1)


def refuse_absent(verdict: Verdict, searched: int, samples: int, freedom: float) -> NDArray[np.bool_]:
    """Give NO_MODEL, in place, to signals that Bayes' criterion wants explained without what is searched.

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

    Returns
    -------
    ndarray of bool, shape (n,)
        Which signals.
    """
    gain = 2 * verdict.detection
    if np.isfinite(freedom):
        gain = samples * np.log1p(gain / freedom)
    absent: NDArray[np.bool_] = (gain < searched * np.log(samples)) & (verdict.status != Status.BAD_INPUT)
    verdict.status[absent] = Status.NO_MODEL
    verdict.found[absent] = np.nan
    verdict.covariance[absent] = np.nan
    return absent
