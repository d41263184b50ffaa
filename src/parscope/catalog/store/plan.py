"""From a query to the records that it is true of.

The parts of a query are asked for one by one, each in a statement that the index answers, and combined as sets.
Whatever a query says reaches the database as a parameter, never as SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection

from parscope.catalog.query.ast import (
    And,
    Between,
    Collected,
    Compare,
    DerivedFrom,
    Exists,
    Expression,
    Fields,
    In,
    Is,
    Like,
    Located,
    Matches,
    Not,
    Or,
    Order,
    SourceOf,
    Tagged,
    Text,
)
from parscope.catalog.query.limits import checked
from parscope.catalog.store import plan_records, plan_values
from parscope.catalog.store.scope import Chosen, Ids, Scope

_MUCH = 4  # effort of a part, see below
_FEW = {True: 5000, False: 300}
"""Records of which it is faster to ask what else holds for them than which records it holds for: of a part that takes
much effort, and of others."""

_LEAVES: dict[type, tuple[int, Callable[[Scope, Any], Chosen]]] = {
    Tagged: (0, plan_records.be_tagged),
    Collected: (0, plan_records.be_collected),
    DerivedFrom: (0, plan_records.descend),
    SourceOf: (0, plan_records.ascend),
    Text: (1, plan_values.have_words),
    In: (1, plan_values.be_in),
    Compare: (2, plan_values.compare),
    Between: (2, plan_values.lie_between),
    Is: (2, plan_records.be),
    Exists: (4, plan_values.exist),
    Like: (5, plan_values.be_like),
    Matches: (6, plan_values.match),
    Fields: (6, plan_values.compare_fields),
    Located: (6, plan_records.be_located),
}
"""How a part that has no parts is answered, and the effort that this takes, roughly: the least is asked first."""


def matching(connection: Connection, query: Expression, within: Sequence[int] | None = None) -> Ids:
    """Records that a query is true of.

    Parameters
    ----------
    connection : Connection
        In a transaction that sees one state of the catalog throughout.
    query : Expression
        However it was made.
    within : sequence of int, optional
        Ids of the only records that are looked at. Default: all.

    Returns
    -------
    ndarray of int, shape (n,)
        Their ids, ascending.

    Raises
    ------
    QueryError
        If it is beyond the limits of `parscope.catalog.query.limits`, or a unit, a date or a regular expression in it
        is none.
    """
    scope = Scope(connection, within)
    chosen = chosen_of(scope, query)
    if within is not None:
        chosen = chosen & scope.everything
    return np.flatnonzero(chosen)


def chosen_of(scope: Scope, query: Expression) -> Chosen:
    """Set of records that a query is true of; one beyond the limits, or that means nothing, is refused."""
    return _set_of(scope, checked(query))


def _set_of(scope: Scope, query: Expression) -> Chosen:
    """Set of records that an expression is true of."""
    match query:
        case And(parts):
            return _all(scope, parts)
        case Or(parts):
            return scope.united(_set_of(scope, part) for part in parts)
        case Not(part):
            return scope.everything & ~_set_of(scope, part)
    return _LEAVES[type(query)][1](scope, query)


def _all(scope: Scope, parts: Sequence[Expression]) -> Chosen:
    """Records that all parts are true of: what is quick to tell comes first; of few records the rest is asked."""
    chosen: Chosen | None = None
    for part in sorted(parts, key=_effort):
        if chosen is not None and np.count_nonzero(chosen) <= _FEW[_effort(part) >= _MUCH]:
            scope = scope.narrowed(chosen)
        found = _set_of(scope, part)
        chosen = found if chosen is None else chosen & found
    return scope.everything if chosen is None else chosen


def _effort(query: Expression) -> int:
    """How late a part of a conjunction is asked for."""
    match query:
        case Not(part):
            return _effort(part) + 1
        case And(parts) | Or(parts):
            return max(map(_effort, parts), default=0) + 1
        case Compare(order=Order.EQUAL):
            return 1
    return _LEAVES[type(query)][0]
