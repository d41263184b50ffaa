"""Queries as Python spells them: ``(M["beam"]["voltage"] >= Q(200, "kV")) & ~(M["mode"] == "BF")``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from numbers import Integral, Real
from typing import Any

from parscope.catalog.query.ast import (
    Aspect,
    Between,
    Compare,
    Date,
    Deep,
    Exists,
    Expression,
    Fields,
    In,
    Like,
    Literal,
    Matches,
    Not,
    Order,
    Quantity,
    Step,
    Term,
)
from parscope.core.errors import QueryError


@dataclass(frozen=True, eq=False)
class Field:
    """What stands under a path in a record; comparing it makes an expression.

    Expressions are joined by ``&``, ``|`` and ``~``, each comparison in brackets; ``and`` and ``not`` are refused.

    Parameters
    ----------
    path : tuple of str and Deep
        Keys from the root.
    aspect : Aspect
        What of it is asked for.
    every : bool
        Whether all elements are asked for, not any.

    Examples
    --------
    >>> M["signals"]["shape"].all >= 64
    Compare(term=Term(path=('signals', 'shape'), aspect=<Aspect.VALUE: 'value'>), order=<Order.GREATER_EQUAL: '>='>,
            literal=64, every=True)
    >>> M.any_depth["Cs(mm)"].exists()
    Exists(term=Term(path=(<Deep.DEEP: '**'>, 'Cs(mm)'), aspect=<Aspect.VALUE: 'value'>))
    """

    path: tuple[Step, ...] = ()
    aspect: Aspect = Aspect.VALUE
    every: bool = False

    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, key: Any) -> Field:
        """What stands under `key`; lists are passed through."""
        if not isinstance(key, str):
            raise QueryError(f"a key is a text, not {key!r}", "", "lists are passed through, without a number")
        return replace(self, path=(*self.path, key))

    @property
    def any_depth(self) -> Field:
        """Any number of keys, also none, before the next one."""
        return replace(self, path=(*self.path, Deep.DEEP))

    @property
    def all(self) -> Field:
        """All elements: there is one, and the comparison holds for each."""
        return replace(self, every=True)

    @property
    def length(self) -> Field:
        """Length of each list there."""
        return replace(self, aspect=Aspect.LENGTH)

    @property
    def min(self) -> Field:
        """Smallest number of each list of numbers there."""
        return replace(self, aspect=Aspect.LEAST)

    @property
    def max(self) -> Field:
        """Largest number of each list of numbers there."""
        return replace(self, aspect=Aspect.GREATEST)

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]
        """Equal to a value, or to another field."""
        return self._compared(Order.EQUAL, other)

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]
        """Complement of equal: what lacks the field is in it."""
        return Not(self._compared(Order.EQUAL, other))

    def __lt__(self, other: object) -> Expression:
        """Below a value, or another field."""
        return self._compared(Order.LESS, other)

    def __le__(self, other: object) -> Expression:
        """Below or equal to a value, or another field."""
        return self._compared(Order.LESS_EQUAL, other)

    def __gt__(self, other: object) -> Expression:
        """Above a value, or another field."""
        return self._compared(Order.GREATER, other)

    def __ge__(self, other: object) -> Expression:
        """Above or equal to a value, or another field."""
        return self._compared(Order.GREATER_EQUAL, other)

    def __bool__(self) -> bool:
        """Refuse: whether a record has the field is asked by `exists`."""
        raise TypeError("a field is neither true nor false: compare it, or ask whether it exists()")

    def exists(self) -> Expression:
        """Whether the record has the field."""
        return Exists(_alone(self))

    def between(self, low: object, high: object) -> Expression:
        """From `low` to `high`, both included."""
        return Between(self._term, _literal(low), _literal(high), self.every)

    def isin(self, values: Iterable[object]) -> Expression:
        """Equal to one of the values."""
        return In(self._term, tuple(map(_literal, values)), self.every)

    def like(self, pattern: str) -> Expression:
        """Text of this pattern as a whole: ``%`` stands for any characters, ``_`` for one."""
        return Like(self._term, pattern, self.every)

    def matches(self, pattern: str) -> Expression:
        """Text in which this regular expression (RE2) is found anywhere."""
        return Matches(self._term, pattern, self.every)

    @property
    def _term(self) -> Term:
        return Term(self.path, self.aspect)

    def _compared(self, order: Order, other: object) -> Expression:
        if isinstance(other, Field):
            return Fields(_alone(self), order, _alone(other))
        return Compare(self._term, order, _literal(other), self.every)


def _alone(field: Field) -> Term:
    if field.every:
        raise QueryError("all elements are compared with values only", ".".join(map(str, field.path)))
    return Term(field.path, field.aspect)


def _literal(value: Any) -> Literal:
    """Value as a query keeps it; those of NumPy become those of Python, and times are exact to the microsecond."""
    match value:
        case None | bool() | int() | float() | str() | Quantity() | Date():
            return value
        case datetime():
            utc = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
            return Date(utc.isoformat(timespec="microseconds") + "Z")
        case date():
            return Date(value.isoformat())
        case Integral():
            return int(value)
        case Real():
            return float(value)
        case _:
            raise QueryError(f"a {type(value).__name__} is no value that a field is compared with")


M = Field()
"""Root of a record's metadata: ``M["beam"]["voltage"]``."""

Q = Quantity
"""A number with its unit: ``Q(200, "kV")``."""
