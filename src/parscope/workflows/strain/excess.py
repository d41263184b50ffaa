"""Counts where the model has none: the sign of a second lattice, and the means to tell vacuum from a crystal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.techniques.diffraction import DiffractionPattern

_MARGIN = 3.0
_FEWEST = 200
# Side of a cell in radii of the disks, and how much of it must be pixels between the disks.
_CELL, _FILLED = 1.5, 0.4


@dataclass(frozen=True)
class Cells:
    """Pixels between the disks, gathered into cells about as large as a disk: a weak disk fills one or two of them.

    Parameters
    ----------
    runs : ndarray of int, shape (n, 3)
        Runs of neighbouring pixels: first and one past the last flat index, and the cell they belong to.
    expected : ndarray, shape (cells,)
        Counts of the mean background in each cell.
    gain : float
        Detector counts per electron.
    background : ndarray, shape (pixels,)
        Counts of the mean background in each pixel.
    good : ndarray of bool, shape (q_y, q_x)
        Pixels of the detector that can be used.
    """

    runs: NDArray[np.int64]
    expected: NDArray[np.float64]
    gain: float
    background: NDArray[np.float64]
    good: NDArray[np.bool_]

    @classmethod
    def of(cls, physics: DiffractionPattern) -> Cells:
        """Gather the pixels that no disk of the lattice can reach, in the list of disks or not.

        Parameters
        ----------
        physics : DiffractionPattern
            Supplies lattice, background, probe, gain and bad pixels.

        Returns
        -------
        Cells
            None of them when fewer than 200 pixels are left.
        """
        where = _outside(physics)
        side = max(2, round(_CELL * physics.probe.radius))
        y, x = np.nonzero(where)
        code = (y // side) * where.shape[1] + x // side
        _, code, size = np.unique(code, return_inverse=True, return_counts=True)
        large = size >= _FILLED * side**2
        keep = large[code] if len(code) else np.zeros(0, np.bool_)
        pixel = np.flatnonzero(where)[keep]
        cell = (np.cumsum(large) - 1)[code[keep]]
        offsets = np.stack(np.unravel_index(pixel, where.shape), -1) - np.asarray(physics.centre)
        background = np.maximum(physics.background.at(offsets), 1e-9)
        expected = np.bincount(cell, background, int(large.sum())).astype(np.float64)
        good = np.ones(physics.shape, np.bool_) if physics.mask is None else ~physics.mask
        return cls(_runs(pixel, cell), expected, physics.gain, background, good)

    @property
    def pixels(self) -> NDArray[np.int64]:
        """Flat indices of all pixels, shape (pixels,)."""
        return np.concatenate([np.arange(first, last) for first, last, _ in self.runs] or [np.zeros(0, np.int64)])

    @property
    def electrons(self) -> float:
        """Mean electrons of the background in a cell; NaN where there is none."""
        return float(self.expected.mean() / self.gain) if len(self.expected) else float("nan")

    @property
    def sigma(self) -> float:
        """Standard deviation of `excess` for Poisson counts, [1]; NaN where there is no cell."""
        if len(self.expected) < 2:
            return float("nan")
        return float(np.sqrt((2 + self.gain / self.expected).mean() / len(self.expected)))

    def excess(self, patterns: NDArray[Any], moved: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Mean squared residual of the background over its variance, cell by cell: 1 when there is nothing else.

        Parameters
        ----------
        patterns : ndarray, shape (n, q_y, q_x)
            Counts; the level of the background is adjusted to every pattern.
        moved : ndarray, shape (n, 2), optional
            Displacement of each pattern (y, x), [px], which the cells follow where it is large; NaN for none.

        Returns
        -------
        ndarray, shape (n,)
            NaN where there is no pixel to look at, or nothing in it.
        """
        if len(self.expected) < 2 or len(patterns) == 0:
            return np.full(len(patterns), np.nan)
        flat = np.ascontiguousarray(patterns).reshape(len(patterns), -1)
        result: NDArray[np.float64] = _excess(flat, self.runs, self.expected, self.gain)
        if moved is not None:
            steps = np.rint(np.nan_to_num(moved)).astype(np.int64)
            far = np.flatnonzero((np.abs(steps) > _MARGIN / 2).any(1))
            result[far] = _excess_moved(patterns[far], steps[far], self.runs, self.background, self.good) / self.gain
        return result


def _outside(physics: DiffractionPattern) -> NDArray[np.bool_]:
    """Pixels that no disk of the lattice can reach."""
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


def _runs(pixel: NDArray[np.int64], cell: NDArray[np.int64]) -> NDArray[np.int64]:
    """Runs of consecutive pixels of one cell, from ascending flat indices: sums of runs are fast."""
    if len(pixel) == 0:
        return np.zeros((0, 3), np.int64)
    first = np.flatnonzero(np.r_[True, (np.diff(pixel) != 1) | (np.diff(cell) != 0)])
    last = np.r_[first[1:], len(pixel)] - 1
    return np.stack([pixel[first], pixel[last] + 1, cell[first]], 1)


@nb.njit(cache=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract", "arcp"})
def _excess(flat: Any, runs: Any, expected: Any, gain: float) -> Any:
    """Counts of the cells against the background at its best level."""
    result = np.empty(flat.shape[0])
    counts = np.empty(expected.shape[0])
    base = expected.sum()
    for s in range(flat.shape[0]):
        row = flat[s]
        counts[:] = 0.0
        for r in range(runs.shape[0]):
            part = np.float32(0)
            for i in range(runs[r, 0], runs[r, 1]):
                part += np.float32(row[i])
            counts[runs[r, 2]] += part
        total = counts.sum()
        level = total / base
        square = (counts**2 / expected).sum()
        # sum of (n - level b)^2 / (gain level b) with sum(n) = level sum(b), by expanding the square.
        result[s] = (square / level - total) / (gain * (expected.shape[0] - 1)) if level > 0 else np.nan
    return result


@nb.njit(cache=True, error_model="numpy")
def _excess_moved(patterns: Any, steps: Any, runs: Any, background: Any, good: Any) -> Any:
    """As `_excess`, of cells that are displaced by whole pixels and lose what leaves the detector or is bad there."""
    height, width = good.shape
    cells = runs[:, 2].max() + 1
    result = np.empty(patterns.shape[0])
    for s in range(patterns.shape[0]):
        counts, expected = np.zeros(cells), np.zeros(cells)
        pixel = 0
        for r in range(runs.shape[0]):
            for i in range(runs[r, 0], runs[r, 1]):
                y, x = i // width + steps[s, 0], i % width + steps[s, 1]
                if 0 <= y < height and 0 <= x < width and good[y, x]:
                    counts[runs[r, 2]] += patterns[s, y, x]
                    expected[runs[r, 2]] += background[pixel]
                pixel += 1
        seen = expected > 0
        level = counts.sum() / expected.sum()
        squares = (counts[seen] - level * expected[seen]) ** 2 / (level * expected[seen])
        result[s] = squares.sum() / (seen.sum() - 1) if level > 0 else np.nan
    return result
