"""What windows round single copies say of the contrast inside them, whatever amplitude, level and displacement are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.physics import Constellation
from parscope.solvers.lattice.bank import reach, window
from parscope.solvers.lattice.waves import functions

Array = NDArray[np.float64]
Whole = NDArray[np.int64]

# Windows and their pixels looked at, at most; sub-pixel positions along each axis, the displacement takes up the rest;
# and groups of like amplitude at each position, which share their noise.
_WINDOWS, _PIXELS, _BINS, _GROUPS = 6000, 3_000_000, 3, 8
# Squared relative standard deviation of amplitudes and levels about their mean over the scan; and the share of it below
# which no copy is taken to be.
_WANDER, _DARK = 0.5, 0.1


@dataclass(frozen=True)
class Evidence:
    """Products of the functions of `waves` with themselves and with the data, group by group of like windows.

    Parameters
    ----------
    gram : ndarray, shape (groups, q, q)
        Of the functions with themselves under the inverse covariance of the counts, after what amplitude, level, its
        slope and a displacement explain is taken out.
    moment : ndarray, shape (groups, q, q)
        Sum over the windows of the products of the functions with the data, times themselves.
    count : ndarray, shape (groups,)
        Windows in each group.
    """

    gram: Array
    moment: Array
    count: Array


@dataclass(frozen=True)
class _Group:
    """Windows of like amplitude and level: products of the functions with themselves, and with each of the windows."""

    gram: Array
    pull: Array
    copy: Whole

    @property
    def evidence(self) -> Evidence:
        """Of what is inside the windows."""
        return Evidence(self.gram[None], (self.pull.T @ self.pull)[None], np.array([float(len(self.pull))]))


def evidence(physics: Constellation, signals: NDArray[Any], theta: Array, changing: bool = False) -> Evidence:
    """Look at the insides of the copies.

    Parameters
    ----------
    physics : Constellation
        Supplies template, mean counts, gain and mask.
    signals : ndarray, shape (n, q_y, q_x)
        Patterns.
    theta : ndarray, shape (n, 6)
        Where their copies are, to a pixel.
    changing : bool, default False
        Whether what all signals have in common inside a copy is left out.

    Returns
    -------
    Evidence
        Of windows without masked pixels; of no group where there are none.
    """
    half = window(*physics.extent)
    pattern, copy, at = _places(physics, theta, half)
    middle = np.floor(at + 0.5).astype(np.int64)
    bins = np.minimum(((at - middle + 0.5) * _BINS).astype(np.int64), _BINS - 1)
    side = np.arange(-half, half + 1)
    grid = np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2)
    found: list[_Group] = []
    for i, j in np.unique(bins, axis=0):
        offset = grid - ((np.array([i, j]) + 0.5) / _BINS - 0.5)
        use = _alone(physics, offset)
        here = np.flatnonzero((bins == (i, j)).all(1))
        y, x = np.moveaxis(middle[here, None] + grid[use], -1, 0)
        clean = np.ones(len(here), np.bool_) if physics.mask is None else ~physics.mask[y, x].any(1)
        here, y, x = here[clean], y[clean], x[clean]
        counts = signals[pattern[here, None], y, x].astype(np.float64)
        found += _Position(physics, offset[use]).products(counts, copy[here])
    return joined(_changes(found) if changing and found else [group.evidence for group in found])


def _changes(groups: list[_Group]) -> list[Evidence]:
    """Evidence of how the inside of each copy differs from its mean over all windows."""
    copy, pull = (np.concatenate([getattr(g, name) for g in groups]) for name in ("copy", "pull"))
    number = np.bincount(copy)
    mean = np.zeros((len(number), pull.shape[1]))
    np.add.at(mean, copy, pull)
    mean /= np.maximum(number, 1)[:, None]
    found = []
    for group in groups:
        apart = group.pull - mean[group.copy]
        free = float((1 - 1 / number[group.copy]).sum())
        found.append(Evidence(group.gram[None], (apart.T @ apart)[None], np.array([free])))
    return found


def joined(parts: list[Evidence]) -> Evidence:
    """Evidence of several samples together.

    Parameters
    ----------
    parts : list of Evidence
        None is allowed.

    Returns
    -------
    Evidence
    """
    q = functions(np.zeros((1, 2))).shape[1]
    none = Evidence(np.zeros((0, q, q)), np.zeros((0, q, q)), np.zeros(0))
    gram, moment, count = (
        np.concatenate([getattr(part, name) for part in (none, *parts)]) for name in ("gram", "moment", "count")
    )
    return Evidence(gram, moment, count)


def _places(physics: Constellation, theta: Array, half: int) -> tuple[Whole, Whole, Array]:
    """Pattern, copy and position of a sample of windows that lie on the detector."""
    at = theta[:, None, :2] + np.einsum("sij,nj->sni", theta[:, 2:].reshape(-1, 2, 2), physics.reference)
    inside = ((at > half) & (at < np.array(physics.signal_shape) - half - 1)).all(-1)
    pattern, copy = np.nonzero(inside)
    enough = min(_WINDOWS, _PIXELS // (2 * half + 1) ** 2)
    some = np.random.default_rng(0).permutation(len(pattern))[:enough]
    return pattern[some], copy[some], at[pattern[some], copy[some]]


def _alone(physics: Constellation, offset: Array) -> NDArray[np.bool_]:
    """Pixels that matter to a copy, and that no neighbour of any copy reaches."""
    radius, edge = physics.extent
    use: NDArray[np.bool_] = np.linalg.norm(offset, axis=1) <= reach(radius, edge)
    steps = (physics.reference[:, None] - physics.reference).reshape(-1, 2)
    length = np.linalg.norm(steps, axis=1)
    near = steps[(length > 1e-6) & (length < reach(radius, edge) + radius + 1.5 * edge)]
    for step in np.unique(np.rint(near), axis=0):
        use &= np.linalg.norm(offset - step, axis=1) > radius + 1.5 * edge
    return use


class _Position:
    """One sub-pixel position: the template there, and the functions of the waves."""

    def __init__(self, physics: Constellation, offset: Array) -> None:
        self._physics = physics
        self._value, gradient = physics.template(offset, physics.extent[1])
        self._design = np.column_stack(
            [self._value, np.ones_like(self._value), gradient, offset * (1 - self._value)[:, None]]
        )
        self._columns = self._value[:, None] * functions(offset / physics.extent[0])

    def products(self, counts: Array, copy: Whole) -> list[_Group]:
        """Groups of like windows; `counts` is (windows, pixels)."""
        seen = np.zeros((len(copy), 2))
        for n in np.unique(copy):
            seen[copy == n] = self._levels(counts[copy == n], int(n))
        order = np.array_split(np.argsort(seen[:, 0], kind="stable"), _GROUPS)
        return [_Group(*self._products(counts[o], seen[o].mean(0)), copy[o]) for o in order if len(o)]

    def _levels(self, counts: Array, n: int) -> Array:
        """Amplitude and level of windows of copy `n`, drawn towards the expected ones where electrons are few."""
        expected = np.array([self._physics.levels.amplitude[n], self._physics.levels.background[n]])
        best, noise, _ = self._fit(counts, expected)
        wander = _WANDER * expected**2
        drawn = (best[:, :2] * wander + expected * noise) / (wander + noise)
        return np.maximum(drawn, _DARK * expected)

    def _fit(self, counts: Array, levels: Array) -> tuple[Array, Array, Array]:
        """Least squares under the noise of given amplitude and level: coefficients, variance of these two, weights."""
        weight = 1 / (self._physics.gain * (self._value * levels[0] + levels[1]) + 1e-12)
        normal = self._design.T @ (self._design * weight[:, None])
        inverse = np.linalg.inv(normal + np.diag(1e-9 * np.diag(normal) + 1e-12))
        best: Array = ((counts * weight) @ self._design) @ inverse
        return best, np.diag(inverse)[:2], weight

    def _products(self, counts: Array, levels: Array) -> tuple[Array, Array]:
        """Of the functions with themselves, and with windows of like amplitude and level."""
        best, _, weight = self._fit(counts, levels)
        scaled = levels[0] * weight[:, None] * self._columns
        shared = self._fit((levels[0] * self._columns).T, levels)[0]
        gram = scaled.T @ (levels[0] * self._columns - self._design @ shared.T)
        pull = (counts - best @ self._design.T) @ scaled
        return gram, pull
