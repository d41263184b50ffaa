"""The report of a fit of spectra on one sheet: maps, errors, misfit, status and the worst spectra."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from parscope.report.curve_panels import draw_worst, panels_height
from parscope.report.files import write_whole
from parscope.report.fit_maps import MISFIT, draw_curve, draw_fit_map, draw_profile, error_paint, misfit_paint, paint
from parscope.report.fit_summary import summary_lines
from parscope.report.fit_view import FitView, Quantity
from parscope.report.legend import height as legend_height
from parscope.report.legend import place, status_entries
from parscope.report.maps import BELOW_MAP, Cell, map_size
from parscope.report.plots import histogram, status_map, titled_axes
from parscope.report.sheet import TIMES, Sheet, drawn, own_style, wrapped

_LEFT, _TOP, _SIDE, _GAP, _TITLE = 0.3, 0.7, 2.7, 0.38, 0.24
_COLUMNS, _MOST_COLUMNS = 4, 6
_WIDTH = 2 * _LEFT + _COLUMNS * _SIDE + (_COLUMNS - 1) * _GAP
_LINE, _CHARACTERS = 0.17, 175
_PLOT, _BELOW_PLOT = 1.7, 0.55
_DPI = 160

Row = tuple[float, Callable[[Sheet, float], None]]
"""Height of a row of the sheet, [inch], and what draws it from a given top."""


@own_style
def fit_figure(dataset: xr.Dataset) -> Figure:
    """Draw what a fit of spectra found, and whether it can be trusted.

    Maps of the quantities above their standard errors, spectra without a value hatched in grey; a quantity on a single
    axis as a line with its standard error; with three axes or more, maps at the middle of the further ones, and
    medians over the scan against the last. Then misfit, status, and the spectra that the model explains least.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `map_spectra`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    FormatError
        If the data set is no fit of spectra.
    """
    view = FitView(dataset)
    words = [line for told in summary_lines(view) for line in wrapped(told, _CHARACTERS)]
    rows = [*_quantities(view), *_curves(view), _judgement(view), *_worst(view)]
    top = _TOP + _LINE * len(words) + 0.2
    sheet = Sheet(_WIDTH, top + sum(height for height, _ in rows))
    sheet.heading(view.title, _subtitle(view))
    for n, line in enumerate(words):
        sheet.text(_LEFT, _TOP + n * _LINE, line, fontsize=8.5)
    for height, draw in rows:
        draw(sheet, top)
        top += height
    return sheet.figure


def write_fit_png(dataset: xr.Dataset, path: Path) -> Path:
    """Write the report of a fit of spectra as a PNG image.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `map_spectra`.
    path : Path
        The file; replaced if it exists.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    FormatError
        If the data set is no fit of spectra.
    OutputError
        If the file cannot be written.
    """
    return write_whole(path, drawn(fit_figure, dataset, _DPI)[0])


def _subtitle(view: FitView) -> str:
    """One line that says what was fitted."""
    lengths = [view.dataset.sizes[name] for name in view.navigation]
    shape, names = (f" {TIMES} ".join(str(part) for part in parts) for parts in (lengths, view.navigation))
    version = view.dataset.attrs.get("parscope_version", "")
    return " · ".join([f"{shape} spectra ({names})", *([f"parscope {version}"] if version else []), view.source])


def _cell(column: int, top: float, height: float, side: float = _SIDE) -> Cell:
    """A place in one of the columns, below its title."""
    return Cell(_LEFT + column * (side + _GAP), top + _TITLE, side, height)


def _lines(view: FitView, columns: int = _COLUMNS) -> Iterator[tuple[Quantity, ...]]:
    """The quantities, as many as fit side by side at a time."""
    for first in range(0, len(view.quantities), columns):
        yield view.quantities[first : first + columns]


def _columns(view: FitView) -> tuple[int, float]:
    """Maps side by side, and the width of one, [inch]: smaller ones where there are many, to be seen at a glance."""
    lines = -(-len(view.quantities) // _MOST_COLUMNS)
    columns = max(_COLUMNS, -(-len(view.quantities) // lines))
    return columns, (_WIDTH - 2 * _LEFT - (columns - 1) * _GAP) / columns


def _map_height(view: FitView, side: float = _SIDE) -> float:
    """Height of a map, [inch]."""
    return map_size(view, side)[1]


def _quantities(view: FitView) -> list[Row]:
    """Maps with their errors, lines, or nothing where there is a single spectrum or no value."""
    if not any(np.isfinite(quantity.values).any() for quantity in view.quantities):
        return []
    if len(view.long) > 1:
        columns, side = _columns(view)
        block = 2 * (_TITLE + _map_height(view, side) + BELOW_MAP)
        return [(block, partial(_draw_maps, view, line, side)) for line in _lines(view, columns)]
    return _plots(view) if view.long else []


def _curves(view: FitView) -> list[Row]:
    """Medians against the last axis, where maps do not show it."""
    return _plots(view) if len(view.long) > 2 and _quantities(view) else []


def _plots(view: FitView) -> list[Row]:
    """Rows of plots, one a quantity."""
    return [(_TITLE + _PLOT + _BELOW_PLOT, partial(_draw_plots, view, line)) for line in _lines(view)]


def _draw_maps(view: FitView, line: tuple[Quantity, ...], side: float, sheet: Sheet, top: float) -> None:
    """Draw maps above their standard errors."""
    height = _map_height(view, side)
    block = _TITLE + height + BELOW_MAP
    for column, quantity in enumerate(line):
        values, std = view.on_map(quantity.values), view.on_map(quantity.std)
        shown = ((quantity.words, values, paint(quantity, values)), ("standard error", std, error_paint(quantity, std)))
        for row, (title, image, colours) in enumerate(shown):
            cell = _cell(column, top + row * block, height, side)
            sheet.text(cell.left, cell.top - _TITLE, title, fontsize=10, fontweight="bold")
            draw_fit_map(sheet, cell, view, image, colours, colours.label)


def _draw_plots(view: FitView, line: tuple[Quantity, ...], sheet: Sheet, top: float) -> None:
    """Draw a row of plots."""
    draw, what = (draw_curve, ", all positions") if len(view.long) > 2 else (draw_profile, "")
    for column, quantity in enumerate(line):
        draw(titled_axes(sheet, _cell(column, top, _PLOT), quantity.words + what), view, quantity)


def _judgement(view: FitView) -> Row:
    """Misfit and status."""
    plot, map_ = _PLOT + _BELOW_PLOT, _map_height(view) + BELOW_MAP if len(view.long) > 1 else 0.0
    return _TITLE + max(plot, map_, legend_height(status_entries(view)) + 0.3), partial(_draw_judgement, view)


def _draw_judgement(view: FitView, sheet: Sheet, top: float) -> None:
    """Draw the histogram of misfit, and maps of misfit and status."""
    misfit = view.raw("misfit")
    histogram(titled_axes(sheet, _cell(0, top, _PLOT), "misfit of all spectra"), misfit, MISFIT, "spectra")
    if len(view.long) < 2:
        place(sheet, status_entries(view), _cell(1, top, _PLOT).left, top + _TITLE)
        return
    cell = _cell(1, top, _map_height(view))
    sheet.text(cell.left, top, "misfit", fontsize=9.5, fontweight="bold")
    shown = view.on_map(misfit)
    draw_fit_map(sheet, cell, view, shown, misfit_paint(shown), MISFIT)
    status_map(sheet, _cell(2, top, _map_height(view)), view, view.on_map(view.status), draw_fit_map)


def _worst(view: FitView) -> list[Row]:
    """The spectra that the model explains least, if any were kept."""
    return [(0.3 + panels_height(view), partial(_draw_worst, view))] if view.dataset.sizes["worst"] else []


def _draw_worst(view: FitView, sheet: Sheet, top: float) -> None:
    """Draw the panels below their title."""
    sheet.text(_LEFT, top, "Spectra that the model explains least", fontsize=11, fontweight="bold")
    draw_worst(sheet, view, _LEFT, top + 0.3, _WIDTH - 2 * _LEFT)
