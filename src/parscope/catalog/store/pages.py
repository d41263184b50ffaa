"""Lists of records, in pages that go on from each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from sqlalchemy import Connection, select

from parscope.catalog.query.ast import Expression, Term
from parscope.catalog.store import cursors, orders
from parscope.catalog.store.orders import Place
from parscope.catalog.store.plan import chosen_of
from parscope.catalog.store.records import COLUMNS, Record, record_of
from parscope.catalog.store.scope import Chosen, Scope, chunks
from parscope.catalog.store.tables import record
from parscope.core.errors import QueryError


@dataclass(frozen=True)
class Page:
    """A part of a list of records.

    Parameters
    ----------
    records : tuple of Record
        In their order.
    cursor : str or None
        From where the next page goes on; None if this is the last one.
    total : int
        Records in the whole list, [1].
    """

    records: tuple[Record, ...]
    cursor: str | None
    total: int


def page(
    connection: Connection,
    query: Expression,
    order: Term | str | None = None,
    *,
    newest: bool = True,
    limit: int = 50,
    cursor: str | None = None,
) -> Page:
    """Read one page of the records that a query is true of.

    Parameters
    ----------
    connection : Connection
        In a transaction that sees one state of the catalog throughout.
    query : Expression
        Which records.
    order : Term or "changed", optional
        What they are sorted by; records of which the term says nothing come last. Default: when they were added.
    newest : bool, optional
        Whether the newest, or largest, come first.
    limit : int, optional
        Records of a page, [1].
    cursor : str, optional
        That of the page before. Default: the first page.

    Returns
    -------
    Page

    Raises
    ------
    QueryError
        If the cursor is broken, or of another query or order.
    """
    about = (query, order, newest)
    scope = Scope(connection)
    chosen = chosen_of(scope, query)
    after = None if cursor is None else Place.unpacked(cursors.unseal(cursor, *about))
    places = list(islice(_ordered(scope, chosen, order, newest, after), max(limit, 1) + 1))
    shown = places[: max(limit, 1)]
    more = cursors.seal(shown[-1].packed(), *about) if len(places) > len(shown) else None
    return Page(_records(connection, [place.id for place in shown]), more, int(np.count_nonzero(chosen)))


def _ordered(
    scope: Scope, chosen: Chosen, order: Term | str | None, newest: bool, after: Place | None
) -> Iterator[Place]:
    """Places of the records behind a place."""
    if order is None:
        return orders.by_id(chosen, newest, after)
    if isinstance(order, Term):
        return orders.by_term(scope, order, chosen, newest, after)
    if order == "changed":
        return orders.by_change(scope, chosen, newest, after)
    raise QueryError("is no order", repr(order), 'sort by a path, or by "changed"')


def _records(connection: Connection, ids: list[int]) -> tuple[Record, ...]:
    """Records of these rows, in this order."""
    found = {
        row.id: record_of(row)
        for some in chunks(ids)
        for row in connection.execute(select(record.c.id, *COLUMNS).where(record.c.id.in_(some)))
    }
    return tuple(found[one] for one in ids)
