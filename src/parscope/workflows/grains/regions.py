"""Regions of a scan that are one crystal each, from the lattice of every pattern."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from parscope.workflows.grains.lattice import change

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

# Change of the lattice from one scan position to the next that still is one crystal, unless the scan bends more.
LEAST_STEP = np.deg2rad(0.25)
MOST_STEP = np.deg2rad(2.0)
LARGEST_STRAIN_STEP = 0.05
SMALLEST = 4
REACH = 3.0
MOST_CANDIDATES = 5
# Widest square of positions whose lattices are averaged, counted from its middle, and how much the scatter of a median
# is larger than that of a mean.
WIDEST, MEDIAN = 2, np.sqrt(np.pi / 2)


def regions(lattice: Array, error: Array, pure: NDArray[np.bool_]) -> Labels:
    """Connected regions within which the lattice changes smoothly.

    Parameters
    ----------
    lattice : ndarray, shape (y, x, 2, 2)
        Rows g1, g2 of every pattern, in any cell, [px]; NaN where there is none.
    error : ndarray, shape (y, x)
        Standard error of the rotation, [rad].
    pure : ndarray of bool, shape (y, x)
        Patterns that one crystal explains.

    Returns
    -------
    ndarray of int, shape (y, x)
        Number of the region from 0; -1 where the pattern belongs to none for sure.
    """
    lattice, error = _calmed(lattice, error)
    down, right = (_steps(lattice, error, pure, axis) for axis in (0, 1))
    most = _largest(down, right)
    return _renumbered(_label(down <= most, right <= most))


def _calmed(lattice: Array, error: Array) -> tuple[Array, Array]:
    """Lattices and errors after a median over a square round each position, if steps would drown in noise without.

    A chain of steps, each within its noise, would join crystals that lie ten degrees apart. A median keeps the edge
    between two of them where it is. The error is that of a step: squares side by side share most of their positions.
    """
    noise = 3 * np.sqrt(2) * float(np.nanmedian(error)) if np.isfinite(error).any() else 0.0
    sides = 2 * np.arange(WIDEST + 1) + 1
    less = np.where(sides > 1, MEDIAN / sides**1.5, 1.0)
    half = int(np.argmax(np.append(noise * less[:-1] <= LEAST_STEP, True)))
    if half == 0:
        return lattice, error
    rows, columns = error.shape
    around = np.pad(lattice, [(half, half), (half, half), (0, 0), (0, 0)], constant_values=np.nan)
    affine = np.full((sides[half] ** 2, *lattice.shape), np.nan)
    for n, (y, x) in enumerate(np.ndindex(sides[half], sides[half])):
        between = change(lattice, around[y : y + rows, x : x + columns])
        of_one = between.stretch < LARGEST_STRAIN_STEP
        affine[n][of_one] = between.affine[of_one]
    shared = np.isfinite(affine[:, :, :, 0, 0]).sum(0)
    known = shared > 0
    middle = np.full(lattice.shape, np.nan)
    middle[known] = lattice[known] @ np.swapaxes(np.nanmedian(affine[:, known], 0), -1, -2)
    return middle, error * np.where(shared > 1, MEDIAN / np.sqrt(np.maximum(shared, 1) * sides[half]), 1.0)


def _steps(lattice: Array, error: Array, pure: NDArray[np.bool_], axis: int) -> Array:
    """Rotation from each position to the next along an axis beyond its error, [rad]; infinite across a break."""
    n = lattice.shape[axis]
    a, b = (np.take(lattice, np.arange(k, n - 1 + k), axis) for k in (0, 1))
    both = np.take(pure, np.arange(n - 1), axis) & np.take(pure, np.arange(1, n), axis)
    noise = np.hypot(np.take(error, np.arange(n - 1), axis), np.take(error, np.arange(1, n), axis))
    between = change(a, b)
    step = np.maximum(np.abs(between.rotation) - 3 * np.nan_to_num(noise), 0.0)
    return np.where(both & (between.stretch < LARGEST_STRAIN_STEP), step, np.inf)


def _largest(down: Array, right: Array) -> float:
    """Largest step within a crystal: four times the typical one, within limits, [rad]."""
    every = np.concatenate([down[np.isfinite(down)], right[np.isfinite(right)]])
    typical = float(np.median(every)) if len(every) else 0.0
    return float(np.clip(4 * typical, LEAST_STEP, MOST_STEP))


def _label(down: NDArray[np.bool_], right: NDArray[np.bool_]) -> Labels:
    """Connected components, where a position counts as inside only if at most one of its links is broken."""
    shape = (right.shape[0], down.shape[1])
    broken = np.zeros(shape, np.int64)
    broken[:-1] += ~down
    broken[1:] += ~down
    broken[:, :-1] += ~right
    broken[:, 1:] += ~right
    inside = broken <= 1
    wide = np.zeros((2 * shape[0] - 1, 2 * shape[1] - 1), np.bool_)
    wide[::2, ::2] = inside
    wide[1::2, ::2] = down & inside[:-1] & inside[1:]
    wide[::2, 1::2] = right & inside[:, :-1] & inside[:, 1:]
    labels: Labels = ndimage.label(wide)[0][::2, ::2].astype(np.int64) - 1
    return labels


def _renumbered(labels: Labels) -> Labels:
    """Drop regions too small to have an interior, and number the rest by size."""
    size = np.bincount(labels[labels >= 0]) if (labels >= 0).any() else np.zeros(0, np.int64)
    order = np.argsort(-size, kind="stable")
    order = order[size[order] >= SMALLEST]
    number = np.full(len(size) + 1, -1, np.int64)
    number[order] = np.arange(len(order))
    return number[labels]


def nearest(labels: Labels) -> Labels:
    """Fill positions that belong to none with the region nearest to them."""
    if not (labels >= 0).any():
        return labels
    _, where = ndimage.distance_transform_edt(labels < 0, return_indices=True)
    filled: Labels = labels[tuple(where)]
    return filled


def candidates(labels: Labels, reach: float = REACH) -> NDArray[np.int16]:
    """Regions within `reach` of every position, nearest first.

    Parameters
    ----------
    labels : ndarray of int, shape (y, x)
        Numbers of regions, -1 for none.
    reach : float, default 3.0
        How far a neighbouring crystal may be, [scan steps].

    Returns
    -------
    ndarray of int16, shape (y, x, k)
        At least one candidate everywhere if there is any region; -1 fills up.
    """
    filled = nearest(labels)
    near = np.full((*labels.shape, MOST_CANDIDATES), -1, np.int16)
    distance = np.full((*labels.shape, MOST_CANDIDATES), np.inf)
    margin = int(np.ceil(reach)) + 1
    for c, box in enumerate(ndimage.find_objects(filled + 1)):
        if box is None:
            continue
        part = tuple(slice(max(s.start - margin, 0), s.stop + margin) for s in box)
        away = ndimage.distance_transform_edt(filled[part] != c)
        _insert(near[part], distance[part], away, c, reach)
    used = max(int((near >= 0).sum(-1).max(initial=0)), 1)
    return near[..., :used].copy()


def _insert(near: NDArray[np.int16], distance: Array, away: Array, c: int, reach: float) -> None:
    """Put region `c` in its place among the candidates, where it is close enough."""
    away = np.where(away <= reach, away, np.inf)
    number = np.full(away.shape, c, np.int16)
    for k in range(near.shape[-1]):
        closer = away < distance[..., k]
        held, held_away = near[..., k].copy(), distance[..., k].copy()
        near[closer, k], distance[closer, k] = number[closer], away[closer]
        number[closer], away[closer] = held[closer], held_away[closer]
