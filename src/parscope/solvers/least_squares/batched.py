"""Levenberg and Marquardt's search for many signals at once, under PyTorch (doi:10.1137/0111030)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from parscope.solvers.least_squares.bank import Bank
from parscope.solvers.least_squares.layout import (
    CLOSE,
    CONVERGED,
    FIRST_DAMPING,
    IDLE,
    LEAST_DAMPING,
    LONGEST,
    LOST,
    MOST_DAMPING,
    MOST_STEPS,
    RELAX,
    RESOLVED,
    SINGULAR,
    TIGHTEN,
    Array,
    Fits,
    Prior,
)
from parscope.solvers.least_squares.traced import Device, Equations, Problem, Pull

if TYPE_CHECKING:
    from torch import Tensor

# Most signals end within these steps; the few that do not are gathered, and go on together.
_STEPS = (10, MOST_STEPS - 10)
# Signals at a time. On a processor: fewer, and PyTorch's own time counts; more, and they leave the cache of a core.
_ON_PROCESSOR, _ON_OTHERS = 1024, 1 << 14


class _State(NamedTuple):
    """Signals that are still searched for: where in the batch, the search itself, and what it knows there.

    ``idle`` counts the steps in a row that gained next to nothing.
    """

    active: Tensor
    at: Tensor
    damping: Tensor
    idle: Tensor
    known: Equations

    def of(self, some: Tensor) -> _State:
        """That of some of them."""
        active, at, damping, idle, known = self
        return _State(active[some], at[some], damping[some], idle[some], Equations(*(e[some] for e in known)))


class Batched:
    """The search for a problem within bounds.

    Parameters
    ----------
    problem : Problem
        What is minimised, and on which device.
    lower, upper : ndarray, shape (k,)
        Bounds of what is searched.
    logarithmic : ndarray of bool, shape (k,)
        Which of it are logarithms: these move by a factor e in one step at most.
    patience : int, default MOST_STEPS
        How many steps in a row may gain next to nothing.
    """

    def __init__(
        self, problem: Problem, lower: Array, upper: Array, logarithmic: Any, patience: int = MOST_STEPS
    ) -> None:
        self._problem, self._device, self._torch = problem, problem.device, problem.device.torch
        self._lower, self._upper = self._device.send(lower), self._device.send(upper)
        self._longest = self._device.send(np.where(logarithmic, LONGEST, np.inf))
        self._chunk, self._patience = at_once(self._device), patience

    def __call__(self, rows: Array, start: Array, prior: Prior) -> Fits:
        """Fit signals.

        Parameters
        ----------
        rows : ndarray, shape (n, parts * samples)
            Signals, real before imaginary parts.
        start : ndarray, shape (n, k)
            Where the search begins.
        prior : Prior
            Zero precision for none.

        Returns
        -------
        Fits
        """
        n, size = len(rows), self._problem.size
        found = np.full((n, size), np.nan)
        found[:, : start.shape[1]] = start
        fits = Fits(found, np.full((n, size, size), np.nan), np.zeros(n), np.zeros(n), np.full(n, LOST))
        todo = np.arange(n)
        # Constants that a physics makes of its own go to the device too.
        with self._device.place:
            for steps in _STEPS:
                for first in range(0, len(todo), self._chunk):
                    some = todo[first : first + self._chunk]
                    self._fit(rows[some], some, prior, steps, fits)
                todo = np.flatnonzero(fits.end == LOST)
        return fits

    def _fit(self, rows: Array, some: Any, prior: Prior, steps: int, fits: Fits) -> None:
        """Search for some signals from where `fits` has them, and write down there where that ended."""
        send, k, (n, size) = self._device.send, len(self._lower), fits.found.shape
        variance = prior.variance[:, None, None] * bool(prior.precision.any())
        pull = Pull(
            send(np.broadcast_to(prior.mean, (n, size))[some]),
            send(np.broadcast_to(prior.precision, (n, size, size))[some]),
            send(np.broadcast_to(variance, (n, 1, 1))[some]),
        )
        signals = send(rows)
        at, information, ended = self._search(signals, send(fits.found[some, :k]), pull, steps)
        found, residual = self._problem.found(at, signals, pull)
        fits.found[some] = self._device.fetch(found)
        fits.end[some] = np.where(self._device.fetch(ended), CONVERGED, LOST)
        self._record(information, residual, some, fits)

    def _search(self, signals: Tensor, at: Tensor, pull: Pull, steps: int) -> tuple[Tensor, Tensor, Tensor]:
        """Where the searches end, the information there, and which did within some steps."""
        torch = self._torch
        energy, freedom = signals.square().sum(1), max(signals.shape[1] - self._problem.size, 1)
        ended = torch.zeros(len(at), dtype=torch.bool, device=at.device)
        damping = torch.full_like(energy, FIRST_DAMPING)
        every, idle = torch.arange(len(at), device=at.device), torch.zeros_like(energy)
        state = _State(every, at, damping, idle, self._problem.equations(at, signals, pull))
        information = state.known.information
        for _ in range(steps):
            there, promised = self._step(state)
            scale = state.known.cost.clamp_min(0.0)
            close = (promised * freedom <= CLOSE * scale) | (promised <= RESOLVED * energy[state.active])
            close |= state.damping > MOST_DAMPING
            # So short a last step is taken without a look at what it leads to.
            at[state.active[close]] = there[close]
            close |= state.idle >= self._patience
            ended[state.active[close]] = True
            state, there = state.of(~close), there[~close]
            if not len(state.active):
                break
            state = self._moved(state, there, signals, pull, freedom)
            at[state.active], information[state.active] = state.at, state.known.information
        return at, information, ended

    def _step(self, state: _State) -> tuple[Tensor, Tensor]:
        """Where the next step leads, and what it promises; parameters that lean against a bound stay there."""
        torch, at, normal, slope = self._torch, state.at, state.known.normal, state.known.slope
        held = ((at <= self._lower) & (slope < 0)) | ((at >= self._upper) & (slope > 0))
        free = (~held).to(at.dtype)
        scale = torch.diagonal(normal, dim1=1, dim2=2).clamp_min(1e-300).rsqrt() * free
        unit = normal * scale[:, :, None] * scale[:, None, :]
        unit = unit + torch.diag_embed(1.0 - free + state.damping[:, None] + 1e-14)
        step = torch.linalg.solve_ex(unit, slope * scale)[0] * scale
        moved = torch.minimum(torch.maximum(step, -self._longest), self._longest)
        return torch.minimum(torch.maximum(at + moved, self._lower), self._upper), (step * slope).sum(1)

    def _moved(self, state: _State, there: Tensor, signals: Tensor, pull: Pull, freedom: int) -> _State:
        """The state after a step, which is taken where it lowers the squared residual."""
        torch = self._torch
        new = self._problem.equations(there, signals[state.active], pull.of(state.active))
        better = new.cost <= state.known.cost
        still = (state.known.cost - new.cost) * freedom <= IDLE * state.known.cost
        idle = torch.where(still, state.idle + 1, 0.0)
        relaxed, tightened = (state.damping * RELAX).clamp_min(LEAST_DAMPING), state.damping * TIGHTEN

        def chosen(one: Tensor, other: Tensor) -> Tensor:
            choice: Tensor = torch.where(better.reshape(-1, *[1] * (one.ndim - 1)), one, other)
            return choice

        known = Equations(*(chosen(a, b) for a, b in zip(new, state.known, strict=True)))
        return _State(state.active, chosen(there, state.at), chosen(relaxed, tightened), idle, known)

    def _record(self, information: Tensor, residual: Tensor, some: Any, fits: Fits) -> None:
        """Write down the covariance for unit noise, and what is left of the signals."""
        torch, fetch = self._torch, self._device.fetch
        scale = torch.diagonal(information, dim1=1, dim2=2).clamp_min(1e-300).rsqrt()
        unit = scale[:, :, None] * scale[:, None, :]
        inverse, failed = torch.linalg.inv_ex(information * unit)
        change = torch.diff(residual.reshape(len(residual), self._problem.parts, -1), dim=2).square().flatten(1)
        fits.covariance[some] = fetch(inverse * unit)
        fits.residual[some] = fetch(residual.square().sum(1))
        fits.change[some] = fetch(change.sum(1) / (2 * max(change.shape[1], 1)))
        fits.end[some[fetch(failed != 0) | ~np.isfinite(fits.covariance[some]).all(axis=(1, 2))]] = SINGULAR


def at_once(device: Device) -> int:
    """How many signals a device is given at a time."""
    return _ON_PROCESSOR if device.place.type == "cpu" else _ON_OTHERS


class DeviceBank:
    """A bank of which the products with signals are made on a device.

    Parameters
    ----------
    bank : Bank
        The templates.
    device : Device
        Where.
    """

    def __init__(self, bank: Bank, device: Device) -> None:
        self.nodes, self._lowest = bank.nodes, 0.0 if bank.positive else -np.inf
        self._device, self._filters = device, device.send(bank.filters)

    def start(self, unit: Any, prior: Prior | None = None) -> Array:
        """Where in the grid a search starts; see `Bank.start`."""
        chosen, chunk = [], at_once(self._device)
        for first in range(0, len(unit), chunk):
            part = slice(first, first + chunk)
            products = (self._device.send(unit[part]) @ self._filters).clamp_min(self._lowest)
            energy = products.square().reshape(len(products), -1, len(self.nodes)).sum(1)
            if prior is not None:
                energy = energy + self._device.send(2 * self._favoured(prior, len(unit), part))
            chosen.append(self._device.fetch(energy.argmax(1)))
        return self.nodes[np.concatenate(chosen)] if chosen else np.empty((0, self.nodes.shape[1]))

    def _favoured(self, prior: Prior, n: int, part: slice) -> Array:
        """Logarithm of the prior at each node, but for a constant, times the variance of the noise, shape (n, t)."""
        t, k = self.nodes.shape
        precision = np.broadcast_to(prior.precision[:, :k, :k], (n, k, k))[part]
        mean, variance = np.broadcast_to(prior.mean[:, :k], (n, k))[part], np.broadcast_to(prior.variance, n)[part]
        squares = (self.nodes[:, :, None] * self.nodes[:, None, :]).reshape(t, k * k)
        drawn = np.einsum("njk,nk->nj", precision, mean) @ self.nodes.T
        power: Array = drawn - 0.5 * precision.reshape(-1, k * k) @ squares.T
        return variance[:, None] * power
