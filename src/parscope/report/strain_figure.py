"""The strain maps and their standard errors on one sheet."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from parscope.report.files import write_whole
from parscope.report.legend import height as legend_height
from parscope.report.legend import map_entries, place
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
from parscope.report.profile import draw_profile
from parscope.report.sheet import TIMES, Sheet, drawn, own_style
from parscope.report.view import COMPONENTS, DISPLAY, STRAINS, StrainView

SYMBOL = {
    "e_xx": r"$\varepsilon_{xx}$",
    "e_yy": r"$\varepsilon_{yy}$",
    "e_xy": r"$\varepsilon_{xy}$",
    "rotation": "rotation",
}
_MEANING = {"e_xx": ", along x", "e_yy": ", along y", "e_xy": ", shear", "rotation": ""}
_LEFT, _TOP, _SIDE, _GAP, _TITLE = 0.3, 0.78, 2.7, 0.38, 0.24


@own_style
def strain_figure(dataset: xr.Dataset) -> Figure:
    """Draw e_xx, e_yy, e_xy [%] and rotation [degree] above their standard errors.

    Positions without a value are hatched in grey; a legend says why, and how many. The three strains share
    their colours: white is zero, the ends are the 98th percentile. A scan of a single row or column is drawn as
    profiles with error bands.

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
    line_scan = 1 in view.shape
    height = 1.9 if line_scan else map_size(view, _SIDE)[1]
    entries = map_entries(view)
    block = _TITLE + height + BELOW_MAP
    sheet = Sheet(2 * _LEFT + 4 * _SIDE + 3 * _GAP, _TOP + 2 * block + legend_height(entries, 3) + 0.2)
    sheet.heading(f"Strain of {view.title}", subtitle(view))
    for column, name in enumerate(COMPONENTS):
        left = _LEFT + column * (_SIDE + _GAP)
        for row, variable in enumerate((name, f"{name}_std")):
            top = _TOP + row * block
            sheet.text(left, top, _heading(variable), fontsize=10, fontweight="bold", parse_math=True)
            cell = Cell(left, top + _TITLE, _SIDE, height)
            if line_scan:
                draw_profile(sheet, cell, view, variable)
            else:
                _draw(sheet, cell, view, variable)
    place(sheet, entries, _LEFT, _TOP + 2 * block, columns=3)
    return sheet.figure


def write_png(dataset: xr.Dataset, path: Path, dpi: float = 200) -> Path:
    """Write the strain figure as a PNG image.

    Parameters
    ----------
    dataset : xarray.Dataset
        A strain map with its set-up.
    path : Path
        The file; replaced if it exists.
    dpi : float, default 200
        Resolution, [px/inch].

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    FormatError
        If the data set is no strain map.
    OutputError
        If the file cannot be written.
    """
    return write_whole(Path(path), drawn(strain_figure, dataset, dpi)[0])


def subtitle(view: StrainView) -> str:
    """One line that says what was scanned and how it was fitted."""
    rows, columns = view.shape
    pool = int(view.number("pool")) if math.isfinite(view.number("pool")) else 1
    parts = [f"{rows} {TIMES} {columns} scan positions (y {TIMES} x), step {view.step[1]:.4g} {view.unit}"]
    parts += [f"pooled {pool} {TIMES} {pool}"] if pool > 1 else []
    parts += [f"parscope {view.text('parscope_version')}"] if view.text("parscope_version") else []
    return " · ".join([*parts, view.source])


def _heading(variable: str) -> str:
    """Title of one map."""
    name = variable.removesuffix("_std")
    return SYMBOL[name] + _MEANING[name] if name == variable else f"standard error of {SYMBOL[name]}"


def _draw(sheet: Sheet, cell: Cell, view: StrainView, variable: str) -> None:
    """Draw one map with the reference region and the grains."""
    values = view.shown(variable)
    axes = draw_map(sheet, cell, view, values, _paint(view, variable), variable)
    if view.grains > 1:
        outline_grains(axes, view.grain)
    if view.outline.any():
        outline_region(axes, view.outline)


def _paint(view: StrainView, variable: str) -> Paint:
    """Colours of one map; the three strains share theirs, and so do their standard errors."""
    name = variable.removesuffix("_std")
    suffix = variable[len(name) :]
    names = STRAINS if name in STRAINS else (name,)
    together = np.stack([view.shown(f"{n}{suffix}") for n in names])
    unit = DISPLAY[name][1]
    if suffix:
        return sequential(together, f"standard error ({unit})")
    return diverging(together, f"{'strain' if name in STRAINS else 'rotation, from +x towards +y'} ({unit})")
