"""One block of spectra through the solver: the unit of work of a laptop, a cluster and a resumed job alike."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

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

if TYPE_CHECKING:
    from parscope.solvers.networks.spectra.refined import Refined
    from parscope.solvers.networks.spectra.solver import SpectraNetwork
    from parscope.workflows.saved_networks import SavedSpectra

Prior = Literal["scan", "neighbours"]
Position = tuple[int, ...]

# From Python 3.12 on `cached_property` may be made by several threads at once.
_MAKING = Lock()

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
    network : tuple of str, optional
        Folder of a network that starts the fits, and the technique it is for.
    noise : float, optional
        Standard deviation of the noise, in the `unit` of the signal, as spectra of all over the scan told it to that
        network, if they have one in common.
    """

    spectra: Spectra
    physics: Separable
    prior: Prior | None
    population: Population | None = None
    local: Local | None = None
    network: tuple[str, str] | None = None
    noise: float | None = None

    @property
    def solver(self) -> LeastSquares:
        """Made once in each process, by the thread that asks first."""
        with _MAKING:
            return self._solver

    @cached_property
    def _solver(self) -> LeastSquares:
        """With what its calls share."""
        solver = LeastSquares(self.physics)
        solver.prepare()
        return solver

    @cached_property
    def refined(self) -> Refined | None:
        """The network with least squares behind it, read in each process."""
        if self.network is None:
            return None
        from parscope.workflows.saved_networks import SavedSpectra

        folder, technique = self.network
        return self._started(SavedSpectra.read(Path(folder), technique).on(self.physics, self.noise))

    def _started(self, network: SpectraNetwork) -> Refined:
        """Least squares that a network starts."""
        from parscope.solvers.networks.spectra.refined import Refined

        return Refined(network, self.solver)

    def begun(self, saved: SavedSpectra, network: SpectraNetwork) -> Plan:
        """The same plan with a network that was read and made already: other processes do both again."""
        plan = replace(self, network=(str(saved.folder), saved.technique), noise=network.noise)
        plan.__dict__.update(_solver=self.solver, refined=self._started(network))
        return plan

    def settled(self, **decided: Any) -> Plan:
        """The same plan with more decided, which has the solver too: that is of the physics alone."""
        plan = replace(self, **decided)
        plan.__dict__["_solver"] = self.solver
        return plan

    def told(self, positions: Sequence[Position]) -> Local | None:
        """What the neighbours of some positions tell of these, if they are asked."""
        if self.local is None:
            return None
        at = tuple(np.array(positions, np.int64).reshape(-1, len(self.spectra.navigation_shape)).T)
        return self.local[0][at], self.local[1][at]

    def __getstate__(self) -> dict[str, Any]:
        """What travels to a cluster: the solver is compiled where it is used."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def blocks(self) -> list[tuple[int, int]]:
        """Blocks of its spectra."""
        return blocks(self.spectra)

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
        if self.refined is not None:
            return self.refined(signals)
        if self.prior is None:
            return self.solver(signals)
        return EmpiricalBayes(self.solver).fit(signals, self.population, local)


def blocks(spectra: Spectra) -> list[tuple[int, int]]:
    """Blocks of spectra (start, stop), counted along all navigation axes: about 8 MiB, one spectrum at least.

    Each is a stretch of one navigation axis, whole along those after it, so that one slice reads it.

    Parameters
    ----------
    spectra : Spectra
        With one navigation axis at least.

    Returns
    -------
    list of tuple of int
    """
    shape = spectra.navigation_shape
    spectrum_bytes = spectra.axis.size * np.dtype(spectra.data.dtype).itemsize
    most = max(1, _BLOCK_BYTES // spectrum_bytes)
    inner = [math.prod(shape[k + 1 :]) for k in range(len(shape))]
    cut = next(k for k, size in enumerate(inner) if size <= most)
    step, whole = most // inner[cut] * inner[cut], shape[cut] * inner[cut]
    return [
        (start, min(start + step, first + whole))
        for first in range(0, math.prod(shape), whole)
        for start in range(first, first + whole, step)
    ]


def survey_block(plan: Plan, start: int, stop: int) -> dict[str, NDArray[Any]]:
    """What a block of spectra say by themselves, for their neighbours.

    Parameters
    ----------
    plan : Plan
        What is decided.
    start, stop : int
        One of its blocks.

    Returns
    -------
    dict of ndarray
        ``value`` and ``variance``, shape (spectra, 1, k).
    """
    signals, _ = read_block(plan.spectra, start, stop)
    bayes = EmpiricalBayes(plan.solver)
    pieces = [bayes.alone(plan.estimate(some), plan.population) for some, _ in _pieces(signals, None)]
    value, variance = (np.concatenate(part)[:, None] for part in zip(*pieces, strict=True))
    return {"value": value, "variance": variance}


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
    local = None if plan.local is None else (_flat(plan.local[0])[start:stop], _flat(plan.local[1])[start:stop])
    pieces = [_fit(plan, *some) for some in _pieces(signals, local)]
    result = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    result["status"][unreadable] = Status.UNREADABLE
    return {name: values[:, None] for name, values in result.items()}


def _flat(values: NDArray[Any]) -> NDArray[Any]:
    """Maps of parameters, one row a spectrum."""
    return values.reshape(-1, values.shape[-1])


def _pieces(signals: NDArray[Any], local: Local | None) -> Iterator[tuple[NDArray[Any], Local | None]]:
    """A few spectra after the other, with what their neighbours tell of them."""
    for first in range(0, len(signals), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        yield signals[part], local and (local[0][part], local[1][part])


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
