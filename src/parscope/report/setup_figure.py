"""The set-up page: the mean pattern with every choice drawn on it, and the list of the choices."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Patch
from matplotlib.patheffects import withStroke

from parscope.report.legend import LINE, Entry, place
from parscope.report.maps import hatch_background
from parscope.report.palette import (
    FAILED_FACE,
    FAILED_HATCH,
    FAILED_LINE,
    HALO,
    INK,
    INTENSITY,
    MARK_CENTRE,
    MARK_DISK,
    MARK_G1,
    MARK_G2,
    QUIET,
)
from parscope.report.sheet import Sheet, own_style, wrapped
from parscope.report.strain_figure import subtitle
from parscope.report.view import Array, StrainView

_LEFT, _TOP, _SIDE = 0.3, 0.78, 5.4
_TABLE, _WIDTH, _COLUMNS, _CHARACTERS = 6.1, 12.54, (0.0, 1.55, 3.55), (21, 27, 40)
_ROW, _ROW_GAP = 0.16, 0.09


@own_style
def setup_figure(dataset: xr.Dataset) -> Figure:
    """Draw the mean pattern with centre, disks, lattice vectors and masked pixels, beside the list of choices.

    Intensity is drawn as its fourth root, so that the weakest disk and the direct one are seen together.

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
        If the data set is no strain map, or an attribute that should be JSON is not.
    """
    view = StrainView(dataset)
    rows = [(chosen["name"], value_text(chosen), str(chosen.get("how", ""))) for chosen in view.parsed("choices", [])]
    lines = [[wrapped(words, n) for words, n in zip(row, _CHARACTERS, strict=True)] for row in rows]
    table = sum(max(map(len, row)) * _ROW + _ROW_GAP for row in lines) + 0.5
    sheet = Sheet(_WIDTH, _TOP + max(_SIDE + 4 * LINE + 0.3, table))
    sheet.heading(f"Set-up for {view.title}", subtitle(view))
    axes = _pattern(sheet, view)
    entries = _draw_choices(axes, view)
    place(sheet, entries, _LEFT, _TOP + _SIDE + 0.15)
    _draw_table(sheet, lines)
    return sheet.figure


def value_text(chosen: Mapping[str, Any]) -> str:
    """Value, standard error and unit of one choice, numbers with four digits.

    Examples
    --------
    >>> value_text({"name": "centre", "value": [31.20001, 32.0], "unit": "px"})
    '31.2, 32 px'
    >>> value_text({"name": "pool", "value": 3, "unit": "1"})
    '3'
    """
    unit = chosen.get("unit") or ""
    words = _words(chosen.get("value"))
    words = words if unit == "1" else f"{words} {unit}".rstrip()
    std = chosen.get("std")
    return f"{words} (± {std:.2g})" if isinstance(std, float) and std > 0 else words


def lattice_vectors(view: StrainView) -> Array:
    """Reference reciprocal lattice vectors, rows g1 and g2, (y, x) order, [px]; NaN where they are not given."""
    basis: Array = np.asarray(view.parsed("reference_basis", np.full((2, 2), np.nan).tolist()), dtype=np.float64)
    return basis


def length_text(length: float, view: StrainView) -> str:
    """A length in the pattern, in pixels and, if calibrated, in reciprocal nanometres."""
    scale, unit = view.number("q_scale"), view.text("q_unit")
    calibrated = np.isfinite(scale) and unit not in ("", "px")
    return f"{length:.2f} px" + (f" = {length * scale:.4g} {unit}" if calibrated else "")


def _words(value: Any) -> str:
    """Any JSON value as a person writes it."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ("; " if any(isinstance(v, list) for v in value) else ", ").join(_words(v) for v in value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def _pattern(sheet: Sheet, view: StrainView) -> Axes:
    """Draw the mean pattern; the longer side of the detector fills the place."""
    mean = view.raw("mean_pattern")
    rows, columns = mean.shape
    height, width = _SIDE * rows / max(mean.shape), _SIDE * columns / max(mean.shape)
    axes = sheet.axes(_LEFT, _TOP, width, height, "mean pattern")
    hatch_background(axes)
    finite = mean[np.isfinite(mean)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    norm = PowerNorm(0.25, max(low, 0.0), max(high, low + 1e-12))
    axes.imshow(np.ma.masked_invalid(np.maximum(mean, 0)), cmap=INTENSITY, norm=norm, aspect="auto")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    return axes


def _draw_choices(axes: Axes, view: StrainView) -> list[Entry]:
    """Draw centre, disks, lattice vectors and a ring through g1; return their legend."""
    centre = np.array([view.number("centre_y"), view.number("centre_x")])
    basis = lattice_vectors(view)
    disks = view.raw("reference_position") + centre
    circle = PolyCollection(list(_outlines(disks, view)), facecolors="none", edgecolors=MARK_DISK, linewidths=1.1)
    circle.set_path_effects([withStroke(linewidth=2.6, foreground=HALO)])
    axes.add_collection(circle)
    ring = Circle((centre[1], centre[0]), float(np.linalg.norm(basis[0])), fill=False, ls=":", lw=1.1, ec=INK)
    ring.set_path_effects([withStroke(linewidth=2.2, foreground=HALO)])
    axes.add_patch(ring)
    for vector, colour, name in ((basis[0], MARK_G1, "g1"), (basis[1], MARK_G2, "g2")):
        tip = centre + vector
        arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 2, "shrinkA": 0, "shrinkB": 0}
        if np.isfinite(tip).all():
            axes.annotate("", tip[::-1].tolist(), centre[::-1].tolist(), arrowprops=arrow)
            place_name = tip + vector / np.linalg.norm(vector) * (
                view.number("probe_radius") + 0.03 * max(axes.get_xlim())
            )
            axes.text(
                place_name[1],
                place_name[0],
                name,
                color=colour,
                fontsize=12,
                fontweight="bold",
                ha="center",
                va="center",
                path_effects=[withStroke(linewidth=2.5, foreground=INK)],
            )
    cross = axes.plot(centre[1], centre[0], "+", color=MARK_CENTRE, markersize=11, markeredgewidth=1.6, zorder=5)
    return _entries(view, centre, basis, cross[0])


