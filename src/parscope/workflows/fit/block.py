"""One block of spectra through the solver: the unit of work of a laptop, a cluster and a resumed job alike."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from parscope.core.bound import propagate
from parscope.core.errors import UnreadableError
from parscope.core.separable import Separable
from parscope.core.solver import Estimate, Status
from parscope.core.spectra import Spectra
from parscope.solvers.least_squares import LeastSquares
from parscope.solvers.population import Population
from parscope.solvers.prior import EmpiricalBayes, Local

Prior = Literal["scan", "neighbours"]

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
    prior : {"scan", "neighbours"}, optional
        What they are fitted under a prior of, if of anything.
    population : Population, optional
        Of the scan, of which the prior is made.
    local : tuple of ndarray, shape (*navigation, k), optional
        Mean and variance of what is searched, as its neighbours tell them.
    """

    spectra: Spectra
    physics: Separable
    prior: Prior | None
    population: Population | None = None
    local: Local | None = None

    @cached_property
    def solver(self) -> LeastSquares:
        """Made once in each process."""
        return LeastSquares(self.physics)

    def __getstate__(self) -> dict[str, Any]:
        """What travels to a cluster: the solver is compiled where it is used."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def blocks(self) -> list[tuple[int, int]]:
        """Rows (start, stop) of the blocks along the first axis: about 8 MiB of spectra each, one row at least."""
        rows = self.spectra.navigation_shape[0]
        row_bytes = math.prod(self.spectra.data.shape[1:]) * np.dtype(self.spectra.data.dtype).itemsize
        step = max(1, min(rows, _BLOCK_BYTES // max(row_bytes, 1)))
        return [(y, min(y + step, rows)) for y in range(0, rows, step)]

    def estimate(self, signals: NDArray[Any], local: Local | None = None) -> Estimate:
        """Estimates of spectra.

        Parameters
        ----------
        signals : ndarray, shape (n, bins)
            Measured spectra.
        local : tuple of ndarray, shape (n, k), optional
            What their neighbours tell of them.

        Returns
        -------
        Estimate
        """
        if self.prior is None:
            return self.solver(signals)
        return EmpiricalBayes(self.solver).fit(signals, self.population, local)


def survey_block(plan: Plan, start: int, stop: int) -> dict[str, NDArray[Any]]:
    """What rows of spectra say by themselves, for their neighbours.

    Parameters
    ----------
    plan : Plan
        What is decided.
    start, stop : int
        Rows along the first axis, the last one excluded.

    Returns
    -------
    dict of ndarray
        ``value`` and ``variance``, shape (rows, columns, k).
    """
    signals, _ = _read(plan.spectra, start, stop)
    bayes = EmpiricalBayes(plan.solver)
    pieces = [bayes.alone(plan.estimate(some), plan.population) for some, _ in _pieces(signals, None)]
    told = (np.concatenate(part) for part in zip(*pieces, strict=True))
    return {
        n: some.reshape(stop - start, -1, some.shape[1]) for n, some in zip(("value", "variance"), told, strict=True)
    }


def fit_block(plan: Plan, start: int, stop: int) -> dict[str, NDArray[Any]]:
    """Fit rows of spectra.

    Parameters
    ----------
    plan : Plan
        What is decided.
    start, stop : int
        Rows along the first axis, the last one excluded.

    Returns
    -------
    dict of ndarray
        All of first dimensions (rows, columns): ``value`` and ``std`` of the parameters and then the quantities of the
        physics, ``misfit``, ``status``, and ``prior_share`` of the parameters under a prior.
    """
    signals, unreadable = _read(plan.spectra, start, stop)
    local = None if plan.local is None else (plan.local[0][start:stop], plan.local[1][start:stop])
    pieces = [_fit(plan, *some) for some in _pieces(signals, local)]
    result = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    result["status"][np.repeat(unreadable, len(result["status"]) // len(unreadable))] = Status.UNREADABLE
    return {name: values.reshape(stop - start, -1, *values.shape[1:]) for name, values in result.items()}


def _pieces(signals: NDArray[Any], local: Local | None) -> Iterator[tuple[NDArray[Any], Local | None]]:
    """A few spectra after the other, with what their neighbours tell of them."""
    flat = signals.reshape(-1, signals.shape[-1])
    for first in range(0, len(flat), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        told = local and (local[0].reshape(len(flat), -1)[part], local[1].reshape(len(flat), -1)[part])
        yield flat[part], told


def _read(spectra: Spectra, start: int, stop: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Rows of spectra; those that cannot be read are NaN."""
    try:
        return np.asarray(spectra.data[start:stop]), np.zeros(stop - start, np.bool_)
    except UnreadableError:
        if stop - start > 1:
            rows = [_read(spectra, y, y + 1) for y in range(start, stop)]
            return np.concatenate([r[0] for r in rows]), np.concatenate([r[1] for r in rows])
    return np.full((1, *spectra.data.shape[1:]), np.nan, spectra.data.dtype), np.ones(1, np.bool_)


def _fit(plan: Plan, signals: NDArray[Any], local: Local | None) -> dict[str, NDArray[Any]]:
    """What is kept of the estimates of a few spectra."""
    estimate = plan.estimate(signals, local)
    derived, std = propagate(plan.physics, estimate.theta, estimate.covariance)
    result: dict[str, NDArray[Any]] = {
        "value": np.concatenate([estimate.theta, derived], axis=1),
        "std": np.concatenate([estimate.std, std], axis=1).astype(np.float32),
        "misfit": estimate.misfit.astype(np.float32),
        "status": estimate.status.copy(),
    }
    if plan.prior is not None:
        result["prior_share"] = estimate.extra["prior_share"].astype(np.float32)
    return result
