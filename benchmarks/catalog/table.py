"""The catalog table: CPU time of each query, how it grows, and what goes in; beside it Tiled on the same records."""

from __future__ import annotations

from math import nan
from typing import Any

import numpy as np

from benchmarks.catalog.questions import NEWEST, QUESTIONS
from benchmarks.exchange import Answer, Method, Run
from benchmarks.report import Row, Target, rounded

RECORDS, TIMES = 100_000, 10
QUICK = 5_000
SEED = 0
OURS = "parscope"
MORE = "parscope, ten times as many"
WRITERS = "parscope, 16 writers"
TILED = "Tiled 0.2.20, its client on its own server in one process"


def measure(run: Run, quick: bool) -> tuple[list[Row], list[dict[str, Any]]]:
    """Ask both.

    Parameters
    ----------
    run : Run
        Where answers live.
    quick : bool
        Whether a twentieth of the records are enough.

    Returns
    -------
    rows : list of Row
        Lines of the table.
    records : list of dict
        What both said to each question.
    """
    records = QUICK if quick else RECORDS
    case = run.case("records", {"records": records, "times": TIMES})
    answers = {
        OURS: run.answer(case, _ours(OURS, task="ask", records=records)),
        TILED: run.answer(case, Method(TILED, "catalog/peers/run_tiled.py", "tiled", {"records": records})),
        WRITERS: run.answer(case, _ours(WRITERS, task="writers")),
        MORE: run.answer(case, _ours(MORE, task="grow", records=records * TIMES)),
    }
    for file in case.glob("*.db*"):
        file.unlink()
    return rows_of(records, answers), [told(method, answer) for method, answer in answers.items()]


def _ours(name: str, **settings: Any) -> Method:
    return Method(name, "catalog/ours.py", None, settings)


def rows_of(records: int, answers: dict[str, Answer]) -> list[Row]:
    """Lines of the table.

    Parameters
    ----------
    records : int
        In the smaller catalog.
    answers : dict of Answer
        Of all runners.

    Returns
    -------
    list of Row
    """
    ours, theirs, more = (answers[method].arrays for method in (OURS, TILED, MORE))
    small, large = _spaced(records), _spaced(records * TIMES)
    rows = []
    for number, question in enumerate((*QUESTIONS, NEWEST)):
        case = f"{question.name}, {ours['hits'][number]} of {small}"
        taken, grown = float(ours["ms"][number]), float(more["ms"][number]) if more else nan
        peer = float(theirs["ms"][number]) if theirs and question.tiled else None
        named = TILED if question.tiled else None
        rows.append(Row(case, "CPU time of a query", taken, "ms", named, peer, None, Target(at_most=15)))
        rows.append(Row(case, f"CPU time at {large} records, over that", grown / taken, "1", target=Target(at_most=12)))
    everything, writers = f"all of {small}", "16 writers at once, 200 records each"
    single, many, size = (float(ours[name]) for name in ("single", "many", "bytes"))
    lost = answers[WRITERS].arrays.get("lost")
    return [
        *rows,
        Row(everything, "records per CPU second, one by one", single, "1/s", target=Target(at_least=250)),
        Row(everything, "records per CPU second, many at once", many, "1/s"),
        Row(everything, "size of the file per record", size / records / 1e3, "kB"),
        Row(writers, "records lost", None if lost is None else float(lost), "1", target=Target(at_most=0)),
    ]


def told(method: str, answer: Answer) -> dict[str, Any]:
    """What one of them said, for the methods of the table."""
    scores = {name: _plain(np.asarray(value, float).tolist()) for name, value in answer.arrays.items()}
    return {"case": "records", "method": method, "key": answer.key, "scores": scores, "error": answer.error}


def _plain(value: Any) -> Any:
    """Few digits, also of all numbers of a list; null for a question that was not asked."""
    return [_plain(one) for one in value] if isinstance(value, list) else rounded(value)


def _spaced(number: int) -> str:
    return f"{number:,}".replace(",", " ")
