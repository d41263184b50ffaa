"""Columns of a physics at one point, their inner products, and from these the normal equations of a signal.

The factors are solved in closed form, so that only the projection of the derivatives is left for the search
(variable projection with Kaufman's simplification, doi:10.1007/BF01932995). A complex factor is two real ones, of a
column and of that column times the imaginary unit: all algebra is real.
"""

from __future__ import annotations

import math
from typing import Any

import numba as nb
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from parscope.solvers.least_squares.algebra import factorise, invert, substitute
from parscope.solvers.least_squares.layout import FAST, INLINE, Array, Model, Work


@intrinsic
def _call(_typing: Any, address: Any, axis: Any, bins: Any, theta: Any, out: Any) -> Any:
    """Call the compiled columns of a physics by address: costs nothing, and lets the kernel be cached on disk."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [args[0].type] * 4)
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])
        return context.get_dummy_value()

    return types.void(*[types.intp] * 5), generate


@nb.njit(**FAST)
def _dot(columns: Array, a: int, b: int) -> float:
    """Real part of the inner product of two columns."""
    total = 0.0
    for i in range(columns.shape[1]):
        total += columns[a, i] * columns[b, i]
    return total


@nb.njit(**FAST)
def _cross(columns: Array, a: int, b: int) -> float:
    """Imaginary part of the inner product of two complex columns."""
    bins = columns.shape[1] // 2
    total = 0.0
    for i in range(bins):
        total += columns[a, i] * columns[b, bins + i] - columns[a, bins + i] * columns[b, i]
    return total


@nb.njit(**INLINE)
def _products(model: Model, work: Work) -> None:
    """Inner products of all columns with each other and with the signal, which is the last row of the columns."""
    columns, count = work.columns, work.columns.shape[0] - 1
    for a in range(count):
        for b in range(a, count):
            work.real[a, b] = work.real[b, a] = _dot(columns, a, b)
        work.real_signal[a] = _dot(columns, a, count)
    if model.parts == 2:
        for a in range(count):
            for b in range(a + 1, count):
                work.imaginary[a, b] = _cross(columns, a, b)
                work.imaginary[b, a] = -work.imaginary[a, b]
            work.imaginary_signal[a] = _cross(columns, a, count)


@nb.njit(**FAST)
def _gather(model: Model, work: Work) -> None:
    """Normal equations of the factors."""
    parts = model.parts
    for a in range(model.factors):
        work.target[parts * a] = work.real_signal[a]
        if parts == 2:
            work.target[2 * a + 1] = work.imaginary_signal[a]
        for b in range(model.factors):
            for p in range(parts):
                work.gram[parts * a + p, parts * b + p] = work.real[a, b]
            if parts == 2:
                work.gram[2 * a, 2 * b + 1] = -work.imaginary[a, b]
                work.gram[2 * a + 1, 2 * b] = work.imaginary[a, b]


@nb.njit(**INLINE)
def _solve_factors(model: Model, work: Work, mean: Array, weight: Array) -> float:
    """Solve for the factors under their prior; return by how much they lower the squared residual."""
    size, searched = work.factors.size, work.slope.size
    _gather(model, work)
    for i in range(size):
        for j in range(size):
            work.gram[i, j] += weight[searched + i, searched + j]
            work.target[i] += weight[searched + i, searched + j] * mean[searched + j]
        work.factors[i] = work.target[i]
    if not factorise(work.gram, size):
        return math.nan
    substitute(work.gram, work.factors, size)
    gain = 0.0
    for i in range(size):
        gain += work.factors[i] * work.target[i]
    return gain


@nb.njit(**FAST)
def _factor(work: Work, column: int, parts: int) -> tuple[float, float]:
    """Real and imaginary part of the factor of a column."""
    return work.factors[parts * column], work.factors[2 * column + 1] if parts == 2 else 0.0


@nb.njit(**INLINE)
def _differentiate(model: Model, work: Work) -> None:
    """Products of the derivative of the signal by each parameter: with the columns, the signal and each other.

    Without an imaginary part its products are zero, and so is what they add.
    """
    parts, first = model.parts, model.factors
    work.cross[:] = 0.0
    work.slope[:] = 0.0
    work.normal[:] = 0.0
    for d in range(model.factor.size):
        j, at = model.parameter[d], first + d
        re, im = _factor(work, model.factor[d], parts)
        rate = work.rate[j]
        work.slope[j] += rate * (re * work.real_signal[at] + im * work.imaginary_signal[at])
        for a in range(model.factors):
            work.cross[j, parts * a] += rate * (re * work.real[a, at] - im * work.imaginary[a, at])
            if parts == 2:
                work.cross[j, 2 * a + 1] += rate * (re * work.imaginary[a, at] + im * work.real[a, at])
        for e in range(model.factor.size):
            k, to = model.parameter[e], first + e
            other_re, other_im = _factor(work, model.factor[e], parts)
            value = (re * other_re + im * other_im) * work.real[at, to]
            value -= (re * other_im - im * other_re) * work.imaginary[at, to]
            work.normal[j, k] += rate * work.rate[k] * value


@nb.njit(**INLINE)
def _project(work: Work) -> None:
    """Take out of the derivatives what the factors can follow."""
    searched, size = work.cross.shape
    for j in range(searched):
        for i in range(size):
            work.solved[i] = work.cross[j, i]
        substitute(work.gram, work.solved, size)
        for i in range(size):
            work.slope[j] -= work.cross[j, i] * work.factors[i]
        for k in range(searched):
            for i in range(size):
                work.normal[j, k] -= work.solved[i] * work.cross[k, i]


@nb.njit(**INLINE)
def _weigh(model: Model, searched: Array, mean: Array, weight: Array, work: Work) -> float:
    """Add a prior to the normal equations; return what it adds to the squared residual.

    A prior makes what is searched uncertain enough for the factors to matter: the factors are integrated over, not
    only set to their best, which adds the logarithm of the determinant of their normal equations.
    """
    parts, size, variance = model.parts, work.factors.size, work.variance[0]
    cost = 0.0
    for j in range(searched.size):
        for k in range(searched.size):
            pull = weight[j, k] * (mean[k] - searched[k])
            work.normal[j, k] += weight[j, k]
            work.slope[j] += pull
            cost += pull * (mean[j] - searched[j])
    for i in range(size):
        cost += 2 * variance * math.log(work.gram[i, i])
    invert(work.gram, work.inverse, size)
    for d in range(model.factor.size):
        m, j, at = model.factor[d], model.parameter[d], model.factors + d
        change = 0.0
        for a in range(model.factors):
            for p in range(parts):
                change += work.inverse[parts * m + p, parts * a + p] * work.real[a, at]
            if parts == 2:
                change += (work.inverse[2 * m, 2 * a + 1] - work.inverse[2 * m + 1, 2 * a]) * work.imaginary[a, at]
        work.slope[j] -= variance * work.rate[j] * change
    return cost


@nb.njit(**FAST)
def set_up(model: Model, searched: Array, mean: Array, weight: Array, work: Work) -> float:
    """Normal equations where the search stands; return the squared residual less the signal's square.

    The signal is the last row of ``work.columns``. Afterwards ``work.normal`` and ``work.slope`` hold what is left of
    the derivatives after projection, ``work.cross`` and ``work.gram`` (factorised) how the factors depend on it.
    """
    for j in range(searched.size):
        work.theta[j] = math.exp(searched[j]) if model.logarithmic[j] else searched[j]
        work.rate[j] = work.theta[j] if model.logarithmic[j] else 1.0
    axis, theta, columns = model.axis.ctypes.data, work.theta.ctypes.data, work.columns.ctypes.data
    _call(model.address, axis, model.axis.size, theta, columns)  # type: ignore[call-arg]
    _products(model, work)
    cost = -_solve_factors(model, work, mean, weight)
    _differentiate(model, work)
    _project(work)
    if work.variance[0] > 0:
        cost += _weigh(model, searched, mean, weight, work)
    return cost
