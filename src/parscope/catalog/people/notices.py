"""New matches of questions to which somebody subscribed, which nobody was told of yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from parscope.catalog.people.lineage import text_of
from parscope.catalog.store import documents, tables


@dataclass(frozen=True)
class Notice:
    """A record that has come to match a question.

    Parameters
    ----------
    id : int
        Number of the notice: the same if it is told again, as after a crash.
    saved : str
        Name of the question.
    record : str
        Uid of the record.
    number : int
        Of its version.
    name, kind : str
        As its document has them; empty without.
    created : int
        When it matched, microseconds since 1970, UTC.
    """

    id: int
    saved: str
    record: str
    number: int
    name: str
    kind: str
    created: int


def waiting(connection: Connection, saved: str) -> Iterator[Notice]:
    """Notices of one question that nobody was told of, oldest first.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    saved : str
        Name of the question.

    Yields
    ------
    Notice
    """
    table, record = tables.notice, tables.record
    found = (
        select(table.c.id, table.c.number, table.c.created, record.c.uid, record.c.document)
        .join_from(table, record, table.c.record == record.c.id)
        .where(table.c.saved == saved, table.c.delivered.is_(None))
        .order_by(table.c.id)
    )
    for id_, number, created, uid, text in connection.execute(found):
        document = documents.decode(text)
        name, kind = text_of(document.get("name")), text_of(document.get("kind"))
        yield Notice(id_, saved, uid, number, name, kind, created)


def state(connection: Connection, saved: str) -> tuple[int, str]:
    """How many notices of a question wait, and what went wrong last; empty if nothing did.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    saved : str
        Name of the question.

    Returns
    -------
    tuple of int and str
    """
    table = tables.notice
    ours = (table.c.saved == saved) & table.c.delivered.is_(None)
    number = connection.execute(select(func.count()).select_from(table).where(ours)).scalar_one()
    failed = select(table.c.error).where(ours, table.c.error.is_not(None)).order_by(table.c.id.desc())
    return number, connection.execute(failed).scalar() or ""
