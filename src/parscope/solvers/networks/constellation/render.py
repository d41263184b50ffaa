"""Kernels that render patterns to learn from: a background, copies of a template with waves in them, counts."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from parscope.solvers.networks.constellation.geometry import FINE


@nb.njit(cache=True, nogil=True, fastmath=True)
def add_background(images: Any, centre: Any, shape: Any, profile: Any) -> None:
    """Add backgrounds to images (n, q_y, q_x).

    `shape` (n, 6): electrons, width of the profile [1], shares of them that are flat and in a ring, and radius and
    width of that ring [px].
    """
    h, w = images.shape[1:]
    peak, ring = np.empty((h, w)), np.empty((h, w))
    for n in range(images.shape[0]):
        electrons, width, floor, halo, radius, thick = shape[n]
        peaked, ringed = 0.0, 0.0
        for y in range(h):
            for x in range(w):
                r = np.sqrt((y - centre[n, 0]) ** 2 + (x - centre[n, 1]) ** 2)
                k = min(int(r / width), profile.shape[0] - 2)
                f = min(r / width - k, 1.0)
                peak[y, x] = profile[k] * (1 - f) + profile[k + 1] * f
                peaked += peak[y, x]
                ring[y, x] = np.exp(-(((r - radius) / thick) ** 2)) if halo > 0 else 0.0
                ringed += ring[y, x]
        a = electrons * (1 - halo) * (1 - floor) / max(peaked, 1e-30)
        b = electrons * halo / max(ringed, 1e-30)
        c = electrons * (1 - halo) * floor / (h * w)
        for y in range(h):
            for x in range(w):
                images[n, y, x] += peak[y, x] * a + ring[y, x] * b + c


@nb.njit(cache=True, nogil=True, fastmath=True)
def add_copies(images: Any, chosen: Any, places: Any, levels: Any, waves: Any, table: Any) -> None:
    """Add copies to images `chosen`: `places` (n, copies, 2) [px], `levels` (n, copies), `waves` (n, copies, 4)."""
    h, w = images.shape[1:]
    half = (table.shape[0] - 1) // 2
    reach = half / FINE - 0.5
    for n in range(len(chosen)):
        image = images[chosen[n]]
        for m in range(places.shape[1]):
            a = levels[n, m]
            if a <= 0:
                continue
            py, px = places[n, m]
            depth, phase, ky, kx = waves[n, m]
            for y in range(max(0, int(np.ceil(py - reach))), min(h, int(py + reach) + 1)):
                v = (y - py) * FINE + half
                i = int(v)
                f = v - i
                for x in range(max(0, int(np.ceil(px - reach))), min(w, int(px + reach) + 1)):
                    u = (x - px) * FINE + half
                    j = int(u)
                    g = u - j
                    t = (table[i, j] * (1 - g) + table[i, j + 1] * g) * (1 - f)
                    t += (table[i + 1, j] * (1 - g) + table[i + 1, j + 1] * g) * f
                    if t > 1e-4:
                        image[y, x] += a * t * (1 + depth * np.cos(ky * (y - py) + kx * (x - px) + phase))


@nb.njit(cache=True, nogil=True)
def count(images: Any, rng: Any) -> None:
    """Put Poisson counts in place of means: electron by electron where they are few, else pixel by pixel."""
    for n in range(images.shape[0]):
        image = images[n]
        if image.sum() < image.size:
            _scatter(image, rng)
            continue
        for y in range(image.shape[0]):
            for x in range(image.shape[1]):
                image[y, x] = _poisson(image[y, x], rng)


@nb.njit(cache=True, nogil=True)
def _scatter(image: Any, rng: Any) -> None:
    """Electrons at random times on a line through the pixels, each pixel as long as its mean."""
    arrival, seen = rng.standard_exponential(), 0.0
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            seen += image[y, x]
            image[y, x] = 0
            while arrival < seen:
                image[y, x] += 1
                arrival += rng.standard_exponential()


@nb.njit(cache=True, nogil=True)
def _poisson(mean: float, rng: Any) -> float:
    """One count, by inversion where the mean is small."""
    if mean > 15:
        return float(rng.poisson(mean))
    u, p, k = rng.random(), np.exp(-mean), 0
    total = p
    while u > total and k < 100:
        k += 1
        p *= mean / k
        total += p
    return float(k)
