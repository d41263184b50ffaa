"""How much contrast is inside the copies: depth and length of its Gaussian process by evidence, from the data.

The restricted marginal likelihood of windows round fitted copies is evaluated on a grid of correlation lengths; for
each length one eigendecomposition a window gives it for every depth at once. What contrast does not explain of the
scatter of single copies about the lattice becomes the jitter.
Source: C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning (2006), chapter 5,
doi:10.7551/mitpress/3206.001.0001.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from parscope.core.physics import Constellation, Contrast
from parscope.core.solver import Estimate, Status
from parscope.solvers.lattice.bank import features, inducing, window
from parscope.solvers.lattice.filters import LatticeFilters

Array = NDArray[np.float64]
P = TypeVar("P", bound=Constellation)

_LENGTHS = (0.2, 0.3, 0.45, 0.7, 1.1)
_DEPTHS = np.array([0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.27, 0.35, 0.45, 0.6, 0.8, 1.0])
_JITTERS = np.array([0.0, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6])
_WINDOWS = 160


def calibrate(physics: P, signals: NDArray[Any], seed: int = 0) -> P:
    """The same physics with the contrast prior that the data are most likely under.

    Parameters
    ----------
    physics : Constellation
        A frozen dataclass with a field `contrast`.
    signals : ndarray, shape (n, q_y, q_x)
        A sample of patterns, some hundred.
    seed : int, default 0
        For the choice of windows.

    Returns
    -------
    Constellation
        `physics` with `contrast` replaced; unchanged if no pattern of the sample can be fitted.
    """
    first = replace(physics, contrast=Contrast(0.3, 0.4, 0.0))
    estimate = LatticeFilters(first)(signals)
    good = np.flatnonzero(estimate.status == Status.OK)
    if len(good) == 0:
        return physics
    depth, length = _contrast(physics, signals, estimate, good, np.random.default_rng(seed))
    second = replace(physics, contrast=Contrast(depth, length, 0.0))
    return replace(second, contrast=replace(second.contrast, jitter=_jitter(second, signals[good])))


def _contrast(
    physics: Constellation, signals: NDArray[Any], estimate: Estimate, good: NDArray[np.int64], rng: np.random.Generator
) -> tuple[float, float]:
    """Depth and length at the maximum of the evidence."""
    strength = estimate.extra["amplitude"][good] * np.sqrt(signals.shape[1] / len(good))
    pairs = np.argwhere(strength > np.median(strength[strength > 0]) * 0.3)
    pairs = pairs[rng.permutation(len(pairs))[:_WINDOWS]]
    windows = [w for s, n in pairs if (w := _cut(physics, signals[good[s]], estimate.theta[good[s]], int(n))) is not None]
    if not windows:
        return 0.0, _LENGTHS[1]
    curves = np.array([sum(_evidence(w, physics, length) for w in windows) for length in _LENGTHS])
    best = int(np.argmax(curves.max(1)))
    return _peak(_DEPTHS, curves[best]), _LENGTHS[best]


@dataclass(frozen=True)
class _Window:
    """Counts round one copy, the offsets of the pixels from it, and its amplitude and level."""

    counts: Array
    offsets: Array
    amplitude: float
    level: float


def _cut(physics: Constellation, signal: NDArray[Any], theta: Array, n: int) -> _Window | None:
    """The window of copy `n`; None where it leaves the detector, meets unusable pixels or holds no disk."""
    radius, edge = physics.extent
    half = window(radius, edge)
    at = theta[:2] + theta[2:].reshape(2, 2) @ physics.reference[n]
    y, x = np.rint(at).astype(int)
    if min(y, x) < half or y + half >= signal.shape[0] or x + half >= signal.shape[1]:
        return None
    area = np.s_[y - half : y + half + 1, x - half : x + half + 1]
    if physics.mask is not None and physics.mask[area].any():
        return None
    grid = np.mgrid[y - half : y + half + 1, x - half : x + half + 1].reshape(2, -1).T - at
    keep = np.linalg.norm(grid, axis=1) < 1.02 * radius + 2.6 * edge + 1.0
    counts = signal[area].reshape(-1)[keep].astype(np.float64)
    design = np.stack([physics.template(grid[keep], edge)[0], np.ones(int(keep.sum()))], 1)
    amplitude, level = np.linalg.lstsq(design, counts, rcond=None)[0]
    if amplitude <= 0:
        return None
    return _Window(counts, grid[keep], float(amplitude), max(float(level), 1e-3 * float(amplitude)))


def _evidence(w: _Window, physics: Constellation, length: float) -> Array:
    """Logarithm of the restricted likelihood for every depth, relative to depth zero."""
    radius, edge = physics.extent
    value, gradient = physics.template(w.offsets, edge)
    scale = 1 / np.sqrt(physics.gain * (w.amplitude * value + w.level))
    design = np.stack([value, np.ones(len(value)), gradient[:, 0], gradient[:, 1]], 1) * scale[:, None]
    frame, _ = np.linalg.qr(design)
    basis = (w.amplitude * scale * value)[:, None] * features(w.offsets, *inducing(radius, length * radius))
    basis = basis - frame @ (frame.T @ basis)
    data = w.counts * scale
    data = data - frame @ (frame.T @ data)
    values, vectors = np.linalg.eigh(basis.T @ basis)
    values = np.maximum(values, 0)
    power = np.square(vectors.T @ (basis.T @ data))[:, None]
    grown = np.square(_DEPTHS)[None]
    gain = 1 + grown * values[:, None]
    curve: Array = 0.5 * (power * grown / gain - np.log(gain)).sum(0)
    return curve


def _peak(grid: Array, curve: Array) -> float:
    """Position of the maximum, refined by the parabola through it and its neighbours."""
    k = int(np.argmax(curve))
    if k in (0, len(grid) - 1):
        return float(grid[k])
    a, b, c = np.polyfit(grid[k - 1 : k + 2], curve[k - 1 : k + 2], 2)
    return float(np.clip(-b / (2 * a), grid[k - 1], grid[k + 1])) if a < 0 else float(grid[k])


def _jitter(physics: P, signals: NDArray[Any]) -> float:
    """Displacement of single copies, [px], that brings their scatter about the lattice to its expected value."""
    excess = []
    for jitter in _JITTERS:
        trial = LatticeFilters(replace(physics, contrast=replace(physics.contrast, jitter=float(jitter))))
        estimate = trial(signals)
        good = estimate.status == Status.OK
        excess.append(float(np.median(estimate.extra["spread"][good])) - 1.0)
        if excess[-1] <= 0:
            break
    if excess[0] <= 0 or len(excess) == 1:
        return 0.0
    if excess[-1] > 0:
        return float(_JITTERS[len(excess) - 1])
    a, b = excess[-2], excess[-1]
    k = len(excess) - 1
    return float(_JITTERS[k - 1] + (_JITTERS[k] - _JITTERS[k - 1]) * a / (a - b))
