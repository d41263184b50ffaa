"""Which paths the documents of a catalog have."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from parscope.catalog.query.ast import Term
from parscope.catalog.store import texts
from parscope.catalog.store.dimensions import unit_of
from parscope.catalog.store.keys import Type, text
from parscope.catalog.store.scope import chunks
from parscope.catalog.store.tables import path, value
from parscope.catalog.store.terms import conditions

_NAMES = {
    Type.NOTHING: "nothing",
    Type.TRUTH: "truth",
    Type.NUMBER: "number",
    Type.NAN: "number",
    Type.DATE: "date",
    Type.TEXT: "text",
    Type.LONG_TEXT: "text",
    Type.CONTAINER: "container",
}


@dataclass(frozen=True)
class PathInfo:
    """What is known of one path.

    Parameters
    ----------
    path : tuple of str
        Its keys.
    records : int
        In how many records it is, [1].
    types : tuple of str
        What it holds there: ``nothing``, ``truth``, ``number``, ``date``, ``text``, ``quantity``, and ``container`` for
        mappings and for lists that are too long, or empty.
    units : tuple of str
        SI units of its quantities.
    """

    path: tuple[str, ...]
    records: int
    types: tuple[str, ...]
    units: tuple[str, ...]


def paths(connection: Connection, like: str | None = None) -> list[PathInfo]:
    """List the paths that occur in documents as they are now.

    Parameters
    ----------
    connection : Connection
        In a transaction that sees one state of the catalog throughout.
    like : str, optional
        Only those of this pattern, see `parscope.catalog.query.ast.Like`, their keys joined by dots. Default: all.

    Returns
    -------
    list of PathInfo
        In the order of their keys.
    """
    rows = connection.execute(select(path.c.id, path.c["keys"], path.c.aspect).where(path.c.aspect < 2))
    named = {(tuple(json.loads(keys)), aspect): one for one, keys, aspect in rows}
    lists = {keys for keys, aspect in named if aspect == 1}
    accepts = texts.like("%" if like is None else like)
    wanted = {keys: one for (keys, aspect), one in named.items() if aspect == 0 and accepts(text(".".join(keys)))}
    several = {one for keys, one in wanted.items() if any(keys[:end] in lists for end in range(1, len(keys) + 1))}
    types, records = _counted(connection, list(wanted.values()), several)
    return [
        _info(connection, keys, wanted[keys], types[wanted[keys]], records[wanted[keys]])
        for keys in sorted(wanted)
        if wanted[keys] in types
    ]


def types_of(connection: Connection, term: Term) -> list[str]:
    """Types of what a term is about, whichever records have it.

    Parameters
    ----------
    connection : Connection
        In a transaction that sees one state of the catalog throughout.
    term : Term
        A path, or an aspect of one.

    Returns
    -------
    list of str
        As of `PathInfo`; empty if no record has it.
    """
    kinds: set[int] = set()
    for of_term in conditions(connection, term):
        kinds.update(connection.scalars(select(value.c.type).where(of_term).distinct()))
    return _names(kinds)


def _names(kinds: Iterable[int]) -> list[str]:
    """Types for people, each once."""
    named = (_NAMES[Type(kind)] if kind < Type.QUANTITY else "quantity" for kind in sorted(kinds))
    return list(dict.fromkeys(named))


def _counted(
    connection: Connection, wanted: list[int], several: set[int]
) -> tuple[dict[int, list[int]], dict[int, int]]:
    """Types of paths, and in how many records they are.

    Where no list is passed through, a record has one element, which is one row besides that of its date or quantity:
    rows are counted much faster than records.
    """
    types: dict[int, list[int]] = {}
    records: dict[int, int] = {}
    for some in chunks(wanted):
        rows = select(value.c.path, value.c.type, func.count()).where(value.c.path.in_(some))
        for one, kind, count in connection.execute(rows.group_by(value.c.path, value.c.type)):
            types.setdefault(one, []).append(kind)
            records[one] = records.get(one, 0) + (0 if kind == Type.DATE or kind >= Type.QUANTITY else count)
    for some in chunks(sorted(several)):
        distinct = select(value.c.path, func.count(value.c.record.distinct())).where(value.c.path.in_(some))
        records |= {row[0]: row[1] for row in connection.execute(distinct.group_by(value.c.path))}
    return types, records


def _info(connection: Connection, keys: tuple[str, ...], one: int, kinds: list[int], records: int) -> PathInfo:
    units = [unit_of(connection, kind, one) for kind in kinds if kind >= Type.QUANTITY]
    return PathInfo(keys, records, tuple(_names(kinds)), tuple(sorted(filter(None, units))))
