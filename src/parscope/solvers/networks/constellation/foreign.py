"""Lattices of other materials, which a network must refuse: of other angles and lengths, and powders of any."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parscope.solvers.networks.constellation.geometry import Array, rotation, shortest

# Shortest vectors of other lattices over that of the own one, in either direction, and their second vector over it.
_SIZE, _RATIO = 1.6, 1.6
# Angles that crystals like; the others lie between them, as in every reduced cell.
_ANGLES = (60.0, 90.0)
# Strain, in units of the largest that is trained for, beyond which a lattice is another one.
_APART = 2.0
# Lattices to choose from, and copies of one, at least and at most.
_POOL, _FEWEST, _COPIES = 256, 4, 96
# Disks nearer to each other than these radii overlap and are no lattice that anybody would look at, unless the own ones
# do; then vectors may be shorter than the own ones by this factor.
_DISTANCE, _DENSER = 2.0, 0.8


class Foreign:
    """Draws lattices that no deformation within the range of a training, and no missing disk, makes of the own one.

    Parameters
    ----------
    reference : ndarray, shape (copies, 2)
        Copies of the own lattice, [px].
    radius : float
        Of the template, [px].
    strain : float
        Largest strain of the own lattice, [1].
    """

    def __init__(self, reference: Array, radius: float, strain: float) -> None:
        own = shortest(reference)
        self._farthest = float(np.hypot(*reference.T).max())
        rng = np.random.default_rng(0)
        size = float(np.hypot(*own[0]))
        least = max(size / _SIZE, min(_DISTANCE * radius, _DENSER * size))
        drawn = _bases(rng, 4 * _POOL, least, max(size * _SIZE, 1.5 * least))
        points = np.stack([self._of(basis) for basis in drawn[~alike(own, drawn, _APART * strain)]])
        self._points = points[np.isfinite(points[..., 0]).sum(1) >= _FEWEST][:_POOL]
        self._own = self._of(own)

    def _of(self, basis: Array) -> Array:
        """Points of a lattice but for the one at the centre, the nearest ones, shape (_COPIES, 2); NaN fills up."""
        order = np.arange(-16, 17)
        every = np.stack(np.meshgrid(order, order, indexing="ij"), -1).reshape(-1, 2) @ basis
        away = np.hypot(*every.T)
        near = np.argsort(away, kind="stable")[1 : _COPIES + 1]
        return np.where(away[near, None] <= self._farthest, every[near], np.nan)

    def single(self, rng: np.random.Generator, count: int) -> Array:
        """Places of the copies of one lattice each, relative to the centre, shape (count, copies, 2), NaN for none."""
        return self._turned(rng, self._points[rng.integers(len(self._points), size=count)])

    def powder(self, rng: np.random.Generator, count: int, crystals: int) -> Array:
        """Places of the copies of `crystals` lattices, alike but for their turns, own ones among them."""
        chosen = self._points[rng.integers(len(self._points), size=count)]
        chosen[rng.uniform(size=count) < 0.5] = self._own
        return np.concatenate([self._turned(rng, chosen) for _ in range(crystals)], 1)

    @staticmethod
    def _turned(rng: np.random.Generator, points: Array) -> Array:
        turn = rotation(rng.uniform(0, 2 * np.pi, len(points)))
        return np.asarray(points @ np.swapaxes(turn, 1, 2))


def _bases(rng: np.random.Generator, count: int, least: float, most: float) -> Array:
    """Reduced bases, shape (count, 2, 2), half of them with equal lengths, half of them at an angle crystals like."""
    first = np.exp(rng.uniform(np.log(least), np.log(most), count))
    second = first * np.where(rng.uniform(size=count) < 0.5, 1.0, rng.uniform(1, _RATIO, count))
    free = np.deg2rad(rng.uniform(*_ANGLES, count))
    angle = np.where(rng.uniform(size=count) < 0.5, np.deg2rad(rng.choice(_ANGLES, count)), free)
    nothing = np.zeros(count)
    return np.stack([np.stack([first, nothing], -1), np.stack([second * np.cos(angle), second * np.sin(angle)], -1)], 1)


def alike(own: Array, others: Array, strain: float) -> NDArray[np.bool_]:
    """Whether lattices may be the own one, turned and deformed, or that with disks missing.

    Parameters
    ----------
    own : ndarray, shape (2, 2)
        Rows: a reduced basis.
    others : ndarray, shape (n, 2, 2)
        Reduced bases.
    strain : float
        Largest deformation, [1].

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    order = np.arange(-3, 4)
    whole = np.stack(np.meshgrid(order, order, order, order, indexing="ij"), -1).reshape(-1, 2, 2)
    cells = whole[np.linalg.det(whole) > 0.5] @ own
    metric = cells @ np.swapaxes(cells, 1, 2)
    # Squared stretches are the eigenvalues of one metric in units of the other: of sum and product in closed form.
    ratio = np.linalg.inv(metric)[None] @ (others @ np.swapaxes(others, 1, 2))[:, None]
    half, product = np.trace(ratio, axis1=2, axis2=3) / 2, np.linalg.det(ratio)
    spread = np.sqrt(np.maximum(half**2 - product, 0))
    low, high = np.sqrt(np.maximum(half - spread, 0)), np.sqrt(half + spread)
    return np.asarray((np.maximum(high - 1, 1 - low) < strain).any(1))
