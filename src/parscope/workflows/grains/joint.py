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

Array = NDArray[np.float64]

# Affine map of the second lattice, centre, affine map of the first: what counts is last, where the factor of the normal
# equations tells its information once all else is unknown.
PARAMETERS, SECOND, CENTRE, FIRST = 10, 0, 4, 6
# Squared relative standard deviation of an amplitude about what it is inside the grain, and of a level.
_WANDER = 0.5
# No disk is taken to be dimmer than this share of what it is inside the grain.
_DIMMEST = 0.05
# Share of the expected counts of its disk that the variance of a pixel has at least.
_FLOOR = 1e-3
# Passes, the step of the first lattice after which there are no more, and the last one that a fit may end with, in
# standard errors.
_LEAST, _MOST = 2, 20
_ENOUGH, SETTLED = 0.1, 0.25
# A step over the one before from which on only half as much of each is taken, and the least part of one.
_SLOW, _SHORTEST = 0.8, 0.1
# Longest step of a disk that the gradient of a template can tell, [px].
_LONGEST = 1.2


class Disks(NamedTuple):
    """Disks of both lattices: places relative to the centre, which lattice, expected counts per pixel."""

    at: Array
    lattice: NDArray[np.int64]
    expected: Array


class Optics(NamedTuple):
    """Probe (inverse distortion, radius, edge, gain), background (level, width, floor), contrast, bad pixels.

    ``modes`` (bins, bins, side, side, m) are columns of variance 1 of the contrast of a disk of amplitude 1 whose
    middle is within a bin of the middle pixel; ``rest`` (bins, bins, side, side) is the variance of all others.
    """

    probe: Array
    diffuse: Array
    modes: Array
    rest: Array
    mask: NDArray[np.bool_]


class Room(NamedTuple):
    """What one pattern needs: disks (place, amplitude, level, window, bin), images (mean, variance, owner), equations."""

    place: Array
    amplitude: Array
    level: Array
    corner: NDArray[np.int64]
    bin: NDArray[np.int64]
    mean: Array
    variance: Array
    owner: NDArray[np.int64]
    columns: Array
    system: Array
    first: NDArray[np.int64]
    solution: Array


class Joint(NamedTuple):
    """Results for n patterns: parameters, their information, amplitudes, misfit, last step in standard errors."""

    theta: Array
    information: Array
    amplitude: Array
    misfit: Array
    step: Array


@nb.njit(cache=True, nogil=True)
def _radius(probe: Array, dy: float, dx: float) -> tuple[float, float, float]:
    """Distance from the middle of a disk, distortion undone, and its derivatives."""
    u = probe[0] * dy + probe[1] * dx
    v = probe[2] * dy + probe[3] * dx
    r = math.sqrt(u * u + v * v) + 1e-9
    return r, (u * probe[0] + v * probe[2]) / r, (u * probe[1] + v * probe[3]) / r


@nb.njit(cache=True, nogil=True)
def _ground(diffuse: Array, dy: float, dx: float) -> float:
    """Counts of the background at a distance from the centre."""
    return float(diffuse[0] / (1.0 + (dy * dy + dx * dx) / diffuse[1] ** 2) + diffuse[2])


@nb.njit(cache=True, nogil=True)
def _inside(room: Room, optics: Optics, n: int) -> tuple[int, int, int, int]:
    """Rows and columns of the window of disk `n` that are on the detector."""
    side = optics.rest.shape[2]
    top, left = room.corner[n, 0], room.corner[n, 1]
    height, width = optics.mask.shape
    return max(top, 0), min(top + side, height), max(left, 0), min(left + side, width)


@nb.njit(cache=True, nogil=True)
def _lay_out(p: Array, disks: Disks, optics: Optics, room: Room) -> None:
    """Where the disks are, which pixels are theirs, and what mean and variance these have."""
    side, bins = optics.rest.shape[2], optics.rest.shape[0]
    half = side // 2
    room.owner[:] = -1
    room.mean[:] = 0.0
    room.variance[:] = 0.0
    for n in range(disks.at.shape[0]):
        q = SECOND if disks.lattice[n] else FIRST
        cy = p[CENTRE] + p[q] * disks.at[n, 0] + p[q + 1] * disks.at[n, 1]
        cx = p[CENTRE + 1] + p[q + 2] * disks.at[n, 0] + p[q + 3] * disks.at[n, 1]
        iy, ix = math.floor(cy + 0.5), math.floor(cx + 0.5)
        room.place[n, 0], room.place[n, 1] = cy, cx
        room.corner[n, 0], room.corner[n, 1] = iy - half, ix - half
        room.bin[n, 0] = min(int((cy - iy + 0.5) * bins), bins - 1)
        room.bin[n, 1] = min(int((cx - ix + 0.5) * bins), bins - 1)
        _lay_one(n, p, disks, optics, room)


@nb.njit(cache=True, nogil=True)
def _lay_one(n: int, p: Array, disks: Disks, optics: Optics, room: Room) -> None:
    """Add disk `n` to the mean and the variance of its pixels, and take those that are nearest to it."""
    probe = optics.probe
    reach = probe[4] + 4.0 * probe[5] + 1.0
    a = room.amplitude[n]
    rest = optics.rest[room.bin[n, 0], room.bin[n, 1]]
    top, bottom, left, right = _inside(room, optics, n)
    for y in range(top, bottom):
        for x in range(left, right):
            r = _radius(probe, y - room.place[n, 0], x - room.place[n, 1])[0]
            if r > reach or optics.mask[y, x]:
                continue
            own = room.owner[y, x]
            if own >= 0:
                before = _radius(probe, y - room.place[own, 0], x - room.place[own, 1])[0]
            if own < 0 or r < before:
                room.owner[y, x] = n
            room.mean[y, x] += a * 0.5 * math.erfc((r - probe[4]) / (probe[5] * 1.4142135623730951))
            room.variance[y, x] += a * a * rest[y - room.corner[n, 0], x - room.corner[n, 1]]


