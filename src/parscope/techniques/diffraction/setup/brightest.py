"""First look: where the strongest disk of a pattern is and how large, with no prior knowledge at all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from parscope.core.errors import NoLatticeError
from parscope.techniques.diffraction.setup.moments import Array


def strongest_disk(image: Array, noise_gain: float, largest: float | None = None) -> tuple[float, float, float]:
    """Centre and radius of the disk with the strongest edge.

    For every radius and position the mean over a thin ring inside the edge is compared with the ring outside; the
    largest lower confidence bound of the difference wins.

    Parameters
    ----------
    image : ndarray, shape (q_y, q_x)
        Mean pattern, bad pixels filled, [counts].
    noise_gain : float
        Variance of a pixel of `image` over its mean, [counts].
    largest : float, optional
        Largest radius looked for, [px]; default a quarter of the detector, at most 64.

    Returns
    -------
    y, x, radius : float
        [px], to about one pixel.

    Raises
    ------
    NoLatticeError
        If no edge is above the noise.
    """
    largest = min(min(image.shape) / 4, 64.0) if largest is None else largest
    radii = np.geomspace(1.0, largest, int(np.ceil(np.log(largest) / np.log(1.12))) + 1)
    pad = int(np.ceil(largest)) + 2
    padded = np.pad(image, pad, mode="edge")
    shape = [fft.next_fast_len(n, real=True) for n in padded.shape]
    spectrum = fft.rfft2(padded.astype(np.float32), s=shape)
    best = (-np.inf, 0.0, 0.0, 0.0)
    for radius in radii:
        inside, outside = _rings(radius, shape)
        inner = _mean_over(spectrum, inside, shape)[pad : pad + image.shape[0], pad : pad + image.shape[1]]
        outer = _mean_over(spectrum, outside, shape)[pad : pad + image.shape[0], pad : pad + image.shape[1]]
        variance = noise_gain * (np.clip(inner, 0, None) / inside.sum() + np.clip(outer, 0, None) / outside.sum())
        bound = inner - outer - 4 * np.sqrt(variance)
        at = np.unravel_index(int(np.argmax(bound)), bound.shape)
        if bound[at] > best[0]:
            best = (float(bound[at]), float(at[0]), float(at[1]), float(radius))
    if not best[0] > 0:
        raise NoLatticeError("hold no disk above the noise", "patterns", "check the data, or add more patterns")
    return best[1], best[2], best[3]


def _rings(radius: float, shape: list[int]) -> tuple[Array, Array]:
    """Soft rings just inside and just outside `radius`, centred on pixel (0, 0) with wrap-around."""
    y = fft.fftfreq(shape[0], 1 / shape[0])[:, None]
    x = fft.fftfreq(shape[1], 1 / shape[1])[None, :]
    distance = np.sqrt(y * y + x * x)
    width = float(np.clip(0.15 * radius, 1.0, 2.0))
    step = np.clip(radius - distance + 0.5, 0, 1)
    smaller = np.clip(radius - width - distance + 0.5, 0, 1)
    larger = np.clip(radius + width - distance + 0.5, 0, 1)
    return step - smaller, larger - step


def _mean_over(
    spectrum: NDArray[np.complexfloating[Any, Any]], ring: Array, shape: list[int]
) -> NDArray[np.floating[Any]]:
    """Mean of the image over the ring placed at every pixel."""
    kernel = fft.rfft2(ring.astype(np.float32) / np.float32(ring.sum()))
    result: NDArray[np.floating[Any]] = fft.irfft2(spectrum * kernel, s=shape)
    return result
