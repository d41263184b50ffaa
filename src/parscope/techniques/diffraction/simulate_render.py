"""Compiled kernels of the simulator: disks and background of one pattern."""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@numba.njit(cache=True, nogil=True)
def soft_step(s: float) -> float:
    """Gaussian tail 1 - Phi(s)."""
    return 1.0 if s < -5 else 0.5 * math.erfc(s * 0.7071067811865476)


@numba.njit(cache=True, nogil=True)
def soft_disk(window: Array, y: float, x: float, probe: Array, fringe: Array) -> float:
    """Fill a window with one soft disk and return its sum.

    Parameters
    ----------
    window : ndarray, shape (rows, columns)
        Is overwritten.
    y, x : float
        Position of its first pixel relative to the centre of the disk, [px].
    probe, fringe : ndarray, shape (6,)
        As in `add_disks`, of one disk.
    """
    yy, yx, xy, xx, radius, edge = probe
    outside = (radius + 5 * edge) ** 2
    # The phase of the fringes is linear along a row: turn the phasor by a constant angle, instead of a cosine a pixel.
    step = fringe[1] * yx + fringe[2] * xx
    turn_c, turn_s = math.cos(step), math.sin(step)
    total = 0.0
    for j in range(window.shape[0]):
        u, v = yy * (y + j) + yx * x, xy * (y + j) + xx * x
        phase = fringe[1] * u + fringe[2] * v + fringe[3]
        c, s = math.cos(phase), math.sin(phase)
        for i in range(window.shape[1]):
            r2 = u * u + v * v
            window[j, i] = 0.0
            if r2 < outside:
                modulation = 1 + fringe[0] * c + fringe[4] * u + fringe[5] * v
                window[j, i] = soft_step((math.sqrt(r2) - radius) / edge) * max(modulation, 0.02)
            total += window[j, i]
            c, s = c * turn_c - s * turn_s, s * turn_c + c * turn_s
            u, v = u + yx, v + xx
    return total


@numba.njit(cache=True, nogil=True)
def add_disks(image: Array, positions: Array, electrons: Array, probe: Array, fringe: Array) -> None:
    """Add soft disks to an image in place.

    Parameters
    ----------
    image : ndarray, shape (q_y, q_x)
        Electrons per pixel.
    positions : ndarray, shape (n, 2)
        Centres (y, x), [px].
    electrons : ndarray, shape (n,)
        Electrons per disk; disks without any are skipped.
    probe : ndarray, shape (6,)
        Inverse distortion yy, yx, xy, xx [1], radius and edge [px].
    fringe : ndarray, shape (n, 6)
        Depth [1], wave vector (y, x) [rad/px], phase [rad], gradient of the ramp (y, x) [1/px].
    """
    yy, yx, xy, xx, radius, edge = probe
    # Row sums of the distortion itself, by Cramer's rule, bound how far it stretches the disk.
    stretch = max(abs(xx) + abs(yx), abs(yy) + abs(xy)) / abs(yy * xx - yx * xy)
    reach = math.ceil((radius + 5 * edge) * stretch + 1)
    window = np.empty((2 * reach + 1, 2 * reach + 1))
    height, width = image.shape
    for n in range(positions.shape[0]):
        if not electrons[n] > 0:
            continue
        y0, x0 = round(positions[n, 0]) - reach, round(positions[n, 1]) - reach
        scale = electrons[n] / soft_disk(window, y0 - positions[n, 0], x0 - positions[n, 1], probe, fringe[n])
        for j in range(max(0, -y0), min(2 * reach + 1, height - y0)):
            for i in range(max(0, -x0), min(2 * reach + 1, width - x0)):
                image[y0 + j, x0 + i] += scale * window[j, i]


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "arcp"})
def fill_background(image: Array, centre: Array, electrons: float, width: float) -> None:
    """Replace an image by a Lorentzian background of `electrons` in all; `width` and `centre` in [px]."""
    rows, columns = image.shape
    scale = 1 / (width * width)
    line = np.empty(columns)
    for i in range(columns):
        line[i] = (i - centre[1]) ** 2 * scale
    total = 0.0
    for j in range(rows):
        y = 1 + (j - centre[0]) ** 2 * scale
        for i in range(columns):
            value = 1 / (y + line[i])
            image[j, i] = value
            total += value
    level = electrons / total
    for j in range(rows):
        for i in range(columns):
            image[j, i] *= level


@numba.njit(cache=True, nogil=True)
def scatter(mean: Array, gaps: Array, counts: NDArray[np.int64]) -> None:
    """Put ``len(gaps) - 1`` electrons on pixels in proportion to `mean`, adding to `counts` in place.

    Exponential `gaps` are the spacings of sorted uniform random numbers, so one pass over the pixels suffices.

    Parameters
    ----------
    mean : ndarray, shape (q_y, q_x)
        Electrons per pixel.
    gaps : ndarray, shape (electrons + 1,)
        Standard exponential random numbers.
    counts : ndarray of int, shape (q_y, q_x)
        Where the electrons go.
    """
    pixels, tally = mean.ravel(), counts.ravel()
    scale = pixels.sum() / gaps.sum()
    last = len(gaps) - 1
    k, arrival, seen = 0, gaps[0] * scale, 0.0
    for i in range(pixels.size):
        seen += pixels[i]
        while k < last and arrival < seen:
            tally[i] += 1
            k += 1
            arrival += gaps[k] * scale
