"""The patterns the model fits worst, beside their fits and what is left."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure

from parscope.core.solver import Status
from parscope.report.maps import hatch_background, say
from parscope.report.palette import DIVERGING, INTENSITY, QUIET
from parscope.report.sheet import Sheet, own_style
from parscope.report.strain_figure import subtitle
from parscope.report.view import Array, StrainView

_LEFT, _TOP, _SIDE, _GAP, _BETWEEN, _TITLE = 0.3, 0.78, 1.9, 0.06, 0.42, 0.22
_MOST, _SIGMAS = 10, 5.0


@own_style
def worst_figure(dataset: xr.Dataset) -> Figure:
    """Draw the worst ten patterns, their fits, and the residuals in units of the expected noise.

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
    number = min(view.dataset.sizes["worst"], _MOST)
    rows_px, columns_px = view.dataset.sizes["q_y"], view.dataset.sizes["q_x"]
    height = _SIDE * min(rows_px / columns_px, 2.0)
    lines = max(1, math.ceil(number / 2))
    block = _TITLE + height + 0.2
    trio = 3 * _SIDE + 2 * _GAP
    sheet = Sheet(2 * _LEFT + 2 * trio + _BETWEEN, _TOP + 0.3 + lines * block + 0.75)
    sheet.heading(f"Worst patterns of {view.title}", subtitle(view))
    if number == 0:
        sheet.text(_LEFT, _TOP + 0.3, "No patterns were kept for this page.", fontsize=10)
        return sheet.figure
    for pair in range(min(number, 2)):
        for column, words in enumerate(("pattern", "fit", "residual / expected noise")):
            left = _LEFT + pair * (trio + _BETWEEN) + column * (_SIDE + _GAP)
            sheet.text(left, _TOP, words, fontsize=9.5, color=QUIET)
    for n in range(number):
        left, top = _LEFT + (n % 2) * (trio + _BETWEEN), _TOP + 0.28 + (n // 2) * block
        sheet.text(left, top, _caption(view, n), fontsize=9, fontweight="bold")
        _draw_trio(sheet, view, n, (left, top + _TITLE, height))
    _residual_bar(sheet, _TOP + 0.3 + lines * block + 0.05)
    return sheet.figure


def residual(pattern: Array, fit: Array, gain: float) -> Array:
    """Difference of pattern and fit in units of the expected noise, the square root of gain times fit.

    Parameters
    ----------
    pattern, fit : ndarray, shape (q_y, q_x)
        Counts.
    gain : float
        Counts per electron.

    Returns
    -------
    ndarray, shape (q_y, q_x)
        [1]; NaN where there is no pattern or no fit.
    """
    floor = 1e-3 * gain
    noise: Array = np.sqrt(gain * np.maximum(fit, floor))
    return (pattern - fit) / noise


def _caption(view: StrainView, n: int) -> str:
    """Position, status and misfit of one pattern."""
    y, x = int(view.raw("worst_y")[n]), int(view.raw("worst_x")[n])
    sentence = Status(int(view.raw("worst_status")[n])).sentence
    misfit = view.raw("misfit")[y, x]
    return f"y {y}, x {x} · {sentence} · misfit {misfit:.2f}" if np.isfinite(misfit) else f"y {y}, x {x} · {sentence}"


def _draw_trio(sheet: Sheet, view: StrainView, n: int, place: tuple[float, float, float]) -> None:
    """Draw pattern, fit and residual in a row; pattern and fit share their colours."""
    left, top, height = place
    pattern, fit = view.raw("worst_pattern")[n], view.raw("worst_fit")[n]
    gain = view.number("gain")
    left_over = residual(pattern, fit, gain if gain > 0 else 1.0)
    finite = pattern[np.isfinite(pattern)]
    high = float(np.percentile(finite, 99.8)) if finite.size else 1.0
    bright = PowerNorm(0.5, 0, max(high, float(finite.max(initial=0)) * 0.05, 1e-12))
    images = ((pattern, bright, INTENSITY), (fit, bright, INTENSITY))
    images += ((left_over, Normalize(-_SIGMAS, _SIGMAS), DIVERGING),)  # type: ignore[assignment]
    for column, (image, norm, colours) in enumerate(images):
        name = ("pattern", "fit", "residual")[column]
        axes = sheet.axes(left + column * (_SIDE + _GAP), top, _SIDE, height, f"{name} {n}")
        hatch_background(axes)
        shown = np.ma.masked_invalid(image)
        axes.imshow(shown, cmap=colours, norm=norm, aspect="auto")
        axes.set_xticks([])
        axes.set_yticks([])
        if shown.count() == 0:
            say(axes, "no fit" if column else "no pattern")


def _residual_bar(sheet: Sheet, top: float) -> None:
    """Draw the colour bar of all residuals."""
    left = _LEFT + 2 * (_SIDE + _GAP)
    bar_axes = sheet.axes(left, top, _SIDE, 0.09, "colour bar")
    image = sheet.figure.axes[2].get_images()[0]
    bar = sheet.figure.colorbar(image, cax=bar_axes, orientation="horizontal", extend="both", extendfrac=0.03)
    bar.ax.tick_params(length=2, width=0.5, pad=1.5)
    bar.set_label("expected standard deviations (1)", labelpad=1.5, color=QUIET)
