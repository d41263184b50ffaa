"""Products with the templates of a fine grid, only where a coarse one leaves something to be found.

The posterior of a signal near the gate has one narrow peak, or a few: most nodes of the grid that resolves them are
improbable, and the templates of a coarse grid say which.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.solvers.least_squares.bank import Bank, fill_energies
from parscope.solvers.least_squares.cells import LEAST
from parscope.solvers.least_squares.layout import FAST, Array

# What noise may take from a coarse template while it adds to a fine one inside its cell, in standard deviations.
_NOISE = 3.0
_CHUNK = 256


class Sieve:
    """Products of signals with the templates of a fine grid; zero where a coarse grid shows that they are negligible.

    Parameters
    ----------
    fine, coarse : Bank
        Templates of the same physics.
    """

    def __init__(self, fine: Bank, coarse: Bank) -> None:
        self._coarse = coarse
        self._rows = np.ascontiguousarray(fine.filters.T)
        parent, self._overlap = _parents(self._rows, len(fine.nodes), coarse)
        self._children = np.argsort(parent, kind="stable")
        self._start = np.searchsorted(parent[self._children], np.arange(len(coarse.nodes) + 1))

    def products(self, unit: NDArray[np.float32], noise: Array) -> NDArray[np.float32]:
        """Signals times templates.

        Parameters
        ----------
        unit : ndarray of float32, shape (n, parts * bins)
            Signals, real before imaginary parts.
        noise : ndarray, shape (n,)
            Variance of their samples.

        Returns
        -------
        ndarray of float32, shape (n, factors * parts * templates)
        """
        out = np.zeros((len(unit), len(self._rows)), np.float32)
        _fill(self._coarse.products(unit), unit, noise, (self._rows, self._start, self._children), self._overlap, out)
        return out


def _parents(rows: NDArray[np.float32], count: int, coarse: Bank) -> tuple[NDArray[np.int64], float]:
    """The coarse template that explains most of each fine one; and the least share of its energy so explained."""
    parent, least = np.empty(count, np.int64), 1.0
    blocks = rows.reshape(-1, count, rows.shape[1])
    for first in range(0, count, _CHUNK):
        some = blocks[:, first : first + _CHUNK]
        products = np.square([coarse.products(block) for block in some])
        energy = products.reshape(*some.shape[:2], -1, len(coarse.nodes)).sum(axis=2)
        best = energy.sum(axis=0).argmax(axis=1)
        parent[first : first + _CHUNK] = best
        least = min(least, float(energy[:, np.arange(len(best)), best].min()))
    return parent, least


@nb.njit(**FAST)
def _dot(one: NDArray[np.float32], other: NDArray[np.float32]) -> np.float32:
    """Sum of products."""
    total = np.float32(0)
    for i in range(one.size):
        total += one[i] * other[i]
    return total


@nb.njit(**FAST)
def _fill(
    coarse: NDArray[np.float32],
    unit: NDArray[np.float32],
    noise: Array,
    tree: tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]],
    overlap: float,
    out: NDArray[np.float32],
) -> None:
    """Products with the children of every coarse template whose energy is enough for one of them to matter."""
    rows, start, children = tree
    cells, count = start.size - 1, children.size
    energy = np.empty(cells, np.float32)
    for s in range(unit.shape[0]):
        fill_energies(coarse[s], energy)
        reach = math.sqrt(max(energy.max() / noise[s] + 2 * LEAST, 0.0))
        needed = max(math.sqrt(overlap) * reach - _NOISE * math.sqrt(1 - overlap), 0.0) ** 2 * noise[s]
        for c in range(cells):
            if energy[c] < needed:
                continue
            for at in children[start[c] : start[c + 1]]:
                for row in range(at, rows.shape[0], count):
                    out[s, row] = _dot(rows[row], unit[s])
