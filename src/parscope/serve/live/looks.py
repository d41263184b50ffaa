"""How a map is painted: its colours, the unit that people read, and angles and moduli of pairs of maps."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_DIVERGING = ("com", "dpc", "icom", "strain", "pattern", "tracked")
"""Kernels whose numbers are about zero."""

_SCALES = {"rad": (180 / np.pi, "°"), "1": (100.0, "%")}
"""Angles and strain, as figures show them."""

_POINTS = 256


def maps_of(outputs: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Maps to show for the numbers that are computed of a pattern.

    Parameters
    ----------
    outputs : sequence of mapping
        ``name``, ``unit`` and ``label`` of each.

    Returns
    -------
    list of dict
        ``name``, ``title``, ``unit`` as shown, ``scale`` to it, ``look`` (name of the colours), ``kind`` (``value`` or
        ``angle``) and ``columns``: the outputs it is made of.

    Examples
    --------
    >>> given = [{"name": f"dpc.{axis}", "unit": "px", "label": f"deflection along {axis}"} for axis in "yx"]
    >>> [(shown["name"], shown["look"], shown["columns"]) for shown in maps_of(given)]
    [('dpc.y', 'diverging', [0]), ('dpc.x', 'diverging', [1]), ('dpc.angle', 'cyclic', [0, 1])]
    """
    shown = [_map(output, column) for column, output in enumerate(outputs)]
    at = {output["name"]: column for column, output in enumerate(outputs)}
    pairs = [name[:-2] for name in at if name.endswith(".y") and f"{name[:-2]}.x" in at]
    # A centre of mass and the deflection made of it point the same way: one wheel is enough.
    chosen = [prefix for prefix in pairs if not (prefix == "com" and "dpc" in pairs)]
    return shown + [_angle(prefix, [at[f"{prefix}.y"], at[f"{prefix}.x"]]) for prefix in chosen]


def _map(output: Mapping[str, str], column: int) -> dict[str, Any]:
    """The map of one output."""
    name, unit = output["name"], output["unit"]
    diverging = name.split(".")[0] in _DIVERGING
    scale, written = _SCALES.get(unit, (1.0, unit)) if diverging or unit != "1" else (1.0, "")
    look = "diverging" if diverging else "intensity" if unit == "counts" else "sequential"
    title = output.get("label") or name
    return {
        "name": name, "title": title, "unit": written, "scale": scale, "look": look, "kind": "value",
        "columns": [column],
    }  # fmt: skip


def _angle(prefix: str, columns: list[int]) -> dict[str, Any]:
    """Where a pair (y, x) points."""
    title = {"dpc": "Direction of deflection", "com": "Direction of centre of mass"}.get(
        prefix, f"Direction of {prefix}"
    )
    return {
        "name": f"{prefix}.angle", "title": title, "unit": "°", "scale": 1.0, "look": "cyclic", "kind": "angle",
        "columns": columns,
    }  # fmt: skip


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
