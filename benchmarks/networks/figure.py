"""One figure of a polycrystal: e_xx as it is and as each method has it, and the errors below."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Patch, Rectangle

from benchmarks.strain.score import Array
from parscope.report.palette import DIVERGING, FAILED_FACE, FAILED_HATCH, FAILED_LINE, INK

ERROR_RANGE = 0.5
"""Ends of the colours of the errors, [%]."""


def draw(true: Array, errors: Mapping[str, Array], title: str, path: Path) -> None:
    """Draw the figure.

    Parameters
    ----------
    true : ndarray, shape (y, x)
        True e_xx, [1].
    errors : mapping of ndarray, shape (n, 4)
        Errors of each method, e_xx first; NaN where it has no value.
    title : str
        What was measured.
    path : Path
        Where to.
    """
    largest = 100 * float(np.abs(true).max())
    columns = len(errors) + 1
    figure, axes = plt.subplots(2, columns, figsize=(2.3 * columns + 1.1, 5.4), layout="constrained", squeeze=False)
    _map(axes[0, 0], 100 * true, largest, "true")
    axes[1, 0].set_axis_off()
    legend = Patch(facecolor=FAILED_FACE, edgecolor=FAILED_LINE, hatch=FAILED_HATCH, label="no value given")
    axes[1, 0].legend(handles=[legend], loc="center", frameon=False)
    for column, (name, error) in enumerate(errors.items(), 1):
        own = 100 * error[:, 0].reshape(true.shape)
        _map(axes[0, column], 100 * true + own, largest, name)
        mean = np.nanmean(np.abs(own)) if np.isfinite(own).any() else np.nan
        _map(axes[1, column], own, ERROR_RANGE, f"error, mean modulus {mean:.2f} %")
    for row, (end, label) in enumerate(((largest, "e_xx (%)"), (ERROR_RANGE, "error of e_xx (%)"))):
        shown = ScalarMappable(Normalize(-end, end), DIVERGING)
        figure.colorbar(shown, ax=axes[row], label=label, extend="both" if row else "neither", shrink=0.85)
    axes[0, 0].set_ylabel("scan y (positions)")
    axes[0, 0].set_xlabel("scan x (positions)")
    figure.suptitle(title, color=INK)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _map(axes: Axes, values: Array, end: float, title: str) -> None:
    """One map; positions without a value are hatched, which no colour is."""
    height, width = values.shape
    colours = {"facecolor": FAILED_FACE, "edgecolor": FAILED_LINE}
    axes.add_patch(Rectangle((-0.5, -0.5), width, height, hatch=FAILED_HATCH, linewidth=0, zorder=-1, **colours))
    axes.imshow(np.ma.masked_invalid(values), cmap=DIVERGING, vmin=-end, vmax=end, interpolation="nearest")
    axes.set_title(title, fontsize=9, color=INK)
    axes.tick_params(labelsize=7)
