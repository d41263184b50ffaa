"""How much contrast is inside the copies, found from the data: the prior with which single copies agree best.

The displacements of the copies about the fitted lattice are a direct measure of the error of a displacement, and with
the information of each copy they give the standard error that was really reached. The prior that makes it smallest is
chosen; what remains of the difference between scatter and prediction corrects the covariance.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.physics import Contrast
from parscope.core.solver import Status
from parscope.solvers.lattice.filters import LatticeFilters

_DEPTHS = (0.0, 0.1, 0.2, 0.3, 0.45, 0.7, 1.0)
_LENGTHS = (0.22, 0.3, 0.4, 0.55, 0.8, 1.2)
# Of the priors whose error is within this factor of the least one, that of the smallest contrast is taken. The factor
# is small: an error common to all disks does not scatter, so too shallow a prior costs more than it shows.
_AS_GOOD = 1.003
# With fewer copies there is no scatter about the fit to judge by.
_FEWEST = 4


def calibrate(solver: LatticeFilters, signals: NDArray[Any]) -> LatticeFilters:
    """The same solver with the contrast prior that suits the data.

    Parameters
    ----------
    solver : LatticeFilters
        With any contrast.
    signals : ndarray, shape (n, q_y, q_x)
        A sample of patterns, some hundred.

    Returns
    -------
    LatticeFilters
        Unchanged if no pattern of the sample can be fitted, or there are too few copies to scatter.
    """
    if len(solver.physics.reference) < _FEWEST:
        return solver
    trial = _Trials(solver, signals)
    depth, _ = trial.best((d, 0.4) for d in _DEPTHS)
    # Dynamical contrast is deep and smooth: a corner that a search from shallow fringes does not reach.
    deep = ((d, _LENGTHS[-1]) for d in _DEPTHS[-3:])
    _, length = trial.best([*((depth, k) for k in _LENGTHS), *deep])
    trial.best((d, length) for d in _DEPTHS)
    best = trial.simplest()
    final = solver.with_contrast(Contrast(*best))
    scatter = _scatter(final, signals)
    return final.with_contrast(Contrast(*best, scatter)) if scatter is not None else solver


class _Trials:
    """Standard errors reached under contrast priors, each tried once."""

    def __init__(self, solver: LatticeFilters, signals: NDArray[Any]) -> None:
        self._solver, self._signals = solver, signals
        self._errors: dict[tuple[float, float], float] = {}

    def best(self, priors: Iterable[tuple[float, float]]) -> tuple[float, float]:
        """The prior of smallest error."""
        return min(priors, key=self._error)

    def simplest(self) -> tuple[float, float]:
        """The prior of smallest depth among those tried that are as good as the best, in the middle of its lengths."""
        enough = _AS_GOOD * min(self._errors.values())
        good = sorted(prior for prior, error in self._errors.items() if error <= enough)
        same = [prior for prior in good if prior[0] == good[0][0]]
        return same[(len(same) - 1) // 2]

    def _error(self, prior: tuple[float, float]) -> float:
        """Standard error of the affine map that was really reached, typical of the sample, [1]."""
        if prior not in self._errors:
            trial = self._solver.with_contrast(Contrast(*prior), bins=3)
            estimate = trial(self._signals)
            good = estimate.status == Status.OK
            information = trial.score(self._signals, estimate.theta).information[good]
            # Without the prior of the parameters, which would hide the error where electrons are few.
            covariance = np.linalg.inv(information + 1e-9 * np.eye(6))
            variance = np.trace(covariance[:, 2:, 2:], axis1=1, axis2=2) * estimate.extra["spread"][good]
            self._errors[prior] = float(np.sqrt(np.median(variance))) if good.any() else np.inf
        return self._errors[prior]


def _scatter(solver: LatticeFilters, signals: NDArray[Any]) -> float | None:
    """Scatter of the copies over its prediction, typical of the sample."""
    estimate = solver(signals)
    good = estimate.status == Status.OK
    return float(np.median(estimate.extra["spread"][good])) if good.any() else None
