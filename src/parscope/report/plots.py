"""What several figures plot alike: labelled axes, a histogram of misfit, a map of the status."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from parscope.core.solver import Status
from parscope.report.legend import place, status_entries
from parscope.report.maps import Cell, Paint, draw_map, say
from parscope.report.palette import INK, MARK_G1, QUIET, STATUS
from parscope.report.sheet import Sheet
from parscope.report.view import Array, Mapped

FOR_LABELS = 0.52
"""Room left of a plot for its labels, [inch]."""

_TITLE = 0.24


def titled_axes(sheet: Sheet, cell: Cell, title: str) -> Axes:
    """Axes of a plot, with room for its labels, below its title."""
    sheet.text(cell.left, cell.top - _TITLE, title, fontsize=9.5, fontweight="bold")
    axes = sheet.axes(cell.left + FOR_LABELS, cell.top, cell.width - FOR_LABELS, cell.height, title)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def name_axes(axes: Axes, x: str, y: str, whole: bool = True) -> None:
    """Name both axes, with few ticks: whole numbers only on that of y where it counts."""
    axes.set_xlabel(x, color=QUIET, labelpad=2)
    axes.set_ylabel(y, color=QUIET, labelpad=2)
    if axes.get_xscale() == "linear":
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=whole))


def say_nothing(axes: Axes) -> None:
    """Say that there is nothing to plot."""
    axes.set_axis_off()
    say(axes, "no value anywhere")


def histogram(axes: Axes, values: Array, words: str, what: str = "scan positions") -> None:
    """Draw how often each value occurs, 1 and the median marked; what lies beyond is counted in the last bins.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw.
    values : ndarray, any shape
        Values whose perfect one is 1; NaN is left out.
    words : str
        What they are.
    what : str, default "scan positions"
        What is counted.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        say_nothing(axes)
        return
    low, high = np.percentile(finite, (0.2, 99.0)).tolist()
    low, high = min(low, 1.0), max(high, 1.0)
    reach = max(high - low, 1e-3)
    bins = np.linspace(low - 0.08 * reach, high + 0.08 * reach, int(np.clip(finite.size**0.5, 8, 60)))
    numbers, _, _ = axes.hist(np.clip(finite, bins[0], bins[-1]), bins=bins.tolist(), color="#7a9cc6")
    peak, median = 1.05 * float(np.max(numbers)), float(np.median(finite))
    axes.vlines(1, 0, peak, color=INK, linewidth=1.2, linestyle="--", label="perfect: 1")
    axes.vlines(median, 0, peak, color=MARK_G1, linewidth=1.8, label=f"median: {median:.2f}")
    axes.set_ylim(0, 1.2 * peak)
    axes.legend(loc="upper right", frameon=False, ncols=2, columnspacing=1, handlelength=1.4)
    name_axes(axes, words, what)


def status_map(
    sheet: Sheet, cell: Cell, view: Mapped, codes: NDArray[np.uint8], draw: Callable[..., Axes] = draw_map
) -> Axes:
    """Draw why each point has a value or none, a colour each, with a legend to the right.

    Parameters
    ----------
    sheet : Sheet
        Where to draw.
    cell : Cell
        Place of the map.
    view : StrainView or FitView
        Scan axes, and how many points have each status.
    codes : ndarray, shape (y, x)
        Codes of `Status`.
    draw : callable, default draw_map
        Draws a map.

    Returns
    -------
    matplotlib.axes.Axes
    """
    sheet.text(cell.left, cell.top - _TITLE, "status", fontsize=9.5, fontweight="bold")
    colours = ListedColormap([STATUS[status] for status in Status])
    paint = Paint(colours, -0.5, len(Status) - 0.5)
    axes = draw(sheet, cell, view, codes.astype(np.float64), paint, "status")
    axes.get_images()[0].set_norm(BoundaryNorm(np.arange(len(Status) + 1) - 0.5, len(Status)))
    place(sheet, status_entries(view), cell.left + cell.width + 0.2, cell.top)
    return axes
