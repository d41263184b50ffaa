"""All records that match a question, one after the other, however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from parscope.catalog.query.ast import EVERYTHING, Expression, Term
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.records import Record

_PAGE = 500


@dataclass(frozen=True)
class Selection:
    """Which records, in which order, and how many of them.

    Parameters
    ----------
    query : Expression, default all records
        What they have to match.
    order : Term or "changed", optional
        What they are sorted by; without it, as they came into the catalog.
    newest : bool, default True
        Whether the newest, or the largest, comes first.
    limit : int, optional
        How many at most; without it all.
    cursor : str, optional
        Where an earlier page ended.
    """

    query: Expression = EVERYTHING
    order: Term | str | None = None
    newest: bool = True
    limit: int | None = None
    cursor: str | None = None


def records(catalog: Catalog, selection: Selection) -> Iterator[Record]:
    """Read a selection page by page, so that it need not fit into memory.

    Parameters
    ----------
    catalog : Catalog
        Where the records are.
    selection : Selection
        Which ones.

    Yields
    ------
    Record
    """
    left, cursor = selection.limit, selection.cursor
    while left is None or left > 0:
        size = _PAGE if left is None else min(_PAGE, left)
        page = catalog.find(selection.query, order=selection.order, newest=selection.newest, limit=size, cursor=cursor)
        yield from page.records
        cursor = page.cursor
        if cursor is None:
            return
        left = None if left is None else left - size
