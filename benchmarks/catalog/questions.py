"""What is asked of a catalog in the benchmark, by parscope's text and by Tiled's query classes, where it has any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Question:
    """One query.

    Parameters
    ----------
    name : str
        As the table names it.
    text : str
        As parscope reads it.
    tiled : tuple of list, optional
        Queries of Tiled that are asked one within the other, each a class of `tiled.queries` with its arguments; None
        where Tiled cannot say it: units, ``or``, any depth, and regular expressions in its own database.
    """

    name: str
    text: str
    tiled: tuple[list[Any], ...] | None = None


QUESTIONS = (
    Question("equality, selective", 'sample.name = "PZT-123"', (["Eq", "sample.name", "PZT-123"],)),
    Question("equality, a tenth", 'mode = "HAADF"', (["Eq", "mode", "HAADF"],)),
    Question("range", "stage.x > 900", (["Comparison", "gt", "stage.x", 900],)),
    Question("range with a unit", "beam.voltage >= 0.3 MV"),
    Question(
        "three-way Boolean with not",
        '(mode = "HAADF" or operator = "operator 07") and beam.convergence_angle > 27 and not sample.material = "Si"',
    ),
    Question("exists", "annealing exists", (["KeyPresent", "annealing"],)),
    Question("array", 'sample.tags = "vortex"', (["Contains", "sample.tags", "vortex"],)),
    Question("any depth", '**.name = "Ceta"'),
    Question("regular expression", 'sample.name ~ "^PZT-1[0-9]$"'),
    Question("full text", 'text "domain wall"', (["FullText", "domain wall"],)),
)
"""Each is asked for the exact number of its records; the one below for the newest 50 of them, whole."""

NEWEST = Question("newest 50 with a condition", 'mode = "HAADF"', (["Eq", "mode", "HAADF"],))
