"""Quantities of a fit drawn: as maps, along a single axis, or against what was swept."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from parscope.report.fit_summary import direction
from parscope.report.fit_view import FitView, Quantity
from parscope.report.maps import Cell, Paint, diverging, draw_map, sequential
from parscope.report.palette import CYCLIC, PARTS, QUIET
from parscope.report.plots import name_axes, say_nothing
from parscope.report.sheet import Sheet, plain
from parscope.report.units import with_unit
from parscope.report.view import Array

_LEFT_OF_TICKS, _BELOW_TICKS = 0.42, 0.3
_TICKS = 4
MISFIT = "squared residual / expected"
"""What the misfit is, as a label."""
_TURN = (-180.0, -90.0, 0.0, 90.0, 180.0)


def paint(quantity: Quantity, values: Array) -> Paint:
    """Colours of a quantity: a ring for angles, blue and red for both signs, dark to light for the rest.

    Parameters
    ----------
    quantity : Quantity
        Says its unit and kind.
    values : ndarray, any shape
        In this unit; NaN is left out.

    Returns
    -------
    Paint
    """
    label = with_unit(quantity.words, quantity.unit)
    if quantity.circular:
        return Paint(CYCLIC, -180.0, 180.0, label, _TURN)
    kept = without_outliers(values)
    finite = kept[np.isfinite(kept)]
    low, high = np.percentile(finite, (2, 98)).tolist() if finite.size else (0.0, 1.0)
    return diverging(kept, label) if low < 0 < high else sequential(kept, label)


def error_paint(quantity: Quantity, std: Array) -> Paint:
    """Colours of standard errors, in their own unit."""
    return sequential(without_outliers(std), with_unit("standard error", quantity.std_unit))


def misfit_paint(misfit: Array) -> Paint:
    """Colours of the misfit."""
    return sequential(without_outliers(misfit), MISFIT)


def without_outliers(values: Array) -> Array:
    """Values whose range a few wild ones do not stretch until all others have the same colour.

    They end three interquartile ranges beyond the quartiles, but further out where a tenth of the values on a side
    would be cut: a small part of another material keeps its colours.

    Parameters
    ----------
    values : ndarray, any shape
        NaN is left as it is.

    Returns
    -------
    ndarray, shape of `values`
        Clipped.

    Examples
    --------
    >>> print(without_outliers(np.array([1.0, 2.0, 3.0, 4.0, 5.0] * 4 + [900.0])).max())
    10.0
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return values
    tenth, lower, upper, ninetieth = np.percentile(finite, (10, 25, 75, 90)).tolist()
    fence = 3 * (upper - lower)
    return np.clip(values, min(tenth, lower - fence), max(ninetieth, upper + fence))


def draw_fit_map(sheet: Sheet, cell: Cell, view: FitView, values: Array, paint: Paint, name: str) -> Axes:
    """Draw a map with a scale bar, or with labelled axes where these are no lengths.

    Parameters
    ----------
    sheet : Sheet
        Where to draw.
    cell : Cell
        Place of the map.
    view : FitView
        Navigation axes.
    values : ndarray, shape (y, x)
        What to draw.
    paint : Paint
        Colours.
    name : str
        Label of the axes.

    Returns
    -------
    matplotlib.axes.Axes
    """
    if view.unit:
        return draw_map(sheet, cell, view, values, paint, name)
    inner = Cell(cell.left + _LEFT_OF_TICKS, cell.top, cell.width - _LEFT_OF_TICKS, cell.height - _BELOW_TICKS)
    axes = draw_map(sheet, inner, view, values, paint, name)
    for along, axis in zip(view.long[:2], (axes.yaxis, axes.xaxis), strict=True):
        points, at = view.points(along), view.labelled(along, _TICKS)
        axis.set_ticks(at.tolist(), [f"{points[n]:.3g}" for n in at])
        axis.set_label_text(plain(with_unit(along, view.axis_unit(along))), color=QUIET)
        axis.labelpad = 1
    axes.tick_params(length=2, width=0.5, pad=1.5, labelsize=7)
    return axes


def draw_profile(axes: Axes, view: FitView, quantity: Quantity) -> None:
    """Draw a quantity with its standard error along the one axis that has more than one point."""
    values, std = quantity.values.ravel(), quantity.std.ravel() * quantity.to_unit
    if not np.isfinite(values).any():
        say_nothing(axes)
        return
    name = view.long[0]
    points = view.points(name)
    axes.plot(points, values, color=PARTS[0], linewidth=0.9, marker=".", markersize=3)
    axes.fill_between(points, values - std, values + std, color=PARTS[0], alpha=0.3, linewidth=0)
    _finish(axes, view, name, quantity)
    if not quantity.circular:
        # Single wild values do not set the limits.
        low, high = np.nanpercentile(values, (1, 99)).tolist()
        reach = max(high - low, 1e-3 * abs(high), 1e-12)
        axes.set_ylim(low - 0.15 * reach, high + 0.15 * reach)


def draw_curve(axes: Axes, view: FitView, quantity: Quantity) -> None:
    """Draw a quantity against the last axis: its median over the scan with the range of the middle half.

    Axes between those of the map and the last one are at their middle. Of angles the mean direction is drawn.
    """
    last = view.long[-1]
    values = view.on_map(quantity.values, {n: index for n, index in view.middle.items() if n != last})
    values = values.reshape(-1, values.shape[-1])
    there = np.isfinite(values).any(axis=0)
    if not there.any():
        say_nothing(axes)
        return
    points = view.points(last)
    if quantity.circular:
        middle = direction(values)
    else:
        low, middle, high = np.nanpercentile(np.where(there, values, 0.0), (25, 50, 75), axis=0)
        middle[~there] = np.nan
        axes.vlines(
            points[there], low[there], high[there], color=PARTS[0], alpha=0.3, linewidth=min(2, 150 / points.size)
        )
    axes.plot(points, middle, color=PARTS[0], linewidth=0.9, marker=".", markersize=3)
    _finish(axes, view, last, quantity)


def _finish(axes: Axes, view: FitView, along: str, quantity: Quantity) -> None:
    """Name the axes; an angle has the whole turn."""
    label = with_unit(quantity.words, quantity.unit)
    name_axes(axes, plain(with_unit(along, view.axis_unit(along))), plain(label), whole=False)
    if quantity.circular:
        axes.set_ylim(-180, 180)
        axes.set_yticks(_TURN)
