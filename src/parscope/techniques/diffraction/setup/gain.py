"""Detector counts per electron, from how the variance of the pixels grows with their mean.

Source: J. R. Janesick, Photon Transfer (SPIE, 2007), doi:10.1117/3.725073.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from parscope.techniques.diffraction.setup.moments import Array, Moments
from parscope.techniques.diffraction.setup.pixels import Mask

GROUPS = 48


def counts_per_electron(sample: Moments, mask: Mask) -> tuple[float, str]:
    """Gain of the detector by the photon-transfer curve.

    The variance is fitted as ``readout + gain * mean + c * mean^2`` over groups of pixels of like brightness; the
    last term takes up what changes from pattern to pattern in the specimen. Whole-number data whose gain agrees
    with 1 are taken as counted electrons: gain exactly 1.

    Parameters
    ----------
    sample : Moments
        Statistics of every pixel.
    mask : ndarray of bool, shape (q_y, q_x)
        Pixels not to be used.

    Returns
    -------
    gain : float
        Counts per electron.
    how : str
        One sentence on how it was found.
    """
    mean, variance, pixels = _groups(sample, mask)
    if len(mean) == 0:
        return 1.0, "too few counts to measure; taken as 1"
    slope, dim = _slope(mean, variance, pixels), _dim_ratio(mean, variance, pixels)
    if sample.integers and (0.75 < slope < 1.3 or 0.85 < dim < 1.2):
        return 1.0, f"whole numbers with variance/mean {dim:.2f} where dim: counted electrons"
    if not slope > 0:
        return 1.0, "the variance does not grow with the mean; taken as 1"
    return float(slope), "slope of the variance of the pixels against their mean, readout noise apart"


def _groups(sample: Moments, mask: Mask) -> tuple[Array, Array, Array]:
    """Mean and variance of groups of pixels of like mean; the median resists edges that move.

    Where few electrons were counted the median of the variance is biased, and the mean is taken.
    """
    use = ~mask & (sample.variance > 0)
    order = np.argsort(sample.mean[use])
    mean, variance = sample.mean[use][order], sample.variance[use][order]
    if len(mean) < 4 * GROUPS:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    dark = float(np.percentile(mean, 1))
    crude = max(float((variance - variance.min()).mean() / max((mean - mean.min()).mean(), 1e-12)), 1e-12)
    rows = []
    for m, v in zip(np.array_split(mean, GROUPS), np.array_split(variance, GROUPS), strict=True):
        few = (np.mean(m) - dark) / crude * sample.count < 200
        rows.append((np.mean(m), np.mean(v) if few else np.median(v), len(m)))
    table = np.array(rows)
    return table[:, 0], table[:, 1], table[:, 2]


def _slope(mean: Array, variance: Array, pixels: Array) -> float:
    """Linear term of a quadratic with no negative coefficient, reweighted to its lower envelope."""
    above_dark = mean - mean.min()
    columns = np.stack([np.ones_like(mean), above_dark, above_dark**2], axis=1)
    scale = np.maximum(np.abs(columns).max(axis=0), 1e-30)
    weight = 1 / np.maximum(variance, 1e-12)
    solution = np.zeros(3)
    for _ in range(12):
        solution, _ = nnls(columns / scale * weight[:, None], variance * weight)
        model = columns / scale @ solution
        above = np.clip((variance - model) / np.maximum(model, 1e-12), 0, None)
        weight = 1 / np.maximum(model, 1e-12) / (1 + 10 * above)
    return float(solution[1] / scale[1])


def _dim_ratio(mean: Array, variance: Array, pixels: Array) -> float:
    """Variance over mean of the pixels below 0.5 counts, where changes of the specimen do not show; NaN if none."""
    dim = (mean > 0) & (mean < 0.5)
    if not dim.any():
        return float("nan")
    return float((variance[dim] * pixels[dim]).sum() / (mean[dim] * pixels[dim]).sum())
