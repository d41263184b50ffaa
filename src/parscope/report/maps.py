"""One map of a scan: values in colour, failures hatched, scale bar and colour bar of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap, Normalize
from matplotlib.image import AxesImage
from matplotlib.ticker import FixedLocator, MaxNLocator
from numpy.typing import NDArray

from parscope.report.palette import (
    DIVERGING,
    FAILED_FACE,
    FAILED_HATCH,
    FAILED_LINE,
    HALO,
    INK,
    QUIET,
    SEQUENTIAL,
)
from parscope.report.sheet import TIMES, Sheet, printable
from parscope.report.view import Array, Mapped

BELOW_MAP = 0.95
"""Room below a map for its scale bar, colour bar and label, [inch]."""

_LONGEST = 4.0
_SCALE_STRIP = 0.25
_BAR_HEIGHT = 0.09
# Room of a number at a colour bar, [inch]; size of its label, [pt], and characters of that size in an inch.
_TICK, _LABEL, _PER_INCH = 0.5, 8.5, 15


@dataclass(frozen=True)
class Cell:
    """Place on a sheet, [inch] from the top left corner."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Paint:
    """How values become colour.

    Parameters
    ----------
    colours : str or matplotlib.colors.Colormap
        Colour map.
    low, high : float
        Values of its ends, [that of the label].
    label : str
        Quantity and unit, written at the colour bar; empty for a map without one.
    ticks : tuple of float, optional
        Where the colour bar has numbers, [that of the label]; default round ones.
    """

    colours: str | Colormap
    low: float
    high: float
    label: str = ""
    ticks: tuple[float, ...] = ()


def diverging(values: Array, label: str) -> Paint:
    """Colours centred on zero, ends at the 98th percentile of the absolute values.

    Parameters
    ----------
    values : ndarray, any shape
        All maps that share the colours; NaN is left out.
    label : str
        Quantity and unit.

    Returns
    -------
    Paint
    """
    magnitude = np.abs(values[np.isfinite(values)])
    limit = float(np.percentile(magnitude, 98)) if magnitude.size else 0.0
    limit = _rounded_up(limit or float(magnitude.max(initial=0.0)) or 1.0)
    return Paint(DIVERGING, -limit, limit, label)


def sequential(values: Array, label: str, colours: str = SEQUENTIAL) -> Paint:
    """Colours from small to large, ends at the 2nd and 98th percentile.

    Parameters
    ----------
    values : ndarray, any shape
        All maps that share the colours; NaN is left out.
    label : str
        Quantity and unit.
    colours : str, optional
        Name of the colour map.

    Returns
    -------
    Paint
    """
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, (2, 98)).tolist() if finite.size else (0.0, 1.0)
    if not high - low > 1e-6 * abs(high):
        middle, reach = (low + high) / 2, max(0.01 * abs(high), 1e-12)
        low, high = middle - reach, middle + reach
    return Paint(colours, low, high, label)


def map_size(view: Mapped, longest: float) -> tuple[float, float]:
    """Width and height of a map whose longer side is `longest`, [inch]; never thinner than a quarter of it."""
    ratio = _ratio(view)
    drawn = min(max(ratio, 1 / _LONGEST), _LONGEST)
    return (longest, longest * drawn) if drawn <= 1 else (longest / drawn, longest)


def draw_map(sheet: Sheet, cell: Cell, view: Mapped, values: Array, paint: Paint, name: str) -> Axes:
    """Draw one map into the top of a cell, its scale bar and colour bar below it.

    Parameters
    ----------
    sheet : Sheet
        Where to draw.
    cell : Cell
        Place of the map; `BELOW_MAP` is needed below it.
    view : StrainView or FitView
        Scan axes.
    values : ndarray, shape (y, x)
        What to draw; NaN is drawn as failed, never as a value.
    paint : Paint
        Colours.
    name : str
        Label of the axes.

    Returns
    -------
    matplotlib.axes.Axes
        In units of scan positions: pixel (0, 0) has its centre at (0, 0). Without ticks, and without a scale bar where
        the axes have no unit of length in common.
    """
    width, height = map_size(view, max(cell.width, cell.height))
    shrink = min(1.0, cell.width / width, cell.height / height)
    width, height = width * shrink, height * shrink
    left = cell.left + (cell.width - width) / 2
    axes = sheet.axes(left, cell.top, width, height, name)
    hatch_background(axes)
    shown = np.ma.masked_invalid(values)
    image = axes.imshow(shown, cmap=paint.colours, norm=Normalize(paint.low, paint.high), aspect="auto")
    axes.set_xticks([])
    axes.set_yticks([])
    start = left if width > cell.width / 2 else cell.left
    if view.unit:
        _scale_bar(sheet, Cell(start, cell.top + cell.height + 0.1, width, _SCALE_STRIP), view)
    if shown.count() == 0:
        say(axes, "no value anywhere")
    elif paint.label:
        bar = Cell(cell.left, cell.top + cell.height + _SCALE_STRIP + 0.07, cell.width, _BAR_HEIGHT)
        _colour_bar(sheet, bar, image, values, paint)
    return axes


