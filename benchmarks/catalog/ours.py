"""Runner of parscope's catalog: records go in, one by one and many at once, and are asked for; then ten times as many.

Ten times as many is a copy in which each record stands ten times, made by the database: the same values, ten times as
often. To index as many anew would take half an hour, and nothing that is asked here could tell.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
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


def multiplied(file: Path, source: Path, times: int) -> None:
    """Make a catalog in which each record of another stands so many times."""
    with Catalog(fresh(file)):
        pass
    with closing(sqlite3.connect(file, isolation_level=None)) as to:
        to.execute("ATTACH ? AS source", (str(source),))
        to.execute("PRAGMA synchronous = OFF")
        to.execute("PRAGMA cache_size = -1000000")
        (count,) = to.execute("SELECT max(id) FROM source.record").fetchone()
        copies = "WITH RECURSIVE copy(n) AS (SELECT 0 UNION ALL SELECT n + ? FROM copy WHERE n < ?)"
        numbers = (count, count * (times - 1))
        to.execute("BEGIN")
        to.execute("DROP INDEX value_record")
        to.execute("INSERT INTO path SELECT * FROM source.path")
        fields = "number, document, reader, error, created, changed"
        made = f"SELECT id + n, uid || n, NULL, {fields} FROM copy CROSS JOIN source.record"
        to.execute(f"INSERT INTO record (id, uid, hash, {fields}) {copies} {made}", numbers)
        # The inner loop is the copies, so that rows arrive nearly in the order in which they are kept.
        made = 'SELECT path, type, "key", record + n FROM source.value CROSS JOIN copy'
        to.execute(f"INSERT INTO value {copies} {made}", numbers)
        to.execute("CREATE INDEX value_record ON value (record)")
        to.execute("COMMIT")


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


def grow(folder: Path, times: int) -> dict[str, Any]:
    """Ask one in which each record of the other stands so many times."""
    file = folder / "many.db"
    multiplied(file, folder / "one.db", times)
    with Catalog(file) as catalog:
        taken, hits = asked(catalog)
    return {"ms": taken, "hits": hits}


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
