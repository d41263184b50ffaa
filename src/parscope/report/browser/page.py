"""Maps of a fit in the browser: click a pixel, see the raw spectrum with its fit."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import numpy as np
import xarray as xr
from bokeh.events import Tap
from bokeh.layouts import column, row
from bokeh.models import ColumnDataSource, CustomJS, Div, Select, Slider
from matplotlib.colors import ListedColormap, to_hex

from parscope.core.solver import Status
from parscope.report.browser.curves import CurvePlots
from parscope.report.browser.maps import Layer, LinePlot, MapPlot
from parscope.report.fit_maps import error_paint, misfit_paint, paint
from parscope.report.fit_summary import value_and_error
from parscope.report.fit_view import FitView, Quantity
from parscope.report.legend import percentage
from parscope.report.maps import Paint
from parscope.report.palette import STATUS

Look = Callable[[tuple[int, ...]], xr.Dataset]

# Arrow keys move the mark, unless a person is in a list or a slider.
_KEYS = """
const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
document.addEventListener("keydown", (event) => {
  const inside = event.composedPath()[0];
  if (!(event.key in step) || (inside.matches && inside.matches("input, select, textarea, .noUi-handle"))) return;
  const [dx, dy] = step[event.key];
  const within = (value, most) => Math.min(Math.max(value, 0), most);
  mark.data = {x: [within(mark.data.x[0] + dx, columns - 1)], y: [within(mark.data.y[0] + dy, rows - 1)]};
  event.preventDefault();
});
"""

_WIDTH = 400
_CURVE_KEY = "Dots: samples; line: fit; band: where it lies with 95 %, as does a residual of noise in the grey."


class Browser:
    """The page of one person: what is shown, and what a click changes.

    Parameters
    ----------
    view : FitView
        Maps of a fit.
    look : callable
        Called with indices on the navigation axes, returns the spectrum there as `parscope.workflows.look.Look` does.
    """

    def __init__(self, view: FitView, look: Look) -> None:
        self.view, self._look = view, look
        self.layers = layers(view)
        names = [str(n) for n in view.dataset.data_vars if "role" in view.dataset[n].attrs]
        # Once: units are chosen from the whole of a map.
        self._numbers = [view.quantity(name) for name in names]
        self.index = {name: view.dataset.sizes[name] // 2 for name in view.navigation}
        y, x = self._marked()
        self.mark = ColumnDataSource({"x": [x], "y": [y]})
        self.choice = Select(title="map", value=next(iter(self.layers)), options=list(self.layers), width=250)
        self.sliders = {name: self._slider(name) for name in view.long[2:]}
        self.words = Div(width=_WIDTH, name="words")
        self.table = Div(width=290)
        self.curves = CurvePlots()
        kind = {0: None, 1: LinePlot}.get(len(view.long), MapPlot)
        self.map = None if kind is None else kind(view, self.mark)
        self._connect()
        self._draw_map()
        self._draw_spectrum()

    @property
    def layout(self) -> Any:
        """What goes into the document."""
        plot = [] if self.map is None else [self.choice, *self.sliders.values(), self.map.figure]
        key = Div(text=_status_key(self.view), width=_WIDTH)
        return row(column(*plot, key), column(self.words, self.curves.layout, Div(text=_CURVE_KEY)), self.table)

    def open_in(self, document: Any) -> None:
        """Put the page into a document of Bokeh."""
        document.title = self.view.title
        document.add_root(self.layout)
        if self.map is not None:
            rows, columns = self._extent()
            keys = CustomJS(args={"mark": self.mark, "rows": rows, "columns": columns}, code=_KEYS)
            document.js_on_event("document_ready", keys)

    def _connect(self) -> None:
        """Say what happens when something is chosen."""
        self.choice.on_change("value", lambda _attr, _old, _new: self._draw_map())
        self.mark.on_change("data", lambda _attr, _old, _new: self._moved())
        if self.map is not None:
            self.map.figure.on_event(Tap, self._tapped)

    def _slider(self, name: str) -> Any:
        """Choose a point of a further axis."""
        slider = Slider(start=0, end=self.view.dataset.sizes[name] - 1, step=1, value=self.index[name], width=_WIDTH)
        slider.title = self.view.place(name, self.index[name])
        slider.show_value = False
        slider.on_change("value", lambda _attr, _old, new: self._slid(name, int(new)))
        return slider

    def _slid(self, name: str, index: int) -> None:
        """Show another point of a further axis."""
        self.index[name] = index
        self.sliders[name].title = self.view.place(name, index)
        self._draw_map()
        self._draw_spectrum()

    def _tapped(self, event: Any) -> None:
        """Move the mark to where a person clicked."""
        rows, columns = self._extent()
        x, y = int(np.clip(round(event.x), 0, columns - 1)), int(np.clip(round(event.y), 0, rows - 1))
        self.mark.data = {"x": [x], "y": [y if rows > 1 else 0]}

    def _moved(self) -> None:
        """Show the spectrum under the mark."""
        x, y = int(self.mark.data["x"][0]), int(self.mark.data["y"][0])
        self.index |= dict(zip(self.view.long[:2][::-1], (x, y), strict=False))
        if self.map is not None:
            self.map.move()
        self._draw_spectrum()

    def _extent(self) -> tuple[int, int]:
        """Points of the map."""
        if len(self.view.long) > 1:
            return self.view.shape
        return 1, self.view.dataset.sizes[self.view.long[0]] if self.view.long else 1

    def _marked(self) -> tuple[int, int]:
        """Indices (y, x) of the mark."""
        shown = [self.index[name] for name in self.view.long[:2]]
        return (shown[0], shown[1]) if len(shown) > 1 else (0, shown[0] if shown else 0)

    def _draw_map(self) -> None:
        """Draw the chosen map at the chosen point of the further axes."""
        if self.map is not None:
            further = {name: i for name, i in self.index.items() if name not in self.view.long[:2]}
            self.map.show(self.layers[self.choice.value], further)

    def _draw_spectrum(self) -> None:
        """Draw the spectrum under the mark, and its numbers."""
        position = tuple(self.index.values())
        self.curves.show(self._look(position))
        self.words.text = _heading(self.view, self.index)
        self.table.text = _table(self.view, self._numbers, position)


def layers(view: FitView) -> dict[str, Layer]:
    """Everything that can be shown as a map, by its name.

    Parameters
    ----------
    view : FitView
        Maps of a fit.

    Returns
    -------
    dict of Layer
        Quantities, their standard errors, misfit and status.
    """
    values = {q.words: Layer(q.values, paint(q, q.values)) for q in view.quantities}
    errors = {f"standard error of {q.words}": Layer(q.std, error_paint(q, q.std)) for q in view.quantities}
    misfit = view.raw("misfit")
    colours = ListedColormap([to_hex(STATUS[status]) for status in Status])
    codes = Layer(view.status.astype(np.float64), Paint(colours, -0.5, len(Status) - 0.5))
    rest = {"misfit": Layer(misfit, misfit_paint(misfit)), "status": codes}
    return values | errors | rest


def _heading(view: FitView, index: dict[str, int]) -> str:
    """Where the spectrum is, and what became of its fit."""
    at = tuple(index.values())
    status, misfit = Status(int(view.status[at])), float(view.dataset["misfit"].values[at])
    where = ", ".join(view.place(name, i) for name, i in index.items())
    told = f"{status.sentence}; misfit {misfit:.2f}" if np.isfinite(misfit) else status.sentence
    return f"<b>{escape(where)}</b><br>{_swatch(status)} {escape(told)}"


def _table(view: FitView, quantities: list[Quantity], at: tuple[int, ...]) -> str:
    """Values with standard errors of everything that was fitted."""
    rows, prior = [], ""
    for quantity in quantities:
        told = value_and_error(float(quantity.values[at]), float(quantity.std[at]), quantity)
        cells = [quantity.words, told]
        share = f"{quantity.name}_prior_share"
        if share in view.dataset:
            prior = "<th>share of the prior</th>"
            cells.append(f"{100 * float(view.dataset[share].values[at]):.2g} %")
        rows.append("".join(f"<td>{escape(cell)}</td>" for cell in cells))
    head = f"<th>quantity</th><th>value ± standard error</th>{prior}"
    lines = "".join(f"<tr>{cells}</tr>" for cells in (head, *rows))
    return f'<table style="border-spacing: 10px 3px; text-align: left">{lines}</table>'


def _status_key(view: FitView) -> str:
    """The colours of the status, and how many spectra have each."""
    total = view.status.size
    lines = [f"{_swatch(s)} {escape(s.sentence)}: {n:,} ({percentage(n, total)})" for s, n in view.counts.items()]
    return "<br>".join([*lines, "Dark grey in a map: no value. Click, or use the arrow keys."])


def _swatch(status: Status) -> str:
    """A square of the colour of a status."""
    style = (
        f"display: inline-block; width: 0.8em; height: 0.8em; border: 1px solid #1b1b1b; background: {STATUS[status]}"
    )
    return f'<span style="{style}"></span>'
