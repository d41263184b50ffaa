"""Everything that changes what a record says; a record, its versions and its rows in the index change together.

All of it takes a connection in a write transaction, see `parscope.catalog.store.engine`: who calls decides what else
belongs to the transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, insert, select, update

from parscope.catalog.store.clock import now
from parscope.catalog.store.dictionary import numbers
from parscope.catalog.store.documents import decode, encode
from parscope.catalog.store.leaves import Leaf, leaves
from parscope.catalog.store.notices import mark
from parscope.catalog.store.tables import annotation, record, value, version

ANNOTATION = "annotation"
"""Key under which annotations by people stand in the index, beside the document."""


@dataclass(frozen=True)
class Entry:
    """What a new record is made of.

    Parameters
    ----------
    document : mapping
        All that is known; see `parscope.catalog.store.documents`.
    hash : str, optional
        SHA-256 of the content; None for what is no file.
    reader : str, optional
        Which reader and library, with version, wrote the document.
    error : str, optional
        Why no reader could read the file.
    """

    document: Mapping[str, Any]
    hash: str | None = None
    reader: str = ""
    error: str | None = None


def put_record(
    connection: Connection,
    document: Mapping[str, Any],
    *,
    hash: str | None = None,  # noqa: A002 - the field's name of it
    reader: str = "",
    error: str | None = None,
) -> int:
    """Write a new record.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    document : mapping
        All that is known of it.
    hash : str, optional
        SHA-256 of the content; None for what is no file.
    reader : str, optional
        Which reader and library, with version, wrote the document.
    error : str, optional
        Why no reader could read the file.

    Returns
    -------
    int
        Number of its row.

    Raises
    ------
    InputError
        If the document cannot be kept; nothing is written.
    """
    return put_records(connection, [Entry(document, hash, reader, error)])[0][0]


def put_records(connection: Connection, entries: Sequence[Entry]) -> list[tuple[int, str]]:
    """Write new records at once, which is faster than one by one.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    entries : sequence of Entry
        A thousand or so.

    Returns
    -------
    list of (int, str)
        Numbers of the rows and uids, in the order of the entries.

    Raises
    ------
    InputError
        If a document cannot be kept; nothing is written.
    """
    created, uids, texts = now(), [uuid4().hex for _ in entries], [encode(entry.document) for entry in entries]
    rows = [
        {"uid": uid, "hash": entry.hash, "number": 1, "document": text, "created": created, "changed": created}
        | {"reader": _storable(entry.reader), "error": _storable(entry.error)}
        for uid, text, entry in zip(uids, texts, entries, strict=True)
    ]
    if not rows:
        return []
    made = connection.execute(insert(record).returning(record.c.uid, record.c.id), rows)
    ids: dict[str, int] = {row.uid: row.id for row in made}
    _index(connection, {ids[uid]: leaves(decode(text)) for uid, text in zip(uids, texts, strict=True)})
    mark(connection, ids.values())
    return [(ids[uid], uid) for uid in uids]


def new_version(
    connection: Connection,
    record_id: int,
    document: Mapping[str, Any],
    *,
    hash: str | None = None,  # noqa: A002 - the field's name of it
    reader: str = "",
    error: str | None = None,
) -> int:
    """Write a new version of a record; the old one stays.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    record_id : int
        Number of its row.
    document : mapping
        All that is known of it now.
    hash : str, optional
        SHA-256 of the content; None for what is no file.
    reader : str, optional
        Which reader and library, with version, wrote the document.
    error : str, optional
        Why no reader could read the file.

    Returns
    -------
    int
        Number of the version.

    Raises
    ------
    InputError
        If the document cannot be kept; nothing is written.
    """
    text = encode(document)
    this = record.c.id == record_id
    kept = ("number", "hash", "document", "reader", "error")
    old = connection.execute(select(record.c.changed, *(record.c[name] for name in kept)).where(this)).mappings().one()
    state = {name: old[name] for name in kept}
    connection.execute(insert(version).values(record=record_id, created=old["changed"], **state))
    number = int(old["number"]) + 1
    state = {"number": number, "hash": hash, "document": text}
    state |= {"reader": _storable(reader), "error": _storable(error)}
    connection.execute(update(record).where(this).values(changed=now(), **state))
    reindex(connection, record_id)
    return number


def reindex(connection: Connection, record_id: int) -> None:
    """Make the index say of a record what its document and its annotations say; only what differs is written.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    record_id : int
        Number of its row.
    """
    wanted = leaves(decode(connection.execute(select(record.c.document).where(record.c.id == record_id)).scalar_one()))
    noted = select(annotation.c.key, annotation.c.value)
    noted = noted.where(annotation.c.record == record_id, annotation.c.withdrawn.is_(None))
    for key, text in connection.execute(noted):
        wanted |= leaves({ANNOTATION: {key: json.loads(text)}})
    ids = numbers(connection, {leaf[:2] for leaf in wanted})
    new = {(ids[leaf[:2]], leaf[2], leaf[3]) for leaf in wanted}
    present = select(value.c.path, value.c.type, value.c.key).where(value.c.record == record_id)
    old = {(path, kind, bytes(key)) for path, kind, key in connection.execute(present)}
    gone = [(*row, record_id) for row in sorted(old - new)]
    if gone:
        connection.exec_driver_sql(_DELETE[connection.dialect.name], _packed(connection, gone))
    _insert(connection, [(*row, record_id) for row in sorted(new - old)])
    mark(connection, [record_id])


def _storable(said: str | None) -> str | None:
    """What a library said, without the characters that a database has no place for."""
    return said and said.encode("utf-8", "replace").decode().replace("\0", "?")


def _index(connection: Connection, found: dict[int, set[Leaf]]) -> None:
    """Write the rows of new records, in the order in which the database keeps them."""
    ids = numbers(connection, {leaf[:2] for leaf in chain.from_iterable(found.values())})
    rows = [(ids[leaf[:2]], leaf[2], leaf[3], of) for of, its in found.items() for leaf in its]
    _insert(connection, sorted(rows))


_Row = tuple[int, int, bytes, int]
_INSERT = {
    "sqlite": "INSERT INTO value (path, type, key, record) VALUES (?, ?, ?, ?)",
    "postgresql": "INSERT INTO value (path, type, key, record) SELECT * FROM "
    "unnest(CAST(%s AS bigint[]), CAST(%s AS integer[]), CAST(%s AS bytea[]), CAST(%s AS bigint[]))",
}
_DELETE = {
    "sqlite": "DELETE FROM value WHERE path = ? AND type = ? AND key = ? AND record = ?",
    "postgresql": "DELETE FROM value WHERE (path, type, key, record) IN (SELECT * FROM "
    "unnest(CAST(%s AS bigint[]), CAST(%s AS integer[]), CAST(%s AS bytea[]), CAST(%s AS bigint[])))",
}


def _insert(connection: Connection, rows: list[_Row]) -> None:
    if rows:
        connection.exec_driver_sql(_INSERT[connection.dialect.name], _packed(connection, rows))


def _packed(connection: Connection, rows: Iterable[_Row]) -> Any:
    """Rows as the driver takes them at once: SQLite one after the other, PostgreSQL a list for each column."""
    if connection.dialect.name == "sqlite":
        return list(rows)
    paths, types, keys, records = zip(*rows, strict=True)
    return (list(paths), [int(kind) for kind in types], list(keys), list(records))
