"""A spectrum in the browser: samples, fit, band, and the residual below."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from bokeh.layouts import column
from bokeh.models import BoxAnnotation, ColumnDataSource, DataRange1d, Div, Legend, LegendItem
from bokeh.plotting import figure

from parscope.report.curve_panels import BAND, one_way
from parscope.report.palette import INK, PARTS
from parscope.report.units import readable, with_unit
from parscope.report.view import Array

_HEIGHT, _BELOW = 150, 110
_FRAME = {"frame_width": 400, "min_border_left": 65, "min_border_right": 15, "tools": "", "toolbar_location": None}


class CurvePlots:
    """Plots of one spectrum at a time.

    Complex spectra are shown as modulus and phase, which is what an instrument shows and a person knows by sight. Their
    residual is shown as real and imaginary part, in units of the noise: only there the noise is the same everywhere,
    so that 95 % of the dots of a good fit lie in the grey.
    """

    def __init__(self) -> None:
        self.layout = column(Div(text=""))
        self.plots: list[_Curve] = []
        self.left: list[Any] = []

    def show(self, spectrum: xr.Dataset) -> None:
        """Show a spectrum.

        Parameters
        ----------
        spectrum : xarray.Dataset
            As `parscope.workflows.look.Look` returns it.
        """
        axis = str(spectrum["samples"].dims[1])
        points = np.asarray(spectrum[axis].values, np.float64)
        factor, unit = readable(points, str(spectrum[axis].attrs["units"]))
        if not self.plots:
            self._make(spectrum, with_unit(axis, unit))
        for n, plot in enumerate(self.plots):
            plot.show(factor * points, spectrum.isel(curve=n))
        for n, source in enumerate(self.left):
            source.data = {"x": factor * points, "residual": spectrum["residual"].values[n]}

    def _make(self, spectrum: xr.Dataset, along: str) -> None:
        """Make the plots for a kind of spectrum, once."""
        x_range = DataRange1d()
        names, parts = (spectrum[name].values.tolist() for name in ("curve", "part"))
        self.plots = [_Curve(str(name), x_range, colour) for name, colour in zip(names, PARTS, strict=False)]
        below = figure(frame_height=_BELOW, x_range=x_range, **_FRAME)
        below.add_layout(BoxAnnotation(bottom=-BAND, top=BAND, fill_color=INK, fill_alpha=0.1))
        key = []
        for part, colour in zip(parts, PARTS, strict=False):
            source = ColumnDataSource({"x": [], "residual": []})
            dots = below.scatter("x", "residual", source=source, color=colour, size=4)
            self.left.append(source)
            key += [LegendItem(label=str(part), renderers=[dots])] if part else []
        if key:
            below.add_layout(Legend(items=key, orientation="horizontal", padding=0, border_line_alpha=0), "above")
        below.xaxis.axis_label, below.yaxis.axis_label = along, "residual / noise"
        self.layout.children = [*(plot.figure for plot in self.plots), below]


class _Curve:
    """Samples, fit and band of one curve."""

    def __init__(self, name: str, x_range: Any, colour: str) -> None:
        self._name = name
        self.figure = figure(frame_height=_HEIGHT, x_range=x_range, **_FRAME)
        self.samples = ColumnDataSource({"x": [], "samples": []})
        self.fit = ColumnDataSource({"x": [], "fit": []})
        self.band = ColumnDataSource({"xs": [], "ys": []})
        self.figure.patches("xs", "ys", source=self.band, fill_color=colour, fill_alpha=0.3, line_alpha=0)
        dots = self.figure.scatter("x", "samples", source=self.samples, color=INK, size=3.5, fill_alpha=0.7)
        line = self.figure.line("x", "fit", source=self.fit, color=colour, line_width=1.8)
        # A band that is wider than everything would leave nothing else to see.
        self.figure.y_range.renderers = [dots, line]

    def show(self, x: Array, curve: xr.Dataset) -> None:
        """Show one curve."""
        samples, fit, std = (np.asarray(curve[name].values, np.float64) for name in ("samples", "fit", "fit_std"))
        factor, unit = readable(samples, str(curve["unit"].values))
        self.samples.data = {"x": x, "samples": factor * samples}
        self.fit.data = {"x": x, "fit": factor * fit}
        low, high = factor * (fit - BAND * std), factor * (fit + BAND * std)
        runs = one_way(x) if np.isfinite(low).all() else []
        self.band.data = {
            "xs": [np.concatenate([x[run], x[run][::-1]]) for run in runs],
            "ys": [np.concatenate([low[run], high[run][::-1]]) for run in runs],
        }
        self.figure.yaxis.axis_label = with_unit(self._name, unit)
