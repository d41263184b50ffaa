"""A thousand random queries about hostile documents: both databases say what an evaluator says that knows neither."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

import pytest
from sqlalchemy import Connection, insert, update

from parscope.catalog.query import ast
from parscope.catalog.store import plan, tables
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.write import put_record
from tests.catalog.store import hostile
from tests.catalog.store.oracle import Known, Oracle, slots

RECORDS, QUERIES = 200, 1000


def test_both_databases_answer_as_the_meaning_says(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    oracle, queries, answers = examined()
    with catalog.writing() as connection:
        ids = write(connection, oracle.records)
    names = {number: uid for uid, number in ids.items()}
    found = []
    with catalog.reading() as connection:
        for at, query in enumerate(queries):  # of every other one all parts are asked of all records
            monkeypatch.setattr(plan, "_FEW", {True: at % 2 * 100, False: at % 2 * 100})
            found.append({names[one] for one in plan.matching(connection, query).tolist()})
    wrong = [(query, a - b, b - a) for query, a, b in zip(queries, found, answers, strict=True) if a != b]
    assert wrong[:3] == []


def test_the_queries_are_worth_asking() -> None:
    _, queries, answers = examined()
    kinds = Counter(type(node) for query in queries for node in nodes(query))
    assert all(kinds[kind] >= 20 for kind in ast.Expression.__args__)
    assert sum(0 < len(answer) < RECORDS for answer in answers) > QUERIES * 0.4


@cache
def examined() -> tuple[Oracle, list[ast.Expression], list[set[str]]]:
    """Records, queries and the right answers."""
    draw = random.Random(7)
    records = [known(draw, number) for number in range(RECORDS)]
    for at, one in enumerate(records):
        one.sources = {records[draw.randrange(at)].uid for _ in range(draw.choice((0, 0, 1, 2))) if at}
    oracle = Oracle(records)
    source = hostile.Queries(
        draw, [slot for one in records for slot in slots(one.document)], [one.uid for one in records]
    )
    queries = [source.expression(draw.choice((0, 1, 1, 2, 2, 3, 4))) for _ in range(QUERIES)]
    return oracle, queries, [oracle.answer(query) for query in queries]


def known(draw: random.Random, number: int) -> Known:
    """A record with what people and the collector might know of it."""
    seen = {f"{place}.{number}" for place in draw.sample(hostile.PLACES, draw.randint(0, 2))}
    return Known(
        uid=f"{draw.getrandbits(128):032x}",
        document=hostile.document(draw),
        error=draw.choice((None, None, "cannot be read")),
        tags=set(draw.sample(hostile.TAGS, draw.randint(0, 2))),
        collections=set(draw.sample(hostile.COLLECTIONS, draw.randint(0, 1))),
        seen=seen,
        present=[draw.random() < 0.5 for _ in range(draw.randint(0, 2))] if number else [True],
        copied=draw.random() < 0.2,
    )


def write(connection: Connection, records: list[Known]) -> dict[str, int]:
    """Write records with all that is known of them; their numbers by uid."""
    ids: dict[str, int] = {}
    for at, one in enumerate(records):
        number = put_record(connection, one.document, error=one.error, hash=f"{at}" if one.copied else None)
        ids[one.uid] = number
        connection.execute(update(tables.record).where(tables.record.c.id == number).values(uid=one.uid))
        told = {"record": number, "who": "", "created": 0}
        rows: dict[Any, list[dict[str, Any]]] = {
            tables.tag: [{"name": tag, **told} for tag in one.tags],
            tables.member: [{"collection": collection, **told} for collection in one.collections],
            tables.sighting: [{"record": number, "path": path, "hash": "", "first": 0, "last": 0} for path in one.seen],
            tables.file: [
                {"path": f"/{at}/{n}", "root": "/", "record": number, "part": False, "hash": "", "fingerprint": ""}
                | {"size": 0, "mtime_ns": 0, "present": present, "verified": None}
                for n, present in enumerate(one.present)
            ]
            # a copy of its content, as a part of the first record, of which there is a file anyway
            + [
                {"path": f"/copy/{at}", "root": "/", "record": ids[records[0].uid], "part": True, "hash": f"{at}"}
                | {"fingerprint": "", "size": 0, "mtime_ns": 0, "present": True, "verified": None}
                for _ in range(one.copied)
            ],
            tables.link: [
                {"source": ids[source], "target": number, "kind": "derived from", "program": "", "parameters": "{}"}
                | {"who": "", "created": 0}
                for source in one.sources
            ],
        }
        for table, its in rows.items():
            if its:
                connection.execute(insert(table), its)
    return ids


def nodes(value: Any) -> list[Any]:
    """An expression and all in it."""
    if isinstance(value, tuple):
        return [node for part in value for node in nodes(part)]
    if not is_dataclass(value):
        return []
    return [value, *(node for one in fields(value) for node in nodes(getattr(value, one.name)))]
