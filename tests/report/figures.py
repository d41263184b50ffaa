"""How the tests of figures look at a figure."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure


def panel(figure: Figure, name: str) -> Axes:
    """The axes of one map."""
    return next(axes for axes in figure.axes if axes.get_label() == name)


def pixels(figure: Figure, dpi: float = 100) -> np.ndarray:
    """The drawn figure, shape (height, width, 3), 0 to 1."""
    figure.set_dpi(dpi)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3] / 255.0


def colour_at(drawn: np.ndarray, axes: Axes, y: float, x: float) -> np.ndarray:
    """Colour drawn at a scan position."""
    column, row = axes.transData.transform((x, y))
    return drawn[drawn.shape[0] - 1 - int(row), int(column)]


def words(figure: Figure) -> str:
    """All words on a figure."""
    found = [text.get_text() for text in figure.findobj(matplotlib.text.Text)]
    return "\n".join(found)


def assert_drawn_within_its_sheet(figure: Figure) -> None:
    """Draw a figure; nothing may be clipped by its border."""
    assert pixels(figure, 40).std() > 0.01
    box = figure.get_tightbbox()
    assert box.x0 >= 0, box
    assert box.y0 >= 0, box
    assert box.x1 <= figure.get_figwidth(), box
    assert box.y1 <= figure.get_figheight(), box
