"""Legends of the maps: what the colours, the hatch and the lines mean, and how many positions have them."""

from __future__ import annotations

import math

from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from parscope.core.solver import Status
from parscope.report.palette import DIVERGING, FAILED_FACE, FAILED_HATCH, FAILED_LINE, HALO, INK, LINES, STATUS
from parscope.report.sheet import Sheet, wrapped
from parscope.report.view import Mapped, StrainView

Entry = tuple[Artist | tuple[Artist, ...], str]

LINE = 0.2
"""Height of one line of a legend, [inch]."""


def map_entries(view: StrainView) -> list[Entry]:
    """Why positions have no value and how many, and what the lines mean."""
    total, counts = view.status.size, view.counts
    fitted = int(view.fitted.sum())
    entries: list[Entry] = [(_fitted_swatch(view), _count("fitted", fitted, total))]
    for status, number in counts.items():
        if status != Status.OK:
            entries.append((_hatched(), _count(status.sentence, number, total)))
    lost = counts.get(Status.OK, 0) - fitted
    if lost:
        entries.append((_hatched(), _count("fitted, but not a number", lost, total)))
    return entries + _line_entries(view)


def status_entries(view: Mapped) -> list[Entry]:
    """The colours of the status map."""
    total = sum(view.counts.values())
    swatches = {s: Patch(facecolor=STATUS[s], edgecolor=INK, linewidth=0.4) for s in view.counts}
    words = {s: "\n".join(wrapped(_count(s.sentence, number, total), 36)) for s, number in view.counts.items()}
    return [(swatches[s], words[s]) for s in words]


def place(sheet: Sheet, entries: list[Entry], left: float, top: float, columns: int = 1) -> None:
    """Write a legend whose top left corner is at (left, top), [inch]."""
    sheet.figure.legend(
        handles=[handle for handle, _ in entries],
        labels=[label for _, label in entries],
        handler_map={tuple: HandlerTuple(ndivide=None, pad=0)},
        loc="upper left",
        bbox_to_anchor=(left / sheet.width, 1 - top / sheet.height),
        ncols=columns,
        frameon=False,
        borderaxespad=0,
        borderpad=0,
        columnspacing=2.5,
        handlelength=2.2,
        handleheight=1.1,
    )


def height(entries: list[Entry], columns: int = 1) -> float:
    """Height of a legend, [inch]."""
    lines = sum(1 + 0.8 * label.count("\n") for _, label in entries)
    return math.ceil(lines / columns) * LINE


def percentage(part: int, whole: int) -> str:
    """Share in percent that never rounds something to nothing, nor nearly all to all.

    Examples
    --------
    >>> percentage(1, 100000), percentage(99999, 100000), percentage(1, 8), percentage(0, 3)
    ('< 0.1 %', '> 99.9 %', '12.5 %', '0 %')
    """
    if part in (0, whole):
        return "0 %" if part == 0 else "100 %"
    share = 100 * part / whole
    return "< 0.1 %" if share < 0.1 else "> 99.9 %" if share > 99.9 else f"{share:.1f} %"


def _line_entries(view: StrainView) -> list[Entry]:
    """The reference region, the grains, and the bands of a line scan."""
    entries: list[Entry] = []
    line_scan = 1 in view.shape
    if view.grains > 1:
        entries.append((Patch(facecolor="none", linewidth=0), "zero strain: of each grain its own"))
    elif view.reference.all():
        entries.append((Patch(facecolor="none", linewidth=0), "zero strain: median of the whole map"))
    elif view.reference.any():
        frame = Patch(facecolor=HALO, edgecolor=INK, linewidth=1.3)
        bar = Line2D([], [], color=INK, linewidth=4)
        entries.append((bar if line_scan else frame, "zero strain: median of this region"))
    if view.grains > 1 and not line_scan:
        entries.append((Line2D([], [], color=INK, linewidth=0.6), f"boundaries of {view.grains} grains"))
    if line_scan:
        entries.append((Patch(facecolor=LINES["e_xx"], alpha=0.3), "± one standard error"))
    return entries


def _fitted_swatch(view: StrainView) -> Artist | tuple[Artist, ...]:
    """A line for a line scan, else the ends and the middle of the colours."""
    if 1 in view.shape:
        return Line2D([], [], color=LINES["e_xx"], linewidth=0.9, marker=".", markersize=3)
    ends = colormaps[DIVERGING]((0.15, 0.5, 0.85))
    return tuple(Patch(facecolor=tuple(colour), edgecolor=INK, linewidth=0.4) for colour in ends)


def _hatched() -> Patch:
    """Swatch of positions without a value."""
    return Patch(facecolor=FAILED_FACE, edgecolor=FAILED_LINE, hatch=FAILED_HATCH, linewidth=0)


def _count(words: str, number: int, total: int) -> str:
    """Words, number and share."""
    return f"{words}: {number:,} ({percentage(number, total)})"