def hatch_background(axes: Axes) -> None:
    """Lay the pattern of failed positions under an image, which shows through where the image has no value."""
    axes.patch.set(facecolor=FAILED_FACE, edgecolor=FAILED_LINE, hatch=FAILED_HATCH, linewidth=0)


def say(axes: Axes, words: str) -> None:
    """Write words across the middle of axes, legible on any ground."""
    box = {"facecolor": HALO, "edgecolor": INK, "linewidth": 0.5, "boxstyle": "round,pad=0.4"}
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", bbox=box, fontsize=8.5)


def outline_region(axes: Axes, region: NDArray[np.bool_]) -> None:
    """Draw a black line with a white rim around all positions where `region`, shape (y, x), is true."""
    segments = _edges(np.pad(region.astype(np.int64), 1)) - 1
    axes.add_collection(LineCollection(list(segments), colors=HALO, linewidths=2.8, capstyle="projecting"))
    axes.add_collection(LineCollection(list(segments), colors=INK, linewidths=1.3, capstyle="projecting"))


def outline_grains(axes: Axes, grain: NDArray[np.int64]) -> None:
    """Draw thin lines between grains, shape (y, x); positions of no grain (-1) are hatched already."""
    axes.add_collection(LineCollection(list(_edges(grain, ignore=-1)), colors=INK, linewidths=0.6))


def nice_length(longest: float) -> float:
    """Largest of 1, 2, 5 times a power of ten that is at most `longest`.

    Examples
    --------
    >>> nice_length(37.0)
    20.0
    """
    power = 10.0 ** np.floor(np.log10(longest))
    return float(max(m * power for m in (1, 2, 5) if m * power <= longest * (1 + 1e-9)))


def _rounded_up(value: float) -> float:
    """Round up to two digits, so that the ends of a colour bar can be read."""
    unit = 10.0 ** (np.floor(np.log10(value)) - 1)
    return float(np.ceil(value / unit - 1e-9) * unit)


def _ratio(view: Mapped) -> float:
    """Height over width of the scanned area."""
    (rows, columns), (step_y, step_x) = view.shape, view.step
    return rows * step_y / (columns * step_x)


def _edges(labels: NDArray[np.int64], ignore: int | None = None) -> Array:
    """Pixel edges between unequal labels, shape (n, 2, 2): segments of two (x, y) points."""
    parts = []
    for axis in (0, 1):
        first, second = (labels[:-1], labels[1:]) if axis == 0 else (labels[:, :-1], labels[:, 1:])
        differ = first != second
        if ignore is not None:
            differ &= (first != ignore) & (second != ignore)
        y, x = np.nonzero(differ)
        along = (x - 0.5, y + 0.5, x + 0.5, y + 0.5) if axis == 0 else (x + 0.5, y - 0.5, x + 0.5, y + 0.5)
        parts.append(np.stack(along, -1).reshape(-1, 2, 2))
    return np.concatenate(parts).astype(np.float64)


def _scale_bar(sheet: Sheet, cell: Cell, view: Mapped) -> None:
    """Draw a bar of a round length below the map, where it hides no data."""
    extent = view.shape[1] * view.step[1]
    length = nice_length(extent / 3)
    drawn = cell.width * length / extent
    sheet.bar(cell.left, cell.top, drawn, 0.045)
    sheet.text(
        cell.left + drawn + 0.06, cell.top + 0.022, f"{length:g} {view.unit}{_stretch(view)}", fontsize=8, va="center"
    )


def _stretch(view: Mapped) -> str:
    """Warning for maps too long to be drawn to scale."""
    ratio = _ratio(view)
    if ratio < 1 / _LONGEST:
        return f", y stretched {1 / _LONGEST / ratio:.2g}{TIMES}"
    return f", y shrunk {ratio / _LONGEST:.2g}{TIMES}" if ratio > _LONGEST else ""


def _colour_bar(sheet: Sheet, cell: Cell, image: AxesImage, values: Array, paint: Paint) -> None:
    """Draw a colour bar with its quantity and unit; arrows where values lie beyond its ends."""
    axes = sheet.axes(cell.left, cell.top, cell.width, cell.height, "colour bar")
    finite = values[np.isfinite(values)]
    below, above = bool(np.any(finite < paint.low)), bool(np.any(finite > paint.high))
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[below, above]
    bar = sheet.figure.colorbar(image, cax=axes, orientation="horizontal", extend=extend, extendfrac=0.03)
    bar.outline.set_linewidth(0.5)
    bar.locator = FixedLocator(paint.ticks) if paint.ticks else MaxNLocator(min(5, int(cell.width / _TICK)))
    bar.ax.tick_params(length=2, width=0.5, pad=1.5)
    label = printable(paint.label)
    size = min(_LABEL, _LABEL * _PER_INCH * cell.width / max(len(label), 1))
    bar.set_label(label, labelpad=1.5, color=QUIET, parse_math=False, fontsize=size)
    bar.update_ticks()