def _entries(view: StrainView, centre: Array, basis: Array, cross: Any) -> list[Entry]:
    """Legend with every value that is drawn."""
    lengths = np.linalg.norm(basis, axis=1)
    angle = np.degrees(np.arctan2(np.linalg.det(basis[:, ::-1]), float(basis[0] @ basis[1])))
    radius = view.number("probe_radius")
    number = view.dataset.sizes["disk"]
    entries: list[Entry] = [
        (cross, f"centre y {centre[0]:.2f} px, x {centre[1]:.2f} px"),
        (Patch(fill=False, edgecolor=MARK_DISK), f"{number} disks used, radius {length_text(radius, view)}"),
        (Patch(color=MARK_G1), f"g1 {length_text(lengths[0], view)}; dotted ring through it"),
        (Patch(color=MARK_G2), f"g2 {length_text(lengths[1], view)}, {abs(angle):.2f}° from g1"),
    ]
    if view.masked.any():
        hatched = Patch(facecolor=FAILED_FACE, edgecolor=FAILED_LINE, hatch=FAILED_HATCH, linewidth=0)
        entries.append((hatched, f"{int(view.masked.sum()):,} masked pixels"))
    return entries


def _outlines(disks: Array, view: StrainView) -> Array:
    """Outline of the distorted probe at every disk, shape (disk, 73, 2), (x, y) order, [px]."""
    turn = np.linspace(0, 2 * np.pi, 73)
    round_disk = view.number("probe_radius") * np.stack([np.sin(turn), np.cos(turn)], -1)
    distortion = np.asarray(view.parsed("distortion", np.eye(2).tolist()), dtype=np.float64)
    outlines: Array = (disks[:, None, :] + round_disk @ distortion.T)[..., ::-1]
    return outlines


def _draw_table(sheet: Sheet, rows: list[list[list[str]]]) -> None:
    """Write name, value and reason of every choice, a thin rule below each."""
    for left, words in zip(_COLUMNS, ("choice", "value", "how it was chosen"), strict=True):
        sheet.text(_TABLE + left, _TOP, words, fontsize=9.5, fontweight="bold")
    top = _TOP + 0.27
    for row in rows:
        for left, lines in zip(_COLUMNS, row, strict=True):
            for n, line in enumerate(lines):
                colour = QUIET if left == _COLUMNS[-1] else INK
                sheet.text(_TABLE + left, top + (n + 0.75) * _ROW, line, va="baseline", color=colour)
        top += max(map(len, row)) * _ROW + _ROW_GAP
        sheet.rule(_TABLE, top - 0.5 * _ROW_GAP, _WIDTH - _TABLE - _LEFT)
