"""How good the strain map is: errors, misfit, distance from the limit, status, and images of the disks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from parscope.report.legend import height as legend_height
from parscope.report.legend import status_entries
from parscope.report.maps import BELOW_MAP, Cell, draw_map, map_size, sequential
from parscope.report.palette import INK, INTENSITY, LINES, STROKES
from parscope.report.plots import histogram, name_axes, say_nothing, status_map, titled_axes
from parscope.report.sheet import MINUS, Sheet, own_style
from parscope.report.strain_figure import SYMBOL, subtitle
from parscope.report.view import STRAINS, Array, StrainView

_LEFT, _TOP, _SIDE, _GAP, _TITLE = 0.3, 0.78, 2.7, 0.38, 0.24
_IMAGES, _IMAGE_SIDE = 6, 1.75


@own_style
def quality_figure(dataset: xr.Dataset) -> Figure:
    """Draw what tells whether a strain map can be trusted.

    Histogram of the strains; standard error against electrons per pattern with its inverse square root; maps and
    histograms of misfit and of the standard error over the Cramér-Rao limit; the status of every position; and the
    virtual images: bright field, sum of dark fields, and the strongest disks one by one.

    Parameters
    ----------
    dataset : xarray.Dataset
        A strain map with its set-up.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    FormatError
        If the data set is no strain map.
    """
    view = StrainView(dataset)
    height = map_size(view, _SIDE)[1]
    row = _TITLE + max(height + BELOW_MAP, 2.2 + 0.55)
    first = max(row, _TITLE + legend_height(status_entries(view)) + 0.3)
    image_height = map_size(view, _IMAGE_SIDE)[1]
    sheet = Sheet(2 * _LEFT + 4 * _SIDE + 3 * _GAP, _TOP + first + row + _TITLE + image_height + BELOW_MAP)
    sheet.heading(f"Quality of the strain map of {view.title}", subtitle(view))
    plot = Cell(0, 0, _SIDE, max(height, 2.2))
    _strain_histogram(_plot(sheet, plot, 0, _TOP, "distribution of strain"), view)
    _error_against_dose(_plot(sheet, plot, 1, _TOP, "standard error against dose"), view)
    status_map(sheet, replace(_place(plot, 2, _TOP), height=height), view, view.status)
    top = _TOP + first
    for column, (name, title, words) in enumerate(_JUDGES):
        cell = _place(plot, 2 * column, top)
        sheet.text(cell.left, cell.top - _TITLE, title, fontsize=9.5, fontweight="bold")
        values = view.raw(name)
        draw_map(sheet, Cell(cell.left, cell.top, _SIDE, height), view, values, sequential(values, words), name)
        histogram(_plot(sheet, plot, 2 * column + 1, top, f"distribution of {title}"), values, words)
    _virtual_images(sheet, view, top + row, image_height)
    return sheet.figure


_JUDGES = (
    ("misfit", "misfit", "squared residual / expected (1)"),
    ("limit_ratio", "ratio to the limit", "standard error / Cramér-Rao limit (1)"),
)


def virtual_images(view: StrainView, most: int = _IMAGES) -> list[tuple[str, Array]]:
    """Bright field, sum of dark fields and the strongest single dark fields.

    Parameters
    ----------
    view : StrainView
        A strain map.
    most : int, default 6
        How many images at most.

    Returns
    -------
    list of (str, ndarray of shape (y, x))
        Titles and counts; NaN where there is no pattern.
    """
    amplitude = view.dataset["amplitude"].values
    miller = np.stack([view.raw("disk_h"), view.raw("disk_k")], -1).astype(np.int64)
    direct = np.all(miller == 0, axis=-1)
    images = [("bright field (0 0)", amplitude[d].astype(np.float64)) for d in np.flatnonzero(direct)]
    if np.any(~direct):
        images.append(("all dark fields", _sum(amplitude, ~direct)))
    strength = np.where(direct, -np.inf, [np.nansum(image, dtype=np.float64) for image in amplitude])
    strongest = [disk for disk in np.argsort(-strength, kind="stable") if not direct[disk]]
    shown = strongest[: max(most - len(images), 0)]
    return images + [(_dark_field(miller[d]), amplitude[d].astype(np.float64)) for d in shown]


def _sum(amplitude: NDArray[Any], chosen: NDArray[np.bool_]) -> Array:
    """Sum of the chosen images, one by one since a large scan has no room for copies; NaN where there is no pattern."""
    total, lost = np.zeros(amplitude.shape[1:]), np.ones(amplitude.shape[1:], np.bool_)
    for image, wanted in zip(amplitude, chosen, strict=True):
        lost &= np.isnan(image)
        if wanted:
            total += np.nan_to_num(image)
    return np.where(lost, np.nan, total)


def _dark_field(miller: NDArray[np.int64]) -> str:
    """Title of the image of one disk."""
    return f"dark field ({' '.join(str(int(i)) for i in miller)})".replace("-", MINUS)


def _place(cell: Cell, column: int, top: float) -> Cell:
    """A cell of the four columns, below its title."""
    return Cell(_LEFT + column * (_SIDE + _GAP), top + _TITLE, cell.width, cell.height)


def _plot(sheet: Sheet, cell: Cell, column: int, top: float, title: str) -> Axes:
    """Axes of a plot, with room for its labels, and its title."""
    return titled_axes(sheet, _place(cell, column, top), title)


def _strain_histogram(axes: Axes, view: StrainView) -> None:
    """Draw how often each strain occurs, with median and robust scatter."""
    values = {name: view.shown(name)[view.fitted] for name in STRAINS}
    together = np.concatenate(list(values.values()))
    if not together.size:
        say_nothing(axes)
        return
    low, high = np.percentile(together, (0.2, 99.8)).tolist()
    reach = max(high - low, 1e-3)
    bins = np.linspace(low - 0.05 * reach, high + 0.05 * reach, int(np.clip(together.size**0.5, 8, 80)))
    for name, strain in values.items():
        scatter = 1.4826 * float(np.median(np.abs(strain - np.median(strain))))
        label = f"{SYMBOL[name]}: {np.median(strain):+.2f} ± {scatter:.2f}".replace("-", MINUS)
        style = {"color": LINES[name], "linestyle": STROKES[name], "linewidth": 1.2}
        axes.hist(np.clip(strain, bins[0], bins[-1]), bins=bins.tolist(), histtype="step", label=label, **style)  # type: ignore[arg-type]
    axes.set_ylim(0, 1.8 * axes.get_ylim()[1])
    axes.legend(loc="upper left", frameon=False, title="median ± scatter (%)", title_fontsize=8, alignment="left")
    name_axes(axes, "strain (%)", "scan positions")


def _error_against_dose(axes: Axes, view: StrainView) -> None:
    """Draw the standard error of the strain over electrons per pattern, beside the 1/√N through its median."""
    errors = view.shown("e_xx_std")
    dose = view.where_fitted("electrons")
    use = np.isfinite(errors) & np.isfinite(dose) & (errors > 0) & (dose > 0)
    if not use.any():
        say_nothing(axes)
        return
    x, y = dose[use], errors[use]
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(_log_limits(x))
    axes.set_ylim(_log_limits(y))
    if x.size > 2000:
        bins = [np.geomspace(*_log_limits(v), 90) for v in (x, y)]
        axes.hist2d(x, y, bins=bins, norm=LogNorm(), cmap="Blues", rasterized=True)
    else:
        axes.plot(x, y, ".", color=LINES["e_xx"], markersize=2.5, alpha=0.5)
    line = np.geomspace(*axes.get_xlim(), 2)
    through = float(np.median(y) * np.sqrt(np.median(x)))
    axes.plot(line, through / np.sqrt(line), "--", color=INK, linewidth=1, label=r"∝ 1/$\sqrt{N}$")
    axes.legend(loc="upper right", frameon=False)
    _round_ticks(axes)
    name_axes(axes, "electrons per pattern, N", r"standard error of $\varepsilon_{xx}$ (%)")


def _virtual_images(sheet: Sheet, view: StrainView, top: float, height: float) -> None:
    """Draw the row of images, brightness of its own each."""
    gap = (sheet.width - 2 * _LEFT - _IMAGES * _IMAGE_SIDE) / (_IMAGES - 1)
    for column, (title, image) in enumerate(virtual_images(view)):
        cell = Cell(_LEFT + column * (_IMAGE_SIDE + gap), top + _TITLE, _IMAGE_SIDE, height)
        sheet.text(cell.left, cell.top - _TITLE, title, fontsize=9.5, fontweight="bold")
        draw_map(sheet, cell, view, image, sequential(image, "electrons per disk", INTENSITY), title)


def _log_limits(values: Array) -> tuple[float, float]:
    """Ends of a logarithmic axis that shows the middle 99 % with some air."""
    low, high = np.percentile(values, (0.5, 99.5)).tolist()
    return low / 1.15, high * 1.15


def _round_ticks(axes: Axes) -> None:
    """Label few ticks with plain numbers: an axis of less than a decade would have none or too many."""
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        places = [
            m * 10.0**p
            for p in range(-9, 12)
            for m in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
            if low <= m * 10.0**p <= high
        ]
        thinned = places[:: max(1, round(len(places) / 4))]
        axis.set_ticks(thinned, [f"{place:,.6g}" for place in thinned])
        axis.set_ticks([], minor=True)
