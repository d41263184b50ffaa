"""Patterns drawn from the physics to learn from: any orientation, dose and background, contrast, other lattices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parscope.core.physics import Constellation, Contrast
from parscope.solvers.networks.constellation.foreign import Foreign
from parscope.solvers.networks.constellation.geometry import FINE, Array, rotation
from parscope.solvers.networks.constellation.ranges import Ranges
from parscope.solvers.networks.constellation.render import add_background, add_copies, count

SHIFT = 2.0
"""Wander of the centre, [px]."""

# Share of patterns without a lattice and of those of another one, both to be refused; of the latter, of those of a
# powder, of so many crystals; and of the others of those with a second, weaker lattice.
_NOTHING, _FOREIGN, _POWDER, _CRYSTALS, _SECOND = 0.1, 0.15, 0.25, 8, 0.25
# Share of patterns whose background has a ring, as amorphous material makes it, whether there is a lattice or none.
_RING = 0.25


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
        Whether there is a lattice of this physics.
    foreign : ndarray of bool, shape (n,)
        Whether there is another one, or a powder, instead.
    """

    patterns: NDArray[np.float32]
    theta: Array
    present: NDArray[np.bool_]
    foreign: NDArray[np.bool_]


@dataclass(frozen=True)
class Expected:
    """Patterns before chance has made counts of them.

    Parameters
    ----------
    mean : ndarray of float32, shape (n, q_y, q_x)
        Expected electrons.
    theta : ndarray, shape (n, 6)
        As in `Scene`.
    present, foreign : ndarray of bool, shape (n,)
        As in `Scene`.
    levels : ndarray, shape (n, copies)
        Electrons per pixel in the copies of the stronger lattice.
    waves : ndarray, shape (n, copies, 4)
        What is inside them: depth, phase and wave vector of a cosine.
    """

    mean: NDArray[np.float32]
    theta: Array
    present: NDArray[np.bool_]
    foreign: NDArray[np.bool_]
    levels: Array
    waves: Array


