"""Least squares that starts where a network says, and leaves weak signals to it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.physics import Physics
from parscope.core.separable import Separable
from parscope.core.solver import GATE, Estimate, Solver, Status
from parscope.solvers.least_squares import LeastSquares

# What a network explains is less than what the best fit does: from this share of the gate on it is worth a search.
_WORTH = 0.5


class Refined:
    """A first solver for all signals, and least squares from its answers for those above the detection gate.

    Below the gate the answers of the first solver stay, with its errors: a search would leave them for the nearest
    peak of the noise. Of physics with soft bounds, which hold weak signals, all are searched. Do not use it with a
    first solver whose standard errors are not calibrated.

    Parameters
    ----------
    first : Solver
        Such as a network.
    exact : LeastSquares
        For the same physics.
    """

    def __init__(self, first: Solver, exact: LeastSquares) -> None:
        self.first, self.exact = first, exact

    @property
    def physics(self) -> Physics:
        """The physics that is inverted."""
        return self.exact.physics

    def __call__(self, signals: NDArray[Any], /) -> Estimate:
        """Estimate the parameters of every signal.

        Parameters
        ----------
        signals : ndarray, shape (n, *signal_shape)
            Measured signals.

        Returns
        -------
        Estimate
            With ``detection`` and ``noise`` in `extra`.
        """
        result = self.first(signals)
        held = isinstance(self.physics, Separable) and bool(self.physics.usual)
        strong = np.flatnonzero(result.extra["detection"] >= (-np.inf if held else _WORTH * GATE))
        known = strong[np.isfinite(result.theta[strong]).all(axis=1)]
        for some, start in ((known, result.theta[known]), (np.setdiff1d(strong, known), None)):
            if some.size:
                found = self.exact(signals[some], start=start, posterior=False)
                _enter(result, some, found, (found.status != Status.WEAK) | held)
        return result


def _enter(result: Estimate, at: NDArray[np.int64], found: Estimate, sure: NDArray[np.bool_]) -> None:
    """Enter exact answers that are sure."""
    at = at[sure]
    for name in ("theta", "covariance", "misfit", "status"):
        getattr(result, name)[at] = getattr(found, name)[sure]
    for name, values in result.extra.items():
        values[at] = found.extra[name][sure]
