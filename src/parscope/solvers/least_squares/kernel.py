"""The compiled loop: Levenberg and Marquardt's search for one signal after the other (doi:10.1137/0111030)."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from parscope.solvers.least_squares.algebra import factorise, invert, substitute
from parscope.solvers.least_squares.layout import (
    CLOSE,
    CONVERGED,
    FAST,
    FIRST_DAMPING,
    IDLE,
    INLINE,
    LEAST_DAMPING,
    LONGEST,
    LOST,
    MANY,
    MOST_DAMPING,
    MOST_STEPS,
    RELAX,
    RESOLVED,
    SINGULAR,
    TIGHTEN,
    Array,
    Fits,
    Model,
    Prior,
    Work,
)
from parscope.solvers.least_squares.products import set_up


@nb.njit(**FAST)
def _room_for(model: Model) -> Work:
    """Room to fit one signal at a time."""
    searched, size, count = model.lower.size, model.factors * model.parts, model.factors + model.factor.size
    return Work(
        np.zeros((count + 1, model.parts * model.axis.size)),
        np.zeros((count, count)),
        np.zeros((count, count)),
        np.zeros(count),
        np.zeros(count),
        np.zeros((size, size)),
        np.zeros(size),
        np.zeros(size),
        np.zeros((searched, size)),
        np.zeros(size),
        np.zeros((searched, searched)),
        np.zeros(searched),
        np.zeros(searched),
        np.zeros(searched),
        np.zeros((size, size)),
        np.zeros(1),
    )


@nb.njit(**INLINE)
def _step(model: Model, work: Work, at: Array, damping: float, step: Array, room: Array) -> bool:
    """Next step of the search; parameters that lean against a bound stay there. False where there is none."""
    size = at.size
    for j in range(size):
        for k in range(size):
            room[j, k] = work.normal[j, k]
        room[j, j] = work.normal[j, j] * (1.0 + damping) + 1e-300
        step[j] = work.slope[j]
    for j in range(size):
        if (at[j] <= model.lower[j] and work.slope[j] < 0) or (at[j] >= model.upper[j] and work.slope[j] > 0):
            room[j, :] = 0.0
            room[:, j] = 0.0
            room[j, j] = 1.0
            step[j] = 0.0
    if not factorise(room, size):
        return False
    substitute(room, step, size)
    return True


@nb.njit(**INLINE)
def _move(model: Model, at: Array, step: Array, to: Array) -> None:
    """Where a step leads, inside the bounds."""
    for j in range(at.size):
        length = min(max(step[j], -LONGEST), LONGEST) if model.logarithmic[j] else step[j]
        to[j] = min(max(at[j] + length, model.lower[j]), model.upper[j])


@nb.njit(**FAST)
def _search(model: Model, signal: Array, at: Array, mean: Array, weight: Array, work: Work) -> int:
    """Search from `at`, in place, which ends at the best point found; return how it ended."""
    size = at.size
    step, to, room = np.empty(size), np.empty(size), np.empty((size, size))
    energy = _square(signal)
    work.columns[-1] = signal
    freedom = max(signal.size - size - work.factors.size, 1)
    cost = set_up(model, at, mean, weight, work)
    if not math.isfinite(cost):
        return SINGULAR
    damping, idle = FIRST_DAMPING, 0
    for taken in range(MOST_STEPS):
        if not _step(model, work, at, damping, step, room):
            damping *= TIGHTEN
            if damping > MOST_DAMPING:
                return SINGULAR
            continue
        promised = _dot(step, work.slope)
        close = promised * freedom <= CLOSE * max(energy + cost, 0.0) or promised <= RESOLVED * energy
        _move(model, at, step, to)
        there = set_up(model, to, mean, weight, work)
        idle = idle + 1 if (cost - there) * freedom <= IDLE * (energy + cost) else 0
        if there <= cost:
            at[:] = to
            cost, damping = there, max(damping * RELAX, LEAST_DAMPING)
        else:
            set_up(model, at, mean, weight, work)
            damping *= TIGHTEN
        if close or (idle >= model.patience and taken >= MANY) or damping > MOST_DAMPING:
            return CONVERGED
    return LOST


@nb.njit(**FAST)
def _square(values: Array) -> float:
    """Sum of squares."""
    total: float = _dot(values, values)
    return total


@nb.njit(**FAST)
def _dot(one: Array, two: Array) -> float:
    """Sum of products."""
    total = 0.0
    for i in range(one.size):
        total += one[i] * two[i]
    return total


@nb.njit(**FAST)
def _remainder(model: Model, signal: Array, work: Work) -> Array:
    """What is left of a signal: sample by sample, as differences of products would lose it under a strong signal."""
    residual, bins = signal.copy(), model.axis.size
    for a in range(model.factors):
        column = work.columns[a]
        re = work.factors[model.parts * a]
        for i in range(residual.size):
            residual[i] -= re * column[i]
        if model.parts == 2:
            im = work.factors[2 * a + 1]
            for i in range(bins):
                residual[i] += im * column[bins + i]
                residual[bins + i] -= im * column[i]
    return residual


@nb.njit(**FAST)
def _record(model: Model, signal: Array, at: Array, work: Work, n: int, fits: Fits) -> bool:
    """Write down where the search ended, with the covariance of all parameters for unit noise."""
    bins, searched = model.axis.size, at.size
    fits.found[n, :searched] = at
    fits.found[n, searched:] = work.factors
    residual = _remainder(model, signal, work)
    change = 0.0
    for i in range(signal.size):
        if i % bins:
            change += (residual[i] - residual[i - 1]) ** 2
    fits.residual[n] = _square(residual)
    fits.change[n] = change / max(2 * model.parts * (bins - 1), 1)
    known: bool = _covariance(work, fits.covariance[n])
    return known


@nb.njit(**FAST)
def _covariance(work: Work, out: Array) -> bool:
    """Covariance of what is searched and of the factors together, for unit noise; False where there is none.

    With C of what is searched, and S the way the factors follow it, this is the inverse of the full information by
    blocks: the mixed block is -S C, and S C S' is added to the covariance of the factors alone.
    """
    searched, size = work.cross.shape
    room = work.normal.copy()
    if not factorise(room, searched):
        return False
    invert(room, out, searched)
    invert(work.gram, work.inverse, size)
    follow = work.cross
    for j in range(searched):
        substitute(work.gram, follow[j], size)
    for i in range(size):
        for j in range(searched):
            mixed = 0.0
            for k in range(searched):
                mixed -= follow[k, i] * out[k, j]
            out[searched + i, j] = out[j, searched + i] = mixed
    _close(follow, work.inverse, out)
    return True


@nb.njit(**FAST)
def _close(follow: Array, alone: Array, out: Array) -> None:
    """Fill in the block of the factors: their covariance alone, and how they follow what is searched."""
    searched, size = follow.shape
    for i in range(size):
        for h in range(size):
            total = alone[i, h]
            for j in range(searched):
                total -= out[searched + i, j] * follow[j, h]
            out[searched + i, searched + h] = total


@nb.njit(**FAST)
def fit(model: Model, signals: Array, start: Array, prior: Prior) -> Fits:
    """Fit signals one after the other.

    Parameters
    ----------
    model : Model
        The physics.
    signals : ndarray, shape (n, parts * bins)
        Signals, real before imaginary parts.
    start : ndarray, shape (n, k)
        Where the search begins.
    prior : Prior
        Zero precision for none.

    Returns
    -------
    Fits
    """
    n, searched = start.shape
    everything = searched + model.factors * model.parts
    fits = Fits(
        np.empty((n, everything)),
        np.empty((n, everything, everything)),
        np.empty(n),
        np.empty(n),
        np.empty(n, np.int64),
    )
    work = _room_for(model)
    at, weight = np.empty(searched), np.empty((everything, everything))
    for s in range(n):
        at[:] = start[s]
        work.variance[0] = prior.variance[min(s, prior.variance.size - 1)]
        weight[:] = prior.precision[min(s, prior.precision.shape[0] - 1)] * work.variance[0]
        mean = prior.mean[min(s, prior.mean.shape[0] - 1)]
        fits.end[s] = _search(model, signals[s], at, mean, weight, work)
        if fits.end[s] != SINGULAR and not _record(model, signals[s], at, work, s, fits):
            fits.end[s] = SINGULAR
    return fits
