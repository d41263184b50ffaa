"""The compiled loop: one pattern after the other through the filter banks, to six numbers and their covariance.

Everything called from here is plain loops over small arrays: numba turns them into machine code. A pass predicts where
every copy lies, measures the displacement of each from that prediction with the filters of the nearest sub-pixel
position, and solves one 6x6 system for the step.
"""

from __future__ import annotations

import math
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.solvers.lattice.algebra import accumulate, invert, room, strain_variance
from parscope.solvers.lattice.layout import (
    CAREFUL,
    FAST,
    PADDING,
    WEIGHT,
    Array,
    Copies,
    Filters,
    Fits,
    Image,
    Lattice,
    Normal,
    Rule,
    Scores,
    Work,
)
from parscope.solvers.lattice.passes import distance, settle, sweep
from parscope.solvers.lattice.window import load, load_masked, pitch, residual

# The wide filters bring every copy to within the reach of the middle ones, and these to within that of the fine ones.
_WIDE = Rule(2, 8, 0.7)
_MIDDLE = Rule(1, 3, 0.4)
# Filters of the true edge repeat until a step is shorter than the bins, of which there are six a pixel.
_ONCE = Rule(1, 1, 0.0)
_FINE = Rule(1, 5, 0.12)
_FINE_TWICE = Rule(2, 5, 0.12)
# A fit whose last step was longer than this [px] has not settled: its neighbour does not begin there.
UNSETTLED = 1.0
# Brightness is only a prior of amplitudes; beyond these limits the pattern is of something else.
_DIMMEST, _BRIGHTEST = 0.02, 50.0


@nb.njit(**FAST)
def _room_for(frames: NDArray[Any], lattice: Lattice, bank: Filters) -> Work:
    """Room to fit one pattern at a time with `bank` and narrower ones."""
    copies = lattice.reference.shape[0]
    pixels = (2 * bank.half + 1) * pitch(bank.half)
    frame = np.zeros((frames.shape[1], frames.shape[2] + PADDING), np.float32)
    found = Copies(
        np.zeros(copies),
        np.zeros(copies),
        np.zeros(copies),
        np.zeros((copies, 2)),
        np.zeros((copies, 2)),
        np.zeros((copies, 3)),
        np.zeros((copies, 2), np.int64),
        np.zeros((copies, pixels), np.float32),
        np.zeros(5),
    )
    return Work(frame, np.zeros(6), found, room())


@nb.njit(**CAREFUL)
def _take(signal: NDArray[Any], lattice: Lattice, frame: Image) -> tuple[float, float]:
    """Convert a pattern; return its sum and its brightness relative to the mean pattern."""
    total = load_masked(signal, lattice.mask, frame) if lattice.masked else load(signal, frame)
    return total, min(max(total / lattice.counts, _DIMMEST), _BRIGHTEST)


@nb.njit(**FAST)
def _misfit(work: Work, lattice: Lattice, bank: Filters) -> float:
    """Squared residuals inside the windows over what counting noise and contrast let expect."""
    p, found = work.p, work.found
    squares = 0.0
    expected = 0.0
    for n in range(lattice.reference.shape[0]):
        if found.information[n, 0] > 0.0:
            qy, qx = lattice.reference[n, 0], lattice.reference[n, 1]
            oy = p[0] + p[2] * qy + p[3] * qx - found.middle[n, 0]
            ox = p[1] + p[4] * qy + p[5] * qx - found.middle[n, 1]
            k, iu, iv = bank.member[n], found.bin[n, 0], found.bin[n, 1]
            template = bank.template[iu, iv]
            window = found.window[n, : template.shape[1]]
            weights = bank.filters[k, iu, iv, WEIGHT]
            copy = (found.mean[n], found.level[n], oy, ox)
            part, counts, contrast = residual(window, template, weights, copy)
            squares += part
            kept = bank.kept[k, iu, iv]
            expected += kept[0] * lattice.gain * counts + kept[1] * contrast
    return squares / expected if expected > 0.0 else np.nan


@nb.njit(**FAST)
def _limit(reference: Array, bank: Filters, found: Copies, normal: Normal) -> float:
    """Sum of the Cramér-Rao variances of the three strains for a uniform template."""
    normal.H[:] = 0
    normal.g[:] = 0
    w = np.empty(3)
    for n in range(reference.shape[0]):
        if found.information[n, 0] > 0.0:
            fisher = bank.fisher[bank.member[n], found.bin[n, 0], found.bin[n, 1]]
            for i in range(3):
                w[i] = fisher[i] * found.amplitude[n]
            accumulate(normal, reference[n, 0], reference[n, 1], w, 0.0, 0.0)
    for i in range(6):
        normal.H[i, i] += 1e-9
    invert(normal)
    return float(strain_variance(normal.inverse))


