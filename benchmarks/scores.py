"""From scores of several methods to lines of a table: how a score is shown, and which peer is the one to beat."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.exchange import Answer, Method, Run
from benchmarks.report import Row, Target, rounded

TOLERABLE = 0.05
"""A peer that fails more often is not called the most precise."""

Scores = dict[str, float]


@dataclass(frozen=True)
class Metric:
    """How a score is shown, and what is good.

    Parameters
    ----------
    name, unit : str
        As the table has them.
    factor : float, default 1
        From the score to the unit.
    more_is_better : bool, default False
        Whether it is.
    ideal : float, optional
        The best score, where neither more nor less is better.
    comparable : bool, default True
        Whether the peers have it too.
    """

    name: str
    unit: str
    factor: float = 1.0
    more_is_better: bool = False
    ideal: float | None = None
    comparable: bool = True


def best(key: str, metric: Metric, peers: Mapping[str, Scores]) -> str | None:
    """The peer to beat in one score; precision counts only for those that seldom fail, if there are any.

    Parameters
    ----------
    key : str
        The score.
    metric : Metric
        What is good.
    peers : mapping of dict
        Scores by peer.

    Returns
    -------
    str or None
        None when nobody has the score.
    """
    having = {name: s for name, s in peers.items() if np.isfinite(s.get(key, np.nan))}
    if not having:
        return None
    if metric.more_is_better:
        return max(having, key=lambda name: having[name][key])
    if key != "failures":
        fewest = min(s.get("failures", 0.0) for s in having.values())
        having = {n: s for n, s in having.items() if s.get("failures", 0.0) <= max(TOLERABLE, fewest)}
    ideal = -np.inf if metric.ideal is None else metric.ideal
    away = {n: s[key] if metric.ideal is None else abs(s[key] - ideal) for n, s in having.items()}
    return min(away, key=away.__getitem__)


def lines(
    case: str,
    promised: Mapping[str, Target | None],
    metrics: Mapping[str, Metric],
    ours: Scores,
    peers: Mapping[str, Scores],
    bounds: Scores,
) -> list[Row]:
    """Lines of one case: parscope beside the best peer of each metric.

    Parameters
    ----------
    case : str
        What was measured.
    promised : mapping of str to Target or None
        Keys of the scores to show, with the promise where there is one.
    metrics : mapping of Metric
        How they are shown.
    ours : dict
        Scores of parscope.
    peers : mapping of dict
        Scores by peer.
    bounds : dict
        What nobody can pass, where it is known.

    Returns
    -------
    list of Row
    """
    made = []
    for key, target in promised.items():
        metric = metrics[key]
        name = best(key, metric, peers) if metric.comparable else None
        value, limit = ours.get(key), bounds.get(key)
        made.append(
            Row(
                case=case,
                metric=metric.name,
                value=None if value is None else value * metric.factor,
                unit=metric.unit,
                peer=name,
                peer_value=None if name is None else peers[name][key] * metric.factor,
                bound=None if limit is None else limit * metric.factor,
                target=target,
            )
        )
    return made


def record(case: str, method: Method, answer: Answer, scores: Scores) -> dict[str, Any]:
    """Everything a reader may want to look up afterwards; shown as it is made."""
    made = {
        "case": case,
        "method": method.name,
        "settings": method.settings,
        "key": answer.key,
        "error": answer.error,
        "scores": {name: rounded(value) for name, value in scores.items()},
    }
    print(f"{case}: {method.name}: {answer.error or made['scores']}", flush=True)
    return made


def entered(
    run: Run, case: str, folder: Path, entrants: Iterable[Method], scores_of: Callable[[Answer], Scores]
) -> tuple[dict[str, Scores], list[dict[str, Any]]]:
    """Every entrant on one case.

    Parameters
    ----------
    run : Run
        Where answers live.
    case : str
        What is measured.
    folder : Path
        Of the case.
    entrants : iterable of Method
        Who takes part.
    scores_of : callable
        What can be said of an answer; nothing of one that broke.

    Returns
    -------
    found : dict of dict
        Scores by method.
    records : list of dict
        One each, to look up afterwards.
    """
    found: dict[str, Scores] = {}
    records = []
    for method in entrants:
        answer = run.answer(folder, method)
        found[method.name] = scores_of(answer)
        records.append(record(case, method, answer, found[method.name]))
    return found, records
