"""Solver: a signal turned back into the numbers that made it. A failed fit is NaN with a status, never a number."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from parscope.core.physics import Physics


class Status(IntEnum):
    """Why a signal has a value, or why it has none; the sentence a person reads is `Status.sentence`."""

    OK = 0
    VACUUM = 1
    WEAK = 2
    SECOND_LATTICE = 3
    BOUNDARY = 4
    NO_MODEL = 5
    AT_BOUND = 6
    BAD_INPUT = 7
    UNREADABLE = 8
    NOT_DONE = 9
    AMBIGUOUS = 10
    ABSENT = 11

    @property
    def sentence(self) -> str:
        """One sentence for a report."""
        return _SENTENCES[self]


_SENTENCES = {
    Status.OK: "fitted",
    Status.VACUUM: "vacuum: the direct beam only",
    Status.WEAK: "too little signal over the noise",
    Status.SECOND_LATTICE: "a second lattice in the pattern",
    Status.BOUNDARY: "grain boundary: two grains in the pattern",
    Status.NO_MODEL: "the signal does not follow the model",
    Status.AT_BOUND: "the fit left the range in which it is valid",
    Status.BAD_INPUT: "not a number, negative, cut off or empty",
    Status.UNREADABLE: "this part of the file cannot be read",
    Status.NOT_DONE: "not reached before the work was stopped",
    Status.AMBIGUOUS: "several answers explain the signal",
    Status.ABSENT: "nothing but a background in the signal",
}


@dataclass(frozen=True)
class Estimate:
    """What a solver says of n signals.

    Parameters
    ----------
    theta : ndarray, shape (n, k)
        Parameters in the order and units of the physics; NaN where the status is neither OK nor, for solvers that
        then give the errors of the posterior, WEAK or AMBIGUOUS.
    covariance : ndarray, shape (n, k, k)
        Their covariance, squared units; NaN likewise.
    misfit : ndarray, shape (n,)
        Mean squared residual over the expected noise variance; 1 for a perfect model.
    status : ndarray of uint8, shape (n,)
        A `Status` for each signal.
    extra : dict, optional
        Arrays of first dimension n that a solver offers beyond the contract (amplitudes, limits).
    """

    theta: NDArray[np.float64]
    covariance: NDArray[np.float64]
    misfit: NDArray[np.float64]
    status: NDArray[np.uint8]
    extra: dict[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def std(self) -> NDArray[np.float64]:
        """Standard errors, shape (n, k), in the units of `theta`."""
        variance: NDArray[np.float64] = np.diagonal(self.covariance, axis1=-2, axis2=-1)
        return np.sqrt(variance)


class Solver(Protocol):
    """Least squares, a network, integers or a circuit: one call, comparable on the same data."""

    @property
    def physics(self) -> Physics:
        """The physics that is inverted."""

    def __call__(self, signals: NDArray[Any], /) -> Estimate:
        """Estimate the parameters of every signal.

        Parameters
        ----------
        signals : ndarray, shape (n, *signal_shape)
            Measured signals.

        Returns
        -------
        Estimate
        """
