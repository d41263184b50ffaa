"""Single rows that a commit writes besides the record itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table, and_, exists, insert, select, update

from parscope.catalog.collect.journal import Entry
from parscope.catalog.collect.names import to_text
from parscope.catalog.people.links import descends, tied
from parscope.catalog.store.clock import now
from parscope.catalog.store.notices import mark
from parscope.catalog.store.tables import file, link, sighting, thumbnail

WHO = "parscope collect"
"""Who made a link that nobody asked for."""


def lies(connection: Connection, entry: Entry, record: int, *, fingerprint: str, part: bool) -> None:
    """Write where a content lies.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    entry : Entry
        The file.
    record : int
        The record that it belongs to.
    fingerprint : str
        Of the content, as results of parscope name their source.
    part : bool
        Whether it is another file of an acquisition, not the main one.
    """
    facts = {"record": record, "part": part, "hash": entry.hash, "fingerprint": fingerprint, "verified": None}
    place = {"root": to_text(entry.root), "size": entry.size, "mtime_ns": entry.mtime_ns, "present": True}
    before = select(file.c.record).where(file.c.path == entry.name)
    mark(connection, connection.scalars(before))  # it may be missing now
    _put(connection, file, {"path": entry.name}, {**facts, **place})
    saw(connection, record, entry.name, entry.hash or "")


def saw(connection: Connection, record: int, path: str, hash_: str) -> None:
    """Write that a record was seen under a path.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    record : int
        The record.
    path : str
        As the database spells it.
    hash_ : str
        Of the content.
    """
    key = {"record": record, "path": path, "hash": hash_}
    known = connection.scalar(select(sighting.c.first).where(_is(sighting, key)))
    when = now()
    _put(connection, sighting, key, {"first": when if known is None else known, "last": when})
    mark(connection, [record])


def picture(connection: Connection, record: int, png: bytes | None) -> None:
    """Write the thumbnail of a record; the one of its last version stays if there is none.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    record : int
        The record.
    png : bytes or None
        A PNG.
    """
    if png:
        _put(connection, thumbnail, {"record": record}, {"png": png})


def tie(
    connection: Connection,
    kind: str,
    records: tuple[int, int],
    program: str = "",
    parameters: Mapping[str, Any] | None = None,
) -> None:
    """Write that a record was made from another, unless that is known, or would make a circle.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    kind : str
        In which way.
    records : tuple of int
        From which, and which.
    program : str, optional
        What made it, with its version.
    parameters : mapping, optional
        Of the program.
    """
    key = {"source": records[0], "target": records[1], "kind": kind}
    if descends(connection, *records) or records[0] == records[1]:
        return  # a circle: a file may say anything of itself
    if not connection.scalar(select(exists().where(_is(link, key)))):
        told = {"program": program, "parameters": json.dumps(dict(parameters or {})), "who": WHO, "created": now()}
        connection.execute(insert(link).values(**key, **told))
        tied(connection, *records)


def _is(table: Table, key: Mapping[str, Any]) -> Any:
    return and_(*(table.c[name] == value for name, value in key.items()))


def _put(connection: Connection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Change a row, or make it; nobody else writes meanwhile."""
    if connection.execute(update(table).where(_is(table, key)).values(**values)).rowcount == 0:
        connection.execute(insert(table).values(**key, **values))
