"""Contrast inside a template as random plane waves: functions on a disk, and what each wavelength adds to them.

Fringes are waves of some length in no preferred direction, a ramp is a piece of a long wave, and mottle a sum of many:
so the powers of a few wavelengths describe the second moments of any contrast that has no preferred direction, which
is all that a linear estimate has to know of it. Lengths are in units of the template's radius.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.special import j0

from parscope.core.physics import Contrast

Array = NDArray[np.float64]

# Functions are interpolated from points this far apart, out to where a blurred edge ends: what they do there is what
# looks most like a displacement.
_STEP, _REACH = 0.25, 1.35
# Functions that carry less than this share of the strongest are numerical noise.
_FAINTEST = 3e-3


class Process:
    """Columns whose independent coefficients of variance 1 make up the contrast.

    Parameters
    ----------
    radius : float
        Of the template, [px].
    contrast : Contrast
        Power of each wavelength.
    """

    def __init__(self, radius: float, contrast: Contrast) -> None:
        self._radius = radius
        power = np.array(contrast.power)
        values, vectors = np.linalg.eigh(np.tensordot(power, covariances()[: len(power)], 1))
        keep = values > _FAINTEST * values[-1]
        self._mix = vectors[:, keep] * np.sqrt(values[keep])

    def __call__(self, offsets: Array) -> Array:
        """Columns at `offsets` (n, 2) from the centre, [px]; shape (n, m)."""
        columns: Array = functions(offsets / self._radius) @ self._mix
        return columns


def functions(offsets: Array) -> Array:
    """Smooth functions that span all waves on a template.

    Parameters
    ----------
    offsets : ndarray, shape (n, 2)
        Places relative to the centre, [radii].

    Returns
    -------
    ndarray, shape (n, q)
    """
    points, mix, _ = _waves()
    values: Array = _all_waves(cdist(offsets, points)) @ mix
    return values


def covariances() -> Array:
    """Covariance of the coefficients of `functions` for each wavelength, at a variance of 1 inside the template.

    Returns
    -------
    ndarray, shape (wavelengths, q, q)
        Without the mean over the template, which is its amplitude.
    """
    return _waves()[2]


def _all_waves(distance: Array) -> Array:
    """Correlation over a distance, [radii], of plane waves of all lengths together."""
    grid, values = _table()
    correlation: Array = np.interp(distance, grid, values)
    return correlation


@cache
def _table() -> tuple[Array, Array]:
    """Correlation of all waves: a plane wave averaged over its directions is a Bessel function of the distance."""
    grid = np.linspace(0.0, 8.0, 4001)
    return grid, np.mean([j0(2 * np.pi * f * grid) for f in Contrast.periods], axis=0)


@cache
def _waves() -> tuple[Array, Array, Array]:
    """Points between which is interpolated, how their correlations mix into functions, and covariances of these."""
    side = np.arange(-_REACH, _REACH + _STEP / 2, _STEP)
    points = np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2)
    points = points[np.linalg.norm(points, axis=1) <= _REACH]
    distance = cdist(points, points)
    values, vectors = np.linalg.eigh(_all_waves(distance))
    keep = values > _FAINTEST * values[-1]
    scale = np.sqrt(values[keep])
    mix, coefficients = vectors[:, keep] / scale, vectors[:, keep].T / scale[:, None]
    inside = (vectors[:, keep] * scale)[np.linalg.norm(points, axis=1) <= 1.0]
    found = []
    for f in Contrast.periods:
        own = coefficients @ j0(2 * np.pi * f * distance) @ coefficients.T
        about_mean = inside - inside.mean(0)
        found.append(own / np.mean(np.einsum("ni,ij,nj->n", about_mean, own, about_mean)))
    return points, mix, np.array(found)
