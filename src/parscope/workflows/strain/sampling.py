"""Reads patterns from a scan: a sample from all over it, and blocks that survive unreadable parts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import InputError, ShapeError, UnreadableError
from parscope.core.frames import Frames
from parscope.techniques.diffraction import DiffractionPattern

# Patterns of a sample, at most, and pixels in it: those of large detectors are looked at half as often.
SAMPLE, PIXELS = 256, 2**25
_BARELY = 0.1


def sample(frames: Frames) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Patterns from all over the scan, unreadable and damaged ones left out.

    Parameters
    ----------
    frames : Frames
        The scan.

    Returns
    -------
    patterns : ndarray, shape (n, q_y, q_x)
    positions : ndarray of int, shape (n, 2)
        Where in the scan (y, x) they are from.

    Raises
    ------
    ShapeError
        If the scan has fewer than four positions.
    InputError
        If no pattern of the sample has usable counts.
    """
    rows, columns = frames.scan_shape
    if rows * columns < 4:
        raise ShapeError(f"holds {rows * columns} patterns, strain needs at least 4", frames.source)
    patterns, positions = [], []
    damaged = 0
    for position in _spread(rows, columns, min(SAMPLE, max(PIXELS // math.prod(frames.pattern_shape), 16))):
        try:
            pattern = np.asarray(frames.data[position])
        except UnreadableError:
            damaged += 1
            continue
        if np.isfinite(pattern).all() and pattern.any() and not unrecorded(pattern).any():
            patterns.append(pattern)
            positions.append(position)
    if len(patterns) < 2:
        what = "cannot be read" if damaged else "are empty or not numbers"
        raise InputError(f"the patterns {what}", frames.source, "check the file and the detector")
    result = np.stack(patterns)
    if (result == result[0, :1, :1]).all():
        raise InputError("all patterns have one constant value", frames.source, "check the file and the detector")
    return result, np.array(positions, np.int64)


def _spread(rows: int, columns: int, count: int) -> list[tuple[int, int]]:
    """Scan positions in even steps along a low-discrepancy line, so that no period of the scan is met twice."""
    total = rows * columns
    flat = np.unique((np.arange(min(count, total)) + 0.5) / min(count, total) * total).astype(int)
    shift = (np.arange(len(flat)) * 0.618034 % 1 * columns).astype(int)
    y = flat // columns
    x = (flat % columns + (shift if total > count else 0)) % columns
    return list(zip(y.tolist(), x.tolist(), strict=True))


def crystalline(patterns: NDArray[Any], physics: DiffractionPattern) -> NDArray[np.bool_]:
    """Which patterns of a sample have diffracted electrons, and so something to say about the disks.

    Parameters
    ----------
    patterns : ndarray, shape (n, q_y, q_x)
        Counts.
    physics : DiffractionPattern
        Where the disks are.

    Returns
    -------
    ndarray of bool, shape (n,)
        False where the disks but for the direct one hold less than a tenth of what they hold elsewhere.
    """
    offsets = np.moveaxis(np.indices(physics.shape), 0, -1) - np.asarray(physics.centre)
    radius = physics.probe.radius
    nearest = np.full(physics.shape, np.inf)
    for place in physics.reference[(physics.indices != 0).any(1)]:
        nearest = np.minimum(nearest, np.linalg.norm(offsets - place, axis=-1))
    usable = np.linalg.norm(offsets, axis=-1) > 2 * radius
    if physics.mask is not None:
        usable &= ~physics.mask
    inside = usable & (nearest < radius)
    beside = usable & (nearest > radius + 3 * physics.probe.edge) & (nearest < 2 * radius + 3)
    if not inside.any() or not beside.any():
        return np.ones(len(patterns), np.bool_)
    diffracted = patterns[:, inside].mean(1, dtype=np.float64) - patterns[:, beside].mean(1, dtype=np.float64)
    return np.asarray(diffracted > _BARELY * np.quantile(diffracted, 0.9))


def scattering(patterns: NDArray[Any], radius: float) -> NDArray[np.bool_]:
    """Which patterns of a sample have electrons beyond the direct disk, whatever lattice they are of.

    Parameters
    ----------
    patterns : ndarray, shape (n, q_y, q_x)
        Counts.
    radius : float
        Of the disks, [px].

    Returns
    -------
    ndarray of bool, shape (n,)
        False where the share of counts away from the brightest spot is less than a tenth of what it is elsewhere.
    """
    side = max(1, int(np.ceil(2 * radius)))
    edges = [np.arange(0, n, side) for n in patterns.shape[1:]]
    rows = np.add.reduceat(patterns, edges[0], axis=1, dtype=np.float64)
    blocks = np.add.reduceat(rows, edges[1], axis=2)
    total = blocks.sum((1, 2))
    y, x = np.unravel_index(blocks.reshape(len(blocks), -1).argmax(1), blocks.shape[1:])
    # A disk is never wider than a block, so that it lies in the block of its brightest part and those round it.
    padded = np.pad(blocks, ((0, 0), (1, 1), (1, 1)))
    spot = sum(padded[np.arange(len(blocks)), y + i, x + j] for i, j in np.ndindex(3, 3))
    share = 1.0 - spot / np.maximum(total, 1e-9)
    return np.asarray(share > _BARELY * np.quantile(share, 0.9))


class Mended:
    """A scan in which what cannot be read, or is no number, is zero.

    Parameters
    ----------
    frames : Frames
        The scan.
    """

    def __init__(self, frames: Frames) -> None:
        self._frames = frames

    @property
    def shape(self) -> tuple[int, ...]:
        """Scan and pattern sizes (y, x, q_y, q_x)."""
        return tuple(self._frames.data.shape)

    @property
    def dtype(self) -> Any:
        """Type of one sample."""
        return self._frames.data.dtype

    def __getitem__(self, key: Any, /) -> Any:
        """Patterns that `key` selects, whole scan rows read one by one where some of them are unreadable."""
        try:
            patterns = np.array(self._frames.data[key])
        except UnreadableError:
            head, rest = (key[0], key[1:]) if isinstance(key, tuple) else (key, ())
            one = not isinstance(head, slice)
            start, stop, step = (int(head), int(head) + 1, 1) if one else head.indices(self.shape[0])
            block, _ = read_rows(self._frames, start, stop)
            patterns = block[(0 if one else slice(None, None, step), *rest)]
        if patterns.dtype.kind == "f":
            patterns = np.where(np.isfinite(patterns).all((-2, -1), keepdims=True), patterns, 0)
        return patterns


class Rescaled:
    """A scan less a constant, in another unit; see `rescaled`.

    Parameters
    ----------
    frames : Frames
        The scan.
    zero : float
        Subtracted from every pixel, [counts].
    unit : float
        Divides what is left, [counts].
    """

    def __init__(self, frames: Frames, zero: float, unit: float) -> None:
        self._data, self._zero, self._unit = frames.data, zero, unit

    @property
    def shape(self) -> tuple[int, ...]:
        """Scan and pattern sizes (y, x, q_y, q_x)."""
        return tuple(self._data.shape)

    @property
    def dtype(self) -> Any:
        """Type of one sample."""
        return np.dtype(np.float32)

    def __getitem__(self, key: Any, /) -> Any:
        """Patterns that `key` selects."""
        return rescaled(np.asarray(self._data[key]), self._zero, self._unit)


def rescaled(patterns: NDArray[Any], zero: float, unit: float) -> NDArray[np.float32]:
    """Patterns less `zero`, over `unit`: what the counts of a detector without offset would be."""
    result = patterns.astype(np.float32)
    result -= np.float32(zero)
    result *= np.float32(1 / unit)
    return result


def read_rows(frames: Frames, start: int, stop: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Scan rows, with what cannot be read, or was never recorded, as zeros.

    Parameters
    ----------
    frames : Frames
        The scan.
    start, stop : int
        Rows, the last one excluded.

    Returns
    -------
    patterns : ndarray, shape (rows, columns, q_y, q_x)
    unreadable : ndarray of bool, shape (rows, columns)
    """
    shape = (stop - start, frames.scan_shape[1])
    try:
        return _without_holes(np.asarray(frames.data[start:stop]), np.zeros(shape, np.bool_))
    except UnreadableError:
        if stop - start > 1:
            halves = [read_rows(frames, y, y + 1) for y in range(start, stop)]
            return np.concatenate([h[0] for h in halves]), np.concatenate([h[1] for h in halves])
    patterns = np.zeros((*shape, *frames.pattern_shape), frames.data.dtype)
    unreadable = np.zeros(shape, np.bool_)
    for x in range(shape[1]):
        try:
            patterns[0, x] = frames.data[start, x]
        except UnreadableError:
            unreadable[0, x] = True
    return _without_holes(patterns, unreadable)


def unrecorded(patterns: NDArray[Any]) -> NDArray[np.bool_]:
    """Which patterns were never recorded: all of their pixels have the largest value of the type, and none a count.

    Parameters
    ----------
    patterns : ndarray, shape (..., q_y, q_x)
        Counts.

    Returns
    -------
    ndarray of bool, shape (...)
        False for types that are no unsigned integers.

    Examples
    --------
    >>> unrecorded(np.array([[[255, 255]], [[255, 3]]], np.uint8)).tolist()
    [True, False]
    """
    found = np.zeros(patterns.shape[:-2], np.bool_)
    if patterns.dtype.kind == "u":
        top = np.iinfo(patterns.dtype).max
        rows, columns = patterns.shape[-2:]
        found |= (patterns[..., rows // 2, :] == top).all(-1) & (patterns[..., columns // 2] == top).all(-1)
        found[found] = (patterns[found] == top).all((-2, -1))
    return found


def _without_holes(patterns: NDArray[Any], unreadable: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Patterns that were never recorded are zero, and as unreadable as others."""
    holes = unrecorded(patterns)
    if not holes.any():
        return patterns, unreadable
    return np.where(holes[..., None, None], patterns.dtype.type(0), patterns), unreadable | holes
