"""One block of spectra through the solver: the unit of work of a laptop, a cluster and a resumed job alike."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.bound import propagate
from parscope.core.errors import UnreadableError
from parscope.core.separable import Separable
from parscope.core.solver import Estimate, Status
from parscope.core.spectra import Spectra
from parscope.solvers.least_squares import LeastSquares
from parscope.solvers.population import Population
from parscope.solvers.prior import EmpiricalBayes

_BLOCK_BYTES = 8 << 20
# Spectra that the solver has at a time, for each of which it keeps many times the spectrum itself.
_AT_ONCE = 2048


@dataclass(frozen=True)
class Plan:
    """All that is decided before the spectra are fitted.

    Parameters
    ----------
    spectra : Spectra
        With one navigation axis at least.
    physics : Separable
        What made them.
    prior : bool
        Whether they are fitted under a prior.
    population : Population, optional
        Of which the prior is made.
    """

    spectra: Spectra
    physics: Separable
    prior: bool
    population: Population | None = None

    @cached_property
    def solver(self) -> LeastSquares:
        """Made once in each process."""
        return LeastSquares(self.physics)

    def __getstate__(self) -> dict[str, Any]:
        """What travels to a cluster: the solver is compiled where it is used."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def blocks(self) -> list[tuple[int, int]]:
        """Blocks of spectra (start, stop), counted along all navigation axes: about 8 MiB, one spectrum at least.

        Each is a stretch of one navigation axis, whole along those after it, so that one slice reads it.
        """
        shape = self.spectra.navigation_shape
        spectrum_bytes = self.spectra.axis.size * np.dtype(self.spectra.data.dtype).itemsize
        most = max(1, _BLOCK_BYTES // spectrum_bytes)
        inner = [math.prod(shape[k + 1 :]) for k in range(len(shape))]
        cut = next(k for k, size in enumerate(inner) if size <= most)
        step, whole = most // inner[cut] * inner[cut], shape[cut] * inner[cut]
        return [
            (start, min(start + step, first + whole))
            for first in range(0, math.prod(shape), whole)
            for start in range(first, first + whole, step)
        ]

    def estimate(self, signals: NDArray[Any]) -> Estimate:
        """Estimates of spectra.

        Parameters
        ----------
        signals : ndarray, shape (n, bins)
            Measured spectra.

        Returns
        -------
        Estimate
        """
        return EmpiricalBayes(self.solver).fit(signals, self.population) if self.prior else self.solver(signals)


def fit_block(plan: Plan, start: int, stop: int) -> dict[str, NDArray[Any]]:
    """Fit a block of spectra.

    Parameters
    ----------
    plan : Plan
        What is decided.
    start, stop : int
        One of its blocks.

    Returns
    -------
    dict of ndarray
        All of first dimensions (spectra, 1): ``value`` and ``std`` of the parameters and then the quantities of the
        physics, ``misfit``, ``status``, and ``prior_share`` of the parameters under a prior.
    """
    signals, unreadable = read_block(plan.spectra, start, stop)
    pieces = [_fit(plan, signals[first : first + _AT_ONCE]) for first in range(0, len(signals), _AT_ONCE)]
    result = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    result["status"][unreadable] = Status.UNREADABLE
    return {name: values[:, None] for name, values in result.items()}


def read_block(spectra: Spectra, start: int, stop: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Spectra of a block; what cannot be read is zero, which is no signal.

    Parameters
    ----------
    spectra : Spectra
        With one navigation axis at least.
    start, stop : int
        One of the blocks of a `Plan`.

    Returns
    -------
    signals : ndarray, shape (stop - start, bins)
    unreadable : ndarray of bool, shape (stop - start,)
    """
    ends = np.unravel_index((start, stop - 1), spectra.navigation_shape)
    box = tuple(slice(int(first), int(last) + 1) for first, last in ends)
    signals, unreadable = _read(spectra, box)
    return signals.reshape(stop - start, -1), unreadable.reshape(-1)


def _read(spectra: Spectra, box: tuple[slice, ...]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """A box of spectra, halved until what cannot be read stands alone."""
    shape = tuple(part.stop - part.start for part in box)
    try:
        return np.asarray(spectra.data[box]), np.zeros(shape, np.bool_)
    except UnreadableError:
        if max(shape) == 1:
            return np.zeros((*shape, spectra.axis.size), spectra.data.dtype), np.ones(shape, np.bool_)
    axis = next(k for k, size in enumerate(shape) if size > 1)
    low, high = box[axis].start, box[axis].stop
    middle = (low + high) // 2
    halves = [
        _read(spectra, (*box[:axis], half, *box[axis + 1 :])) for half in (slice(low, middle), slice(middle, high))
    ]
    signals, unreadable = zip(*halves, strict=True)
    return np.concatenate(signals, axis), np.concatenate(unreadable, axis)


def _fit(plan: Plan, signals: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """What is kept of the estimates of a few spectra."""
    estimate = plan.estimate(signals)
    derived, std = propagate(plan.physics, estimate.theta, estimate.covariance)
    result: dict[str, NDArray[Any]] = {
        "value": np.concatenate([estimate.theta, derived], axis=1),
        "std": np.concatenate([estimate.std, std], axis=1).astype(np.float32),
        "misfit": estimate.misfit.astype(np.float32),
        "status": estimate.status.copy(),
    }
    if plan.prior:
        result["prior_share"] = estimate.extra["prior_share"].astype(np.float32)
    return result
