"""Counts where the model has none: the sign of a second lattice, and the means to tell vacuum from a crystal."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.techniques.diffraction import DiffractionPattern

_MARGIN = 3.0
_FEWEST = 200


def outside(physics: DiffractionPattern) -> NDArray[np.bool_]:
    """Pixels that no disk of the lattice can reach, in the list of disks or not.

    Parameters
    ----------
    physics : DiffractionPattern
        The set-up.

    Returns
    -------
    ndarray of bool, shape (q_y, q_x)
        Nowhere true when fewer than 200 pixels are left.
    """
    shape = physics.shape
    reach = int(np.hypot(*shape) / np.abs(np.linalg.eigvals(physics.basis)).min()) + 1
    order = np.arange(-reach, reach + 1)
    numbers = np.stack(np.meshgrid(order, order, indexing="ij"), -1).reshape(-1, 2)
    at = np.asarray(physics.centre) + numbers @ physics.basis
    free = physics.probe.radius + 3 * physics.probe.edge + _MARGIN
    near = ((at > -free) & (at < np.array(shape) + free)).all(1)
    y, x = np.mgrid[: shape[0], : shape[1]]
    result = np.ones(shape, np.bool_) if physics.mask is None else ~physics.mask
    for cy, cx in at[near]:
        result &= (y - cy) ** 2 + (x - cx) ** 2 > free**2
    return result if result.sum() >= _FEWEST else np.zeros(shape, np.bool_)


def excess(patterns: NDArray[Any], physics: DiffractionPattern, where: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean squared residual of the background over its variance, between the disks: 1 when there is nothing else.

    Parameters
    ----------
    patterns : ndarray, shape (n, q_y, q_x)
        Counts.
    physics : DiffractionPattern
        Supplies the background, whose level is adjusted to every pattern, and the gain.
    where : ndarray of bool, shape (q_y, q_x)
        From `outside`.

    Returns
    -------
    ndarray, shape (n,)
        NaN when there is no pixel to look at.
    """
    index = np.flatnonzero(where)
    if len(index) == 0:
        return np.full(len(patterns), np.nan)
    offsets = np.stack(np.unravel_index(index, physics.shape), -1) - np.asarray(physics.centre)
    background = np.maximum(physics.background.at(offsets), 1e-9)
    flat = np.ascontiguousarray(patterns).reshape(len(patterns), -1)
    result: NDArray[np.float64] = _excess(flat, index, background, physics.gain)
    return result


@nb.njit(cache=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract", "arcp"})
def _excess(flat: Any, index: Any, background: Any, gain: float) -> Any:
    """Two sums over the pixels between the disks give level and chi square."""
    result = np.empty(flat.shape[0])
    base = background.sum()
    for s in range(flat.shape[0]):
        row = flat[s]
        total = 0.0
        square = 0.0
        for i in range(index.shape[0]):
            v = float(row[index[i]])
            total += v
            square += v * v / background[i]
        level = total / base
        # sum of (v - level b)^2 / (gain level b) with sum(v) = level sum(b), by expanding the square.
        result[s] = (square / level - total) / (gain * index.shape[0]) if level > 0 else np.nan
    return result


def certain(physics: DiffractionPattern, where: NDArray[np.bool_]) -> float:
    """Standard deviation of `excess` for Poisson counts, [1].

    Parameters
    ----------
    physics : DiffractionPattern
        The set-up.
    where : ndarray of bool, shape (q_y, q_x)
        From `outside`.

    Returns
    -------
    float
    """
    if not where.any():
        return float("nan")
    offsets = np.argwhere(where) - np.asarray(physics.centre)
    electrons = np.maximum(physics.background.at(offsets) / physics.gain, 1e-9)
    return float(np.sqrt((2 + 1 / electrons).mean() / len(offsets)))
