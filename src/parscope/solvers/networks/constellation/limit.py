"""How well a lattice can be told at all, at any orientation: expected patterns and their Cramér-Rao limit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parscope.core.physics import Constellation
from parscope.solvers.networks.constellation.geometry import Array

# Counts below this share of the brightest pixel tell nothing, and are no divisor.
_DARK = 1e-9


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
