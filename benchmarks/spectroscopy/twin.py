"""The twin of the published film, deep in the noise: medians without and with a prior, beside the published ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.exchange import Answer, Method, Run
from benchmarks.report import Row, Target
from benchmarks.scores import Metric, Scores, entered, lines
from benchmarks.spectroscopy.draws import NAMES, SPREAD, Draw, film
from benchmarks.spectroscopy.score import attainable, score

COUNT, QUICK, SEED = 10_000, 1_000, 0
NOISE = (2, 4, 6, 8)
"""Half width of the noise over the standard deviation of the clean data."""
PUBLISHED = Path(__file__).with_name("published.json")
"""Medians that others have published; figures of theirs, not of this run."""

PLAIN = Method("parscope", "spectroscopy/ours.py", settings={"task": "fit", "repeats": 0})
PRIOR = Method("parscope, prior", "spectroscopy/ours.py", settings={"task": "prior"})

_UNITS = {"resonance": ("Hz", 1.0), "quality": ("1", 1.0), "amplitude": ("1e-6", 1e6), "phase": ("rad", 1.0)}


def metrics(ending: str) -> dict[str, Metric]:
    """Median errors of the four parameters."""
    return {f"median_{n}": Metric(f"{n}, median error{ending}", unit, f) for n, (unit, f) in _UNITS.items()}


def published(times: int) -> dict[str, Scores]:
    """Scores that others have published, by method."""
    stored: Mapping[str, Any] = json.loads(PUBLISHED.read_text())
    return {
        f"published {name}": {f"median_{p}": float(stored[name][str(times)][p]) for p in NAMES}
        for name in ("network", "MAP", "least squares")
    }


def measure(run: Run, quick: bool) -> tuple[list[Row], list[dict[str, Any]]]:
    """Run everything; see `benchmarks.spectroscopy.table.measure`."""
    rows: list[Row] = []
    records: list[dict[str, Any]] = []
    for times in NOISE:
        name = f"twin of the published film, n = {times}"
        draw = film(times, QUICK if quick else COUNT, SEED)
        folder = run.case(f"twin-{times}", {}, spectra=draw.spectra, frequency=draw.frequency)
        found, made = entered(run, name, folder, (PLAIN, PRIOR), partial(scores_of, draw=draw))
        records += made
        limits = attainable(draw), attainable(draw, SPREAD)
        rows += rows_of(name, (found[PLAIN.name], found[PRIOR.name]), published(times), limits)
    return rows, records


def scores_of(answer: Answer, draw: Draw) -> Scores:
    """Errors of one answer; nothing of a runner that broke."""
    return score(answer.arrays["theta"], draw, answer.arrays["std"]) if answer.arrays else {}


def rows_of(
    case: str, ours: tuple[Scores, Scores], others: Mapping[str, Scores], bounds: tuple[Scores, Scores]
) -> list[Row]:
    """Lines of one case: with the prior as promised, then without.

    Parameters
    ----------
    case : str
        What was measured.
    ours : tuple of dict
        Scores without and with the prior.
    others : mapping of dict
        What is published.
    bounds : tuple of dict
        Medians that are attainable without and with knowledge of the distribution.

    Returns
    -------
    list of Row
    """
    (plain, prior), shown = ours, metrics("")
    promised: dict[str, Target | None] = {
        key: Target(at_most=others["published network"][key] * metric.factor) for key, metric in shown.items()
    }
    alone = {"published least squares": others["published least squares"]}
    unaided: dict[str, Target | None] = dict.fromkeys(shown)
    return [
        *lines(case, promised, shown, prior, others, bounds[1]),
        *lines(case, unaided, metrics(", prior off"), plain, alone, bounds[0]),
    ]
