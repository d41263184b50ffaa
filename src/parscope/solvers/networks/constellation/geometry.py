"""What a network has to know of a constellation before it looks at a pattern: cells, windows, symmetry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parscope.core.physics import Constellation

Array = NDArray[np.float64]

ANGLES, RINGS, TURNS, ZONES = 64, 16, 32, 5
"""Cells of the first look, over half a turn and from the inside out; turns it tells apart; zones of a window in the
second look."""

DEFORMATION = 0.03
"""Strain below which a lattice turned onto itself counts as the same, [1]; as the exact solver's prior."""

# Templates are drawn from a table with so many samples a pixel.
FINE = 4


@dataclass(frozen=True)
class Geometry:
    """Cells and windows of one constellation on one detector.

    Parameters
    ----------
    cell : ndarray of int16, shape (2 h, 2 w)
        Cell ``ring * ANGLES + angle`` of a pixel by its offset from the pixel of the centre, which is at (h, w); -1
        outside. Angles run from +y towards +x; opposite cells are one.
    pixels : ndarray, shape (RINGS, ANGLES)
        Good pixels in each cell with the centre where the physics has it.
    core : float
        Radius within which the centre of mass is followed, [px]; 0 where the copy at the centre is missing or hidden.
    zones : ndarray, shape (ZONES,)
        Outer radii of the zones of a window, [px].
    reach : float
        Root mean square distance of the copies from the centre, [px]: the unit of affine maps.
    turns : ndarray, shape (n, 2, 2)
        Maps that turn the lattice onto itself, identity first.
    positions : ndarray, shape (copies, 3)
        1, and the reference positions of the copies in units of `reach`.
    """

    cell: NDArray[np.int16]
    pixels: Array
    core: float
    zones: Array
    reach: float
    turns: Array
    positions: Array

    @classmethod
    def of(cls, physics: Constellation) -> Geometry:
        """Lay the cells out.

        Parameters
        ----------
        physics : Constellation
            Supplies positions of the copies, template, detector and mask.

        Returns
        -------
        Geometry
        """
        at, (radius, edge) = physics.reference, physics.extent
        away = np.hypot(*at.T)
        gap = float(away[away > 1e-6].min())
        rim = max(2 * edge, radius / 4)
        outer = max(min(radius + 5, gap / 2), radius + 2 * rim)
        zones = np.array([max(radius - rim, 0.5), radius, radius + rim, (radius + rim + outer) / 2, outer])
        cell = _cells(physics, gap - radius - 1.0, float(away.max()) + radius)
        hidden = physics.mask is not None and bool(physics.mask[tuple(np.rint(physics.theta[:2]).astype(int))])
        core = 0.0 if hidden or away.min() > 1e-6 else min(radius + 4, gap / 2)
        reach = float(np.sqrt(np.mean(np.square(away[away > 1e-6]))))
        positions = np.column_stack([np.ones(len(at)), at / reach])
        return cls(cell, _pixels(physics, cell), core, zones, reach, _turns(at), positions)


def _cells(physics: Constellation, inner: float, outer: float) -> NDArray[np.int16]:
    """Cell of every offset from the centre."""
    h, w = physics.signal_shape
    y, x = np.mgrid[-h:h, -w:w].astype(np.float64)
    ring = np.floor((np.hypot(y, x) - inner) / (outer - inner) * RINGS)
    angle = np.floor(np.arctan2(x, y) % np.pi / np.pi * ANGLES + 0.5) % ANGLES
    inside = (ring >= 0) & (ring < RINGS)
    return np.where(inside, ring * ANGLES + angle, -1).astype(np.int16)


def _pixels(physics: Constellation, cell: NDArray[np.int16]) -> Array:
    """Good pixels of every cell."""
    h, w = physics.signal_shape
    y, x = np.rint(physics.theta[:2]).astype(int)
    here = cell[h - y : 2 * h - y, w - x : 2 * w - x]
    good = here >= 0 if physics.mask is None else (here >= 0) & ~physics.mask
    count = np.bincount(here[good], minlength=RINGS * ANGLES)
    return count.reshape(RINGS, ANGLES).astype(np.float64)


def _turns(at: Array) -> Array:
    """Maps close to rotations that leave the lattice of the copies as it is."""
    basis = shortest(at)
    order = np.arange(-2, 3)
    whole = np.stack(np.meshgrid(order, order, order, order, indexing="ij"), -1).reshape(-1, 2, 2)
    whole = whole[np.abs(np.linalg.det(whole) - 1) < 1e-6]
    maps = np.swapaxes(np.linalg.inv(basis) @ whole @ basis, 1, 2)
    singular = np.linalg.svd(maps, compute_uv=False)
    maps = maps[np.abs(singular - 1).max(1) < DEFORMATION]
    result: Array = maps[np.argsort(-np.trace(maps, axis1=1, axis2=2), kind="stable")]
    return result


def shortest(at: Array) -> Array:
    """The two shortest independent vectors of a lattice."""
    order = at[np.argsort(np.hypot(*at.T), kind="stable")]
    order = order[np.hypot(*order.T) > 1e-6]
    first = order[0]
    across = np.abs(first[0] * order[:, 1] - first[1] * order[:, 0])
    other = order[across > 0.1 * np.hypot(*first) * np.hypot(*order.T)]
    return np.stack([first, other[0]])


def rotation(angle: Array) -> Array:
    """Rotations from +y towards +x by angles [rad], shape (..., 2, 2)."""
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)


def rotations(maps: Array) -> Array:
    """How far maps (..., 2, 2) turn, from +y towards +x, [rad]."""
    return np.asarray(np.arctan2(maps[..., 1, 0] - maps[..., 0, 1], maps[..., 0, 0] + maps[..., 1, 1]))
