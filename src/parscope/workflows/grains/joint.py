"""Two lattices fitted to one pattern at once: the least squares of all pixels of their disks, in compiled loops.

Every disk has an amplitude, a level underneath and contrast inside, which are linear; all disks of a lattice move with
its affine map, and both lattices with one centre. Disks that share pixels are solved together: the normal equations are
factored along their skyline, with the parameters of the lattices last, so that what is left there is their information
once nothing else is known.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.workflows.grains.disks import (
    CENTRE,
    FIRST,
    PARAMETERS,
    SECOND,
    Disks,
    Optics,
    Room,
    fill,
    inside,
    lay_out,
    room_for,
    slopes_of,
    weigh,
)

Array = NDArray[np.float64]

# Squared relative standard deviation of an amplitude about what it is inside the grain, and of a level.
_WANDER = 0.5
# No disk is taken to be dimmer than this share of what it is inside the grain.
_DIMMEST = 0.05
# Passes, the step of the first lattice after which there are no more, and the last one that a fit may end with, in
# standard errors.
_LEAST, _MOST = 2, 20
_ENOUGH, SETTLED = 0.1, 0.25
# A step over the one before from which on only half as much of each is taken, and the least part of one.
_SLOW, _SHORTEST = 0.8, 0.1
# Longest step of a disk that the gradient of a template can tell, [px].
_LONGEST = 1.2


class Joint(NamedTuple):
    """Results for n patterns: parameters, their information, amplitudes, misfit, last step in standard errors."""

    theta: Array
    information: Array
    amplitude: Array
    misfit: Array
    step: Array


@nb.njit(cache=True, nogil=True, fastmath=True)
def _couple(n: int, k: int, optics: Optics, room: Room, block: Array) -> bool:
    """Weighted products of the columns of two disks over the pixels that both have; False where there are none."""
    t0, b0, l0, r0 = inside(room, optics, n)
    t1, b1, l1, r1 = inside(room, optics, k)
    block[:] = 0.0
    top, bottom, left, right = max(t0, t1), min(b0, b1), max(l0, l1), min(r0, r1)
    if top >= bottom or left >= right:
        return False
    size = block.shape[0]
    shared = False
    for y in range(top, bottom):
        for x in range(left, right):
            if room.owner[y, x] < 0:
                continue
            w = 1.0 / room.variance[y, x]
            mine = room.columns[n, y - room.corner[n, 0], x - room.corner[n, 1]]
            theirs = room.columns[k, y - room.corner[k, 0], x - room.corner[k, 1]]
            # Beyond the reach of a disk its columns are zero.
            if mine[0] != 0.0 and theirs[0] != 0.0:
                shared = True
                for i in range(size):
                    v = w * mine[i]
                    for j in range(size):
                        block[i, j] += v * theirs[j]
    return shared


@nb.njit(cache=True, nogil=True)
def _assemble(disks: Disks, optics: Optics, room: Room) -> None:
    """Normal equations of everything, lower triangle: disk by disk, then the parameters."""
    count, size = disks.at.shape[0], room.columns.shape[3]
    own = size - 2
    system, first, end = room.system, room.first, count * own
    system[:] = 0.0
    first[end:] = 0
    block = np.empty((size, size))
    ours, theirs = np.empty((2, PARAMETERS)), np.empty((2, PARAMETERS))
    for n in range(count):
        slopes_of(n, disks, ours)
        first[n * own : (n + 1) * own] = n * own
        for k in range(n + 1):
            if not _couple(n, k, optics, room, block):
                continue
            slopes_of(k, disks, theirs)
            first[n * own : (n + 1) * own] = np.minimum(first[n * own : (n + 1) * own], k * own)
            system[n * own : (n + 1) * own, k * own : (k + 1) * own] = block[:own, :own]
            system[end : end + PARAMETERS, k * own : (k + 1) * own] += ours.T @ block[own:, :own].copy()
            both = ours.T @ block[own:, own:].copy() @ theirs
            system[end : end + PARAMETERS, end : end + PARAMETERS] += both
            if k < n:
                system[end : end + PARAMETERS, n * own : (n + 1) * own] += theirs.T @ block[:own, own:].copy().T
                system[end : end + PARAMETERS, end : end + PARAMETERS] += both.T


@nb.njit(cache=True, nogil=True)
def _data(frame: Any, disks: Disks, optics: Optics, room: Room) -> int:
    """Last row of the system: what the counts say of everything; returns how many pixels there are."""
    count, size = disks.at.shape[0], room.columns.shape[3]
    own = size - 2
    end = count * own
    row = room.system[end + PARAMETERS]
    ours = np.empty((2, PARAMETERS))
    part = np.empty(size)
    pixels = 0
    for n in range(count):
        part[:] = 0.0
        top, bottom, left, right = inside(room, optics, n)
        for y in range(top, bottom):
            for x in range(left, right):
                column = room.columns[n, y - room.corner[n, 0], x - room.corner[n, 1]]
                if room.owner[y, x] < 0 or column[0] == 0.0:
                    continue
                v = float(frame[y, x]) / room.variance[y, x]
                for i in range(size):
                    part[i] += v * column[i]
                if room.owner[y, x] == n:
                    pixels += 1
                    row[end + PARAMETERS] += v * float(frame[y, x])
        slopes_of(n, disks, ours)
        row[n * own : (n + 1) * own] = part[:own]
        row[end : end + PARAMETERS] += part[own:] @ ours
    return pixels


@nb.njit(cache=True, nogil=True)
def _believe(p: Array, disks: Disks, prior: tuple[Array, Array, float], room: Room) -> None:
    """Add what is known beforehand of amplitudes, levels, contrast and parameters."""
    weight, middle, bright = prior
    count, own = disks.at.shape[0], room.columns.shape[3] - 2
    end = count * own
    system, last = room.system, count * own + PARAMETERS
    for n in range(count):
        i = n * own
        a = max(disks.expected[n], 1e-9)
        w = 1.0 / (_WANDER * a * a)
        system[i, i] += w
        system[last, i] += w * a
        system[last, last] += w * a * a
        w = 1.0 / (_WANDER * bright * bright)
        system[i + 1, i + 1] += w
        system[last, i + 1] += w * bright
        system[last, last] += w * bright * bright
        for k in range(2, own):
            system[i + k, i + k] += 1.0
    for k in range(PARAMETERS):
        away = middle[k] - p[k]
        system[end + k, end + k] += weight[k]
        system[last, end + k] += weight[k] * away
        system[last, last] += weight[k] * away * away


@nb.njit(cache=True, nogil=True, fastmath=True)
def _dot(a: Array, b: Array) -> float:
    """Sum of products."""
    s = 0.0
    for i in range(a.shape[0]):
        s += a[i] * b[i]
    return s


@nb.njit(cache=True, nogil=True)
def _factor(system: Array, first: NDArray[np.int64]) -> None:
    """Cholesky factor in place, within the skyline; the last pivot squared is what remains of the squares."""
    for i in range(system.shape[0]):
        for j in range(first[i], i + 1):
            start = max(first[i], first[j])
            s = system[i, j] - _dot(system[i, start:j], system[j, start:j])
            if i == j:
                system[i, i] = math.sqrt(max(s, 1e-300))
            else:
                system[i, j] = s / system[j, j]


@nb.njit(cache=True, nogil=True)
def _solve(system: Array, first: NDArray[np.int64], x: Array) -> None:
    """Solution from the factor, whose last row is the right-hand side already half solved."""
    n = system.shape[0] - 1
    x[:] = system[n, :n]
    for r in range(n):
        i = n - 1 - r
        x[i] /= system[i, i]
        for j in range(first[i], i):
            x[j] -= system[i, j] * x[i]


@nb.njit(cache=True, nogil=True)
def _take(p: Array, disks: Disks, optics: Optics, how: tuple[float, float], room: Room) -> float:
    """Amplitudes, levels and parameters of the solution; returns the step of the first lattice in its errors."""
    bright, part = how
    count, own = disks.at.shape[0], room.columns.shape[3] - 2
    x, d = room.solution, room.solution[count * own :]
    area = 3.0 * optics.probe[4] ** 2
    longest = 0.0
    for n in range(count):
        prior = disks.expected[n]
        noise = optics.probe[6] * max(x[n * own], 0.2 * prior) / area + 1e-12
        wander = _WANDER * prior * prior
        a = (max(x[n * own], 0.0) * wander + prior * noise) / (noise + wander)
        room.amplitude[n] = max(a, _DIMMEST * prior)
        room.level[n] = max(x[n * own + 1], 0.02 * bright)
        q = SECOND if disks.lattice[n] else FIRST
        ay = d[CENTRE] + d[q] * disks.at[n, 0] + d[q + 1] * disks.at[n, 1]
        ax = d[CENTRE + 1] + d[q + 2] * disks.at[n, 0] + d[q + 3] * disks.at[n, 1]
        longest = max(longest, math.hypot(ay, ax))
    share = min(part, _LONGEST / max(longest, 1e-9))
    squared = 0.0
    for k in range(PARAMETERS):
        p[k] += share * d[k]
        if k >= FIRST:
            column = room.system[count * own + k :, count * own + k]
            squared += _dot(column[: PARAMETERS - k], d[k:]) ** 2
    return math.sqrt(squared)


@nb.njit(cache=True, nogil=True)
def fit_joint(
    frames: Any,
    disks: Disks,
    start: tuple[Array, Array, Array],
    prior: tuple[Array, Array],
    optics: Optics,
    out: Joint,
) -> None:
    """Fit two lattices to every pattern.

    `start` is parameters (n, 10), amplitudes expected of every disk (n, disks), and brightness (n,); `prior` the
    weights of the parameters and where they are without any electrons.
    """
    count = disks.at.shape[0]
    room = room_for((frames.shape[1], frames.shape[2]), count, optics)
    own = room.columns.shape[3] - 2
    end = count * own
    for s in range(frames.shape[0]):
        p = out.theta[s]
        p[:] = start[0][s]
        mine = Disks(disks.at, disks.lattice, start[1][s])
        room.amplitude[:] = start[1][s]
        room.level[:] = start[2][s]
        part, before = 1.0, math.inf
        for t in range(_MOST):
            lay_out(p, mine, optics, room)
            weigh(p, mine, optics, room)
            for n in range(count):
                fill(n, p, optics, room)
            _assemble(mine, optics, room)
            pixels = _data(frames[s], mine, optics, room)
            _believe(p, mine, (prior[0], prior[1], start[2][s]), room)
            _factor(room.system, room.first)
            _solve(room.system, room.first, room.solution)
            far = math.inf
            if not math.isfinite(room.solution[end:].sum()):
                break
            far = _take(p, mine, optics, (start[2][s], part), room)
            if t + 1 >= _LEAST and far < _ENOUGH:
                break
            # A faint lattice jumps to and fro between places that explain its few electrons as well.
            part = max(0.5 * part, _SHORTEST) if far > _SLOW * before else part
            before = far
        factor = np.tril(room.system[end : end + PARAMETERS, end : end + PARAMETERS])
        out.information[s] = factor @ factor.T
        out.misfit[s] = room.system[end + PARAMETERS, end + PARAMETERS] ** 2 / max(pixels - 2 * count - PARAMETERS, 1)
        out.step[s] = far
        for n in range(count):
            out.amplitude[s, n] = room.solution[n * own]