@nb.njit(**FAST)
def _spread(found: Copies) -> float:
    """Mean squared displacement of the copies from the fit, in units of their information."""
    total = 0.0
    freedom = -6.0
    for n in range(found.mean.shape[0]):
        if found.information[n, 0] > 0.0:
            total += distance(n, found)
            freedom += 2.0
    return total / max(freedom, 1.0)


@nb.njit(**FAST)
def _symmetric(H: Array, whole: Array) -> None:
    """Write out a matrix given by its lower triangle."""
    for i in range(6):
        for j in range(i + 1):
            whole[i, j] = H[i, j]
            whole[j, i] = H[i, j]


@nb.njit(**FAST)
def _report(s: int, work: Work, lattice: Lattice, bank: Filters, out: Fits) -> None:
    """Write the result of pattern `s`."""
    found, normal = work.found, work.normal
    out.theta[s] = work.p
    # The normal matrix of the last pass belongs to the point before its step, which is shorter than a bin.
    _symmetric(normal.H, out.information[s])
    invert(normal)
    out.covariance[s] = normal.inverse
    ours = strain_variance(normal.inverse)
    out.amplitude[s] = found.mean
    out.misfit[s] = _misfit(work, lattice, bank)
    out.spread[s] = _spread(found)
    out.limit[s] = math.sqrt(ours / _limit(lattice.reference, bank, found, normal))


@nb.njit(**CAREFUL)
def fit(
    frames: NDArray[Any],
    start: tuple[Array, NDArray[np.bool_]],
    run: int,
    lattice: Lattice,
    banks: tuple[Filters, Filters, Filters],
    out: Fits,
) -> None:
    """Fit patterns one after the other.

    Parameters
    ----------
    frames : ndarray, shape (n, q_y, q_x)
        Counts, of one of the types the kernel is compiled for.
    start : tuple of ndarray, shapes (n, 6) and (n,)
        Where to begin, and whether that is so near that the filters of the true edge find their way from it.
    run : int
        Length of a run of neighbours: the first begins at its start, the others at their neighbour's result.
    lattice : Lattice
        The physics, and the prior of the parameters.
    banks : tuple of Filters
        With a wide, a middle and the true edge.
    out : Fits
        The results; patterns without a positive finite sum are left as they are, but for the sum.
    """
    wide, middle, fine = banks
    work = _room_for(frames, lattice, wide)
    # Filters of the true edge find their way from here.
    reach = fine.edge + 0.5
    warm = False
    for s in range(frames.shape[0]):
        total, bright = _take(frames[s], lattice, work.frame)
        out.total[s] = total
        warm = warm and s % run > 0
        if not 0.0 < total < math.inf:
            warm = False
            continue
        far = math.inf
        if warm:
            far, _ = settle(work, lattice, fine, _ONCE, bright)
        rule = _FINE
        if not far <= reach:
            work.p[:] = start[0][s]
            if not start[1][s]:
                settle(work, lattice, wide, _WIDE, bright)
                settle(work, lattice, middle, _MIDDLE, bright)
            rule = _FINE_TWICE
        far, scale = settle(work, lattice, fine, rule, bright)
        out.step[s] = far
        out.scale[s] = scale
        _report(s, work, lattice, fine, out)
        warm = far < UNSETTLED


@nb.njit(**CAREFUL)
def score(frames: NDArray[Any], theta: Array, lattice: Lattice, bank: Filters, out: Scores) -> None:
    """Likelihood about given parameters, one pass a pattern.

    Parameters
    ----------
    frames : ndarray, shape (n, q_y, q_x)
        Counts, of one of the types the kernel is compiled for.
    theta : ndarray, shape (n, 6)
        Parameters; finite.
    lattice : Lattice
        The physics.
    bank : Filters
        Of the true edge.
    out : Scores
        The results; amplitudes of copies whose window leaves the detector are left as they are.
    """
    work = _room_for(frames, lattice, bank)
    for s in range(frames.shape[0]):
        total, bright = _take(frames[s], lattice, work.frame)
        if not abs(total) < math.inf:
            continue
        work.p[:] = theta[s]
        sweep(work, lattice, bank, bright)
        _symmetric(work.normal.H, out.information[s])
        out.gradient[s] = work.normal.g
        for n in range(lattice.reference.shape[0]):
            if work.found.information[n, 0] > 0.0:
                out.amplitude[s, n] = work.found.mean[n]
