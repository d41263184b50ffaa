"""Resonances at one signal-to-noise ratio after the other: precision, failures, intervals and speed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.exchange import Answer, Method, Run
from benchmarks.report import Row, Target
from benchmarks.scores import Metric, Scores, entered, lines
from benchmarks.spectroscopy.draws import NAMES, Draw, resonances
from benchmarks.spectroscopy.score import errors, failed, score
from parscope.core import Status

COUNT, QUICK = 10_000, 1_000
"""Spectra of a case, and of a quick one."""

OURS = Method("parscope", "spectroscopy/ours.py", settings={"task": "fit"})
ONE = Method("parscope, one spectrum a call", "spectroscopy/ours.py", settings={"task": "one", "count": 4000})
GENERIC = Method("parscope, only rendered", "spectroscopy/ours.py", settings={"task": "generic", "count": 4096})

BGLIB = Method("BGlib 0.0.6", "spectroscopy/peers/run_bglib.py", "bglib", {"mode": "call", "count": 2000})
CURVE_FIT = Method(
    "SciPy curve_fit, as sidpy calls it", "spectroscopy/peers/run_sidpy.py", "bglib", {"mode": "call", "count": 2000}
)
REPAIRED = Method(
    "SciPy least_squares, all residuals", "spectroscopy/peers/run_scipy.py", "bglib", {"mode": "call", "count": 2000}
)
BGLIB_CLASS = Method(
    "BGlib 0.0.6, its class", "spectroscopy/peers/run_bglib.py", "bglib", {"mode": "class", "count": 320}
)
SIDPY = Method("sidpy 0.12.3 SidFitter", "spectroscopy/peers/run_sidpy.py", "bglib", {"mode": "class", "count": 100})

PEERS = (BGLIB, REPAIRED, CURVE_FIT)
ONLY_TIMED = (BGLIB_CLASS, SIDPY)
"""Programs around the same fits: their speed counts, on fewer spectra than tell a precision."""

TIMED = {
    "bglib": BGLIB,
    "bglib_class": BGLIB_CLASS,
    "sidpy": SIDPY,
    "curve_fit": CURVE_FIT,
    "repaired": REPAIRED,
}

METRICS: Mapping[str, Metric] = {
    **{f"efficiency_{name}": Metric(f"{name}, error over the bound", "1") for name in NAMES},
    "failures": Metric("failures", "%", 100.0),
    "silent": Metric("failures with status ok", "%", 100.0, comparable=False),
    "reconstruction": Metric("distance from the clean spectrum, efficient fit = 1", "1"),
    "coverage_resonance": Metric("resonance inside its 95 % interval", "%", 100.0, ideal=0.95),
    "coverage_quality": Metric("quality inside its 95 % interval", "%", 100.0, ideal=0.95),
    "speed": Metric("fits per CPU second", "1/s", more_is_better=True),
    "over_bglib": Metric("speed, BGlib = 1", "1", more_is_better=True),
    "over_bglib_class": Metric("speed, BGlib's class = 1", "1", more_is_better=True),
    "over_sidpy": Metric("speed, sidpy's SidFitter = 1", "1", more_is_better=True),
    "over_curve_fit": Metric("speed, curve_fit as sidpy calls it = 1", "1", more_is_better=True),
    "over_repaired": Metric("speed, least_squares on all residuals = 1", "1", more_is_better=True),
    "unmoved": Metric("fits equal to their first guess, bit for bit", "%", 100.0, more_is_better=True),
    "setup": Metric("set-up, once in a process", "s", comparable=False),
    "one_median": Metric("one spectrum, warm call, median", "µs", 1e6, comparable=False),
    "one_late": Metric("one spectrum, warm call, 95 % quantile", "µs", 1e6, comparable=False),
    "generic_speed": Metric("fits per CPU second, from render alone", "1/s", comparable=False),
    "generic_away": Metric("largest difference from the compiled path over the bound", "1", comparable=False),
}

EFFICIENT = Target(at_most=1.05)
HONEST = Target(at_least=0.93 * 100, at_most=0.97 * 100)
FAST = Target(at_least=60_000)
_COVERAGE: dict[str, Target | None] = {"coverage_resonance": HONEST, "coverage_quality": HONEST}
_EFFICIENCY = [f"efficiency_{name}" for name in NAMES]
_STRONG: dict[str, Target | None] = {
    **dict.fromkeys(_EFFICIENCY, EFFICIENT),
    "failures": Target(at_most=0.0),
    "silent": None,
    "reconstruction": None,
    **_COVERAGE,
    "speed": FAST,
}
_WEAK: dict[str, Target | None] = {
    **dict.fromkeys(_EFFICIENCY, None),
    "failures": None,
    "silent": None,
    "reconstruction": None,
    **_COVERAGE,
    "speed": None,
}


@dataclass(frozen=True)
class Case:
    """Spectra of one signal-to-noise ratio.

    Parameters
    ----------
    snr : int
        Peak over the noise of one component, [1].
    metrics : mapping of str to Target or None
        Rows of the table, by key of `METRICS`, with the promise where there is one.
    seeds : int, default 1
        Draws of `COUNT` spectra each.
    more : tuple of Method
        Who takes part besides `OURS` and `PEERS`.
    """

    snr: int
    metrics: Mapping[str, Target | None]
    seeds: int = 1
    more: tuple[Method, ...] = ()

    @property
    def name(self) -> str:
        """As the table names it."""
        return f"resonances, signal to noise {self.snr}"

    def draw(self, count: int) -> Draw:
        """All draws, one after the other."""
        draws = [resonances(self.snr, count, seed) for seed in range(self.seeds)]
        truth, spectra = np.concatenate([d.truth for d in draws]), np.concatenate([d.spectra for d in draws])
        return Draw(draws[0].frequency, truth, draws[0].noise, spectra)


CASES = (
    Case(100, _STRONG),
    Case(
        30,
        {**_STRONG, "generic_speed": Target(at_least=5000), "generic_away": Target(at_most=1e-3)},
        more=(GENERIC,),
    ),
    Case(
        10,
        {
            **_STRONG,
            "over_bglib": Target(at_least=50),
            "over_bglib_class": None,
            "over_sidpy": Target(at_least=1000),
            "over_curve_fit": None,
            "over_repaired": None,
            "unmoved": None,
            "setup": None,
            "one_median": Target(at_most=50),
            "one_late": None,
        },
        more=(*ONLY_TIMED, ONE),
    ),
    Case(5, {**_WEAK, "failures": Target(at_most=0.2)}, seeds=5),
    Case(3, _WEAK),
    Case(2, _WEAK),
)


def measure(run: Run, quick: bool) -> tuple[list[Row], list[dict[str, Any]]]:
    """Run everything; see `benchmarks.spectroscopy.table.measure`."""
    rows: list[Row] = []
    records: list[dict[str, Any]] = []
    for case in CASES:
        draw = case.draw(QUICK if quick else COUNT)
        folder = run.case(f"resonances-{case.snr}", {}, spectra=draw.spectra, frequency=draw.frequency)
        found, made = entered(run, case.name, folder, (OURS, *PEERS, *case.more), partial(scores_of, draw=draw))
        records += made
        rows += rows_of(case, found)
    return rows, records


def scores_of(answer: Answer, draw: Draw) -> Scores:
    """Everything that can be said of one answer; nothing of a runner that broke."""
    arrays = answer.arrays
    if not arrays:
        return {}
    found = arrays["theta"]
    some = draw.first(len(found))
    scores = score(found, some, arrays.get("std"))
    scores["speed"] = len(found) / float(arrays["seconds"])
    for name in ("unmoved", "setup"):
        if name in arrays:
            scores[name] = float(arrays[name])
    if "status" in arrays:
        scores["silent"] = float(np.mean(failed(errors(found, some.truth), some) & (arrays["status"] == Status.OK)))
    if "times" in arrays:
        scores["one_median"], scores["one_late"] = (float(q) for q in np.quantile(arrays["times"], [0.5, 0.95]))
    if "compiled" in arrays:
        away = np.abs(errors(found, arrays["compiled"])) / some.limits
        scores["away"] = float(np.nanmax(away))
    return scores


def rows_of(case: Case, found: Mapping[str, Scores]) -> list[Row]:
    """Lines of one case: parscope beside the best peer of each metric."""
    ours, single, generic = found[OURS.name], found.get(ONE.name, {}), found.get(GENERIC.name, {})
    ours = ours | {name: single[name] for name in ("one_median", "one_late") if single}
    ours |= {f"generic_{name}": generic[name] for name in ("speed", "away") if generic}
    peers = {method.name: dict(found[method.name]) for method in PEERS if found[method.name]}
    for key, method in TIMED.items():
        if "speed" in ours and "speed" in found.get(method.name, {}):
            ours[f"over_{key}"] = ours["speed"] / found[method.name]["speed"]
            peers.setdefault(method.name, {})[f"over_{key}"] = 1.0
    bounds = {**dict.fromkeys(_EFFICIENCY, 1.0), "reconstruction": 1.0}
    return lines(case.name, case.metrics, METRICS, ours, peers, bounds)
