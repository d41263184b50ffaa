"""Wander of the pattern over the scan (descan): the direct disk of every pattern found and the patterns laid over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from parscope.techniques.diffraction.pattern import Probe
from parscope.techniques.diffraction.setup.moments import Array
from parscope.techniques.diffraction.setup.pixels import Mask, fill

FRACTIONS = 4


@dataclass(frozen=True)
class Wander:
    """Where the pattern is in each pattern of the sample.

    Parameters
    ----------
    shift : ndarray, shape (n, 2)
        Displacement (y, x) from the mean, shrunk towards it by as much as counting noise has spread it, [px].
    spread : float
        Standard deviation of the true displacement along one axis, [px].
    left : float
        Standard deviation along one axis that is left after `shift` is taken out, [px].
    reliable : bool
        Whether the displacements are large enough, and enough above the noise, for taking them out to help.
    """

    shift: Array
    spread: float
    left: float
    reliable: bool


def wander(patterns: NDArray[Any], probe: Probe, centre: Array, mask: Mask, gain: float, reach: int = 6) -> Wander:
    """Find the direct disk of every pattern near `centre`.

    Parameters
    ----------
    patterns : ndarray, shape (n, q_y, q_x)
        Sample of the scan.
    probe : Probe
        The disk.
    centre : ndarray, shape (2,)
        Mean position (y, x), [px].
    mask : ndarray of bool, shape (q_y, q_x)
        Pixels not to be used.
    gain : float
        Counts per electron.
    reach : int, default 6
        Largest displacement looked for, [px].

    Returns
    -------
    Wander
    """
    crop, corner = _crop(patterns, probe, centre, mask, reach)
    half = int(np.ceil(probe.radius + 2 * probe.edge + 2.5))
    place = _coarse(crop, probe, centre - corner, half, reach)
    for wide in _edges(probe):
        place, variance = _fine(crop, probe, place, wide, half)
        noise = float(np.nanmedian(variance)) * gain if np.isfinite(variance).any() else float("nan")
        if not noise < (0.6 * wide) ** 2:
            break
    ok: Mask = np.asarray(np.isfinite(place).all(axis=1))
    if ok.sum() < max(8, 0.25 * len(ok)):
        return Wander(np.zeros((len(patterns), 2)), float("nan"), float("nan"), False)
    middle = np.median(place[ok], axis=0)
    moved = np.where(ok[:, None], place - middle, 0.0)
    near = ok & (np.abs(moved) < reach).all(axis=1)
    noise = float(np.median(variance[near])) * gain
    total = float((moved[near] ** 2).mean())
    true = max(total - noise, 0.0)
    keep = true / total if total > 0 else 0.0
    shift = np.where(near[:, None], keep * moved, 0.0)
    shift -= shift.mean(axis=0)
    return Wander(shift, float(np.sqrt(true)), float(np.sqrt(true * (1 - keep))), true > 0.1**2 and keep > 0.75)


def unblurred(edge: float, moved: Wander) -> float:
    """Undo what the wander of the pattern, taken out or not, did to the edge of a disk of the mean pattern.

    Where it was taken out, each pattern was placed by its own noisy edge. An error of variance v blurs the mean by v,
    but the noise that caused it has been lined up with the edge as well and sharpens the mean by 2 v: together the
    mean is too sharp by v.

    Parameters
    ----------
    edge : float
        Fitted to the mean pattern, [px].
    moved : Wander
        Of the disk.

    Returns
    -------
    float
        Edge of the disk in one pattern, [px].
    """
    if not np.isfinite(moved.left):
        return edge
    excess = moved.left**2 if moved.reliable else -(moved.spread**2)
    return float(np.sqrt(np.clip(edge**2 + excess, (0.6 * edge) ** 2, 2 * edge**2)))


def aligned_mean(patterns: NDArray[Any], shift: Array, mask: Mask) -> tuple[Array, Array]:
    """Mean of the patterns with their displacements taken out.

    Whole pixels are moved exactly; the fractions, rounded to quarters of a pixel, by the Fourier shift theorem on
    the sums, so that no pattern is interpolated by itself.

    Parameters
    ----------
    patterns : ndarray, shape (n, q_y, q_x)
        Sample of the scan.
    shift : ndarray, shape (n, 2)
        Displacement (y, x) of each, [px].
    mask : ndarray of bool, shape (q_y, q_x)
        Pixels not to be used.

    Returns
    -------
    mean : ndarray, shape (q_y, q_x)
        Counts per pattern.
    share : ndarray, shape (q_y, q_x)
        Share of the patterns that contribute to each pixel, [1].
    """
    quarters = np.rint(shift * FRACTIONS).astype(int)
    whole = np.floor_divide(quarters + FRACTIONS // 2, FRACTIONS)
    part = quarters - whole * FRACTIONS
    groups = part[:, 0] * FRACTIONS + part[:, 1]
    good = ~mask
    total, cover = np.zeros(mask.shape), np.zeros(mask.shape)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        sums, count = np.zeros(mask.shape), np.zeros(mask.shape)
        for pair in np.unique(whole[members], axis=0):
            these = members[(whole[members] == pair).all(axis=1)]
            take, put = _overlap(pair, mask.shape)
            sums[put] += (patterns[these].sum(axis=0, dtype=np.float64) * good)[take]
            count[put] += len(these) * good[take]
        image = fill(sums / np.maximum(count, 1), count == 0)
        total += count * _shifted(image, part[members[0]] / FRACTIONS)
        cover += count
    mean = fill(total / np.maximum(cover, 1), cover == 0)
    return mean, cover / len(patterns)


def _edges(probe: Probe) -> list[float]:
    """Widths of the edge for successive steps: wide ones catch, narrow ones locate, [px]."""
    wanted = (0.2 * probe.radius, 0.1 * probe.radius, 1.5, 1.0)
    return sorted({max(float(w), probe.edge, 1.0) for w in wanted}, reverse=True)


def _crop(
    patterns: NDArray[Any], probe: Probe, centre: Array, mask: Mask, reach: int
) -> tuple[NDArray[np.float32], Array]:
    """Square about the centre, cut from all patterns, bad pixels set to the local mean."""
    half = int(np.ceil(probe.radius + 2 * probe.edge + 2.5)) + reach + 2
    low = np.maximum(np.rint(centre).astype(int) - half, 0)
    high = np.minimum(np.rint(centre).astype(int) + half + 1, mask.shape)
    box = (slice(None), slice(low[0], high[0]), slice(low[1], high[1]))
    crop = np.array(patterns[box], dtype=np.float32)
    bad = mask[box[1:]]
    if bad.any():
        crop[:, bad] = fill(crop.mean(axis=0, dtype=np.float64), bad)[bad]
    return crop, low.astype(np.float64)


def _coarse(crop: NDArray[np.float32], probe: Probe, centre: Array, half: int, reach: int) -> Array:
    """Whole-pixel position of the disk by correlation, within `reach` of `centre`."""
    shape = [fft.next_fast_len(n + half, real=True) for n in crop.shape[1:]]
    y, x = (fft.fftfreq(n, 1 / n) for n in shape)
    r = np.sqrt(y[:, None] ** 2 + x[None, :] ** 2)
    disk = 1 / (1 + np.exp(np.clip(1.7 * (r - probe.radius) / max(probe.edge, 0.7), -50, 50)))
    ring = np.clip(probe.radius + probe.edge + 2.5 - r, 0, 1) * (1 - disk)
    kernel = np.conj(fft.rfft2((disk / disk.sum() - ring / ring.sum()).astype(np.float32)))
    grid_y, grid_x = np.arange(crop.shape[1]), np.arange(crop.shape[2])
    allowed = (np.abs(grid_y - centre[0])[:, None] <= reach) & (np.abs(grid_x - centre[1])[None, :] <= reach)
    found = np.empty((len(crop), 2))
    for start in range(0, len(crop), 128):
        block = fft.irfft2(fft.rfft2(crop[start : start + 128], s=shape) * kernel, s=shape)
        block = np.where(allowed, block[:, : crop.shape[1], : crop.shape[2]], -np.inf)
        best = block.reshape(len(block), -1).argmax(axis=1)
        found[start : start + 128] = np.stack(np.unravel_index(best, allowed.shape), axis=1)
    return found


def _fine(crop: NDArray[np.float32], probe: Probe, place: Array, edge: float, half: int) -> tuple[Array, Array]:
    """One linear step of the position of the disk, with its variance per axis in a detector of gain 1."""
    offset = np.arange(-half, half + 1)
    known: Mask = np.asarray(np.isfinite(place).all(axis=1))
    place = np.where(known[:, None], place, -1.0)
    whole = np.rint(place).astype(int)
    inside = known & (whole >= half).all(axis=1) & (whole + half < crop.shape[1:]).all(axis=1)
    bins = np.clip(np.floor((place - whole + 0.5) * FRACTIONS), 0, FRACTIONS - 1).astype(int)
    result, variance = np.full_like(place, np.nan), np.full(len(place), np.nan)
    for code in np.unique(bins[inside, 0] * FRACTIONS + bins[inside, 1]):
        pair = np.array(divmod(int(code), FRACTIONS))
        at = (pair + 0.5) / FRACTIONS - 0.5
        grid = np.stack(np.meshgrid(offset, offset, indexing="ij"), axis=-1).reshape(-1, 2) - at
        filters = _position_filters(grid, probe, edge)
        rows = np.flatnonzero(inside & (bins == pair).all(axis=1))
        index_y = whole[rows, 0, None, None] + offset[None, :, None]
        index_x = whole[rows, 1, None, None] + offset[None, None, :]
        window = crop[rows[:, None, None], index_y, index_x].reshape(len(rows), -1)
        answer = window @ filters.T
        height = np.maximum(answer[:, 0], 1e-9)
        step = answer[:, 1:3] / height[:, None]
        good = (answer[:, 0] > 0) & (np.abs(step) < 2 * edge + 1).all(axis=1)
        step = np.clip(step, -1.5, 1.5)
        result[rows] = np.where(good[:, None], whole[rows] + at + step, np.nan)
        noise = np.clip(window, 0, None) @ (filters[1:3] ** 2).mean(axis=0)
        variance[rows] = np.where(good, noise / height**2, np.nan)
    return result, variance


def _position_filters(grid: Array, probe: Probe, edge: float) -> NDArray[np.float32]:
    """Filters for height, height times displacement in y and in x: least squares over disk, floor and gradients."""
    u = grid @ np.linalg.inv(probe.distortion).T
    r = np.sqrt((u * u).sum(axis=1)) + 1e-9
    s = (r - probe.radius) / edge
    disk = 1 / (1 + np.exp(np.clip(1.702 * s, -50, 50)))
    bell = 1.702 / edge * disk * (1 - disk) / r
    columns = np.stack([disk, bell * u[:, 0], bell * u[:, 1], np.ones(len(grid))], axis=1)
    weight = (r < probe.radius + 2.5 * edge + 1) / (disk + 0.1)
    normal = (columns * weight[:, None]).T @ columns
    return np.asarray(np.linalg.solve(normal, (columns * weight[:, None]).T))[:3].astype(np.float32)


def _overlap(pair: NDArray[np.int64], shape: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices that move an image back by whole pixels: from where to take and where to put."""
    take = tuple(slice(max(s, 0), n + min(s, 0)) for s, n in zip(pair, shape, strict=True))
    put = tuple(slice(max(-s, 0), n + min(-s, 0)) for s, n in zip(pair, shape, strict=True))
    return (take[0], take[1]), (put[0], put[1])


def _shifted(image: Array, part: Array) -> Array:
    """Image moved back by a fraction of a pixel, edges mirrored."""
    if not part.any():
        return image
    pad = 8
    wide = np.pad(image, pad, mode="symmetric")
    y = fft.fftfreq(wide.shape[0])[:, None]
    x = fft.rfftfreq(wide.shape[1])[None, :]
    turned = fft.rfft2(wide) * np.exp(2j * np.pi * (y * part[0] + x * part[1]))
    return np.asarray(fft.irfft2(turned, s=wide.shape)[pad:-pad, pad:-pad], dtype=np.float64)
