"""Hysteresis loops of a real film: how well they are described, and how fast."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.exchange import Answer, Method, Run
from benchmarks.machine import ROOT
from benchmarks.report import Row, Target
from benchmarks.scores import Metric, Scores, lines, record
from benchmarks.spectroscopy.draws import Array
from parscope import open_spectra

FILE = "BEPS_PTO_50x50.h5"
SAMPLE, SEED, QUICK = 200, 0, 20
EQUAL, NEAR = 1e-4, 1e-3
"""Coefficients of determination that differ by no more are equal, or near: the noise of one sample is some 1e-3."""
SCALE = 1e5
"""BGlib has fixed bounds, which suit numbers of the order of one."""

OURS = Method("parscope", "spectroscopy/ours_loops.py")
SEARCH = Method("BGlib 0.0.6 fit_loop", "spectroscopy/peers/run_bglib_loops.py", "bglib", {"mode": "search"})
SHIPPED = Method("BGlib 0.0.6, each loop", "spectroscopy/peers/run_bglib_loops.py", "bglib", {"mode": "shipped"})
CASE = "2500 real hysteresis loops"

METRICS: Mapping[str, Metric] = {
    "determination": Metric("R² of the search, median of all", "1", comparable=False),
    "determination_kept": Metric("R², median of those that have a value", "1", comparable=False),
    "kept": Metric("loops that have a value: neither absent nor at a bound", "%", 100.0, comparable=False),
    "sample": Metric("R² of the search, median of a sample of 200", "1", more_is_better=True),
    "not_worse": Metric("R² better than the other's or equal", "%", 100.0, more_is_better=True),
    "near": Metric("the same, to 1e-3", "%", 100.0, more_is_better=True),
    "unmoved": Metric("fits equal to their first guess, bit for bit", "%", 100.0, more_is_better=True),
    "speed": Metric("loops per CPU second", "1/s", more_is_better=True),
}
PROMISED: Mapping[str, Target | None] = {
    "determination": Target(at_least=0.949),
    "determination_kept": None,
    "kept": None,
    "sample": None,
    "not_worse": Target(at_least=95),
    "near": None,
    "unmoved": None,
    "speed": Target(at_least=600),
}


def file() -> Path | None:
    """The measurement, where the tests have their sample files; None where it is not."""
    folder = Path(os.environ.get("PARSCOPE_TEST_DATA", ROOT.parent / "shared" / "data"))
    path = folder / "spectroscopy" / FILE
    return path if path.exists() else None


def load(path: Path) -> tuple[Array, Array]:
    """Bias of one cycle from its highest value, shape (steps,), and loops, shape (n, steps)."""
    spectra = open_spectra(path)
    bias = np.asarray(spectra.axis.values)
    start = -int(np.argmax(bias))
    loops = np.asarray(spectra.data[:], np.float64).reshape(-1, bias.size) * SCALE
    return np.roll(bias, start), np.roll(loops, start, axis=1)


def measure(run: Run, quick: bool) -> tuple[list[Row], list[dict[str, Any]]]:
    """Run everything; see `benchmarks.spectroscopy.table.measure`."""
    path = file()
    if path is None:
        print(f"{CASE}: left out, as there is no spectroscopy/{FILE}; set PARSCOPE_TEST_DATA", flush=True)
        return [], []
    bias, loops = load(path)
    sample = np.random.default_rng(SEED).choice(len(loops), QUICK if quick else SAMPLE, replace=False)
    folder = run.case("loops", {}, bias=bias, loops=loops, sample=sample)
    found: dict[str, Scores] = {}
    fits: dict[str, Array] = {}
    records = []
    for method in (OURS, SEARCH, SHIPPED):
        answer = run.answer(folder, method)
        some = loops if method == OURS else loops[sample]
        fits[method.name] = determination(answer, some)
        found[method.name] = scores_of(answer, fits[method.name])
        if method == OURS and answer.arrays:
            kept = answer.arrays["kept"]
            found[method.name] |= {
                "determination": float(np.median(fits[method.name])),
                "determination_kept": float(np.median(fits[method.name][kept])),
                "kept": float(kept.mean()),
                "sample": float(np.median(fits[method.name][sample])),
            }
        records.append(record(CASE, method, answer, found[method.name]))
    mine, theirs = fits[OURS.name][sample], fits[SEARCH.name]
    ours = found[OURS.name] | beside(mine, theirs)
    peers = {method.name: found[method.name] for method in (SEARCH, SHIPPED) if found[method.name]}
    if SEARCH.name in peers:
        peers[SEARCH.name] |= beside(theirs, mine)
    return lines(CASE, PROMISED, METRICS, ours, peers, {}), records


def determination(answer: Answer, loops: Array) -> Array:
    """Coefficient of determination R², shape (n,), of what a search left; NaN where there was none."""
    if not answer.arrays:
        return np.full(len(loops), np.nan)
    arrays = answer.arrays
    left = arrays["left"] if "left" in arrays else np.sum(np.square(loops - arrays["fitted"]), axis=1)
    return np.asarray(1 - left / np.sum(np.square(loops - loops.mean(axis=1, keepdims=True)), axis=1))


def scores_of(answer: Answer, fits: Array) -> Scores:
    """What is said of any method: speed, and R² where a loop without fit counts as the worst."""
    if not answer.arrays:
        return {}
    made = {
        "speed": len(fits) / float(answer.arrays["seconds"]),
        "sample": float(np.median(np.nan_to_num(fits, nan=-np.inf))),
    }
    return made | ({"unmoved": float(answer.arrays["unmoved"])} if "unmoved" in answer.arrays else {})


def beside(ours: Array, theirs: Array) -> Scores:
    """How often one R² is better than another or equal; a loop that only one has a fit of counts for that one.

    Parameters
    ----------
    ours, theirs : ndarray, shape (n,)
        R² of the same loops; NaN where there is no fit.

    Returns
    -------
    dict of float
        ``not_worse`` and ``near`` [1].
    """
    mine, other = (np.nan_to_num(fits, nan=-np.inf) for fits in (ours, theirs))
    return {"not_worse": float(np.mean(mine >= other - EQUAL)), "near": float(np.mean(mine >= other - NEAR))}
