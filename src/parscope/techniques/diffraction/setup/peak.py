"""A peak of the background that is narrower than the direct disk, and stands inside it."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.optimize import nnls
from scipy.special import ndtr

from parscope.techniques.diffraction.pattern import Background
from parscope.techniques.diffraction.setup.moments import Array
from parscope.techniques.diffraction.setup.pixels import Mask

# Radii of the disk that are tried, its edges over its radius, and half widths of the peak over it.
_RADII, _EDGES, _WIDTHS = 28, (0.06, 0.12, 0.2, 0.33), (0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
# Disk, peak and floor describe a mean pattern to this share of its counts.
_MODEL_ERROR = 0.03


def peak_inside(image: Array, valid: Mask, place: Array, per_image: float) -> tuple[Background, float]:
    """The peak inside the disk at `place`, and the radius of that disk.

    Parameters
    ----------
    image : ndarray, shape (q_y, q_x)
        Mean pattern, [counts].
    valid : ndarray of bool, shape (q_y, q_x)
        Pixels to use.
    place : ndarray, shape (2,)
        Middle of the disk (y, x), [px].
    per_image : float
        Variance of a pixel of `image` over its mean, [counts].

    Returns
    -------
    peak : Background
        Without the floor. Not for disks without a peak, where it is made up.
    radius : float
        Of the disk, [px].
    """
    r, value, std = _rings(image, valid, place, per_image)
    best = (np.inf, Background(0.0, 1.0), 1.0)
    for radius, edge, width in itertools.product(np.geomspace(1.0, 0.8 * r[-1], _RADII), _EDGES, _WIDTHS):
        peak = 1 / (1 + (r / (width * radius)) ** 2)
        columns = np.stack([ndtr((radius - r) / (edge * radius)), peak, np.ones_like(r)], 1)
        level, misfit = nnls(columns / std[:, None], value / std)
        if misfit < best[0]:
            best = (misfit, Background(float(level[1]), float(width * radius)), float(radius))
    return best[1], best[2]


def _rings(image: Array, valid: Mask, place: Array, per_image: float) -> tuple[Array, Array, Array]:
    """Radius, counts and their standard error of rings a pixel wide; medians, as other disks may lie on some."""
    y, x = np.indices(image.shape)
    radius = np.hypot(y - place[0], x - place[1])
    number = np.rint(radius).astype(np.int64)
    rings = [(number == n) & valid for n in range(min(image.shape) // 4 + 1)]
    found = [(radius[ring].mean(), np.median(image[ring]), ring.sum()) for ring in rings if ring.any()]
    r, value, count = np.array(found).T
    value = np.maximum(value, 0.0)
    return r, value, np.sqrt(per_image * value / count) + _MODEL_ERROR * value + 1e-6 * value.max()
