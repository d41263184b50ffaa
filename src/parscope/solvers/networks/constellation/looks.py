"""The looks a network takes at a pattern: sums of pixels in cells about the centre, and in windows round the copies."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.solvers.networks.constellation.geometry import ANGLES, RINGS, ZONES, Geometry

Array = NDArray[np.float64]
Single = NDArray[np.float32]

# Steps of the centre of mass: each moves the window by most of what is missing.
_STEPS = 4


@nb.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def totals(patterns: Any) -> Any:
    """Counts of patterns (n, q_y, q_x), shape (n,); not finite where a pixel is not."""
    result = np.zeros(patterns.shape[0])
    for n in range(patterns.shape[0]):
        total = 0.0
        for y in range(patterns.shape[1]):
            for x in range(patterns.shape[2]):
                total += patterns[n, y, x]
        result[n] = total
    return result


def first_look(
    patterns: NDArray[Any], centre: Array, geometry: Geometry, mask: NDArray[np.bool_]
) -> tuple[Single, Array]:
    """Counts in rings and angles about the centre of every pattern.

    Parameters
    ----------
    patterns : ndarray, shape (n, q_y, q_x)
        Counts.
    centre : ndarray, shape (n, 2)
        Where the centre is looked for, (y, x), [px].
    geometry : Geometry
        Cells.
    mask : ndarray of bool, shape (q_y, q_x)
        True where a pixel is not to be used.

    Returns
    -------
    cells : ndarray of float32, shape (n, RINGS, ANGLES)
        Counts.
    centre : ndarray, shape (n, 2)
        Centre of mass of the copy at the centre, (y, x), [px].
    """
    cells = np.zeros((len(patterns), RINGS * ANGLES), np.float32)
    found = np.array(centre, dtype=np.float64)
    _first(patterns, _pixels(mask), geometry.cell, geometry.core, found, cells)
    return cells.reshape(-1, RINGS, ANGLES), found


def second_look(
    patterns: NDArray[Any], theta: Array, reference: Array, geometry: Geometry, mask: NDArray[np.bool_]
) -> Single:
    """Counts in the zones of a window round every copy, and their first moments.

    Parameters
    ----------
    patterns : ndarray, shape (n, q_y, q_x)
        Counts.
    theta : ndarray, shape (n, 6)
        Where the copies are thought to be.
    reference : ndarray, shape (copies, 2)
        Copies relative to the centre, [px].
    geometry : Geometry
        Zones.
    mask : ndarray of bool, shape (q_y, q_x)
        True where a pixel is not to be used.

    Returns
    -------
    ndarray of float32, shape (n, copies, 3, ZONES)
        Counts, and moments along y and x in units of the window's radius; zero for copies that leave the detector.
    """
    sums = np.zeros((len(patterns), len(reference), 3, ZONES), np.float32)
    _second(patterns, _pixels(mask), theta, reference, np.square(geometry.zones), sums)
    return sums


def _pixels(mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], bool]:
    """Bad pixels, and whether there are any."""
    return mask, bool(mask.any())


@nb.njit(cache=True, nogil=True, fastmath=True)
def _first(frames: Any, pixels: Any, cell: Any, core: float, centre: Any, cells: Any) -> None:
    """Follow the centre of mass, then add the pixels up."""
    h, w = frames.shape[1:]
    mask, masked = pixels
    for n in range(frames.shape[0]):
        frame, out = frames[n], cells[n]
        if core > 0:
            _follow(frame, pixels, core, centre[n])
        oy = h - int(np.rint(centre[n, 0]))
        ox = w - int(np.rint(centre[n, 1]))
        for y in range(h):
            for x in range(w):
                k = cell[y + oy, x + ox]
                if k >= 0 and not (masked and mask[y, x]):
                    out[k] += np.float32(frame[y, x])


@nb.njit(cache=True, nogil=True, fastmath=True)
def _follow(frame: Any, pixels: Any, core: float, centre: Any) -> None:
    """Move `centre` to the centre of mass within `core` of it."""
    h, w = frame.shape
    mask, masked = pixels
    cy, cx = centre[0], centre[1]
    for _ in range(_STEPS):
        total, my, mx = 0.0, 0.0, 0.0
        for y in range(max(0, int(cy - core)), min(h, int(cy + core) + 2)):
            for x in range(max(0, int(cx - core)), min(w, int(cx + core) + 2)):
                dy, dx = y - cy, x - cx
                if dy * dy + dx * dx <= core * core and not (masked and mask[y, x]):
                    v = float(frame[y, x])
                    total += v
                    my += v * dy
                    mx += v * dx
        if total <= 0:
            break
        cy += my / total
        cx += mx / total
        if (my * my + mx * mx) < 0.01 * total * total:
            break
    if abs(cy - centre[0]) < h / 4 and abs(cx - centre[1]) < w / 4:
        centre[0], centre[1] = cy, cx


@nb.njit(cache=True, nogil=True, fastmath=True)
def _second(frames: Any, pixels: Any, theta: Any, reference: Any, zones: Any, sums: Any) -> None:
    """Zones of the windows of all copies."""
    h, w = frames.shape[1:]
    mask, masked = pixels
    outer = np.sqrt(zones[-1])
    margin = np.sqrt(zones[2])
    for n in range(frames.shape[0]):
        frame, t = frames[n], theta[n]
        for m in range(reference.shape[0]):
            py = t[0] + t[2] * reference[m, 0] + t[3] * reference[m, 1]
            px = t[1] + t[4] * reference[m, 0] + t[5] * reference[m, 1]
            if not (margin <= py <= h - 1 - margin and margin <= px <= w - 1 - margin):
                continue
            whole = not masked and outer <= py <= h - 1 - outer and outer <= px <= w - 1 - outer
            _zones(frame, (mask, whole), (py, px), zones, sums[n, m])


@nb.njit(cache=True, nogil=True, fastmath=True)
def _zones(frame: Any, pixels: Any, at: Any, zones: Any, sums: Any) -> None:
    """Counts and moments of one window, row by row from running sums.

    A pixel whose mirror image cannot be used is left out, so that none tips.
    """
    h, w = frame.shape
    mask, whole = pixels
    py, px = at
    outer = np.sqrt(zones[-1])
    left, right = max(0, int(np.ceil(px - outer))), min(w, int(px + outer) + 1)
    counts, moments = np.zeros(right - left + 1), np.zeros(right - left + 1)
    for y in range(max(0, int(np.ceil(py - outer))), min(h, int(py + outer) + 1)):
        dy = y - py
        for x in range(left, right):
            v = 0.0
            if whole or _paired(mask, y, x, int(np.rint(py - dy)), int(np.rint(2 * px - x))):
                v = float(frame[y, x])
            counts[x - left + 1] = counts[x - left] + v
            moments[x - left + 1] = moments[x - left] + v * (x - px)
        inner, tipped = 0.0, 0.0
        for z in range(zones.shape[0]):
            if zones[z] < dy * dy:
                continue
            half = np.sqrt(zones[z] - dy * dy)
            first = max(int(np.ceil(px - half)), left) - left
            last = max(min(int(np.floor(px + half)) + 1, right) - left, first)
            within, tips = counts[last] - counts[first], moments[last] - moments[first]
            sums[0, z] += np.float32(within - inner)
            sums[1, z] += np.float32((within - inner) * dy / outer)
            sums[2, z] += np.float32((tips - tipped) / outer)
            inner, tipped = within, tips


@nb.njit(cache=True, nogil=True)
def _paired(mask: Any, y: int, x: int, v: int, u: int) -> bool:
    """Whether a pixel and its mirror image are there and good."""
    h, w = mask.shape
    inside = 0 <= y < h and 0 <= x < w and 0 <= v < h and 0 <= u < w
    return inside and not mask[y, x] and not mask[v, u]
