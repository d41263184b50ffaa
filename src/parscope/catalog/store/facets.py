"""What values a term has in the records that a query is true of, and in how many of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor, log10
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, false, func, or_, select

from parscope.catalog.query.ast import EVERYTHING, Deep, Expression, Term
from parscope.catalog.store.dimensions import unit_of
from parscope.catalog.store.keys import Type, value_of
from parscope.catalog.store.plan import chosen_of
from parscope.catalog.store.scope import Chosen, Scope, ids_of, joined
from parscope.catalog.store.tables import value
from parscope.catalog.store.terms import conditions

_NO_TYPE = 1 << 31  # larger than any


@dataclass(frozen=True)
class Counted:
    """A value and the records that have it.

    Parameters
    ----------
    value : bool, int, float, str or None
        One element; a number in SI units where the term has nothing but quantities.
    records : int
        Records with it, [1].
    """

    value: bool | int | float | str | None
    records: int


@dataclass(frozen=True)
class Histogram:
    """Numbers of a term, counted in bins of one width.

    Parameters
    ----------
    edges : tuple of float
        Where bins begin, and where the last one ends, all multiples of 1, 2 or 5 times a power of ten, in `unit`. A
        number on an edge is in the bin above.
    counts : tuple of int
        Numbers in each bin; a record has as many as it has different ones, [1].
    unit : str
        SI unit of quantities; empty for plain numbers.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    unit: str = ""


@dataclass(frozen=True)
class Facet:
    """Values of a term.

    Parameters
    ----------
    values : tuple of Counted
        The most frequent first.
    distinct : int
        Different values, of which `values` are some, [1].
    histogram : Histogram or None
        Of finite numbers; None where there are none.
    """

    values: tuple[Counted, ...]
    distinct: int
    histogram: Histogram | None


def facet(connection: Connection, term: Term, query: Expression = EVERYTHING, most: int = 20) -> Facet:
    """Count the values of a term.

    Parameters
    ----------
    connection : Connection
        In a transaction that sees one state of the catalog throughout.
    term : Term
        Whose values.
    query : Expression, optional
        In which records. Default: in all.
    most : int, optional
        How many values to tell, and bins to count in, [1].

    Returns
    -------
    Facet

    Raises
    ------
    QueryError
        If a unit, a date or a regular expression in the query is none.
    """
    scope = Scope(connection)
    rows = _rows(scope, term)
    counts = _counts(rows, chosen_of(scope, query))
    rows, counts = [row for row, count in zip(rows, counts.tolist(), strict=True) if count], counts[counts > 0]
    kinds = np.array([row.type for row in rows], np.int64)
    shown = np.flatnonzero(_listed(kinds))
    order = shown[np.argsort(-counts[shown], kind="stable")][:most].tolist()
    values = tuple(Counted(value_of(rows[at].type, bytes(rows[at].key)), int(counts[at])) for at in order)
    return Facet(values, len(shown), _histogram(scope, rows, counts, most))


def _rows(scope: Scope, term: Term) -> Sequence[Row[Any]]:
    """Types and keys of a term, each with the ids that have it, in the order of the index."""
    held = or_(false(), *conditions(scope.connection, term)), value.c.type.not_in((Type.LONG_TEXT, Type.CONTAINER))
    columns = select(value.c.type, value.c.key, value.c.record).where(*held)
    # One path has a value once in a record; several paths may have the same one.
    its = (columns.distinct() if Deep.DEEP in term.path else columns).subquery()
    grouped = select(its.c.type, its.c.key, func.count().label("count"), joined(its.c.record).label("ids"))
    return scope.connection.execute(grouped.group_by(its.c.type, its.c.key).order_by(its.c.type, its.c.key)).all()


def _counts(rows: Sequence[Row[Any]], chosen: Chosen) -> NDArray[np.int64]:
    """How many of the ids of each row are chosen."""
    if not rows:
        return np.empty(0, np.int64)
    inside = chosen[ids_of(",".join(row.ids for row in rows))]
    starts = np.cumsum([0] + [row.count for row in rows[:-1]])
    return np.add.reduceat(inside, starts, dtype=np.int64)


def _listed(kinds: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Types of which values are told: not dates, which are texts, and quantities where they are nothing else."""
    plain = (kinds < Type.QUANTITY) & (kinds != Type.DATE)
    return plain if plain.any() else kinds >= Type.QUANTITY


def _histogram(scope: Scope, rows: Sequence[Row[Any]], counts: NDArray[np.int64], most: int) -> Histogram | None:
    """Histogram of the plain numbers, or else of one kind of quantity."""
    kinds = np.array([row.type for row in rows], np.int64)
    numeric = kinds[(kinds == Type.NUMBER) | (kinds >= Type.QUANTITY)]
    its = np.flatnonzero(kinds == numeric.min(initial=_NO_TYPE))
    numbers = _floats(b"".join(bytes(rows[at].key)[:8] for at in its.tolist()))
    finite = np.isfinite(numbers)
    if not finite.any():
        return None
    edges = nice_edges(float(numbers[finite].min()), float(numbers[finite].max()), most)
    bins = np.searchsorted(edges[1:-1], numbers[finite], side="right")
    binned = np.bincount(bins, counts[its][finite], len(edges) - 1)
    return Histogram(edges, tuple(int(count) for count in binned), unit_of(scope.connection, int(kinds[its[0]])))


def _floats(keys: bytes) -> NDArray[np.float64]:
    """Numbers of keys, of eight bytes each, one after the other; see `parscope.catalog.store.keys`."""
    bits = np.frombuffer(keys, ">u8").astype(np.uint64)
    sign = np.uint64(1 << 63)
    return np.where(bits & sign, bits ^ sign, ~bits).view(np.float64)


def nice_edges(low: float, high: float, most: int) -> tuple[float, ...]:
    """Edges of bins that people can read, and that hold all numbers.

    Parameters
    ----------
    low, high : float
        Smallest and largest number, in the `unit` of both.
    most : int
        Bins, one more at most, [1].

    Returns
    -------
    tuple of float

    Examples
    --------
    >>> nice_edges(0.013, 0.97, 5)
    (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    """
    width = high / most - low / most or abs(high) or 1.0
    power = floor(log10(width))
    step, power = next(((n, power) for n in (1, 2, 5) if n * 10.0**power >= width * (1 - 1e-9)), (1, power + 1))
    unit = Fraction(10) ** power * step
    first, last = floor(Fraction(low) / unit), floor(Fraction(high) / unit) + 1
    return tuple(float(at * unit) for at in range(first, last + 1))
