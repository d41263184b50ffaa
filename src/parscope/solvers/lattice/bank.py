"""Matched filters for the copies of a template: the weighted least squares of each copy, solved once for all signals.

For every class of copies and every sub-pixel position of the template the generalised least squares for its
amplitude, the background underneath and its displacement is solved under Poisson noise plus a Gaussian process for
the contrast inside the template. What is left to do for a signal are five dot products a copy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from parscope.core.physics import Constellation
from parscope.solvers.lattice.layout import MOVE_X, MOVE_Y
from parscope.solvers.lattice.waves import Process
from parscope.solvers.lattice.window import pitch

Array = NDArray[np.float64]

_MEMORY = 2.0e8
# Classes of filters at most: of those that measure, and of rough ones that find the way or compare priors.
_MOST_CLASSES, _ROUGH_CLASSES = 64, 9
_BINS = 6
# The gradient of the background is known to this share of itself.
_DOUBT = 0.25
# A neighbour that adds less than this share of a template is nothing to the filters and to the misfit.
_CROWDED = 0.01
# Weight of the amplitude beside the ratio to the background, both logarithmic, where copies are compared.
_AMPLITUDE_COUNTS = 0.5
# Values of a template that differ by less are the same.
_EVEN = 1e-9


@dataclass(frozen=True)
class Classes:
    """Copies that share their filters.

    Parameters
    ----------
    member : ndarray of int32, shape (copies,)
        Class of each copy.
    amplitude, ratio : ndarray, shape (classes,)
        Counts per pixel inside the template; background over amplitude.
    slope : ndarray, shape (classes,)
        Standard deviation of a component of the relative gradient of the background, [1/px].
    neighbours : tuple of ndarray, one (m, 3) for each class
        Displacements (y, x) to the copies that reach into the window [px], and how many times brighter they are.
    """

    member: NDArray[np.int32]
    amplitude: Array
    ratio: Array
    slope: Array
    neighbours: tuple[Array, ...]


@dataclass(frozen=True)
class Bank:
    """Filters of one edge width.

    Parameters
    ----------
    edge : float
        Width of the template's edge the filters are made for, [px].
    half : int
        Half size W of the square windows of (2 W + 1)^2 pixels.
    bins : int
        Sub-pixel positions along each axis.
    classes : Classes
        Which copies they are for.
    filters : ndarray of float32, shape (classes, bins, bins, 6, pixels)
        Amplitude that the edge sees [counts/px], that times displacement (y, x) [counts], level underneath
        [counts/px], mean amplitude [counts/px]; and the weight of a pixel in the misfit, [1].
    shot : ndarray, shape (classes, bins, bins, 3)
        Variance of the displacement from counting noise at unit amplitude: yy, yx, xx, [px^2 counts/px].
    texture : ndarray, shape (classes, bins, bins, 3)
        Its variance from contrast inside the template, at any amplitude, [px^2].
    fisher : ndarray, shape (classes, bins, bins, 3)
        Fisher information of the displacement for a uniform template at unit amplitude, [1/(px^2 counts/px)].
    tilt : ndarray, shape (classes, bins, bins, 2, 2)
        What a level of 1 count/px with a relative gradient of 1/px (columns y, x) adds to the displacement times
        amplitude (rows y, x), [px^2].
    template : ndarray of float32, shape (bins, bins, 3, pixels)
        The template itself and its gradient (y, x) [1/px].
    kept : ndarray, shape (classes, bins, bins, 2)
        What is left of the weighted squared residuals after amplitude and level are fitted: share of those from
        counting noise, and those from contrast over the squared template, [1].
    """

    edge: float
    half: int
    bins: int
    classes: Classes
    filters: NDArray[np.float32]
    shot: Array
    texture: Array
    fisher: Array
    tilt: Array
    template: NDArray[np.float32]
    kept: Array


def window(radius: float, edge: float) -> int:
    """Half size of the window that holds a template of `radius` with an edge of width `edge`, [px]."""
    return math.ceil(radius + 1.6 * edge + 1.0)


def reach(radius: float, edge: float) -> float:
    """Radius round a copy beyond which its pixels tell nothing, [px]."""
    return 1.02 * radius + 2.6 * edge + 1.0


def classify(physics: Constellation, edge: float, most: int = _MOST_CLASSES) -> Classes:
    """Group the copies of a constellation that can share filters.

    Parameters
    ----------
    physics : Constellation
        Supplies positions and mean counts.
    edge : float
        Width of the edge of the filters, [px].
    most : int, default 64
        Classes wanted at most.

    Returns
    -------
    Classes
        One class a copy, up to `most`; beyond that copies of like counts are grouped.
    """
    at, levels = physics.reference, physics.levels
    ratio = levels.background / np.maximum(levels.amplitude, 1e-12)
    radius = physics.extent[0]
    distance = np.linalg.norm(at[:, None] - at[None], axis=-1)
    close = (distance > 1e-6) & (distance < reach(radius, edge) + radius + 1.5 * edge)
    if len(at) <= most:
        member = np.arange(len(at), dtype=np.int32)
    else:
        member = _quantise(np.log(levels.amplitude), np.log(ratio), close.any(1), most)
    order = [np.flatnonzero(member == c) for c in range(int(member.max()) + 1)]
    amplitude, share = (np.array([v[i].mean() for i in order]) for v in (levels.amplitude, ratio))
    slope = np.array([np.sqrt(np.mean(levels.slope[i] ** 2)) for i in order])
    bright = levels.amplitude / levels.amplitude[:, None]
    near = tuple(np.column_stack([at[close[k]] - at[k], bright[k, close[k]]]) for k in (i[0] for i in order))
    return Classes(member, amplitude, share, slope, near)


def adopt(physics: Constellation, bank: Bank, crowded: bool = False) -> Bank | None:
    """Filters for the copies of another constellation: each copy in the class of the most similar counts.

    Parameters
    ----------
    physics : Constellation
        Supplies positions and mean counts.
    bank : Bank
        The filters.
    crowded : bool, default False
        Whether neighbours may reach into the windows, although they lie in other directions.

    Returns
    -------
    Bank or None
        With the same arrays; None where neighbours reach into the windows and may not.
    """
    own = classify(physics, bank.edge)
    if not crowded and any(len(near) for near in (*own.neighbours, *bank.classes.neighbours)):
        return None
    # Under counting noise only the ratio matters; the amplitude says how much of the noise is contrast.
    weight = np.array([_AMPLITUDE_COUNTS if physics.contrast.depth > 0 else 0.0, 1.0])
    theirs = weight * np.log(np.stack([bank.classes.amplitude, bank.classes.ratio], -1))
    ours = weight * np.log(np.stack([own.amplitude, own.ratio], -1))[own.member]
    member = cdist(ours, theirs).argmin(1).astype(np.int32)
    return replace(bank, classes=replace(bank.classes, member=member))


def _quantise(amplitude: Array, ratio: Array, alone: NDArray[np.bool_], most: int) -> NDArray[np.int32]:
    """Class numbers: quantiles of amplitude times quantiles of background ratio; crowded copies stay alone."""
    side = int(math.sqrt(most))
    key = np.zeros(len(amplitude), dtype=np.int64)
    for values in (amplitude, ratio):
        cuts = np.quantile(values, np.linspace(0, 1, side + 1)[1:-1])
        key = key * side + np.searchsorted(cuts, values)
    key[alone] = side * side + np.arange(int(alone.sum()))
    return np.unique(key, return_inverse=True)[1].astype(np.int32)


def build(physics: Constellation, edge: float, textured: bool, most_bins: int = _BINS) -> Bank:
    """Solve the least squares of every class and sub-pixel position.

    Parameters
    ----------
    physics : Constellation
        Supplies template, positions, mean counts, gain and contrast.
    edge : float
        Width of the edge, [px]; that of the physics or wider.
    textured : bool
        Whether contrast inside the template is part of the noise.
    most_bins : int, default 6
        Sub-pixel positions along each axis; fewer where large templates would fill the memory. Below six the
        filters are rough, and copies of like counts share theirs.

    Returns
    -------
    Bank
    """
    classes = classify(physics, edge, _MOST_CLASSES if most_bins >= _BINS else _ROUGH_CLASSES)
    radius = physics.extent[0]
    half = window(radius, edge)
    side = np.arange(-half, half + 1, dtype=np.float64)
    wide = np.arange(-half, -half + pitch(half), dtype=np.float64)
    grid = np.stack(np.meshgrid(side, wide, indexing="ij"), -1).reshape(-1, 2)
    affordable = math.sqrt(_MEMORY / (len(classes.amplitude) * len(grid) * 24))
    bins = min(most_bins, int(np.clip(affordable, 3, _BINS)))
    shape = (len(classes.amplitude), bins, bins)
    filters = np.zeros((*shape, 6, len(grid)), np.float32)
    tables = np.zeros((3, *shape, 3))
    tilt = np.zeros((*shape, 2, 2))
    kept = np.ones((*shape, 2))
    templates = np.zeros((bins, bins, 3, len(grid)), np.float32)
    process = Process(radius, physics.contrast) if textured and physics.contrast.depth > 0 else None
    for i, j in np.ndindex(bins, bins):
        offset = grid - ((np.array([i, j]) + 0.5) / bins - 0.5)
        local = _Local(physics, offset, edge, process)
        templates[i, j] = np.vstack([local.value, local.gradient.T])
        other = bins - 1 - i, bins - 1 - j
        for c in range(shape[0]):
            if other < (i, j) and local.even and len(classes.neighbours[c]) == 0:
                filters[c, i, j] = _turned(filters[c, *other], half)
                tables[:, c, i, j], kept[c, i, j] = tables[:, c, *other], kept[c, *other]
            else:
                filters[c, i, j], tables[:, c, i, j], kept[c, i, j] = local.solve(classes, c)
            tilt[c, i, j] = filters[c, i, j, MOVE_Y : MOVE_X + 1] @ offset
    return Bank(edge, half, bins, classes, filters, tables[0], tables[1], tables[2], tilt, templates, kept)


class _Local:
    """One sub-pixel position: everything the classes share."""

    def __init__(self, physics: Constellation, offset: Array, edge: float, process: Process | None) -> None:
        self.physics, self.offset, self.edge = physics, offset, edge
        self.value, self.gradient = physics.template(offset, edge)
        radius = physics.extent[0]
        own_columns = offset[:, 1] < offset[:, 1].min() + 2 * window(radius, edge) + 0.5
        self.use = own_columns & (np.linalg.norm(offset, axis=1) <= reach(radius, edge))
        # A template that half a turn does not change needs the filters of half the sub-pixel positions only.
        turned = physics.template(-offset, edge)[0]
        self.even = bool(np.abs(turned - self.value).max() < _EVEN)
        self.basis = np.zeros((len(offset), 0))
        if process is not None:
            self.basis = self.value[:, None] * process(offset)

    def solve(self, classes: Classes, c: int) -> tuple[Array, Array, tuple[float, float]]:
        """Filters (6, pixels), tables (3, 3) and what is kept (2) of class `c`."""
        use, value = self.use, self.value[self.use]
        own = np.stack([value, np.ones_like(value), *self.gradient[use].T], 1)
        crowd, bright = self._crowd(classes.neighbours[c])
        design = np.hstack([own, crowd])
        variance = self.physics.gain * (value + classes.ratio[c] + crowd @ bright)
        plain = design / variance[:, None]
        basis = self._prior(classes, c)
        scaled = basis / variance[:, None]
        inner = np.eye(basis.shape[1]) + basis.T @ scaled
        weighted = plain - scaled @ np.linalg.solve(inner, scaled.T @ design)
        estimator = np.linalg.solve(_ridged(design.T @ weighted), weighted.T)
        shift = estimator[2:4]
        shot = (shift * variance) @ shift.T
        projected = shift @ basis
        texture = projected @ projected.T / classes.amplitude[c]
        normal = _ridged(design.T @ plain)
        information = np.linalg.inv(np.linalg.inv(normal)[2:4, 2:4])
        # What is reported as amplitude and level is the mean intensity; the shift needs that of the edge.
        mean = np.linalg.solve(normal, plain.T)[:2]
        own_contrast = self.basis[use]
        spread = variance + classes.amplitude[c] * np.square(own_contrast).sum(1)
        weight = (crowd.sum(1) < _CROWDED) / spread
        out = np.zeros((6, len(use)))
        out[:, use] = np.stack([estimator[0], shift[0], shift[1], mean[1], mean[0], weight])
        tables = np.array([m[[0, 0, 1], [0, 1, 1]] for m in (shot, texture, information)])
        return out, tables, _kept(own[:, :2], mean, (variance, own_contrast), weight)

    def _crowd(self, neighbours: Array) -> tuple[Array, Array]:
        """Templates of the copies nearby, as far as they matter, shape (pixels in use, m), and their brightness."""
        near = [self.physics.template(self.offset - d, self.edge)[0][self.use] for d in neighbours[:, :2]]
        matter = [k for k, d in enumerate(near) if d.sum() > _CROWDED * self.value.sum()]
        columns = [near[k] for k in matter]
        return np.stack(columns, 1) if columns else np.zeros((int(self.use.sum()), 0)), neighbours[matter, 2]

    def _prior(self, classes: Classes, c: int) -> Array:
        """Columns whose coefficients have variance 1: contrast, and a background of uncertain slope.

        Filters know how steep the background may be, not in which direction: they serve any orientation.
        """
        slope = _DOUBT * classes.ratio[c] * classes.slope[c] * self.offset
        columns: Array = math.sqrt(classes.amplitude[c]) * np.hstack([slope, self.basis])[self.use]
        return columns


def _turned(filters: NDArray[np.float32], half: int) -> NDArray[np.float32]:
    """Filters of a window turned by half a turn: those of the opposite sub-pixel position."""
    side = 2 * half + 1
    window = filters.reshape(len(filters), side, -1)
    result = np.zeros_like(window)
    result[..., :side] = window[:, ::-1, side - 1 :: -1]
    result[MOVE_Y : MOVE_X + 1] *= -1
    return result.reshape(filters.shape)


def _kept(model: Array, estimator: Array, noise: tuple[Array, Array], weight: Array) -> tuple[float, float]:
    """What `model` @ `estimator` leaves of counting noise (its variance), and of contrast (its columns)."""
    variance, contrast = noise
    spread = (estimator * variance) @ estimator.T
    after = variance * (1 - 2 * np.sum(model * estimator.T, axis=1)) + np.sum((model @ spread) * model, axis=1)
    rest = np.square(contrast - model @ (estimator @ contrast)).sum(1)
    counted, squared = float(weight @ variance), float(weight @ np.square(model[:, 0]))
    if counted <= 0.0:
        return 1.0, 0.0
    return float(weight @ after) / counted, float(weight @ rest) / max(squared, 1e-12)


def _ridged(normal: Array) -> Array:
    """Normal matrix with a ridge too small to matter, for neighbours that barely reach into the window."""
    return normal + np.diag(1e-7 * np.diag(normal) + 1e-12)
