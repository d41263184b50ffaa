"""Gives the parts of an acquisition to the record of its main file, also those that have records of their own."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from parscope.catalog.collect.journal import COMMITTED, QUARANTINED, Entry
from parscope.catalog.collect.names import to_path, to_text
from parscope.catalog.collect.rows import saw, tie
from parscope.catalog.store import write
from parscope.catalog.store.documents import decode
from parscope.catalog.store.tables import file, journal, record

PART_OF = "part of"
PART = "part"
"""Kind of a record whose file turned out to be a part of an acquisition of which another record tells."""


def lone_part(connection: Connection, parts: Iterable[Path]) -> int | None:
    """Find a record that one of the parts was given when it came alone, and that is to become the record of them all.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    parts : iterable of Path
        Named by a main file that is new.

    Returns
    -------
    int or None
    """
    for part in parts:
        row = _file(connection, part)
        if row is not None and not row.part and _files(connection, row.record) == 1:
            return int(row.record)
    return None


def give_parts(connection: Connection, entry: Entry, number: int, parts: Iterable[Path]) -> None:
    """Give parts to the record of their main file; a part that is not there yet is expected.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    entry : Entry
        The main file.
    number : int
        Its record.
    parts : iterable of Path
        Other files of the acquisition; only those in the folder that is collected count.
    """
    for named in parts:
        part = Path(os.path.normpath(entry.path.parent / named))
        if part == entry.path or not part.is_relative_to(entry.root):
            continue
        row = _file(connection, part)
        if row is None:
            expected = {"record": number, "part": True, "hash": "", "fingerprint": "", "size": 0, "mtime_ns": 0}
            where = {"path": to_text(part), "root": to_text(entry.root), "present": False}
            connection.execute(insert(file).values(**expected, **where))
        elif not row.part:
            _move(connection, row, number)


def _move(connection: Connection, row: Row[Any], number: int) -> None:
    """Give a file to another record; what its own record said stays, as an older version."""
    connection.execute(update(file).where(file.c.path == row.path).values(record=number, part=True))
    unread = (journal.c.path == row.path, journal.c.stage == QUARANTINED)  # alone; now its main file tells of it
    connection.execute(update(journal).where(*unread).values(stage=COMMITTED, error=None))
    if row.record == number:
        return
    saw(connection, number, row.path, row.hash)
    if _files(connection, row.record) == 0:
        own = connection.execute(select(record).where(record.c.id == row.record)).one()
        told = decode(own.document)
        document = {"kind": PART, "name": to_path(row.path).name, "file": told.get("file", {})}
        write.new_version(connection, row.record, document, hash=own.hash, reader=own.reader, error=None)
        tie(connection, PART_OF, (int(row.record), number))


def _file(connection: Connection, path: Path) -> Row[Any] | None:
    return connection.execute(select(file).where(file.c.path == to_text(path))).one_or_none()


def _files(connection: Connection, number: int) -> int:
    return int(connection.scalar(select(func.count()).where(file.c.record == number)) or 0)
