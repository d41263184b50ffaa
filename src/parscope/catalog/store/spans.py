"""Comparisons with a literal as ranges of keys of one type."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, not_, or_

from parscope.catalog.query import dates, units
from parscope.catalog.query.ast import Date, Literal, Order, Quantity
from parscope.catalog.store import keys
from parscope.catalog.store.keys import Type
from parscope.catalog.store.scope import chunks
from parscope.catalog.store.tables import value
from parscope.core.errors import QueryError

SORTS = {
    Type.DATE: value.c.type == Type.DATE,
    Type.QUANTITY: value.c.type >= Type.QUANTITY,
    Type.NUMBER: value.c.type.in_((Type.NOTHING, Type.TRUTH, Type.NUMBER, Type.NAN, Type.TEXT)),
}
"""Elements among which `every` looks: dates, quantities, and all others."""

OPERATORS: dict[Order, Callable[[Any, Any], Any]] = {
    Order.EQUAL: operator.eq,
    Order.LESS: operator.lt,
    Order.LESS_EQUAL: operator.le,
    Order.GREATER: operator.gt,
    Order.GREATER_EQUAL: operator.ge,
}
"""How an order is spelled between columns."""


@dataclass(frozen=True)
class Span:
    """The rows of one type whose keys are within all bounds."""

    type: int
    bounds: tuple[tuple[Order, bytes], ...]

    def condition(self) -> ColumnElement[bool]:
        """What holds for the rows."""
        return and_(value.c.type == self.type, *(OPERATORS[order](value.c.key, key) for order, key in self.bounds))

    @property
    def sort(self) -> Type:
        """Which elements `every` looks at: dates, quantities, or (as `Type.NUMBER`) all others."""
        if self.type == Type.DATE:
            return Type.DATE
        return Type.QUANTITY if self.type >= Type.QUANTITY else Type.NUMBER


def compared(order: Order, literal: Literal) -> Span:
    """Rows that compare so with a literal.

    Raises
    ------
    QueryError
        If a unit or a date is none.
    """
    if isinstance(literal, Date):
        start, end = (keys.date(time) for time in dates.span(literal.text))
        return Span(Type.DATE, _of_a_span(order, start, end))
    if isinstance(literal, Quantity):
        measured = units.si(literal.value, literal.unit)
        if measured is None:
            raise QueryError(
                f'"{literal.value} {literal.unit}" is no quantity', "", "write a number and a unit, as 200 kV"
            )
        return Span(keys.quantity_type(measured.dimension), ((order, keys.number(measured.value)),))
    kind, key = keys.typed(literal)
    return Span(kind, ((order, key),))


def between(low: Literal, high: Literal) -> Span | None:
    """Rows between two literals, both included; None where they are of two types, and nothing is between them.

    Raises
    ------
    QueryError
        If a unit or a date is none.
    """
    above, below = compared(Order.GREATER_EQUAL, low), compared(Order.LESS_EQUAL, high)
    return Span(above.type, above.bounds + below.bounds) if above.type == below.type else None


def merged(spans: Iterable[Span]) -> Iterator[ColumnElement[bool]]:
    """Conditions of spans, those of single keys of one type together."""
    singles: dict[int, list[bytes]] = {}
    for span in spans:
        if span.bounds[0][0] is Order.EQUAL:
            singles.setdefault(span.type, []).append(span.bounds[0][1])
        else:
            yield span.condition()
    for kind, its in singles.items():
        for some in chunks(its):
            yield and_(value.c.type == kind, value.c.key == some[0] if len(some) == 1 else value.c.key.in_(some))


def outside(spans: Sequence[Span]) -> Iterator[ColumnElement[bool]]:
    """Conditions of the rows that `every` looks at and that are in none of the spans, which are of one sort."""
    if spans[0].sort is Type.DATE:
        yield from (gap.condition() for gap in _gaps(spans))
    else:
        yield and_(SORTS[spans[0].sort], not_(or_(*merged(spans))))


def _gaps(spans: Iterable[Span]) -> Iterator[Span]:
    """Stretches of time between others, each for a statement of its own: in one they might be too many."""
    reached = b""
    for bounds in sorted((dict(span.bounds) for span in spans), key=_start):
        if _start(bounds) > reached:
            yield Span(Type.DATE, ((Order.GREATER_EQUAL, reached), (Order.LESS, _start(bounds))))
        if Order.LESS not in bounds:
            return
        reached = max(reached, bounds[Order.LESS])
    yield Span(Type.DATE, ((Order.GREATER_EQUAL, reached),))


def _start(bounds: Mapping[Order, bytes]) -> bytes:
    return bounds.get(Order.GREATER_EQUAL, b"")


def _of_a_span(order: Order, start: bytes, end: bytes) -> tuple[tuple[Order, bytes], ...]:
    """Bounds of what compares so with a stretch of time, whose end is no part of it."""
    return {
        Order.EQUAL: ((Order.GREATER_EQUAL, start), (Order.LESS, end)),
        Order.LESS: ((Order.LESS, start),),
        Order.LESS_EQUAL: ((Order.LESS, end),),
        Order.GREATER: ((Order.GREATER_EQUAL, end),),
        Order.GREATER_EQUAL: ((Order.GREATER_EQUAL, start),),
    }[order]
