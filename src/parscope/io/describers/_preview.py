"""Small pictures of large arrays: a bounded part is read, and averaged in blocks."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.description import Preview, Signal
from parscope.io.describers._common import is_energy, is_reciprocal

BUDGET = 64 << 20
"""Bytes that are read for the pictures of one file, at most."""
_SIDE, _SAMPLES = 256, 512


def look(data: Any, signal: Signal, cost: int = 0, spectral: bool = False) -> tuple[Preview, ...]:
    """Pictures of an array, the most telling first.

    Parameters
    ----------
    data : array-like, shape of `signal`
        Anything that reads when it is sliced; order of the axes of `signal`.
    signal : Signal
        What it is.
    cost : int, default 0
        Bytes that reading one item along the first two dimensions takes at least, as for compressed chunks.

    spectral : bool, default False
        Whether the last axis is that of spectra, whatever its unit.

    Returns
    -------
    tuple of Preview
        None for an empty array, or one of more than four dimensions.
    """
    shape = tuple(int(n) for n in data.shape)
    if not shape or 0 in shape:
        return ()
    axes = signal.axes if len(signal.axes) == len(shape) else tuple(Axis("xyzt"[i % 4], n) for i, n in enumerate(shape))
    view, axes = _squeezed(data, axes)
    if len(axes) == 1:
        return (curve(view, signal.name, signal.unit, axes[0]),)
    if len(axes) == 2:
        return (image(view, signal.name, signal.unit, axes),)
    if len(axes) == 3:
        return _three(view, axes, signal, spectral and shape[-1] > 1)
    return _four(view, axes, cost) if len(axes) == 4 else ()


class _Squeezed:
    """An array without its dimensions of length one, and with those of patterns or spectra last; reads when sliced."""

    def __init__(self, data: Any, kept: list[int]) -> None:
        self.data, self.kept = data, kept
        self.shape = tuple(int(data.shape[i]) for i in kept)
        self.dtype = np.dtype(getattr(data, "dtype", np.float64))

    def __getitem__(self, key: tuple[Any, ...]) -> NDArray[Any]:
        """Read; `key` has one integer or slice for each dimension."""
        whole: list[Any] = [0] * len(self.data.shape)
        for place, entry in zip(self.kept, key, strict=True):
            whole[place] = entry
        block = np.asarray(self.data[tuple(whole)])
        sliced = [place for place, entry in zip(self.kept, key, strict=True) if isinstance(entry, slice)]
        return block.transpose([sorted(sliced).index(place) for place in sliced]) if len(sliced) > 1 else block


def _squeezed(data: Any, axes: tuple[Axis, ...]) -> tuple[_Squeezed, tuple[Axis, ...]]:
    kept = [i for i, axis in enumerate(axes) if axis.size > 1] or [len(axes) - 1]
    last = [i for i in kept if is_energy(axes[i])] if len(kept) == 3 else [i for i in kept if is_reciprocal(axes[i])]
    if len(kept) in (3, 4) and len(last) == len(kept) - 2:
        kept = [i for i in kept if i not in last] + last
    return _Squeezed(data, kept), tuple(axes[i] for i in kept)


def curve(data: Any, title: str, unit: str, axis: Axis) -> Preview:
    """Picture of one curve, at most 512 samples.

    Parameters
    ----------
    data : array-like, shape (k,)
        Its samples.
    title, unit : str
        What they are.
    axis : Axis
        Of the samples.

    Returns
    -------
    Preview
    """
    step = max(1, data.shape[0] * np.dtype(data.dtype).itemsize // BUDGET)
    values = _real(np.asarray(data[(slice(None, None, step),)]))
    block = math.ceil(len(values) / _SAMPLES)
    short = values[: len(values) // block * block].reshape(-1, block).mean(1)
    return Preview(short, title, unit, (_coarse(axis, step * block, len(short)),))


def image(data: Any, title: str, unit: str, axes: tuple[Axis, ...]) -> Preview:
    """Picture of an image, at most 256 pixels along each side, by means over blocks.

    Parameters
    ----------
    data : array-like, shape (y, x)
        Its samples.
    title, unit : str
        What they are.
    axes : tuple of Axis
        (y, x).

    Returns
    -------
    Preview
    """
    height, width = data.shape
    step = max(1, height * width * np.dtype(data.dtype).itemsize // BUDGET)
    values = _real(np.asarray(data[slice(None, None, step), slice(None)]))
    rows, columns = (math.ceil(n / _SIDE) for n in values.shape)
    cut = values[: len(values) // rows * rows, : width // columns * columns]
    small = cut.reshape(cut.shape[0] // rows, rows, cut.shape[1] // columns, columns).mean((1, 3))
    coarse = (_coarse(axes[0], step * rows, small.shape[0]), _coarse(axes[1], columns, small.shape[1]))
    return Preview(small, title, unit, coarse)


def _real(values: NDArray[Any]) -> NDArray[np.float64]:
    if values.dtype.names:
        # colours: their mean is the brightness
        return np.asarray(np.mean([values[name] for name in values.dtype.names], axis=0, dtype=np.float64))
    return np.abs(values).astype(np.float64) if values.dtype.kind == "c" else values.astype(np.float64)


def _coarse(axis: Axis, step: int, size: int) -> Axis:
    if step == 1 and size == axis.size:
        return axis
    if axis.points is not None:
        return replace(axis, size=size, points=axis.points[: size * step : step])
    return replace(axis, size=size, scale=axis.scale * step, offset=axis.offset + axis.scale * (step - 1) / 2)


def _three(data: _Squeezed, axes: tuple[Axis, ...], signal: Signal, spectral: bool) -> tuple[Preview, ...]:
    """A spectrum image by its sums; a stack or a volume by its middle plane."""
    if not (spectral or is_energy(axes[2])):
        middle = data.shape[0] // 2
        plane = _Plane(data, middle)
        return (image(plane, f"{signal.name} [{middle}]".strip(), signal.unit, axes[1:]),)
    step = math.ceil(math.sqrt(max(1.0, math.prod(data.shape) * data.dtype.itemsize / BUDGET)))
    sums, total = [], np.zeros(data.shape[2])
    for y in range(0, data.shape[0], step):
        row = _real(data[y, slice(None, None, step), slice(None)])
        sums.append(row.sum(1))
        total += row.sum(0)
    thin = np.array(sums)
    nav = tuple(_coarse(axis, step, n) for axis, n in zip(axes[:2], thin.shape, strict=True))
    return (
        image(thin, "sum over the spectra", signal.unit, nav),
        curve(total, "sum spectrum", signal.unit, axes[2]),
    )


class _Plane:
    """One plane of a stack; reads when it is sliced."""

    def __init__(self, data: _Squeezed, place: int) -> None:
        self.data, self.place = data, place
        self.shape, self.dtype = data.shape[1:], data.dtype

    def __getitem__(self, key: tuple[Any, ...]) -> NDArray[Any]:
        return self.data[(self.place, *key)]


def _four(data: _Squeezed, axes: tuple[Axis, ...], cost: int) -> tuple[Preview, ...]:
    """Mean pattern over some positions, and the image that its bright disk makes."""
    height, width, *pattern = data.shape
    least = max(cost, math.prod(pattern) * data.dtype.itemsize)
    step = math.ceil(math.sqrt(max(1.0, height * width * least / BUDGET)))
    rows = [_real(data[y, slice(None, None, step), slice(None), slice(None)]) for y in range(0, height, step)]
    total = np.sum([row.sum(0) for row in rows], axis=0)
    count = sum(len(row) for row in rows)
    disk = _disk(total)
    bright = np.array([row[:, disk].sum(1) for row in rows])
    nav = tuple(_coarse(axis, step, n) for axis, n in zip(axes[:2], bright.shape, strict=True))
    return (
        image(total / count, "mean diffraction pattern", "counts", axes[2:]),
        image(bright, "virtual bright field", "counts", nav),
    )


def _disk(pattern: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Pixels within the brightest disk: about the centre of what is above half of the maximum of the smooth pattern."""
    finite = np.nan_to_num(pattern)
    bright = finite >= 0.5 * np.quantile(finite, 0.999) if finite.any() else np.ones(finite.shape, bool)
    y, x = (np.mean(places) for places in np.nonzero(bright))
    radius = max(1.0, math.sqrt(bright.sum() / math.pi))
    grid = np.ogrid[: pattern.shape[0], : pattern.shape[1]]
    return np.asarray((grid[0] - y) ** 2 + (grid[1] - x) ** 2 <= radius**2)
