"""The strain table: every method on every case, all on the same Poisson draws of one run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.exchange import Answer, Method, Run
from benchmarks.report import Row
from benchmarks.scores import Scores, entered, lines
from benchmarks.strain import methods, scenes
from benchmarks.strain.cases import METRICS, Case
from benchmarks.strain.polycrystal import polycrystal_scores
from benchmarks.strain.score import Measured, disk_scores, score


def measure(run: Run, cases: Iterable[Case]) -> tuple[list[Row], list[dict[str, Any]]]:
    """Run everything on `cases`.

    Parameters
    ----------
    run : Run
        Where patterns and answers live.
    cases : iterable of Case
        What to measure.

    Returns
    -------
    rows : list of Row
        Lines of the table.
    records : list of dict
        All scores of all methods.
    """
    rows: list[Row] = []
    records: list[dict[str, Any]] = []
    for case in cases:
        scene = scenes.load(case.phantom)
        folder = _lay_out(run, case, scene)
        found, made = entered(run, case.name, folder, entrants(case, scene), partial(_scores, scene=scene, case=case))
        records += made
        rows += rows_of(case, found, scene.bounds(case.electrons))
    return rows, records


def entrants(case: Case, scene: scenes.Scene) -> Sequence[Method]:
    """Who takes part: parscope without and with a given set-up; the peers, on sums too where patterns are pooled."""
    if not case.peers:
        # One lattice cannot be given for many grains.
        return (methods.OURS,)
    ours = (methods.pooled_ours(case.pool),) if case.pool > 1 else (methods.OURS, methods.OURS_GIVEN)
    peers = methods.peers(large=min(scene.pattern_shape) >= 256)
    return (*ours, *peers, *(methods.on_sums(case.pool, peers) if case.pool > 1 else ()))


def _lay_out(run: Run, case: Case, scene: scenes.Scene) -> Path:
    """Draw the patterns of a case and put them where the runners look."""
    name = f"{case.phantom}-{case.electrons}" + (f"-{case.pool}x{case.pool}" if case.pool > 1 else "")
    return run.case(name, scene.given, patterns=scene.draw(case.electrons), probe=scene.probe_image)


def _scores(answer: Answer, scene: scenes.Scene, case: Case) -> Scores:
    """Everything that can be said of one answer; nothing of a runner that broke."""
    arrays = answer.arrays
    if not arrays:
        return {}
    measured = Measured(arrays["lattice"], arrays.get("centre"), arrays.get("strain_std"))
    bound = None if case.pool > 1 else scene.bounds(case.electrons).get("strain_rms")
    if scene.phantom.design.grains:
        phantom = scene.phantom
        scores = polycrystal_scores(measured, scene.truth, phantom.grain, phantom.share, arrays["boundary"], bound)
    else:
        scores = score(measured, scene.truth, bound)
    scores["speed"] = len(arrays["lattice"]) / float(arrays["seconds"])
    if "setup" in arrays:
        scores["setup"] = float(arrays["setup"])
    if "disks" in arrays:
        disks = np.split(arrays["disks"], np.cumsum(arrays["disk_counts"])[:-1])
        scores |= disk_scores(disks, scene.truth)
    return scores


def rows_of(case: Case, found: dict[str, Scores], bounds: Scores) -> list[Row]:
    """Lines of one case: parscope beside the best peer of each metric.

    Parameters
    ----------
    case : Case
        What was measured.
    found : dict of dict
        Scores by method.
    bounds : dict
        Cramér-Rao limits by score, where they are known.

    Returns
    -------
    list of Row
    """
    pooled = methods.pooled_ours(case.pool).name if case.pool > 1 else methods.OURS.name
    ours = dict(found.get(pooled, {}))
    given = found.get(methods.OURS_GIVEN.name, {}).get("strain_rms")
    if given and "strain_rms" in ours:
        ours["automatic"] = ours["strain_rms"] / given
    peers = {name: scores for name, scores in found.items() if not name.startswith(methods.OURS.name) and scores}
    limits = {} if case.pool > 1 else {**bounds, "ratio": 1.0} if "strain_rms" in bounds else bounds
    return lines(case.name, case.metrics, METRICS, ours, peers, limits)
