"""Records in an order, from a place on: what pages are cut from.

A place is what the order goes by, and the id of a record, which tells records apart that are alike in it. A list goes
on behind a place whatever was added or changed in the meantime, so that pages miss nothing that stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Column, ColumnElement, false, func, or_, select, tuple_

from parscope.catalog.query.ast import Term
from parscope.catalog.store.keys import Type
from parscope.catalog.store.scope import Chosen, Ids, Scope, chunks
from parscope.catalog.store.tables import record, value
from parscope.catalog.store.terms import conditions

_FEW = 1000  # records whose places are looked up, where a walk through all of them would have to find them
_STEP = 1000  # rows of one step of such a walk
_LAST = 1 << 31  # behind all types: records of which the term says nothing


class Place(NamedTuple):
    """Where a record stands: the rank of a type, a key of that type (or a time), and the id."""

    rank: int
    key: Any
    id: int

    def packed(self) -> list[Any]:
        """Tell the place as JSON knows it."""
        return [self.rank, self.key.hex() if isinstance(self.key, bytes) else self.key, self.id]

    @classmethod
    def unpacked(cls, packed: list[Any]) -> Place:
        """Make a place of what `packed` told."""
        rank, key, one = packed
        return cls(rank, bytes.fromhex(key) if isinstance(key, str) else key, one)


def by_id(chosen: Chosen, newest: bool, after: Place | None) -> Iterator[Place]:
    """Records in the order in which they were added.

    Parameters
    ----------
    chosen : ndarray of bool, shape (n,)
        Which records.
    newest : bool
        Whether the newest come first.
    after : Place, optional
        Where the page before ended. Default: it is the first one.

    Yields
    ------
    Place
    """
    ids = np.flatnonzero(chosen)
    if after is not None:
        ids = ids[ids < after.id] if newest else ids[ids > after.id]
    return (Place(_LAST, b"", int(one)) for one in (ids[::-1] if newest else ids))


def by_change(scope: Scope, chosen: Chosen, newest: bool, after: Place | None) -> Iterator[Place]:
    """Records in the order in which they last changed; the latest come first if the newest do.

    Parameters
    ----------
    scope : Scope
        Of the whole catalog.
    chosen, newest, after
        As for `by_id`.

    Yields
    ------
    Place
    """
    for rows in _walk(scope, (record.c.changed, record.c.id), [], newest, after):
        yield from (Place(0, key, one) for key, one in rows if chosen[one])


def by_term(scope: Scope, term: Term, chosen: Chosen, newest: bool, after: Place | None) -> Iterator[Place]:
    """Records by what a term says of them; those of which it says nothing come last.

    Of several elements of a record the smallest counts, or the largest if the largest come first. Types follow each
    other in one order in both directions: quantities, nothing, truths, numbers, NaN, dates, texts.

    Parameters
    ----------
    scope : Scope
        Of the whole catalog.
    term : Term
        What to go by.
    chosen, newest, after
        As for `by_id`; the largest come first if the newest do.

    Yields
    ------
    Place
    """
    of_term = _OfTerm(scope, term, newest)
    if np.count_nonzero(chosen) <= _FEW:
        return of_term.looked_up(chosen, after)
    return of_term.walked(chosen, after)


class _OfTerm:
    """Rows of a term, which say where records stand."""

    def __init__(self, scope: Scope, term: Term, newest: bool) -> None:
        self._scope, self._newest = scope, newest
        listed = value.c.type.not_in((Type.LONG_TEXT, Type.CONTAINER))
        self._conditions = [or_(false(), *conditions(scope.connection, term)), listed]

    def looked_up(self, chosen: Chosen, after: Place | None) -> Iterator[Place]:
        """Places of all records, sorted here."""
        ids = np.flatnonzero(chosen)
        found = self._places(ids)
        places = [found.get(one, Place(_LAST, b"", one)) for one in ids.tolist()]
        if after is not None:
            places = [place for place in places if self._is_behind(place, after)]
        places.sort(key=lambda place: place[1:], reverse=self._newest)
        return iter(sorted(places, key=lambda place: place.rank))

    def walked(self, chosen: Chosen, after: Place | None) -> Iterator[Place]:
        """Places as the index has them in order; of a record the first counts, wherever the walk began."""
        begin = -_LAST if after is None else after.rank
        for kind in self._types():
            if _rank(kind) < begin:
                continue
            start = after if _rank(kind) == begin else None
            held = [*self._conditions, value.c.type == kind]
            for rows in _walk(self._scope, (value.c.key, value.c.record), held, self._newest, start):
                first = self._places(np.array([one for _, one in rows if chosen[one]], np.int64))
                places = (Place(_rank(kind), bytes(key), one) for key, one in rows)
                yield from (place for place in places if first.get(place.id) == place)
        others = chosen & ~self._scope.found(value, value.c.record, *self._conditions)
        yield from by_id(others, self._newest, after if begin == _LAST else None)

    def _types(self) -> list[int]:
        """Types that occur, in the order in which they are listed; each is one look into the index."""
        kinds: list[int] = []
        while True:
            beyond = value.c.type > (kinds[-1] if kinds else -1)
            found = self._scope.connection.scalar(select(func.min(value.c.type)).where(*self._conditions, beyond))
            if found is None:
                return sorted(kinds, key=_rank)
            kinds.append(found)

    def _places(self, ids: Ids) -> dict[int, Place]:
        """Where records stand, of those that have a row."""
        places: dict[int, Place] = {}
        for some in chunks(ids.tolist()):
            held = (*self._conditions, value.c.record.in_(some))
            for kind, key, one in self._scope.connection.execute(
                select(value.c.type, value.c.key, value.c.record).where(*held)
            ):
                place = Place(_rank(kind), bytes(key), one)
                if one not in places or self._is_behind(places[one], place):
                    places[one] = place
        return places

    def _is_behind(self, place: Place, other: Place) -> bool:
        if place.rank != other.rank:
            return place.rank > other.rank
        return place[1:] < other[1:] if self._newest else place[1:] > other[1:]


def _rank(kind: int) -> int:
    """Where a type stands among others: quantities first, as a text that is one is listed as such."""
    return kind - _LAST if kind >= Type.QUANTITY else kind


def _walk(
    scope: Scope,
    columns: tuple[Column[Any], Column[int]],
    held: list[ColumnElement[bool]],
    newest: bool,
    after: Place | None,
) -> Iterator[list[tuple[Any, int]]]:
    """Rows in the order of two columns, the second with ids, in steps."""
    both = tuple_(*columns)
    statement = select(*columns).where(*held).order_by(*((c.desc() if newest else c) for c in columns)).distinct()
    last = None if after is None else after[1:]
    while True:
        beyond = [] if last is None else [both < last if newest else both > last]
        rows = [(key, one) for key, one in scope.connection.execute(statement.where(*beyond).limit(_STEP))]
        if rows:
            yield rows
        if len(rows) < _STEP:
            return
        last = rows[-1]
