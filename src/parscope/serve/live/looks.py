"""How a map is painted: its colours, the unit that people read, and maps that are made of a pair of others."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from parscope.live.kernels.contract import Output
from parscope.live.kernels.integrate import pair_of as pair_of

_PAIRS = ("dpc", "com")
"""Kernels that give a vector (y, x); the first that is there is integrated and has its direction shown."""

_STRAIN = {"e_xx": (100.0, "%"), "e_yy": (100.0, "%"), "e_xy": (100.0, "%"), "rotation": (180 / np.pi, "°")}
"""Scale and unit, as figures show them."""

_POINTS = 256


def maps_of(outputs: Sequence[Output], drawn: Sequence[Output] = ()) -> list[dict[str, Any]]:
    """Maps to show for the numbers that are computed of a pattern.

    Parameters
    ----------
    outputs : sequence of Output
        What is computed.
    drawn : sequence of Output
        Sums over detectors that a person has drawn, in the columns after all others.

    Returns
    -------
    list of dict
        ``name``, ``title``, ``unit`` as shown, ``scale`` to it, ``look`` (name of the colours), ``kind`` (``value`` or
        ``angle``), ``centre`` (``zero`` or ``median`` for values on both sides of it, else None), ``axes`` of
        directions, and ``columns``: the outputs it is made of. The column after the
        last output is the integrated deflection.

    Examples
    --------
    >>> given = [Output("dpc.y", "px", "deflection, y"), Output("dpc.x", "px", "deflection, x")]
    >>> [(shown["name"], shown["columns"]) for shown in maps_of(given)]
    [('dpc.y', [0]), ('dpc.x', [1]), ('dpc.angle', [0, 1]), ('icom', [2])]
    """
    shown = [_map(output, len(outputs) + 1 + column) for column, output in enumerate(drawn)]
    shown += [_map(output, column) for column, output in enumerate(outputs)]
    pair = pair_of(outputs)
    if pair is None:
        return shown
    name, y, x = pair
    unit = outputs[y].unit
    return [
        *shown,
        _spec(
            f"{name}.angle",
            "direction of deflection",
            "°",
            "cyclic",
            [y, x],
            kind="angle",
            centre=_centre(name),
            axes="scan" if name == "dpc" else "detector",
        ),
        _spec("icom", "integrated CoM", f"{unit}·step", "sequential", [len(outputs)]),
    ]


def _map(output: Output, column: int) -> dict[str, Any]:
    """The map of one output."""
    kernel, _, name = output.name.partition(".")
    if name in _STRAIN:
        scale, unit = _STRAIN[name]
        return _spec(output.name, output.label, unit, "diverging", [column], scale=scale, centre="zero")
    unit = {"1": ""}.get(output.unit, output.unit.replace("^2", "²"))
    if kernel in _PAIRS:
        return _spec(output.name, output.label, unit, "diverging", [column], centre=_centre(kernel))
    look = "intensity" if output.unit == "counts" else "sequential"
    return _spec(output.name, output.label, unit, look, [column])


def _centre(kernel: str) -> str:
    """A centre of mass is somewhere on the detector, deflections are about zero."""
    return "median" if kernel == "com" else "zero"


def _spec(name: str, title: str, unit: str, look: str, columns: list[int], **more: Any) -> dict[str, Any]:
    """A map, as the page takes it."""
    told = {"name": name, "title": title[:1].upper() + title[1:], "unit": unit, "look": look, "columns": columns}
    return {**told, "kind": "value", "scale": 1.0, "centre": None, **more}


def tables() -> dict[str, str]:
    """Colours of every look.

    Returns
    -------
    dict of str
        256 colours as red, green and blue, one byte each, in base 64.

    Examples
    --------
    >>> sorted(tables()), len(base64.b64decode(tables()["cyclic"]))
    (['cyclic', 'diverging', 'intensity', 'sequential'], 768)
    """
    from matplotlib import colormaps

    from parscope.report.palette import CYCLIC, DIVERGING, INTENSITY, SEQUENTIAL

    named = {
        "cyclic": CYCLIC,
        "diverging": colormaps[DIVERGING],
        "intensity": colormaps[INTENSITY],
        "sequential": colormaps[SEQUENTIAL],
    }
    made = {name: table(np.linspace(0, 1, _POINTS), bytes=True)[:, :3] for name, table in named.items()}
    return {name: base64.b64encode(colours.tobytes()).decode() for name, colours in made.items()}
