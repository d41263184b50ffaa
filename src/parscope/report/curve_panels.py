"""The spectra that a model explains least: samples, fit, and the band in which the fit lies with 95 %."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from parscope.core.solver import Status
from parscope.report.fit_view import FitView
from parscope.report.legend import Entry, place
from parscope.report.maps import Cell, say
from parscope.report.palette import INK, PARTS, QUIET
from parscope.report.plots import FOR_LABELS
from parscope.report.sheet import Sheet, plain, printable
from parscope.report.units import readable, with_unit
from parscope.report.view import Array

COLUMNS = 3
"""Panels side by side."""

BAND = 1.96
"""Standard errors on either side of a value that hold it with 95 %."""

_GAP, _TITLE, _HEIGHT, _BELOW, _KEY = 0.35, 0.4, 1.35, 0.5, 0.3


def panels_height(view: FitView) -> float:
    """Height of all panels with their legend, [inch]."""
    rows = -(-view.dataset.sizes["worst"] // COLUMNS)
    return _KEY + rows * (_TITLE + _HEIGHT + _BELOW)


def draw_worst(sheet: Sheet, view: FitView, left: float, top: float, width: float) -> None:
    """Draw the worst spectra.

    Real and imaginary part are drawn, and not modulus and phase: the noise is the same everywhere in these, so that
    what the model does not know stands out.

    Parameters
    ----------
    sheet : Sheet
        Where to draw.
    view : FitView
        A fit of spectra.
    left, top : float
        Corner of the panels, [inch].
    width : float
        Of all panels, [inch].
    """
    place(sheet, _key(view), left, top, columns=6)
    side = (width - (COLUMNS - 1) * _GAP) / COLUMNS
    for n in range(view.dataset.sizes["worst"]):
        x = left + (n % COLUMNS) * (side + _GAP)
        y = top + _KEY + (n // COLUMNS) * (_TITLE + _HEIGHT + _BELOW)
        place_and_misfit, status = _captions(view, n)
        sheet.text(x, y, printable(place_and_misfit), fontsize=8.5, fontweight="bold")
        sheet.text(x, y + 0.17, status, fontsize=8.5, color=QUIET)
        box = Cell(x + FOR_LABELS, y + _TITLE, side - FOR_LABELS, _HEIGHT)
        _panel(sheet.axes(box.left, box.top, box.width, box.height, f"worst {n}"), view, n)


def one_way(points: Array) -> list[slice]:
    """Parts of a sweep that rise or fall all along: a band over both at once would cut holes into itself.

    Parameters
    ----------
    points : ndarray, shape (n,)
        Where the samples lie, in the order of time.

    Returns
    -------
    list of slice

    Examples
    --------
    >>> one_way(np.array([0.0, 1.0, 2.0, 1.0, 0.0]))
    [slice(0, 3, None), slice(2, 5, None)]
    """
    turns = np.flatnonzero(np.diff(np.sign(np.diff(points)))) + 1
    ends = [0, *turns.tolist(), len(points) - 1]
    return [slice(first, last + 1) for first, last in pairwise(ends)]


def _parts(view: FitView) -> tuple[str, ...]:
    """Ends of the names of the parts of a spectrum."""
    return ("_re", "_im") if "worst_spectrum_re" in view.dataset else ("",)


def _panel(axes: Axes, view: FitView, n: int) -> None:
    """Draw one spectrum."""
    axes.spines[["top", "right"]].set_visible(False)
    name = str(view.dataset[f"worst_spectrum{_parts(view)[0]}"].dims[1])
    points = view.points(name)
    factor, unit = readable(points, view.axis_unit(name))
    samples = [view.raw(f"worst_spectrum{part}")[n] for part in _parts(view)]
    size, sample_unit = readable(np.stack(samples), _sample_unit(view))
    drawn = []
    for part, colour, measured in zip(_parts(view), PARTS, samples, strict=False):
        fit, std = view.raw(f"worst_fit{part}")[n], view.raw(f"worst_fit{part}_std")[n]
        axes.plot(factor * points, size * measured, ".", color=colour, markersize=2.5, alpha=0.6)
        axes.plot(factor * points, size * fit, color=colour, linewidth=1)
        low, high = size * (fit - BAND * std), size * (fit + BAND * std)
        for run in one_way(points):
            axes.fill_between(factor * points[run], low[run], high[run], color=colour, alpha=0.3, linewidth=0)
        drawn += [size * measured, size * fit]
    _limit(axes, np.concatenate(drawn))
    if len(points) > 1:
        axes.set_xlim(factor * points.min(), factor * points.max())
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlabel(plain(with_unit(name, unit)), color=QUIET, labelpad=1)
    what = str(view.dataset[f"worst_spectrum{_parts(view)[0]}"].attrs.get("quantity", "response"))
    axes.set_ylabel(plain(with_unit(what, sample_unit)), color=QUIET, labelpad=1)
    if not any(np.isfinite(measured).any() for measured in samples):
        say(axes, "no sample")


def _limit(axes: Axes, values: Array) -> None:
    """Limits that hold samples and fit, and not the whole of a band that is wider than both."""
    finite = values[np.isfinite(values)]
    if finite.size:
        low, high = float(finite.min()), float(finite.max())
        reach = high - low or 1.0
        axes.set_ylim(low - 0.08 * reach, high + 0.08 * reach)


def _sample_unit(view: FitView) -> str:
    """Unit of the samples."""
    return str(view.dataset[f"worst_spectrum{_parts(view)[0]}"].attrs.get("units", "1"))


def _captions(view: FitView, n: int) -> tuple[str, str]:
    """Position with misfit, and status, of one spectrum."""
    at = {name: int(view.raw(f"worst_{name}")[n]) for name in view.navigation}
    where = ", ".join(f"{name} {index}" for name, index in at.items())
    misfit = float(view.raw("misfit")[tuple(at.values())])
    status = Status(int(view.raw("worst_status")[n])).sentence
    return f"{where} · misfit {misfit:.2f}" if np.isfinite(misfit) else where, status


def _key(view: FitView) -> list[Entry]:
    """What dots, lines and bands are."""
    entries: list[Entry] = [
        (Line2D([], [], color=INK, marker=".", linestyle="", markersize=4), "samples"),
        (Line2D([], [], color=INK, linewidth=1), "fit"),
        (Patch(facecolor=INK, alpha=0.3), "where it lies with 95 %"),
    ]
    if len(_parts(view)) > 1:
        words = ("real part", "imaginary part")
        entries += [(Patch(facecolor=colour), part) for colour, part in zip(PARTS, words, strict=True)]
    return entries
