"""Runner of parscope's catalog: records go in, one by one and many at once, and are asked for; then ten times as many.

Ten times as many are ten times as many documents, indexed like the others, which takes half an hour: distinct values
grow with them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.catalog.corpus import document
from benchmarks.catalog.questions import NEWEST, QUESTIONS
from parscope.catalog.query import parse
from parscope.catalog.store.catalog import Catalog

REPEATS = 5
WRITERS, EACH = 16, 200


def fresh(file: Path) -> Path:
    """Name of a file that is not there, nor what SQLite puts beside it."""
    for old in file.parent.glob(f"{file.name}*"):
        old.unlink()
    return file


def best(ask: Callable[[], object], repeats: int = REPEATS) -> float:
    """CPU time of the fastest of several calls after a first one, [ms]."""
    times = []
    for _ in range(repeats + 1):
        start = time.process_time()
        ask()
        times.append(time.process_time() - start)
    return 1e3 * min(times[1:])


def asked(catalog: Catalog) -> tuple[list[float], list[int]]:
    """CPU time [ms] and number of records of each question; what a text costs to read is counted."""
    times = [best(lambda question=question: catalog.count(parse(question.text))) for question in QUESTIONS]  # type: ignore[misc]
    times.append(best(lambda: catalog.find(parse(NEWEST.text), limit=50)))
    return times, [catalog.count(parse(question.text)) for question in (*QUESTIONS, NEWEST)]


def filled(file: Path, count: int) -> tuple[float, float]:
    """Make a catalog of so many records; records per CPU second, [1/s], each in a transaction, and many in one."""
    with Catalog(fresh(file)) as catalog:
        few = [document(number) for number in range(500)]
        start = time.process_time()
        for one in few:
            catalog.add(one)
        middle = time.process_time()
        many = [document(number) for number in range(500, 3500)]
        between = time.process_time()
        catalog.add_many(many)
        rates = len(few) / (middle - start), len(many) / (time.process_time() - between)
        catalog.add_many(document(number) for number in range(3500, count))
    return rates


def write(file: str, first: int) -> None:
    """What one of the concurrent writers does."""
    with Catalog(file) as catalog:
        for number in range(first, first + EACH):
            catalog.add(document(number))


def failures(folder: Path) -> dict[str, Any]:
    """Count what is missing after all writers have written theirs at once."""
    file = fresh(folder / "writers.db")
    with Catalog(file):
        pass
    command = [sys.executable, "-m", "benchmarks.catalog.ours", "write", str(file)]
    writers = [subprocess.Popen([*command, str(EACH * writer)]) for writer in range(WRITERS)]
    for writer in writers:
        writer.wait()
    with Catalog(file) as catalog:
        return {"lost": WRITERS * EACH - catalog.count()}


def ask(folder: Path, records: int) -> dict[str, Any]:
    """Fill a catalog and ask it."""
    file = folder / "one.db"
    single, many = filled(file, records)
    with Catalog(file) as catalog:
        times, hits = asked(catalog)
    return {"ms": times, "hits": hits, "single": single, "many": many, "bytes": file.stat().st_size}


def grow(folder: Path, records: int) -> dict[str, Any]:
    """Fill one with more, and ask it."""
    file = folder / "many.db"
    filled(file, records)
    with Catalog(file) as catalog:
        taken, hits = asked(catalog)
    return {"ms": taken, "hits": hits, "bytes": file.stat().st_size}


def main() -> None:
    """Do what the settings ask for; or write, as one of many."""
    if sys.argv[1] == "write":
        write(sys.argv[2], int(sys.argv[3]))
        return
    folder, result, settings = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    task = {"ask": ask, "grow": grow, "writers": failures}[settings.pop("task")]
    np.savez(result, **task(folder, **settings))


if __name__ == "__main__":
    main()
