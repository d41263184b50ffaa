"""How much of a second crystal is in a pattern: counts where only its own disks lie."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.techniques.diffraction.pattern import DiffractionPattern
from parscope.techniques.diffraction.setup.select import lattice_points

Array = NDArray[np.float64]

# Pixels of a second disk nearer than this to the rim of a first one are not used, in widths of the edge.
CLEAR = 3.0


@dataclass(frozen=True)
class Neighbour:
    """Two crystals that may share a pattern.

    Parameters
    ----------
    first, second : DiffractionPattern
        Undeformed patterns of the stronger and of the weaker one, of the same probe.
    between : DiffractionPattern, optional
        That of a third one which is known to be there too.
    """

    first: DiffractionPattern
    second: DiffractionPattern
    between: DiffractionPattern | None = None

    @property
    def avoided(self) -> Array:
        """All lattice points of the crystals known on the detector, and the number of each crystal, shape (m, 3).

        Relative to the centre, [px].
        """
        points = [_points(p) for p in (self.first, self.between) if p is not None]
        return np.concatenate([np.insert(at, 2, number, axis=1) for number, at in enumerate(points)])

    @property
    def sought(self) -> tuple[Array, Array]:
        """Diffracted disks of the second crystal relative to the centre, [px], and their mean counts per pixel."""
        p = self.second
        use = ~(p.indices == 0).all(1)
        return p.reference[use], np.asarray(p.amplitude[use], dtype=np.float64)


def _points(p: DiffractionPattern) -> Array:
    """All lattice points of a crystal on the detector, relative to the centre, [px]."""
    radius = p.probe.radius
    numbers = lattice_points(np.array(p.centre), p.basis, p.shape, -radius, 1.5 * float(np.hypot(*p.reference.T).max()))
    return np.asarray(numbers @ p.basis, dtype=np.float64)


def shares(patterns: NDArray[Any], theta: Array, pair: Neighbour) -> tuple[Array, Array]:
    """Amplitude of the undeformed second crystal over that in its own interior.

    Its disks are measured above the background around them, where no disk of the first crystal lies; all of them
    together are one matched filter.

    Parameters
    ----------
    patterns : ndarray, shape (n, q_y, q_x)
        Counts.
    theta : ndarray, shape (n, 6) or (n, 10)
        Fit of the first crystal, whose centre serves all; then the affine map of the one between, if there is one.
    pair : Neighbour
        The crystals.

    Returns
    -------
    share, significance : ndarray, shape (n,)
        [1], and in standard errors of counting noise; 0 and 0 where no pixel is free of the first crystal.
    """
    p = pair.second
    at, amplitude = pair.sought
    mask = np.zeros(p.shape, np.bool_) if p.mask is None else p.mask
    probe = np.array([*np.linalg.inv(p.probe.distortion).ravel(), p.probe.radius, p.probe.edge, p.gain])
    diffuse = np.array([p.background.level, p.background.width, p.background.floor])
    result = np.zeros((2, len(patterns)))
    frames = np.ascontiguousarray(patterns)
    _shares(frames, np.ascontiguousarray(theta), (pair.avoided, at, amplitude), (probe, diffuse), mask, result)
    return result[0], result[1]


@nb.njit(cache=True)
def _squared(probe: Any, dy: float, dx: float) -> float:
    """Squared distance from the middle of a disk, distortion undone."""
    u = probe[0] * dy + probe[1] * dx
    v = probe[2] * dy + probe[3] * dx
    return float(u * u + v * v)


@nb.njit(cache=True)
def _nearby(avoided: Any, p: Any, cy: float, cx: float, reach: float, near: Any) -> int:
    """Write the disks of the known crystals within `reach` of (cy, cx) to `near`; return how many."""
    count = 0
    for m in range(avoided.shape[0]):
        q = 2 + 4 * int(avoided[m, 2])
        y = p[0] + p[q] * avoided[m, 0] + p[q + 1] * avoided[m, 1]
        x = p[1] + p[q + 2] * avoided[m, 0] + p[q + 3] * avoided[m, 1]
        if (y - cy) ** 2 + (x - cx) ** 2 < reach * reach and count < near.shape[0]:
            near[count, 0] = y
            near[count, 1] = x
            count += 1
    return count


@nb.njit(cache=True)
def _usable(probe: Any, near: Any, y: float, x: float) -> bool:
    """Whether no disk of a known crystal reaches (y, x)."""
    limit = (probe[4] + CLEAR * probe[5]) ** 2
    free = True
    for m in range(near.shape[0]):
        free = free and _squared(probe, y - near[m, 0], x - near[m, 1]) >= limit
    return free


@nb.njit(cache=True)
def _disk(frame: Any, mask: Any, at: Any, near: Any, physics: Any, sums: Any) -> None:
    """Sums for the least squares of disk and background over the usable pixels round `at`."""
    probe, diffuse, centre = physics
    reach = probe[4] + CLEAR * probe[5] + 2.0
    half = math.ceil(reach)
    iy, ix = math.floor(at[0] + 0.5), math.floor(at[1] + 0.5)
    sums[:] = 0.0
    for y in range(max(iy - half, 0), min(iy + half + 1, frame.shape[0])):
        for x in range(max(ix - half, 0), min(ix + half + 1, frame.shape[1])):
            r2 = _squared(probe, y - at[0], x - at[1])
            if r2 > reach * reach or mask[y, x] or not _usable(probe, near, y, x):
                continue
            t = 0.5 * math.erfc((math.sqrt(r2) - probe[4]) / (probe[5] * 1.4142135623730951))
            q2 = (y - centre[0]) ** 2 + (x - centre[1]) ** 2
            b = diffuse[0] / (1.0 + q2 / diffuse[1] ** 2) + diffuse[2] + 1e-9
            v = float(frame[y, x])
            sums[0] += t * t
            sums[1] += t * b
            sums[2] += b * b
            sums[3] += t * v
            sums[4] += b * v
            sums[5] += b
            sums[6] += 1.0


@nb.njit(cache=True, nogil=True)
def _shares(frames: Any, theta: Any, lattices: Any, physics: Any, mask: Any, result: Any) -> None:
    """Share and significance of every pattern, into the rows of `result`."""
    avoided, at, amplitude = lattices
    probe = physics[0]
    near = np.empty((32, 2))
    sums = np.empty(7)
    place = np.empty(2)
    for s in range(frames.shape[0]):
        p = theta[s]
        matched = 0.0
        norm = 0.0
        for n in range(at.shape[0]):
            place[0], place[1] = p[0] + at[n, 0], p[1] + at[n, 1]
            count = _nearby(avoided, p, place[0], place[1], 2.5 * (probe[4] + CLEAR * probe[5] + 2.0), near)
            _disk(frames[s], mask, place, near[:count], (probe, physics[1], p), sums)
            determinant = sums[0] * sums[2] - sums[1] * sums[1]
            if sums[0] < 2.0 or determinant < 0.02 * sums[0] * sums[2]:
                continue
            a = (sums[3] * sums[2] - sums[4] * sums[1]) / determinant
            level = (sums[4] * sums[0] - sums[3] * sums[1]) / determinant * sums[5] / sums[6]
            # a second crystal that is not there leaves the background as the only noise; one that is adds its own
            variance = probe[6] * (max(level, 0.0) + 0.3 * max(a, 0.0) + 0.02) * sums[2] / determinant
            matched += amplitude[n] * a / variance
            norm += amplitude[n] ** 2 / variance
        if norm > 0.0:
            result[0, s] = matched / norm
            result[1, s] = matched / math.sqrt(norm)
