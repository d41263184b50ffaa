"""Detector counts per electron, from how the variance of the pixels grows with their mean.

Source: J. R. Janesick, Photon Transfer (SPIE, 2007), doi:10.1117/3.725073.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import nnls

from parscope.techniques.diffraction.setup.moments import Array, Moments, moments
from parscope.techniques.diffraction.setup.pixels import Mask, bad_pixels, fill

GROUPS = 48
MOST_PIXELS, FEWEST = 1 << 22, 8
# share of the dimmest pixels' mean, or noise, that an offset must make up to be taken for one
SIGNIFICANT = 0.25
# counts per electron below which no detector works
NORMALISED = 0.01
SOME = 32
# Of a pixel and its neighbours: nothing is left of slopes, nor of curves along rows or columns.
_ROUGHNESS = np.outer([1.0, -2.0, 1.0], [1.0, -2.0, 1.0])[None]


def counts_per_electron(sample: Moments, mask: Mask, patterns: NDArray[Any]) -> tuple[float, str]:
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
    patterns : ndarray, shape (n, q_y, q_x)
        The sample itself: where every pattern is of another crystal, the pixels vary far more than their noise, but
        neighbours within one pattern do not.

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
    (_, slope), dim = _transfer(mean, variance), _dim_ratio(mean, variance, pixels)
    if sample.integers and (0.75 < slope < 1.3 or 0.85 < dim < 1.2):
        return 1.0, f"whole numbers with variance/mean {dim:.2f} where dim: counted electrons"
    if sample.integers and 0.85 < (near := _nearby_ratio(patterns, mask)) < 1.2:
        return 1.0, f"whole numbers with variance/mean {near:.2f} among neighbouring pixels: counted electrons"
    if not slope > 0:
        return 1.0, "the variance does not grow with the mean; taken as 1"
    return float(slope), "slope of the variance of the pixels against their mean, readout noise apart"


def zero_and_unit(patterns: NDArray[Any], mask: Mask | None = None, gain: float | None = None) -> tuple[float, float]:
    """Counts to subtract so that the variance of a pixel is the gain times what is left of its mean, and their unit.

    A dark offset has none of the noise of electrons, and readout noise has no mean: both move the foot of the
    photon-transfer curve. Subtracted, they are to every later step a background of the electrons that would make the
    same noise.

    Parameters
    ----------
    patterns : ndarray, shape (n, q_y, q_x)
        Sample of the scan.
    mask : ndarray of bool, shape (q_y, q_x), optional
        Pixels known to be bad.
    gain : float, optional
        Counts per electron, where they are known.

    Returns
    -------
    zero : float
        [counts]; 0 unless the dimmest pixels are much less noisy than electrons would make them, or the data have
        negative values and the pixels are much noisier. Whole numbers that are often zero have no offset.
    unit : float
        The gain, [counts per electron], if it is so small that the data must have been normalised: they are to be
        divided by it; else 1.

    Raises
    ------
    ShapeError, InputError
        As `moments`.
    """
    if patterns.dtype.kind in "iu" and np.quantile(patterns[0], 0.05) <= 0:
        return 0.0, 1.0
    step = min(-(-patterns.size // MOST_PIXELS), len(patterns) // FEWEST)
    sample = moments(patterns[:: max(1, step)])
    bad = bad_pixels(sample, mask).mask
    mean, variance, _ = _groups(sample, bad)
    if len(mean) == 0:
        return 0.0, 1.0
    foot, slope = _transfer(mean, variance)
    unit = slope if gain is None and not sample.integers and 0 < slope < NORMALISED else 1.0
    slope = slope if gain is None else gain
    if not slope > 0:
        return 0.0, unit
    darkest, electrons = float(mean.min()), foot / slope
    offset = darkest - electrons
    # changes of the specimen add to the variance, never take away from it: only negative values prove readout noise
    calm = offset > SIGNIFICANT * darkest
    noisy = sample.low[~bad].min() < 0 and abs(offset) > SIGNIFICANT * electrons
    return (offset if calm or noisy else 0.0), unit


def _groups(sample: Moments, mask: Mask) -> tuple[Array, Array, Array]:
    """Mean, variance and number of pixels of groups of pixels of like brightness, edges of disks left out."""
    image, variance = fill(sample.mean, mask), fill(sample.variance, mask)
    nearby = ndimage.uniform_filter(image, 3)
    slope = np.hypot(*np.gradient(nearby))
    # an edge that moves by a pixel varies by its own slope, whatever the detector
    flat = ~mask & (sample.variance > 0) & (slope**2 < 0.03 * ndimage.uniform_filter(variance, 3))
    use = flat if flat.sum() > 400 else ~mask & (sample.variance > 0)
    if use.sum() < 4 * GROUPS:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    # ordered by the mean nearby: ordering by its own noise would spread the means without the variances
    order = np.argsort(ndimage.uniform_filter(image, 5)[use])
    parts = zip(
        np.array_split(sample.mean[use][order], GROUPS),
        np.array_split(sample.variance[use][order], GROUPS),
        strict=True,
    )
    table = np.array([(np.mean(m), np.mean(v), len(m)) for m, v in parts])
    return table[:, 0], table[:, 1], table[:, 2]


def _transfer(mean: Array, variance: Array) -> tuple[float, float]:
    """Variance at the least mean, and slope there, of a quadratic without negative terms under most of the points."""
    typical = float(np.median(variance))
    variance = variance / typical
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
    return float(typical * solution[0] / scale[0]), float(typical * solution[1] / scale[1])


def _dim_ratio(mean: Array, variance: Array, pixels: Array) -> float:
    """Variance over mean of the pixels below 0.5 counts, where changes of the specimen do not show; NaN if none."""
    dim = (mean > 0) & (mean < 0.5)
    if not dim.any():
        return float("nan")
    return float((variance[dim] * pixels[dim]).sum() / (mean[dim] * pixels[dim]).sum())


def _nearby_ratio(patterns: NDArray[Any], mask: Mask) -> float:
    """Squared roughness of small neighbourhoods that are lit all over, over that of counted electrons; NaN if none."""
    some = patterns[:: max(1, len(patterns) // SOME)].astype(np.float64)
    usable = ~ndimage.binary_dilation(mask, np.ones((3, 3), np.bool_), border_value=1)
    lit = usable & (ndimage.minimum_filter(some, (1, 3, 3)) > 0)
    square, expected = ndimage.convolve(some, _ROUGHNESS) ** 2, ndimage.convolve(some, _ROUGHNESS**2)
    return float(np.mean(square[lit] / expected[lit])) if lit.any() else float("nan")
