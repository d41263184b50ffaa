"""The window round one copy in compiled loops: taken from the pattern, measured, mended, compared."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.solvers.lattice.algebra import invert_four
from parscope.solvers.lattice.layout import CAREFUL, FAST, LEVEL, MEAN, MOVE_X, MOVE_Y, Array, Image

# A window that has lost more of its template than this says too little of where the copy is.
_MOST_LOST = 0.7


@nb.njit(**FAST)
def pitch(half: int) -> int:
    """Length of a row of a window: a multiple of eight, so that vector instructions leave no remainder."""
    return (2 * half + 8) // 8 * 8


@nb.njit(**CAREFUL)
def load(signal: NDArray[Any], frame: Image) -> float:
    """Convert a pattern to 32-bit floats; return its sum, which is NaN when any pixel is."""
    total = 0.0
    for r in range(signal.shape[0]):
        row = signal[r]
        target = frame[r]
        part = np.float32(0)
        for c in range(signal.shape[1]):
            v = np.float32(row[c])
            target[c] = v
            part += v
        total += float(part)
    return total


@nb.njit(**CAREFUL)
def load_masked(signal: NDArray[Any], mask: NDArray[np.bool_], frame: Image) -> float:
    """As `load`; pixels that are not to be used become zero, whatever they hold."""
    total = 0.0
    for r in range(signal.shape[0]):
        for c in range(signal.shape[1]):
            v = np.float32(0) if mask[r, c] else np.float32(signal[r, c])
            frame[r, c] = v
            total += float(v)
    return total


@nb.njit(**FAST)
def gather(frame: Image, iy: int, ix: int, half: int, window: Image) -> None:
    """Copy the window round (iy, ix), in runs of eight that the compiler turns into vector moves."""
    length = pitch(half)
    for r in range(2 * half + 1):
        row = frame[iy - half + r]
        base = r * length
        first = ix - half
        for c in range(0, length, 8):
            for k in range(8):
                window[base + c + k] = row[first + c + k]


@nb.njit(**FAST)
def measure(window: Image, filters: Image, five: Array) -> None:
    """Five dot products: amplitude of the edge, two displacements, level, mean amplitude."""
    s0 = np.float32(0)
    s1 = np.float32(0)
    s2 = np.float32(0)
    s3 = np.float32(0)
    s4 = np.float32(0)
    f0, f1, f2, f3, f4 = filters[0], filters[1], filters[2], filters[3], filters[4]
    for i in range(window.shape[0]):
        v = window[i]
        s0 += f0[i] * v
        s1 += f1[i] * v
        s2 += f2[i] * v
        s3 += f3[i] * v
        s4 += f4[i] * v
    five[0] = s0
    five[1] = s1
    five[2] = s2
    five[3] = s3
    five[4] = s4


@nb.njit(**FAST)
def mend(window: Image, unused: NDArray[np.bool_], filters: Image, template: Image, five: Array, loss: Array) -> bool:
    """Replace unusable pixels by what the copy would show there; False where too little is left of it.

    The values filled in are those from which the filters measure the very copy that was filled in: what expectation
    maximisation for missing data converges to, in one step. `loss` (2, 2) is the factor on the variance of the
    displacement that the missing pixels cost.
    """
    half = unused.shape[0] // 2
    length = pitch(half)
    missing = np.zeros((4, 4))
    model = np.ones(4, np.float32)
    lost = 0.0
    for r in range(2 * half + 1):
        for c in range(2 * half + 1):
            k = r * length + c
            if unused[r, c]:
                window[k] = 0
                lost += template[0, k]
                model[0], model[2], model[3] = template[0, k], template[1, k], template[2, k]
                for j in range(4):
                    missing[0, j] += filters[MEAN, k] * model[j]
                    missing[1, j] += filters[LEVEL, k] * model[j]
                    missing[2, j] += filters[MOVE_Y, k] * model[j]
                    missing[3, j] += filters[MOVE_X, k] * model[j]
    loss[:] = 0
    loss[0, 0] = loss[1, 1] = 1
    if lost > _MOST_LOST * template[0].sum():
        return False
    measure(window, filters, five)
    _complete(window, unused, missing, template, five, loss)
    return True


@nb.njit(**FAST)
def _complete(
    window: Image, unused: NDArray[np.bool_], missing: Array, template: Image, five: Array, loss: Array
) -> None:
    """Solve for the copy that agrees with itself, and fill it in; `missing` is its share in the lost pixels."""
    half = unused.shape[0] // 2
    length = pitch(half)
    inverse = np.empty((4, 4))
    invert_four(np.eye(4) - missing, inverse)
    seen = np.array([five[MEAN], five[LEVEL], five[MOVE_Y], five[MOVE_X]])
    copy = np.zeros(4, np.float32)
    for i in range(4):
        for j in range(4):
            copy[i] += inverse[i, j] * seen[j]
    loss[:] = inverse[2:, 2:]
    for r in range(2 * half + 1):
        for c in range(2 * half + 1):
            k = r * length + c
            if unused[r, c]:
                window[k] = copy[0] * template[0, k] + copy[1] + copy[2] * template[1, k] + copy[3] * template[2, k]


@nb.njit(**FAST)
def residual(
    window: Image, template: Image, weights: Image, copy: tuple[float, float, float, float]
) -> tuple[float, float, float]:
    """Weighted squared residuals of a window, and what multiplies gain and squared contrast in their expectation.

    `copy` is its amplitude, level, and how far (y, x) it lies from where the template is.
    """
    mean, level, oy, ox = copy
    a, b = np.float32(mean), np.float32(level)
    ay, ax = np.float32(mean * oy), np.float32(mean * ox)
    value, gy, gx = template[0], template[1], template[2]
    found = np.float32(0)
    counts = np.float32(0)
    contrast = np.float32(0)
    for i in range(window.shape[0]):
        part = a * value[i] + ay * gy[i] + ax * gx[i]
        rest = window[i] - part - b
        found += weights[i] * rest * rest
        counts += weights[i] * (part + b)
        contrast += weights[i] * part * part
    return float(found), float(counts), float(contrast)
