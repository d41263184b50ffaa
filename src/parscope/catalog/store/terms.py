"""Which rows of the index a term of a query is about."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import reduce

from sqlalchemy import ColumnElement, Connection, FromClause, select

from parscope.catalog.query.ast import Deep, Step, Term
from parscope.catalog.store.keys import ASPECTS
from parscope.catalog.store.leaves import ROOT, below
from parscope.catalog.store.scope import chunks
from parscope.catalog.store.tables import path, value


def conditions(connection: Connection, term: Term, rows: FromClause = value) -> Iterator[ColumnElement[bool]]:
    """What holds for the rows of a term; more than one condition where it has too many paths for one statement.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    term : Term
        With a path of any depth, perhaps.
    rows : FromClause, optional
        The index, or an alias of it.

    Yields
    ------
    ColumnElement
    """
    if Deep.DEEP in term.path:
        yield from (rows.c.path.in_(some) for some in chunks(_deep(connection, term)))
    else:
        keys = reduce(below, (step for step in term.path if isinstance(step, str)), ROOT)
        exact = (path.c["keys"] == keys, path.c.aspect == ASPECTS[term.aspect])
        yield rows.c.path == select(path.c.id).where(*exact).scalar_subquery()


def _deep(connection: Connection, term: Term) -> list[int]:
    """Numbers of the paths that a path of any depth is about."""
    last = term.path[-1]
    ends = [] if last is Deep.DEEP else [path.c.leaf == json.dumps(last)]
    rows = connection.execute(select(path.c.id, path.c["keys"]).where(path.c.aspect == ASPECTS[term.aspect], *ends))
    return [row.id for row in rows if fits(term.path, json.loads(row.keys))]


def fits(steps: Sequence[Step], keys: Sequence[str]) -> bool:
    """Whether a path is one that steps of any depth name.

    Parameters
    ----------
    steps : sequence of str or Deep
        As in a term.
    keys : sequence of str
        Of a path that occurs.

    Returns
    -------
    bool

    Examples
    --------
    >>> fits((Deep.DEEP, "gain"), ["detector", "gain"])
    True
    >>> fits(("vendor", Deep.DEEP, "gain"), ["detector", "gain"])
    False
    """
    places = _skipped(steps, {0})  # in the steps, at which the rest of the keys may go on
    for key in keys:
        open_ = [at for at in places if at < len(steps)]
        stay = {at for at in open_ if steps[at] is Deep.DEEP}
        places = _skipped(steps, stay | {at + 1 for at in open_ if steps[at] == key})
    return len(steps) in places


def _skipped(steps: Sequence[Step], places: set[int]) -> set[int]:
    """Places, and those behind a step for any number of keys, which may be none."""
    reached = set(places)
    for at in sorted(places):
        while at < len(steps) and steps[at] is Deep.DEEP:
            at += 1
            reached.add(at)
    return reached
