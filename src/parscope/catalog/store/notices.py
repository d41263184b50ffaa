"""New matches of questions to which somebody subscribed, noted in the transaction that brings them about.

Whatever writes to a catalog marks the records of which something else is true now. Before the transaction is kept, each
question is asked once about all of them: by then everything of a record is there, its files, tags and links too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, insert, select

from parscope.catalog.query.wire import loads
from parscope.catalog.store import tables
from parscope.catalog.store.clock import now
from parscope.catalog.store.plan import matching
from parscope.catalog.store.scope import chunks


def mark(connection: Connection, records: Iterable[int]) -> None:
    """Have records looked at, as something about them has changed.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    records : iterable of int
        Numbers of the rows.
    """
    connection.info["marked"].update(records)


@contextmanager
def noticed(connection: Connection) -> Iterator[None]:
    """Let records be marked while a block runs, and note at its end to which questions they are an answer.

    Parameters
    ----------
    connection : Connection
        In a write transaction that is to be kept after the block.

    Yields
    ------
    None
    """
    info = connection.info  # which a connection that breaks does not give out any more
    info["marked"] = marked = set[int]()
    try:
        yield
        if marked:
            _note(connection, sorted(marked))
    finally:
        del info["marked"]


def _note(connection: Connection, marked: list[int]) -> None:
    """One notice for each question, record and version, however often it is written."""
    saved, record, notice = tables.saved, tables.record, tables.notice
    asked = connection.execute(select(saved.c.name, saved.c.expression).where(saved.c.webhook.is_not(None))).all()
    for name, expression in asked:
        for some in chunks(matching(connection, loads(expression), marked).tolist()):
            noted = select(notice.c.id).where(
                notice.c.saved == name, notice.c.record == record.c.id, notice.c.number == record.c.number
            )
            new = select(record.c.id, record.c.number).where(record.c.id.in_(some), ~noted.exists())
            when = now()
            rows = [
                {"saved": name, "record": id_, "number": number, "created": when}
                for id_, number in connection.execute(new.order_by(record.c.id))
            ]
            if rows:
                connection.execute(insert(notice), rows)
