"""A scan of one row or column, drawn as a line with its error band: a map of it would be a thread."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from parscope.report.maps import Cell, say
from parscope.report.palette import FAILED_FACE, FAILED_HATCH, FAILED_LINE, INK, LINES, QUIET
from parscope.report.sheet import Sheet
from parscope.report.view import DISPLAY, STRAINS, Array, StrainView

_FOR_LABELS = 0.56
_WITH_DOTS = 200


def draw_profile(sheet: Sheet, cell: Cell, view: StrainView, variable: str) -> Axes:
    """Draw one quantity along a line scan.

    Parameters
    ----------
    sheet : Sheet
        Where to draw.
    cell : Cell
        Place of the profile.
    view : StrainView
        A scan with a single row or column.
    variable : str
        Name of a strain, the rotation, or one of their standard errors.

    Returns
    -------
    matplotlib.axes.Axes
    """
    axes = sheet.axes(cell.left + _FOR_LABELS, cell.top, cell.width - _FOR_LABELS, cell.height, variable)
    name = variable.removesuffix("_std")
    along = "x" if view.shape[0] == 1 else "y"
    step = view.step[1] if along == "x" else view.step[0]
    values, errors = view.shown(variable).ravel(), view.shown(f"{name}_std").ravel()
    places = step * np.arange(values.size)
    marker = "." if values.size <= _WITH_DOTS else None
    axes.plot(places, values, color=LINES[name], linewidth=0.9, marker=marker, markersize=3)
    if name == variable:
        axes.fill_between(places, values - errors, values + errors, color=LINES[name], alpha=0.3, linewidth=0)
        axes.axhline(0, color=QUIET, linewidth=0.6)
    _limits(axes, view, variable)
    axes.set_xlim(places[0] - step / 2, places[-1] + step / 2)
    for first, last in _runs(~view.fitted.ravel()):
        axes.axvspan(
            (first - 0.5) * step,
            (last + 0.5) * step,
            facecolor=FAILED_FACE,
            edgecolor=FAILED_LINE,
            hatch=FAILED_HATCH,
            linewidth=0,
        )
    if view.reference.any() and not view.reference.all():
        for first, last in _runs(view.reference.ravel()):
            axes.axvspan((first - 0.5) * step, (last + 0.5) * step, ymax=0.025, color=INK, linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(f"{along} ({view.unit})", color=QUIET)
    quantity = "standard error" if name != variable else "strain" if name in STRAINS else "rotation"
    axes.set_ylabel(f"{quantity} ({DISPLAY[name][1]})", color=QUIET, labelpad=1)
    if not view.fitted.any():
        say(axes, "no value anywhere")
    return axes


def _limits(axes: Axes, view: StrainView, variable: str) -> None:
    """Give the three strains one scale, and so their standard errors."""
    name = variable.removesuffix("_std")
    names = STRAINS if name in STRAINS else (name,)
    errors = np.stack([view.shown(f"{n}_std") for n in names])
    high = _largest(errors)
    if name == variable:
        high = _largest(np.abs(np.stack([view.shown(n) for n in names])) + errors)
    axes.set_ylim(-1.05 * high if name == variable else 0, 1.05 * high)


def _largest(values: Array) -> float:
    """Largest finite value, 1 if there is none or it is zero."""
    finite = values[np.isfinite(values)]
    return float(finite.max(initial=0.0)) or 1.0


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last index of each unbroken run of true values.

    Examples
    --------
    >>> _runs(np.array([True, True, False, True]))
    [(0, 1), (3, 3)]
    """
    steps = np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))
    firsts, ends = np.nonzero(steps == 1)[0], np.nonzero(steps == -1)[0]
    return [(int(a), int(b) - 1) for a, b in zip(firsts, ends, strict=True)]
