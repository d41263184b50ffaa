"""One pass over the copies of a lattice, and the step that follows from it, in compiled loops."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from parscope.solvers.lattice.algebra import accumulate, factor, solve
from parscope.solvers.lattice.layout import (
    EDGE,
    FAST,
    LEVEL,
    MEAN,
    MOVE_X,
    MOVE_Y,
    PADDING,
    Array,
    Copies,
    Filters,
    Lattice,
    Rule,
    Work,
)
from parscope.solvers.lattice.window import gather, measure, mend

# Functions that run for every copy are marked inline="always": to pass them groups of arrays would cost as much as
# they do.
# Squared distance, in standard errors as they are in the scan, beyond which a displaced copy counts for less (Huber's
# weight): noise alone passes it once in 400 copies.
_HUBER = 12.0
# Squared relative standard deviation of the amplitude of a copy about its mean over the scan.
_WANDER = 0.5
# No copy is taken to be dimmer than this share of its mean, lest noise be divided by nothing.
_DIMMEST = 0.05
# Share of the expected amplitude at which the noise of a dark copy is estimated.
_DARK = 0.2


@nb.njit(**FAST)
def sweep(work: Work, lattice: Lattice, bank: Filters, bright: float) -> float:
    """Measure all copies where the parameters predict them, and set up the normal equations of the step.

    `bright` is the brightness of the pattern relative to the mean; the measured one of the copies is returned.
    """
    frame, p, found, normal = work
    normal.H[:] = 0
    normal.g[:] = 0
    loss = np.eye(2)
    seen = 0.0
    expected = 1e-12
    for n in range(lattice.reference.shape[0]):
        found.information[n, 0] = 0.0
        qy, qx = lattice.reference[n, 0], lattice.reference[n, 1]
        cy = p[0] + p[2] * qy + p[3] * qx
        cx = p[1] + p[4] * qy + p[5] * qx
        iy = math.floor(cy + 0.5)
        ix = math.floor(cx + 0.5)
        half = bank.half
        if iy < half or ix < half or iy >= frame.shape[0] - half or ix >= frame.shape[1] - PADDING - half:
            continue
        iu = min(int((cy - iy + 0.5) * bank.bins), bank.bins - 1)
        iv = min(int((cx - ix + 0.5) * bank.bins), bank.bins - 1)
        window = found.window[n, : bank.template.shape[3]]
        gather(frame, iy, ix, half, window)
        filters = bank.filters[bank.member[n], iu, iv]
        if lattice.flagged[n]:
            unused = lattice.mask[iy - half : iy + half + 1, ix - half : ix + half + 1]
            if not mend(window, unused, filters, bank.template[iu, iv], found.five, loss):
                continue
        measure(window, filters, found.five)
        seen += max(found.five[MEAN], 0.0)
        expected += lattice.amplitude[n]
        found.bin[n, 0] = iu
        found.bin[n, 1] = iv
        found.middle[n, 0] = iy + (iu + 0.5) / bank.bins - 0.5
        found.middle[n, 1] = ix + (iv + 0.5) / bank.bins - 0.5
        _displacement(n, lattice, bank, bright, found)
        found.shift[n, 0] += found.middle[n, 0] - cy
        found.shift[n, 1] += found.middle[n, 1] - cx
        _information(n, lattice, bank, loss, found)
        accumulate(normal, qy, qx, found.information[n], found.shift[n, 0], found.shift[n, 1])
    return seen / expected


@nb.njit(**FAST, inline="always")
def _displacement(n: int, lattice: Lattice, bank: Filters, bright: float, found: Copies) -> None:
    """Amplitude and level of copy `n`, and its displacement from the middle of the bin."""
    five, iu, iv = found.five, found.bin[n, 0], found.bin[n, 1]
    # The measured amplitude, drawn towards the expected one where few electrons make it uncertain.
    prior = lattice.amplitude[n] * bright
    noise = lattice.gain * max(five[EDGE], _DARK * prior) / (3.0 * bank.half * bank.half) + 1e-12
    wander = _WANDER * prior * prior
    a = max((max(five[EDGE], 0.0) * wander + prior * noise) / (noise + wander), _DIMMEST * prior)
    found.amplitude[n] = a
    found.mean[n] = five[MEAN]
    found.level[n] = five[LEVEL]
    found.shift[n, 0] = (five[MOVE_Y] - five[LEVEL] * bank.tilt[n, iu, iv, 0]) / a
    found.shift[n, 1] = (five[MOVE_X] - five[LEVEL] * bank.tilt[n, iu, iv, 1]) / a


@nb.njit(**FAST, inline="always")
def _information(n: int, lattice: Lattice, bank: Filters, loss: Array, found: Copies) -> None:
    """Inverse covariance of the displacement of copy `n`, smaller for one displaced more than noise allows."""
    k, iu, iv = bank.member[n], found.bin[n, 0], found.bin[n, 1]
    shot, texture, a = bank.shot[k, iu, iv], bank.texture[k, iu, iv], found.amplitude[n]
    yy = shot[0] / a + texture[0]
    yx = shot[1] / a + texture[1]
    xx = shot[2] / a + texture[2]
    if lattice.flagged[n]:
        old_yy, old_yx, old_xx = yy, yx, xx
        yy = loss[0, 0] * old_yy + loss[0, 1] * old_yx
        xx = loss[1, 1] * old_xx + loss[1, 0] * old_yx
        yx = 0.5 * ((loss[0, 0] + loss[1, 1]) * old_yx + loss[0, 1] * old_xx + loss[1, 0] * old_yy)
    w = found.information[n]
    determinant = 1.0 / (yy * xx - yx * yx)
    w[0] = xx * determinant
    w[1] = -yx * determinant
    w[2] = yy * determinant
    far = distance(n, found) / lattice.scatter
    if far > _HUBER:
        w *= math.sqrt(_HUBER / far)


@nb.njit(**FAST, inline="always")
def distance(n: int, found: Copies) -> float:
    """Squared displacement of copy `n` in units of its information."""
    w, ey, ex = found.information[n], found.shift[n, 0], found.shift[n, 1]
    return float(w[0] * ey * ey + 2 * w[1] * ey * ex + w[2] * ex * ex)


@nb.njit(**FAST)
def _step(work: Work, lattice: Lattice, longest: float) -> float:
    """Solve for the step, shorten it to the filters' reach, take it; return the largest displacement of a copy."""
    p, normal, reference = work.p, work.normal, lattice.reference
    H, g, d = normal.H, normal.g, normal.step
    for i in range(6):
        H[i, i] += lattice.weight[i]
        g[i] += lattice.weight[i] * (lattice.centre[i] - p[i])
    factor(H, normal.L)
    solve(normal.L, g, d)
    far = 0.0
    for n in range(reference.shape[0]):
        ay = d[0] + d[2] * reference[n, 0] + d[3] * reference[n, 1]
        ax = d[1] + d[4] * reference[n, 0] + d[5] * reference[n, 1]
        far = max(far, ay * ay + ax * ax)
    far = math.sqrt(far)
    share = 1.0 if far < longest else longest / far
    for i in range(6):
        p[i] += share * d[i]
    return far


@nb.njit(**FAST)
def settle(work: Work, lattice: Lattice, bank: Filters, rule: Rule, bright: float) -> tuple[float, float]:
    """Repeat passes of one bank as the rule says; return the last step [px] and the brightness of the copies."""
    # Filters are linear over about the width of the edge.
    longest = 1.5 * bank.edge + 0.3
    far = math.inf
    scale = 0.0
    for t in range(rule.most):
        scale = sweep(work, lattice, bank, bright)
        far = _step(work, lattice, longest)
        if t + 1 >= rule.least and far < rule.enough:
            break
    return far, scale
