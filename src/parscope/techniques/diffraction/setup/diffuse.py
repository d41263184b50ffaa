"""Diffuse scattering between the disks of the mean pattern, and its peak inside the direct one."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from parscope.techniques.diffraction.pattern import Background
from parscope.techniques.diffraction.setup.fitting import EDGE, LIKELY_CONTRAST, RADIUS, Disks
from parscope.techniques.diffraction.setup.moments import Array
from parscope.techniques.diffraction.setup.pixels import Mask

WIDTHS = 40
# The background is smooth to this share of itself.
_ROUGH = 0.05
# Part of the radius of a disk that is surely inside, if it is so many times the edge; and the pixels there that it
# takes to tell a peak.
_INSIDE, _RESOLVED, _FEWEST = 0.7, 3.0, 12


def diffuse(image: Array, valid: Mask, model: Disks, variance: Array) -> Background:
    """Fit level, width and floor to the pixels that no disk reaches, and to what is peaked inside the direct disk.

    Parameters
    ----------
    image : ndarray, shape (q_y, q_x)
        Mean pattern, [counts].
    valid : ndarray of bool, shape (q_y, q_x)
        Pixels to use.
    model : Disks
        Disks on every lattice position of the detector.
    variance : ndarray, shape (q_y, q_x)
        Of `image`, [counts^2].

    Returns
    -------
    Background
        A flat one where the pixels between the disks do not determine a peak.
    """
    grid = np.moveaxis(np.indices(image.shape), 0, -1) - model.centre
    radius = np.sqrt((grid**2).sum(axis=-1))
    between = valid & ~covered(image.shape, model)
    if between.sum() < 60:
        inside = image[valid]
        return Background(0.0, 1.0, float(max(np.quantile(inside, 0.02), 0.0)))
    r, value, weight = _rings(radius[between], image[between], variance[between], _ROUGH)
    direct = np.zeros_like(r)
    inner = valid & (radius < _INSIDE * model.shared[RADIUS])
    if model.shared[RADIUS] > _RESOLVED * model.shared[EDGE] and inner.sum() >= _FEWEST:
        more = _rings(radius[inner], image[inner], variance[inner], LIKELY_CONTRAST)
        r, value, weight = (np.concatenate(pair) for pair in zip((r, value, weight), more, strict=True))
        direct = (np.arange(len(r)) >= len(direct)).astype(np.float64)
    best: tuple[float, Background] | None = None
    shift = min(float(value.min()), 0.0)
    # a peak narrower than the innermost pixel seen would be made up, not measured
    for width in np.geomspace(max(float(r.min()), 1.0), 2.0 * float(r.max()), WIDTHS):
        columns = np.stack([1 / (1 + (r / width) ** 2), np.ones_like(r), direct], axis=1)
        solution, misfit = nnls(columns * weight[:, None], (value - shift) * weight)
        if best is None or misfit < best[0]:
            # A floor below nothing, which noise about none gives, would have fewer than no counts expected.
            best = (float(misfit), Background(float(solution[0]), float(width), max(float(solution[1] + shift), 0.0)))
    return best[1] if best else Background(0.0, 1.0, float(np.median(value)))


def covered(shape: tuple[int, ...], model: Disks) -> Mask:
    """Pixels that a disk, soft edge included, reaches."""
    result = np.zeros(shape, dtype=bool)
    edges = model.edges()
    for (y, x), edge in zip(model.positions, edges, strict=True):
        reach = model.shared[6] + 3 * edge + 0.5
        rows = np.arange(max(int(y - reach), 0), min(int(y + reach) + 2, shape[0]))
        columns = np.arange(max(int(x - reach), 0), min(int(x + reach) + 2, shape[1]))
        near = (rows[:, None] - y) ** 2 + (columns[None, :] - x) ** 2 < reach**2
        result[rows[:, None], columns[None, :]] |= near
    return result


def _rings(radius: Array, value: Array, variance: Array, rough: float) -> tuple[Array, Array, Array]:
    """Mean radius, trimmed mean and weight of rings of pixels that the model describes to a share `rough`."""
    order = np.argsort(radius)
    count = int(np.clip(len(order) // 12, 5, 60))
    rows = []
    for part in np.array_split(order, count):
        low, high = np.quantile(value[part], [0.0, 0.9])
        kept = part[(value[part] >= low) & (value[part] <= high)] if len(part) > 20 else part
        level = value[kept].mean()
        rows.append((radius[kept].mean(), level, np.sqrt(variance[kept].mean() / len(kept)) + rough * abs(level)))
    table = np.array(rows)
    return table[:, 0], table[:, 1], 1 / np.maximum(table[:, 2], 1e-12)
