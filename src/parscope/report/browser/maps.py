"""Maps and lines in the browser, with a mark that a click moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.models import ColorBar, ColumnDataSource, FixedTicker, LinearColorMapper, Range1d
from bokeh.plotting import figure
from matplotlib import colormaps
from matplotlib.colors import to_hex

from parscope.report.fit_view import FitView
from parscope.report.maps import Paint, map_size
from parscope.report.palette import FAILED_FACE, HALO, INK, PARTS
from parscope.report.units import with_unit
from parscope.report.view import Array

_SIDE, _TICKS = 370, 5


@dataclass(frozen=True)
class Layer:
    """What is shown as a map.

    Parameters
    ----------
    values : ndarray, shape of the navigation
        In the unit of the label of `paint`.
    paint : Paint
        Its colours.
    """

    values: Array
    paint: Paint


class MapPlot:
    """A map whose pixels can be clicked.

    Parameters
    ----------
    view : FitView
        With two navigation axes at least.
    mark : bokeh.models.ColumnDataSource
        Indices ``x`` and ``y`` of the pixel that is marked.
    """

    def __init__(self, view: FitView, mark: Any) -> None:
        self._view = view
        (rows, columns), (width, height) = view.shape, map_size(view, _SIDE)
        self.figure = figure(
            frame_width=round(width),
            frame_height=round(height),
            x_range=Range1d(-0.5, columns - 0.5),
            y_range=Range1d(rows - 0.5, -0.5),
            tools="",
            toolbar_location=None,
            name="map",
            tooltips=[("", "@image")],
        )
        for name, axis in zip(view.long[:2], (self.figure.yaxis, self.figure.xaxis), strict=True):
            _label(axis, view, name)
        self.source = ColumnDataSource({"image": [np.zeros(view.shape)]})
        self.mapper = LinearColorMapper(palette=[INK], nan_color=to_hex(FAILED_FACE))
        box = {"x": -0.5, "y": -0.5, "dw": columns, "dh": rows}
        self.figure.image("image", source=self.source, color_mapper=self.mapper, **box)
        self.bar = ColorBar(color_mapper=self.mapper, width=12, title_text_font_size="9pt")
        self.figure.add_layout(self.bar, "right")
        for colour, line in ((HALO, 4), (INK, 1.5)):
            self.figure.rect("x", "y", 1, 1, source=mark, fill_alpha=0, line_color=colour, line_width=line)

    def show(self, layer: Layer, further: dict[str, int]) -> None:
        """Show a layer at one point of every further axis."""
        self.source.data = {"image": [self._view.on_map(layer.values, further)]}
        colours = layer.paint.colours
        named = colormaps.get_cmap(colours) if isinstance(colours, str) else colours
        self.mapper.palette = [to_hex(colour) for colour in named(np.linspace(0, 1, named.N))]
        self.mapper.low, self.mapper.high = layer.paint.low, layer.paint.high
        self.figure.title.text = layer.paint.label
        self.bar.visible = bool(layer.paint.label)

    def move(self) -> None:
        """The mark moves by itself."""


class LinePlot:
    """A quantity along the only axis, whose points can be clicked.

    Parameters
    ----------
    view : FitView
        With one navigation axis of more than one point.
    mark : bokeh.models.ColumnDataSource
        Index ``x`` of the point that is marked.
    """

    def __init__(self, view: FitView, mark: Any) -> None:
        self._mark = mark
        self.figure = figure(frame_width=_SIDE, frame_height=250, tools="", toolbar_location=None)
        _label(self.figure.xaxis, view, view.long[0])
        self.source = ColumnDataSource({"x": [], "value": []})
        self.figure.line("x", "value", source=self.source, color=PARTS[0])
        self.figure.scatter("x", "value", source=self.source, color=PARTS[0], size=4)
        self._ring = ColumnDataSource({"x": [], "value": []})
        self.figure.scatter("x", "value", source=self._ring, color=INK, fill_alpha=0, size=11, line_width=2)

    def show(self, layer: Layer, further: dict[str, int]) -> None:
        """Show a layer."""
        values = layer.values.ravel()
        self.source.data = {"x": np.arange(values.size), "value": values}
        self.figure.title.text = layer.paint.label
        self.move()

    def move(self) -> None:
        """Bring the ring to the mark."""
        x = int(self._mark.data["x"][0])
        self._ring.data = {"x": [x], "value": [float(self.source.data["value"][x])]}


def _label(axis: Any, view: FitView, name: str) -> None:
    """Name an axis that counts points by the positions of some of them."""
    points, at = view.points(name), view.labelled(name, _TICKS).tolist()
    axis.ticker = FixedTicker(ticks=at)
    axis.major_label_overrides = {n: f"{points[n]:.4g}" for n in at}
    axis.axis_label = with_unit(name, view.axis_unit(name))
