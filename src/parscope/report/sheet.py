"""A sheet of paper to draw on: axes placed in inches, so that nothing overlaps whatever the shape of the scan."""

from __future__ import annotations

import gc
import io
import textwrap
from collections.abc import Callable
from functools import cache, wraps
from typing import Any, ParamSpec

import matplotlib
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from parscope.report.palette import INK, QUIET

P = ParamSpec("P")

FONT = "DejaVu Sans"
TIMES = "\N{MULTIPLICATION SIGN}"
MINUS = "\N{MINUS SIGN}"
_STYLE = {
    "axes.edgecolor": INK,
    "axes.facecolor": "white",
    "axes.grid": False,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.6,
    "axes.titlesize": 9.5,
    "axes.unicode_minus": True,
    "figure.facecolor": "white",
    "font.family": FONT,
    "font.size": 8.5,
    "hatch.linewidth": 0.7,
    "image.interpolation": "nearest",
    "legend.fontsize": 8.5,
    "mathtext.fontset": "dejavusans",
    "savefig.facecolor": "white",
    "text.color": INK,
    "text.usetex": False,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


def own_style(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Shield a function that draws from the settings of the person's matplotlib (TeX, fonts, grids)."""

    @wraps(draw)
    def shielded(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(rc=_STYLE):  # type: ignore[arg-type]
            return draw(*args, **kwargs)

    return shielded


class Sheet:
    """A figure with axes at given inches from its top left corner.

    Parameters
    ----------
    width, height : float
        Size of the sheet, [inch].
    """

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height))
        FigureCanvasAgg(self.figure)

    def axes(self, left: float, top: float, width: float, height: float, name: str = "") -> Axes:
        """Place axes; `name` is how tests and readers of the figure find them again.

        Parameters
        ----------
        left, top, width, height : float
            Distances from the top left corner of the sheet and size, [inch].
        name : str, optional
            Label of the axes.

        Returns
        -------
        matplotlib.axes.Axes
        """
        box = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(box, label=name)

    def text(self, left: float, top: float, words: str, **style: Any) -> Text:
        """Write words whose top left corner is at (left, top), [inch]; a dollar sign stays a dollar sign."""
        style = {"ha": "left", "va": "top", "parse_math": False, **style}
        return self.figure.text(left / self.width, 1 - top / self.height, words, **style)

    def bar(self, left: float, top: float, width: float, height: float) -> None:
        """Draw a black bar whose top left corner is at (left, top), [inch]."""
        corner = (left / self.width, 1 - (top + height) / self.height)
        self.figure.add_artist(Rectangle(corner, width / self.width, height / self.height, color=INK, linewidth=0))

    def rule(self, left: float, top: float, width: float) -> None:
        """Draw a thin horizontal rule of `width` from (left, top), [inch]."""
        height = 1 - top / self.height
        ends = [left / self.width, (left + width) / self.width]
        self.figure.add_artist(Line2D(ends, [height, height], color="#cfcfcf", linewidth=0.6))

    def heading(self, title: str, subtitle: str) -> None:
        """Write the title of the sheet and one quiet line below it, cut to its width."""
        self.text(0.3, 0.14, cut(title, int(self.width * 8.2)), fontsize=13, fontweight="bold")
        self.text(0.3, 0.42, cut(subtitle, int(self.width * 13)), fontsize=8.5, color=QUIET)


def drawn(draw: Callable[[xr.Dataset], Figure], dataset: xr.Dataset, dpi: float) -> tuple[bytes, tuple[float, float]]:
    """Draw a figure of a strain map, and forget it.

    Parameters
    ----------
    draw : callable
        Makes the figure.
    dataset : xarray.Dataset
        The strain map.
    dpi : float
        Resolution, [px/inch].

    Returns
    -------
    image : bytes
        PNG.
    size : tuple of float
        Width and height, [inch].
    """
    figure = draw(dataset)
    image = png(figure, dpi)
    width, height = (float(inches) for inches in figure.get_size_inches())
    # Artists refer to each other in circles and hold copies of the maps: gone now, not at the collector's leisure.
    del figure
    gc.collect()
    return image, (width, height)


def png(figure: Figure, dpi: float) -> bytes:
    """Draw a figure as a PNG image, the same bytes for the same figure.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What to draw.
    dpi : float
        Resolution, [px/inch].

    Returns
    -------
    bytes
    """
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": None})
    return stream.getvalue()


def printable(words: str) -> str:
    r"""Replace what the font has no glyph for (control characters, scripts it lacks), which would warn on drawing.

    Examples
    --------
    >>> printable("scan\x00 é.h5")
    'scan? é.h5'
    """
    return "".join(c if ord(c) in _glyphs() and c >= " " else "?" for c in words)


def plain(words: str) -> str:
    r"""Words of a file as a label, for which a dollar sign would begin a formula.

    Examples
    --------
    >>> print(plain("$x$ (V)"))
    \$x\$ (V)
    """
    return printable(words).replace("$", r"\$")


def cut(words: str, length: int) -> str:
    """Shorten words to `length` characters by an ellipsis in the middle, where file names differ least.

    Examples
    --------
    >>> cut("a_very_long_name.h5", 11)
    'a_ver…me.h5'
    """
    words = printable(words)
    if len(words) <= length:
        return words
    tail = (length - 1) // 2
    return f"{words[: length - 1 - tail]}…{words[len(words) - tail :]}"


def wrapped(words: str, length: int) -> list[str]:
    """Break words into lines of at most `length` characters, at least one line."""
    return textwrap.wrap(printable(words), length, break_on_hyphens=False) or [""]


@cache
def _glyphs() -> frozenset[int]:
    """Code points the font can draw."""
    return frozenset(get_font(findfont(FONT)).get_charmap())
