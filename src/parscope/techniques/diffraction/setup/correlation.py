"""Disks of one pattern by matched filter: where the probe's image stands out of the counting noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from parscope.techniques.diffraction.pattern import Probe
from parscope.techniques.diffraction.setup.moments import Array
from parscope.techniques.diffraction.setup.pixels import Mask, fill

THRESHOLD = 5.0
# Disks larger than twice this radius are looked for in patterns of larger pixels, [px].
_LARGE = 8.0


@dataclass(frozen=True)
class Peaks:
    """Disks found in one pattern, strongest first.

    Parameters
    ----------
    position : ndarray, shape (n, 2)
        Centres (y, x), [px].
    amplitude : ndarray, shape (n,)
        Counts per pixel above what surrounds the disk.
    significance : ndarray, shape (n,)
        Amplitude in standard deviations of the counting noise, [1].
    """

    position: Array
    amplitude: Array
    significance: Array

    def __len__(self) -> int:
        """Number of disks."""
        return len(self.amplitude)


def find_peaks(
    pattern: NDArray[Any], probe: Probe, mask: Mask | None = None, gain: float = 1.0, sharp: bool = False
) -> Peaks:
    """Find the disks of one pattern.

    The pattern is correlated with the probe less the ring around it; the response is divided by the standard
    deviation that counting noise gives it, so that one threshold serves bright and dim regions and any dose.

    Parameters
    ----------
    pattern : ndarray, shape (q_y, q_x)
        Counts.
    probe : Probe
        The disk.
    mask : ndarray of bool, shape (q_y, q_x), optional
        Pixels not to be used.
    gain : float, default 1.0
        Variance of a pixel over its mean, [counts].
    sharp : bool, default False
        Correlate with the edge of the probe only: for disks that overlap.

    Returns
    -------
    Peaks
    """
    by = max(1, int(probe.radius // _LARGE))
    image = _binned(np.asarray(pattern, dtype=np.float32), by)
    bad = None if mask is None or not mask.any() else _binned(mask.astype(np.float32), by) > 0
    radius, gain = probe.radius / by, gain / by**2
    if bad is not None:
        image = fill(image.astype(np.float64), bad).astype(np.float32)
    filters = _filters(image.shape, radius, probe.edge / by, sharp)
    pad = filters.pad
    padded = np.pad(image, pad, mode="symmetric")
    spectrum = fft.rfft2(padded, s=filters.shape)
    spot = (slice(pad, pad + image.shape[0]), slice(pad, pad + image.shape[1]))
    response = fft.irfft2(spectrum * filters.match, s=filters.shape)[spot]
    noise = fft.irfft2(spectrum * filters.square, s=filters.shape)[spot]
    least = gain * filters.area * 0.25 / max(filters.area, 1.0) ** 2
    significance = response / np.sqrt(np.maximum(gain * noise, least))
    local = ndimage.maximum_filter(response, size=2 * filters.apart + 1, mode="constant", cval=-np.inf)
    good = (response >= local) & (significance > THRESHOLD)
    if bad is not None:
        good &= ndimage.uniform_filter(bad.astype(np.float32), 2 * int(radius) + 1, mode="nearest") < 0.5
    y, x = np.nonzero(good)
    order = np.argsort(-response[y, x])
    y, x = y[order], x[order]
    position = by * _subpixel(response, y, x) + (by - 1) / 2
    return Peaks(position, response[y, x].astype(np.float64), significance[y, x].astype(np.float64))


def _binned(image: NDArray[np.float32], by: int) -> NDArray[np.float32]:
    """Mean of squares of pixels; what does not fill a square at the end is left out."""
    if by == 1:
        return image
    rows, columns = (n // by * by for n in image.shape)
    total = sum(image[i:rows:by, j:columns:by] for i in range(by) for j in range(by))
    return np.asarray(total / np.float32(by**2), np.float32)


@dataclass(frozen=True)
class _Filters:
    """Transfer functions of the matched filter and of its square, and the least distance of two peaks."""

    match: Any
    square: Any
    shape: tuple[int, int]
    pad: int
    apart: int
    area: float


@lru_cache(maxsize=8)
def _filters(image_shape: tuple[int, int], radius: float, edge: float, sharp: bool) -> _Filters:
    """Disk, or the rim inside its edge, less surrounding ring; responds with 1 to a disk of unit height."""
    width = min(max(2.0, 2 * edge), radius)
    outer = radius + edge + width if sharp else np.sqrt(2.0) * radius + edge + 1.0
    pad = int(np.ceil(outer + 2 * edge)) + 1
    pad = min(pad, min(image_shape))
    shape = (
        int(fft.next_fast_len(image_shape[0] + 2 * pad, real=True)),
        int(fft.next_fast_len(image_shape[1] + 2 * pad, real=True)),
    )
    y = fft.fftfreq(shape[0], 1 / shape[0])[:, None]
    x = fft.fftfreq(shape[1], 1 / shape[1])[None, :]
    r = np.sqrt(y * y + x * x)
    soft = max(edge, 0.4)
    disk = 0.5 - 0.5 * np.tanh(0.8 * (r - radius) / soft)
    hole = 0.5 - 0.5 * np.tanh(0.8 * (r - radius - edge) / soft)
    ring = (0.5 - 0.5 * np.tanh(0.8 * (r - outer) / soft)) - hole
    inner = disk - (0.5 - 0.5 * np.tanh(0.8 * (r - radius + width) / soft)) if sharp else disk
    kernel = inner / inner.sum() - ring / ring.sum()
    kernel = kernel / (kernel * disk).sum()
    match, square = fft.rfft2(kernel.astype(np.float32)), fft.rfft2((kernel**2).astype(np.float32))
    apart = max(int(np.round(0.9 * radius)), 2)
    return _Filters(match, square, shape, pad, apart, float(disk.sum()))


def _subpixel(response: NDArray[np.floating[Any]], y: NDArray[np.int64], x: NDArray[np.int64]) -> Array:
    """Vertex of the parabola through the three pixels along each axis."""
    padded = np.pad(response, 1, mode="edge").astype(np.float64)
    y, x = y + 1, x + 1
    here = padded[y, x]
    result = np.empty((len(y), 2))
    for axis, (before, after) in enumerate(
        [(padded[y - 1, x], padded[y + 1, x]), (padded[y, x - 1], padded[y, x + 1])]
    ):
        curvature = before + after - 2 * here
        shift = np.where(curvature < 0, 0.5 * (before - after) / np.where(curvature < 0, curvature, -1.0), 0.0)
        result[:, axis] = (y if axis == 0 else x) - 1 + np.clip(shift, -0.5, 0.5)
    return result
