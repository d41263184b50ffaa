"""Disks of two lattices in one pattern, in compiled loops: whose pixels they are, and what these tell of them."""

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
# Share of the expected counts of its disk that the variance of a pixel has at least.
_FLOOR = 1e-3


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
    """What a pattern needs: disks (place, amplitude, level, window, bin), images (mean, variance, owner), equations."""

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
def inside(room: Room, optics: Optics, n: int) -> tuple[int, int, int, int]:
    """Rows and columns of the window of disk `n` that are on the detector."""
    side = optics.rest.shape[2]
    top, left = room.corner[n, 0], room.corner[n, 1]
    height, width = optics.mask.shape
    return max(top, 0), min(top + side, height), max(left, 0), min(left + side, width)


@nb.njit(cache=True, nogil=True)
def lay_out(p: Array, disks: Disks, optics: Optics, room: Room) -> None:
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
    top, bottom, left, right = inside(room, optics, n)
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
def weigh(p: Array, disks: Disks, optics: Optics, room: Room) -> None:
    """Turn the variance of contrast into that of the counts, with background and counting noise."""
    gain = optics.probe[6]
    for y in range(room.owner.shape[0]):
        for x in range(room.owner.shape[1]):
            own = room.owner[y, x]
            if own >= 0:
                under = room.level[own] * _ground(optics.diffuse, y - p[CENTRE], x - p[CENTRE + 1])
                room.variance[y, x] += gain * (room.mean[y, x] + max(under, 0.0) + _FLOOR * disks.expected[own])


@nb.njit(cache=True, nogil=True)
def fill(n: int, p: Array, optics: Optics, room: Room) -> None:
    """Columns of disk `n` in its window: amplitude, level, contrast, displacement (y, x)."""
    probe = optics.probe
    reach = probe[4] + 4.0 * probe[5] + 1.0
    modes = optics.modes[room.bin[n, 0], room.bin[n, 1]]
    m = modes.shape[2]
    a = room.amplitude[n]
    columns = room.columns[n]
    columns[:] = 0.0
    top, bottom, left, right = inside(room, optics, n)
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


@nb.njit(cache=True, nogil=True)
def slopes_of(n: int, disks: Disks, slopes: Array) -> None:
    """How the place of disk `n` (y, x) follows the parameters."""
    slopes[:] = 0.0
    q = SECOND if disks.lattice[n] else FIRST
    slopes[0, CENTRE] = slopes[1, CENTRE + 1] = 1.0
    for k in range(2):
        slopes[0, q + k] = disks.at[n, k]
        slopes[1, q + 2 + k] = disks.at[n, k]


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
def room_for(shape: tuple[int, int], disks: int, optics: Optics) -> Room:
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
