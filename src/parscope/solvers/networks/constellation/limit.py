"""How well a lattice can be told at all, at any orientation: expected patterns and their Cramér-Rao limit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parscope.core.physics import Constellation
from parscope.solvers.networks.constellation.geometry import Array, Geometry, rotation, rotations
from parscope.solvers.networks.constellation.scenes import Expected

# Counts below this share of the brightest pixel tell nothing, and are no divisor.
_DARK = 1e-9
# Share of the information on all nuisances that each has at least, so that one which no pixel shows has an inverse.
_LEAST = 1e-9


@dataclass(frozen=True)
class Limit:
    """One expected pattern, and how well it tells its lattice.

    Parameters
    ----------
    mean : ndarray, shape (q_y, q_x)
        Expected counts.
    position : float
        Smallest possible root mean square error of a coordinate of a copy, [px].
    """

    mean: Array
    position: float


def limit(physics: Constellation, affine: Array, electrons: float) -> Limit:
    """The mean pattern of a physics, its copies mapped, and the Cramér-Rao limit of their positions.

    Parameters
    ----------
    physics : Constellation
        Supplies template, mean counts, background, gain and mask.
    affine : ndarray, shape (2, 2)
        Map of the reference.
    electrons : float
        Of the pattern, [1].

    Returns
    -------
    Limit
        For uniform templates of unknown amplitudes over a background of unknown level.
    """
    reference, theta = physics.reference, np.asarray(physics.theta, np.float64)
    amplitude = np.asarray(physics.levels.amplitude, np.float64)
    shape = (len(reference), -1)
    here, under = _copies(physics, np.eye(2))[0], np.asarray(physics.render(theta[None])[0], np.float64).ravel()
    background = np.maximum(under - amplitude @ here.reshape(shape), 0.0)
    value, slope = _copies(physics, affine)
    value, slope = value.reshape(shape), slope.reshape(*shape, 2)
    mean = amplitude @ value + background
    scale = electrons * physics.gain / mean.sum()
    moved = scale * amplitude[:, None, None] * slope
    # A copy is at centre + affine @ reference: each component of the map moves it by a coordinate of the reference.
    mapped = np.einsum("npi,nj->ijp", moved, reference).reshape(4, -1)
    columns = np.concatenate([moved.sum(0).T, mapped, value, background[None]])
    columns = columns[np.abs(columns).sum(1) > 0]
    seen = mean > _DARK * mean.max()
    if physics.mask is not None:
        seen &= ~physics.mask.ravel()
    weighted = columns[:, seen] / np.sqrt(physics.gain * scale * mean[seen])
    covariance = np.linalg.pinv(weighted @ weighted.T, rcond=1e-12, hermitian=True)[:6, :6]
    chain = np.concatenate([np.tile(np.eye(2), (len(reference), 1, 1)), np.kron(np.eye(2), reference[:, None])], 2)
    variance = np.einsum("nia,ab,nib->ni", chain, covariance, chain)
    return Limit((scale * mean).reshape(physics.signal_shape), float(np.sqrt(variance.mean())))


def _copies(physics: Constellation, affine: Array) -> tuple[Array, Array]:
    """Template of every copy on the detector (copies, q_y, q_x), and its gradient by the position of the copy."""
    place = np.moveaxis(np.indices(physics.signal_shape, np.float64), 0, -1)
    at = np.asarray(physics.theta[:2]) + physics.reference @ affine.T
    return physics.template(place - at[:, None, None], physics.extent[1])


def information(physics: Constellation, geometry: Geometry, made: Expected) -> Array:
    """What patterns can tell at most of their lattices, whoever looks at them: the Fisher information.

    Of every copy its strength is unknown, the level of the background beneath it, and how deep and of which phase the
    contrast in it is, for which there is as much of a prior as it was drawn with; known are the shape of the
    background, where a second lattice lies, and the length and direction of the waves in the disks.

    Parameters
    ----------
    physics : Constellation
        Supplies template, positions and mask.
    geometry : Geometry
        Of its looks.
    made : Expected
        Patterns.

    Returns
    -------
    ndarray, shape (n, 6, 6)
        On (centre, map times reach) of y, then of x, [1/px^2], in axes that turn with the lattice.
    """
    maps, positions = made.theta[:, 2:].reshape(-1, 2, 2), geometry.positions
    places = made.theta[:, None, :2] + physics.reference @ np.swapaxes(maps, 1, 2)
    turned = rotation(rotations(maps))
    result = np.zeros((len(maps), 6, 6))
    for n in np.flatnonzero(made.present):
        each = _of_copies(physics, made.mean[n], places[n], (made.levels[n], made.waves[n]))
        each = turned[n].T @ each @ turned[n]
        result[n] = np.einsum("mij,mk,ml->ikjl", each, positions, positions).reshape(6, 6)
    return result


def _of_copies(physics: Constellation, mean: NDArray[np.float32], places: Array, inside: tuple[Array, Array]) -> Array:
    """Information on the place of every copy of a pattern, of given levels and waves, shape (copies, 2, 2)."""
    (radius, edge), (h, w), (levels, waves) = physics.extent, physics.signal_shape, inside
    half = int(np.ceil(radius + 4 * edge))
    axis = np.arange(-half, half + 1)
    pixels = np.rint(places).astype(np.int64)[:, None] + np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    y, x = np.clip(pixels[..., 0], 0, h - 1), np.clip(pixels[..., 1], 0, w - 1)
    good = (pixels == np.stack([y, x], -1)).all(-1)
    if physics.mask is not None:
        good &= ~physics.mask[y, x]
    weight = good / np.maximum(mean[y, x], _DARK * mean.max())
    offsets = pixels - places[:, None]
    value, slope = physics.template(offsets, edge)
    depth, phase = waves[:, 0], waves[:, 1, None]
    along = np.einsum("mpi,mi->mp", offsets, waves[:, 2:])
    level = levels[:, None] * (1 + depth[:, None] * np.cos(along + phase))
    free = np.stack([value, np.ones_like(value), *(levels[:, None] * value * f(along) for f in (np.cos, np.sin))], -1)
    columns = np.concatenate([level[..., None] * slope, free], -1)
    joint = np.einsum("mp,mpi,mpj->mij", weight, columns, columns)
    own, mixed, nuisance = joint[:, :2, :2], joint[:, :2, 2:], joint[:, 2:, 2:]
    prior = np.zeros((len(levels), 4))
    prior[:, 2:] = (2 / np.maximum(depth**2, _DARK))[:, None]
    prior += _LEAST * (1 + np.trace(nuisance, axis1=1, axis2=2)[:, None])
    nuisance = nuisance + prior[..., None] * np.eye(4)
    return np.asarray(own - mixed @ np.linalg.solve(nuisance, np.swapaxes(mixed, 1, 2)))
