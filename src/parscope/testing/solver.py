"""What every solver promises, tried on signals that it can solve and on such that nobody can."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.solver import Estimate, Solver, Status

# Statuses with which an answer may come.
_ANSWERED = (Status.OK, Status.WEAK, Status.AMBIGUOUS)
_ALIKE = 1e-4


def check_solver(solver: Solver, signals: NDArray[Any]) -> None:
    """Try a solver against its contract.

    Parameters
    ----------
    solver : Solver
        Any.
    signals : ndarray, shape (n, *signal_shape)
        Signals that it solves, with noise; twenty at least, of which most are OK.

    Raises
    ------
    AssertionError
        With what is not as it must be.

    Examples
    --------
    >>> from parscope.solvers.least_squares import LeastSquares
    >>> from parscope.techniques.band_excitation import BandExcitation
    >>> physics = BandExcitation(np.linspace(280e3, 360e3, 80))
    >>> noise = np.random.default_rng(0).normal(size=(20, 80, 2)).view(complex)[..., 0]
    >>> check_solver(LeastSquares(physics), physics.render(np.tile([322e3, 120.0, 0.0, 1.0], (20, 1))) + noise)
    """
    whole = solver(signals)
    _shapes(solver, whole, len(signals))
    _require(np.mean(whole.status == Status.OK) > 0.5, "most signals are OK")
    _no_number_without_an_answer(whole)
    _covariances(whole)
    _batches(solver, signals, whole)
    _bad_input(solver, signals)


def _require(holds: Any, sentence: str) -> None:
    if not holds:
        raise AssertionError(f"not so: {sentence}")


def _shapes(solver: Solver, found: Estimate, n: int) -> None:
    k = len(solver.physics.parameters)
    _require(found.theta.shape == (n, k), f"theta has shape ({n}, {k})")
    _require(found.covariance.shape == (n, k, k), f"covariance has shape ({n}, {k}, {k})")
    _require(found.misfit.shape == (n,) and found.status.shape == (n,), f"misfit and status have shape ({n},)")
    _require(found.status.dtype == np.uint8, "status is of uint8")
    _require(set(found.status.tolist()) <= {int(status) for status in Status}, "every status is one of Status")
    for name, values in found.extra.items():
        _require(len(values) == n, f"{name} has first dimension {n}")


def _no_number_without_an_answer(found: Estimate) -> None:
    answered = np.isin(found.status, _ANSWERED)
    _require(np.isfinite(found.theta[found.status == Status.OK]).all(), "OK comes with numbers")
    _require(np.isnan(found.theta[~answered]).all(), "a failed fit is NaN, never a number")


def _covariances(found: Estimate) -> None:
    own = found.covariance[found.status == Status.OK]
    scale = np.sqrt(np.diagonal(own, axis1=1, axis2=2))
    _require((scale > 0).all(), "standard errors are positive")
    unit = own / (scale[:, :, None] * scale[:, None, :])
    _require(np.abs(unit - unit.transpose(0, 2, 1)).max() < _ALIKE, "covariances are symmetric")
    _require(np.linalg.eigvalsh(unit).min() > -_ALIKE, "covariances have no negative eigenvalue")


def _batches(solver: Solver, signals: NDArray[Any], whole: Estimate) -> None:
    """The answer to a signal is its own, whatever stands beside it."""
    order = np.random.default_rng(0).permutation(len(signals))
    one = np.flatnonzero(whole.status == Status.OK)[:1]
    for some, what in ((order, "in another order"), (one, "alone"), (order[:0], "not there")):
        found = solver(signals[some])
        _shapes(solver, found, len(some))
        _require((found.status == whole.status[some]).all(), f"statuses are the same {what}")
        away = np.abs(found.theta - whole.theta[some]) / whole.std[some]
        _require(np.nanmax(away, initial=0.0) < 0.01, f"answers are the same {what}")


def _bad_input(solver: Solver, signals: NDArray[Any]) -> None:
    """What no one can solve gets a status and no number, and spoils nothing else."""
    spoiled = signals[:6].copy()
    spoiled[0] = 0
    broken = [0]
    if spoiled.dtype.kind in "fc":
        spoiled[1], spoiled[2].flat[0] = np.nan, np.inf
        broken = [0, 1, 2]
    found = solver(spoiled)
    _require((found.status[broken] != Status.OK).all(), "zeros and NaN are not OK")
    _require(np.isnan(found.theta[broken]).all(), "zeros and NaN have no answer")
    _no_number_without_an_answer(found)
    rest = slice(len(broken), None)
    _require((found.status[rest] == solver(signals[:6]).status[rest]).all(), "bad signals spoil no others")
