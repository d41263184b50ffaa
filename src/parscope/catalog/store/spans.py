"""Comparisons with a literal as ranges of keys of one type."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_

from parscope.catalog.query.ast import Date, Literal, Order, Quantity
from parscope.catalog.query.dates import span
from parscope.catalog.query.units import si
from parscope.catalog.store import keys
from parscope.catalog.store.keys import Type
from parscope.catalog.store.tables import value

PLAIN = (Type.NOTHING, Type.TRUTH, Type.NUMBER, Type.NAN, Type.TEXT)
"""Types of elements that are neither quantities nor dates."""

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

    def sort(self) -> ColumnElement[bool]:
        """What holds for the rows that `every` looks at."""
        if self.type == Type.DATE:
            return value.c.type == Type.DATE
        return value.c.type >= Type.QUANTITY if self.type >= Type.QUANTITY else value.c.type.in_(PLAIN)


def compared(order: Order, literal: Literal) -> Span:
    """Rows that compare so with a literal.

    Raises
    ------
    QueryError
        If a unit or a date is none.
    """
    if isinstance(literal, Date):
        start, end = (keys.date(time) for time in span(literal.text))
        return Span(Type.DATE, _of_a_span(order, start, end))
    if isinstance(literal, Quantity):
        dimension, size = si(literal.value, literal.unit)
        return Span(keys.quantity_type(dimension), ((order, keys.number(size)),))
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


def _of_a_span(order: Order, start: bytes, end: bytes) -> tuple[tuple[Order, bytes], ...]:
    """Bounds of what compares so with a stretch of time, whose end is no part of it."""
    return {
        Order.EQUAL: ((Order.GREATER_EQUAL, start), (Order.LESS, end)),
        Order.LESS: ((Order.LESS, start),),
        Order.LESS_EQUAL: ((Order.LESS, end),),
        Order.GREATER: ((Order.GREATER_EQUAL, end),),
        Order.GREATER_EQUAL: ((Order.GREATER_EQUAL, start),),
    }[order]