class Scenes:
    """Draws scenes of one constellation.

    Parameters
    ----------
    physics : Constellation
        Supplies template, positions, mean counts (as an envelope over the distance from the centre), background and
        contrast.
    ranges : Ranges
        What is drawn over.
    """

    def __init__(self, physics: Constellation, ranges: Ranges) -> None:
        self.physics, self.ranges = physics, ranges
        at = physics.reference
        self._away = np.hypot(*at.T)
        self._direct = self._away < 1e-6
        self._table = _template(physics)
        levels = physics.levels
        self._area = float(self._table.sum()) / FINE**2
        self._envelope = np.where(self._direct, 0.0, np.maximum(levels.amplitude, 1e-9))
        self._profile = _profile(physics)
        power = physics.contrast.power or (0.0,) * len(Contrast.periods)
        self._periods = np.array(Contrast.periods[: len(power)])
        weight = np.array(power) + 1e-3
        self._weight = weight / weight.sum()
        self._foreign = Foreign(at, physics.extent[0], ranges.strain)

    def draw(self, number: int, seed: int, dose: float | None = None) -> Scene:
        """Draw `number` patterns of `dose` electrons, default any, the same for the same `seed`."""
        rng = np.random.default_rng(seed)
        made = self.expected(rng, number, dose)
        count(made.mean, rng)
        return Scene(made.mean * np.float32(self.physics.gain), made.theta, made.present, made.foreign)

    def expected(self, rng: np.random.Generator, number: int, dose: float | None = None) -> Expected:
        """What `draw` makes counts of."""
        theta, other = self._thetas(rng, number), self._thetas(rng, number)
        other[:, :2] = theta[:, :2]
        least, most = self.ranges.electrons
        drawn = np.exp(rng.uniform(np.log(least), np.log(most), number))
        electrons = drawn if dose is None else np.full(number, dose)
        diffuse = electrons * rng.uniform(0, self.ranges.background, number)
        direct = (electrons - diffuse) * rng.uniform(0.1, 0.8, number) * self._direct.any()
        kind = rng.uniform(size=number)
        foreign = (kind >= _NOTHING) & (kind < _NOTHING + _FOREIGN)
        present = kind >= _NOTHING + _FOREIGN
        scattered = (electrons - diffuse - direct) * present
        share = np.where(rng.uniform(size=number) < _SECOND, rng.uniform(0, 0.4, number), 0.0)
        images = np.zeros((number, *self.physics.signal_shape), np.float32)
        add_background(images, theta[:, :2], self._backgrounds(rng, diffuse), self._profile)
        disks = self._amplitudes(rng, self.physics.reference[None], scattered * (1 - share))
        disks[:, self._direct] = direct[:, None] / self._area
        waves = self._waves(rng, disks.shape)
        waves[:, self._direct, 0] *= 0.4
        self._add(images, np.arange(number), self._places(theta), disks, waves)
        weaker = self._amplitudes(rng, self.physics.reference[None], scattered * share)
        self._add(images, np.flatnonzero(share), self._places(other)[share > 0], weaker[share > 0], waves[share > 0])
        self._add_foreign(rng, images, foreign, theta[:, :2], electrons - diffuse - direct)
        return Expected(images, theta, present, foreign, disks, waves)

    def _add(
        self, images: NDArray[np.float32], chosen: NDArray[np.int64], places: Array, levels: Array, waves: Array
    ) -> None:
        add_copies(images, chosen, places, levels, waves, self._table)

    def _add_foreign(
        self,
        rng: np.random.Generator,
        images: NDArray[np.float32],
        foreign: NDArray[np.bool_],
        centre: Array,
        electrons: Array,
    ) -> None:
        """Add other lattices and powders to the images they are for."""
        powder = rng.uniform(size=len(foreign)) < _POWDER
        for chosen, crystals in ((foreign & ~powder, 1), (foreign & powder, _CRYSTALS)):
            at = np.flatnonzero(chosen)
            places = (
                self._foreign.single(rng, len(at)) if crystals == 1 else self._foreign.powder(rng, len(at), crystals)
            )
            levels = self._amplitudes(rng, places, electrons[at])
            self._add(images, at, centre[at, None] + places, levels, self._waves(rng, levels.shape))

    def _thetas(self, rng: np.random.Generator, number: int) -> Array:
        """Lattices at any orientation, strained and displaced."""
        angle = rng.uniform(0, 2 * np.pi, number)
        e = rng.uniform(-self.ranges.strain, self.ranges.strain, (number, 3))
        stretch = np.stack([np.stack([1 + e[:, 0], e[:, 2]], -1), np.stack([e[:, 2], 1 + e[:, 1]], -1)], -2)
        centre = np.asarray(self.physics.theta[:2]) + rng.normal(0, SHIFT, (number, 2))
        return np.concatenate([centre, (rotation(angle) @ stretch).reshape(-1, 4)], 1)

    def _places(self, theta: Array) -> Array:
        """Where the copies are, shape (n, copies, 2), [px]."""
        maps = theta[:, 2:].reshape(-1, 2, 2)
        return np.asarray(theta[:, None, :2] + self.physics.reference @ np.swapaxes(maps, 1, 2))

    def _backgrounds(self, rng: np.random.Generator, electrons: Array) -> Array:
        """Shapes of backgrounds, as `add_background` takes them."""
        number, farthest = len(electrons), float(self._away.max())
        width, floor = np.exp(rng.normal(0, 0.3, number)), rng.uniform(0, 1, number) ** 4
        halo = np.where(rng.uniform(size=number) < _RING, rng.uniform(0, 1, number), 0.0)
        radius = rng.uniform(0.3, 1.0, number) * farthest
        return np.stack([electrons, width, floor, halo, radius, radius * rng.uniform(0.08, 0.3, number)], -1)

    def _amplitudes(self, rng: np.random.Generator, at: Array, electrons: Array) -> Array:
        """Counts per pixel of copies at places (n or 1, copies, 2): an envelope that wanders, and scatter about it."""
        number, farthest = len(electrons), float(self._away.max())
        away = np.hypot(*np.moveaxis(at, -1, 0))
        tilt = rng.normal(0, 1, (number, 2)) * rng.uniform(0, 1.2, (number, 1)) / farthest
        spread = rng.uniform(0.1, 1.0, (number, 1)) * rng.normal(0, 1, (number, at.shape[1]))
        steep = rng.normal(0, 0.5, (number, 1)) * np.square(away / farthest)
        order = np.argsort(self._away[~self._direct])
        usual = np.interp(away, self._away[~self._direct][order], self._envelope[~self._direct][order])
        usual = np.where(away < 1e-6, 0.0, usual)
        wander = (at @ tilt[..., None])[..., 0]
        # Places that are not used are NaN.
        relative = np.nan_to_num(usual * np.exp(wander + spread + steep))
        total = np.maximum(relative.sum(1, keepdims=True), 1e-12)
        return np.asarray(relative / total * electrons[:, None] / self._area)

    def _waves(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Wave in every copy: depth, phase and wave vector, shape (n, copies, 4)."""
        period = rng.choice(self._periods, shape, p=self._weight)
        angle = rng.uniform(0, 2 * np.pi, shape)
        depth = np.broadcast_to(np.sqrt(2 * self.ranges.contrast * rng.uniform(0, 1.5, (shape[0], 1))), shape)
        k = 2 * np.pi * period / self.physics.extent[0]
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
