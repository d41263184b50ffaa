"""Strain maps above the truth of a simulated scan: what was put in, what was found, and the standard error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from parscope.report.maps import (
    BELOW_MAP,
    Cell,
    Paint,
    diverging,
    draw_map,
    map_size,
    outline_grains,
    outline_region,
    sequential,
)
from parscope.report.sheet import Sheet, own_style
from parscope.report.strain_figure import SYMBOL, subtitle
from parscope.report.view import COMPONENTS, DISPLAY, StrainView

_LEFT, _TOP, _SIDE, _GAP, _TITLE = 0.3, 0.78, 2.3, 0.3, 0.24


@own_style
def comparison_figure(dataset: xr.Dataset, truth: Mapping[str, NDArray[np.float64]]) -> Figure:
    """Draw the truth, the maps in the same colours, and the standard errors, one column a component.

    Parameters
    ----------
    dataset : xarray.Dataset
        A strain map with its set-up.
    truth : mapping of ndarray, shape (y, x) each
        ``e_xx``, ``e_yy``, ``e_xy`` [1] and ``rotation`` [rad].

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
    block = _TITLE + height + BELOW_MAP
    sheet = Sheet(2 * _LEFT + 4 * _SIDE + 3 * _GAP, _TOP + 3 * block - 0.1)
    sheet.heading(f"Strain of {view.title}: put in, found, standard error", subtitle(view))
    for column, name in enumerate(COMPONENTS):
        factor, unit = DISPLAY[name]
        put_in = np.asarray(truth[name]) * factor
        what = "rotation" if name == "rotation" else "strain"
        both = diverging(np.stack([put_in, view.shown(name)]), f"{what} ({unit})")
        errors = view.shown(f"{name}_std")
        claimed = _from_zero(errors, f"standard error ({unit})")
        rows = ((put_in, both, "put in"), (view.shown(name), both, "found"), (errors, claimed, "standard error"))
        left = _LEFT + column * (_SIDE + _GAP)
        for row, (values, paint, words) in enumerate(rows):
            top = _TOP + row * block
            sheet.text(left, top, f"{SYMBOL[name]}, {words}", fontsize=10, fontweight="bold", parse_math=True)
            axes = draw_map(sheet, Cell(left, top + _TITLE, _SIDE, height), view, values, paint, f"{name} {words}")
            if view.grains > 1:
                outline_grains(axes, view.grain)
            elif words == "found" and view.reference.any() and not view.reference.all():
                outline_region(axes, view.reference)
    return sheet.figure


def _from_zero(values: NDArray[np.float64], label: str) -> Paint:
    """Colours from zero to the 98th percentile: noise of standard errors is not blown up."""
    return replace(sequential(values, label), low=0.0)
