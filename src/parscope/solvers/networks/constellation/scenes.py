"""Patterns drawn from the physics to learn from: any orientation, dose and background, contrast, a second lattice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.core.physics import Constellation, Contrast
from parscope.solvers.networks.constellation.geometry import FINE, Array, rotation

LEAST, MOST = 200.0, 3e5
"""Electrons of a pattern, drawn evenly on a logarithmic scale: one training for all doses."""

# Strain at most [1], as far as the exact solver reaches from its reference; wander of the centre [px].
_STRAIN, _SHIFT = 0.05, 2.0
# Share of patterns without a lattice, which are to be refused, and of those with a second, weaker one.
_NOTHING, _SECOND = 0.1, 0.25
# Variance of contrast in the disks that is trained for at least, whatever the scan shows [1].
_CONTRAST = 0.05


@dataclass(frozen=True)
class Scene:
    """Patterns and what is true of them.

    Parameters
    ----------
    patterns : ndarray of float32, shape (n, q_y, q_x)
        Counts.
    theta : ndarray, shape (n, 6)
        Parameters of the stronger lattice.
    present : ndarray of bool, shape (n,)
        Whether there is a lattice at all.
    """

    patterns: NDArray[np.float32]
    theta: Array
    present: NDArray[np.bool_]


class Scenes:
    """Draws scenes of one constellation.

    Parameters
    ----------
    physics : Constellation
        Supplies template, positions, mean counts (as an envelope over the distance from the centre), background and
        contrast.
    """

    def __init__(self, physics: Constellation) -> None:
        self.physics = physics
        at = physics.reference
        self._away = np.hypot(*at.T)
        self._direct = self._away < 1e-6
        self._table = _template(physics)
        levels = physics.levels
        self._area = float(self._table.sum()) / FINE**2
        self._envelope = np.where(self._direct, 0.0, np.maximum(levels.amplitude, 1e-9))
        self._profile = _profile(physics)
        power = physics.contrast.power or (0.0,) * len(Contrast.periods)
        self._power = max(sum(power), _CONTRAST)
        self._periods = np.array(Contrast.periods[: len(power)])
        weight = np.array(power) + 1e-3
        self._weight = weight / weight.sum()

    def draw(self, count: int, seed: int, dose: float | None = None) -> Scene:
        """Draw `count` patterns of `dose` electrons, default any, the same for the same `seed`."""
        rng = np.random.default_rng(seed)
        theta, other = self._thetas(rng, count), self._thetas(rng, count)
        other[:, :2] = theta[:, :2]
        drawn = np.exp(rng.uniform(np.log(LEAST), np.log(MOST), count))
        electrons = drawn if dose is None else np.full(count, dose)
        diffuse = electrons * rng.uniform(0, 0.85, count)
        direct = (electrons - diffuse) * rng.uniform(0.1, 0.8, count) * self._direct.any()
        present = rng.uniform(size=count) > _NOTHING
        scattered = (electrons - diffuse - direct) * present
        share = np.where(rng.uniform(size=count) < _SECOND, rng.uniform(0, 0.4, count), 0.0)
        disks = self._amplitudes(rng, scattered * (1 - share))
        disks[:, self._direct] = direct[:, None] / self._area
        lattices = ((theta, disks), (other, self._amplitudes(rng, scattered * share)))
        means = (diffuse, np.exp(rng.normal(0, 0.3, count)), rng.uniform(0, 1, count) ** 4)
        patterns = np.zeros((count, *self.physics.signal_shape), np.float32)
        shapes = (self.physics.reference, self._table, self._profile)
        _render(lattices, self._waves(rng, count), means, shapes, rng, patterns)
        return Scene(patterns * np.float32(self.physics.gain), theta, present)

    def _thetas(self, rng: np.random.Generator, count: int) -> Array:
        """Lattices at any orientation, strained by up to 5 % and displaced."""
        angle = rng.uniform(0, 2 * np.pi, count)
        e = rng.uniform(-_STRAIN, _STRAIN, (count, 3))
        stretch = np.stack([np.stack([1 + e[:, 0], e[:, 2] / 2], -1), np.stack([e[:, 2] / 2, 1 + e[:, 1]], -1)], -2)
        centre = np.asarray(self.physics.theta[:2]) + rng.normal(0, _SHIFT, (count, 2))
        return np.concatenate([centre, (rotation(angle) @ stretch).reshape(-1, 4)], 1)

    def _amplitudes(self, rng: np.random.Generator, electrons: Array) -> Array:
        """Counts per pixel of all copies: an envelope that wanders, and copies that scatter about it."""
        count, at = len(electrons), self.physics.reference
        tilt = rng.normal(0, 1, (count, 2)) * rng.uniform(0, 1.2, (count, 1)) / self._away.max()
        spread = rng.uniform(0.1, 1.0, (count, 1)) * rng.normal(0, 1, (count, len(at)))
        steep = rng.normal(0, 0.5, (count, 1)) * np.square(self._away / self._away.max())
        relative = self._envelope * np.exp(tilt @ at.T + spread + steep)
        total = np.maximum(relative.sum(1, keepdims=True), 1e-12)
        return np.asarray(relative / total * electrons[:, None] / self._area)

    def _waves(self, rng: np.random.Generator, count: int) -> Array:
        """Wave in every copy: depth, phase and wave vector, shape (n, copies, 4)."""
        shape = (count, len(self._away))
        radius = self.physics.extent[0]
        period = rng.choice(self._periods, shape, p=self._weight)
        angle = rng.uniform(0, 2 * np.pi, shape)
        depth = np.sqrt(2 * self._power * rng.uniform(0, 1.5, (count, 1))) * np.where(self._direct, 0.4, 1.0)
        k = 2 * np.pi * period / radius
        vector = (k * np.cos(angle), k * np.sin(angle))
        return np.stack([np.minimum(depth, 0.9), rng.uniform(0, 2 * np.pi, shape), *vector], -1)


def _template(physics: Constellation) -> Array:
    """Template, sampled finely; its middle is that of the array."""
    radius, edge = physics.extent
    half = int(np.ceil(1.1 * radius + 4 * edge + 1)) * FINE
    axis = np.arange(-half, half + 1) / FINE
    offsets = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1)
    return np.ascontiguousarray(physics.template(offsets, edge)[0])


def _profile(physics: Constellation) -> Array:
    """Background over the distance from the centre in pixels, of sum 1 over the detector; flat if there is none."""
    theta = np.asarray(physics.theta)
    mean = np.asarray(physics.render(theta[None])[0], np.float64)
    place = np.moveaxis(np.indices(physics.signal_shape), 0, -1) - theta[:2]
    for q, level in zip(physics.reference, physics.levels.amplitude, strict=True):
        mean -= level * physics.template(place - q, physics.extent[1])[0]
    away = np.hypot(*np.moveaxis(place, -1, 0))
    ring = np.rint(away).astype(int)
    sums, pixels = np.bincount(ring.ravel(), mean.ravel()), np.bincount(ring.ravel())
    profile = np.maximum(sums / np.maximum(pixels, 1), 0.0)
    return profile / max(profile.max(), 1e-30) if profile.max() > 1e-9 else np.ones_like(profile)


@nb.njit(cache=True, nogil=True, fastmath=True)
def _render(lattices: Any, waves: Any, means: Any, shapes: Any, rng: Any, out: Any) -> None:
    """Expected patterns, then counts."""
    reference, table, profile = shapes
    h, w = out.shape[1:]
    mean = np.empty((h, w), np.float32)
    for n in range(out.shape[0]):
        _diffuse(mean, lattices[0][0][n], means[0][n], means[1][n], means[2][n], profile)
        for theta, disks in lattices:
            if disks[n].sum() > 0:
                _add(mean, theta[n], disks[n], waves[n], reference, table)
        _count(mean, rng, out[n])


@nb.njit(cache=True, nogil=True, fastmath=True)
def _diffuse(mean: Any, theta: Any, electrons: float, width: float, floor: float, profile: Any) -> None:
    """Background of a width, and a flat share of it."""
    h, w = mean.shape
    total = 0.0
    for y in range(h):
        for x in range(w):
            r = np.sqrt((y - theta[0]) ** 2 + (x - theta[1]) ** 2) / width
            k = min(int(r), profile.shape[0] - 2)
            f = min(r - k, 1.0)
            v = profile[k] * (1 - f) + profile[k + 1] * f
            mean[y, x] = v
            total += v
    peaked = electrons * (1 - floor) / max(total, 1e-30)
    flat = electrons * floor / (h * w)
    for y in range(h):
        for x in range(w):
            mean[y, x] = mean[y, x] * peaked + flat


@nb.njit(cache=True, nogil=True, fastmath=True)
def _add(mean: Any, theta: Any, disks: Any, waves: Any, reference: Any, table: Any) -> None:
    """Add all copies of a lattice."""
    h, w = mean.shape
    half = (table.shape[0] - 1) // 2
    reach = half / FINE - 0.5
    for m in range(reference.shape[0]):
        py = theta[0] + theta[2] * reference[m, 0] + theta[3] * reference[m, 1]
        px = theta[1] + theta[4] * reference[m, 0] + theta[5] * reference[m, 1]
        a = disks[m]
        depth, phase, ky, kx = waves[m]
        for y in range(max(0, int(np.ceil(py - reach))), min(h, int(py + reach) + 1)):
            v = (y - py) * FINE + half
            i = int(v)
            f = v - i
            for x in range(max(0, int(np.ceil(px - reach))), min(w, int(px + reach) + 1)):
                u = (x - px) * FINE + half
                j = int(u)
                g = u - j
                t = (table[i, j] * (1 - g) + table[i, j + 1] * g) * (1 - f)
                t += (table[i + 1, j] * (1 - g) + table[i + 1, j + 1] * g) * f
                if t > 1e-4:
                    mean[y, x] += a * t * (1 + depth * np.cos(ky * (y - py) + kx * (x - px) + phase))


@nb.njit(cache=True, nogil=True)
def _count(mean: Any, rng: Any, out: Any) -> None:
    """Poisson counts: electron by electron where they are few, pixel by pixel where they are many."""
    if mean.sum() < mean.size:
        _scatter(mean, rng, out)
        return
    for y in range(mean.shape[0]):
        for x in range(mean.shape[1]):
            out[y, x] = _poisson(mean[y, x], rng)


@nb.njit(cache=True, nogil=True)
def _scatter(mean: Any, rng: Any, out: Any) -> None:
    """Electrons at random times on a line through the pixels, each pixel as long as its mean."""
    arrival, seen = rng.standard_exponential(), 0.0
    for y in range(mean.shape[0]):
        for x in range(mean.shape[1]):
            seen += mean[y, x]
            while arrival < seen:
                out[y, x] += 1
                arrival += rng.standard_exponential()


@nb.njit(cache=True, nogil=True)
def _poisson(mean: float, rng: Any) -> float:
    """One count, by inversion where the mean is small."""
    if mean > 15:
        return float(rng.poisson(mean))
    u, p, k = rng.random(), np.exp(-mean), 0
    total = p
    while u > total and k < 100:
        k += 1
        p *= mean / k
        total += p
    return float(k)