@nb.njit(cache=True, nogil=True)
def _weigh(p: Array, disks: Disks, optics: Optics, room: Room) -> None:
    """Turn the variance of contrast into that of the counts, with background and counting noise."""
    gain = optics.probe[6]
    for y in range(room.owner.shape[0]):
        for x in range(room.owner.shape[1]):
            own = room.owner[y, x]
            if own >= 0:
                under = room.level[own] * _ground(optics.diffuse, y - p[CENTRE], x - p[CENTRE + 1])
                room.variance[y, x] += gain * (room.mean[y, x] + max(under, 0.0) + _FLOOR * disks.expected[own])


@nb.njit(cache=True, nogil=True)
def _fill(n: int, p: Array, optics: Optics, room: Room) -> None:
    """Columns of disk `n` in its window: amplitude, level, contrast, displacement (y, x)."""
    probe = optics.probe
    reach = probe[4] + 4.0 * probe[5] + 1.0
    modes = optics.modes[room.bin[n, 0], room.bin[n, 1]]
    m = modes.shape[2]
    a = room.amplitude[n]
    columns = room.columns[n]
    columns[:] = 0.0
    top, bottom, left, right = _inside(room, optics, n)
    for y in range(top, bottom):
        for x in range(left, right):
            if room.owner[y, x] < 0:
                continue
            r, ry, rx = _radius(probe, y - room.place[n, 0], x - room.place[n, 1])
            i, j = y - room.corner[n, 0], x - room.corner[n, 1]
            if room.owner[y, x] == n:
                columns[i, j, 1] = _ground(optics.diffuse, y - p[CENTRE], x - p[CENTRE + 1])
            if r > reach:
                continue
            s = (r - probe[4]) / probe[5]
            columns[i, j, 0] = 0.5 * math.erfc(s / 1.4142135623730951)
            slope = a * math.exp(-0.5 * s * s) / (2.5066282746310002 * probe[5])
            column = columns[i, j]
            column[2 + m] = slope * ry
            column[3 + m] = slope * rx
            mode = modes[i, j]
            for k in range(m):
                column[2 + k] = a * mode[k]


@nb.njit(cache=True, nogil=True, fastmath=True)
def _couple(n: int, k: int, optics: Optics, room: Room, block: Array) -> bool:
    """Weighted products of the columns of two disks over the pixels that both have; False where there are none."""
    t0, b0, l0, r0 = _inside(room, optics, n)
    t1, b1, l1, r1 = _inside(room, optics, k)
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
def _slopes(n: int, disks: Disks, slopes: Array) -> None:
    """How the place of disk `n` (y, x) follows the parameters."""
    slopes[:] = 0.0
    q = SECOND if disks.lattice[n] else FIRST
    slopes[0, CENTRE] = slopes[1, CENTRE + 1] = 1.0
    for k in range(2):
        slopes[0, q + k] = disks.at[n, k]
        slopes[1, q + 2 + k] = disks.at[n, k]


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
        _slopes(n, disks, ours)
        first[n * own : (n + 1) * own] = n * own
        for k in range(n + 1):
            if not _couple(n, k, optics, room, block):
                continue
            _slopes(k, disks, theirs)
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
        top, bottom, left, right = _inside(room, optics, n)
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
        _slopes(n, disks, ours)
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
def without(frames: Any, theta: Array, at: Array, amplitude: Array, probe: Array) -> Any:
    """Patterns without some disks, given by places `at` (disks, 2) and amplitudes (n, disks), as 32-bit floats."""
    result = frames.astype(np.float32)
    reach = probe[4] + 4.0 * probe[5] + 1.0
    half = int(reach) + 2
    for s in range(frames.shape[0]):
        p = theta[s]
        for n in range(at.shape[0]):
            cy = p[0] + p[2] * at[n, 0] + p[3] * at[n, 1]
            cx = p[1] + p[4] * at[n, 0] + p[5] * at[n, 1]
            iy, ix = math.floor(cy + 0.5), math.floor(cx + 0.5)
            for y in range(max(iy - half, 0), min(iy + half + 1, frames.shape[1])):
                for x in range(max(ix - half, 0), min(ix + half + 1, frames.shape[2])):
                    r = _radius(probe, y - cy, x - cx)[0]
                    t = 0.5 * math.erfc((r - probe[4]) / (probe[5] * 1.4142135623730951))
                    result[s, y, x] -= np.float32(amplitude[s, n] * t)
    return result


@nb.njit(cache=True, nogil=True)
def _room_for(shape: tuple[int, int], disks: int, optics: Optics) -> Room:
    """Room for patterns of a shape with so many disks."""
    m, side = optics.modes.shape[4], optics.rest.shape[2]
    total = disks * (2 + m) + PARAMETERS + 1
    return Room(
        np.zeros((disks, 2)),
        np.zeros(disks),
        np.zeros(disks),
        np.zeros((disks, 2), np.int64),
        np.zeros((disks, 2), np.int64),
        np.zeros(shape),
        np.zeros(shape),
        np.zeros(shape, np.int64),
        np.zeros((disks, side, side, 4 + m)),
        np.zeros((total, total)),
        np.zeros(total, np.int64),
        np.zeros(total - 1),
    )


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
    room = _room_for((frames.shape[1], frames.shape[2]), count, optics)
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
            _lay_out(p, mine, optics, room)
            _weigh(p, mine, optics, room)
            for n in range(count):
                _fill(n, p, optics, room)
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
