"""Sets of records, as Boolean arrays with a place for every id, and how they are asked for.

Each leaf of a query is one statement over the index; the sets are combined here, and not by the database. SQLite sorts
whatever it intersects or unites into a temporary tree, at half a microsecond an id; handed over as one text, an id
costs a tenth of that, arrays combine a million of them in less than a millisecond, and no expression is too deep for
the database's parser.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, FromClause, Text, cast, func, select, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from parscope.catalog.store.tables import record

Chosen: TypeAlias = NDArray[np.bool_]
"""A set of records: whether the record with the id of that place is in it."""

Ids: TypeAlias = NDArray[np.int64]
"""Ids of records."""

_CHUNK = 500  # values that one statement is handed in a list
_T = TypeVar("_T")


def chunks(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Values in lists that are short enough for one statement."""
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))


class joined(FunctionElement[str]):  # noqa: N801 - a function of SQL, named as one
    """Ids of a group of rows as one text, which `ids_of` takes apart."""

    inherit_cache = True
    type = Text()


@compiles(joined, "sqlite")
def _in_sqlite(element: joined, compiler: SQLCompiler, **_: Any) -> str:
    return f"group_concat({compiler.process(element.clauses)})"


@compiles(joined, "postgresql")
def _in_postgresql(element: joined, compiler: SQLCompiler, **_: Any) -> str:
    return f"string_agg(CAST({compiler.process(element.clauses)} AS TEXT), ',')"


def ids_of(text: str | None) -> Ids:
    """Ids in the order of the rows, some perhaps more than once."""
    return np.fromstring(text, np.int64, sep=",") if text else np.empty(0, np.int64)


class Scope:
    """The records among which a query looks.

    Parameters
    ----------
    connection : Connection
        In a transaction that sees one state of the database throughout.
    within : sequence of int, optional
        Ids of the only records that matter; of others anything may be said. Default: all matter.
    """

    def __init__(self, connection: Connection, within: Sequence[int] | None = None, size: int | None = None) -> None:
        self.connection = connection
        self.within = within
        self.size = 1 + (connection.scalar(select(func.max(record.c.id))) or 0) if size is None else size

    def narrowed(self, chosen: Chosen) -> Scope:
        """The scope of these records only."""
        return Scope(self.connection, np.flatnonzero(chosen).tolist(), self.size)

    def marked(self, ids: Ids | Sequence[int]) -> Chosen:
        """Set of these records."""
        chosen = np.zeros(self.size, np.bool_)
        found = np.asarray(ids, np.int64)
        chosen[found[found < self.size]] = True  # a record added since is not of this scope
        return chosen

    @cached_property
    def everything(self) -> Chosen:
        """All records that there are, which are all ids where no number was left out."""
        if self.within is not None:
            return self.marked(self.within)
        count = self.connection.scalar(select(func.count()).select_from(record))
        if count != self.size - 1:
            return self.found(record, record.c.id)
        chosen = np.ones(self.size, np.bool_)
        chosen[0] = False
        return chosen

    @property
    def nothing(self) -> Chosen:
        """No record."""
        return np.zeros(self.size, np.bool_)

    def found(self, source: FromClause, ids: ColumnElement[int], *conditions: ColumnElement[bool]) -> Chosen:
        """Set of records that the rows of a table name.

        Parameters
        ----------
        source : FromClause
            The table, or a join.
        ids : ColumnElement
            Its column with ids of records.
        *conditions : ColumnElement
            Which rows.

        Returns
        -------
        ndarray of bool, shape (`size`,)
        """
        statement = select(joined(ids)).select_from(source).where(*conditions)
        return self.united(
            self.marked(ids_of(self.connection.scalar(statement.where(inside)))) for inside in self._inside(ids)
        )

    def texts(
        self, key: ColumnElement[_T], ids: ColumnElement[int], *conditions: ColumnElement[bool]
    ) -> Iterator[tuple[_T, str]]:
        """Keys of rows, and the joined ids of the records that have each.

        Parameters
        ----------
        key, ids : ColumnElement
            Columns of one table.
        *conditions : ColumnElement
            Which rows.

        Yields
        ------
        tuple of key and str
        """
        statement: Any = select(key, joined(ids)).group_by(key)
        if self.within is not None:  # few rows, which SQLite finds by their records only if it has nothing to group
            statement = select(key, cast(ids, Text))
        for inside in self._inside(ids):
            yield from ((row[0], row[1]) for row in self.connection.execute(statement.where(*conditions, inside)))

    def _inside(self, ids: ColumnElement[int]) -> Iterator[ColumnElement[bool]]:
        """What holds for rows of records in the scope, in as many conditions as there are statements needed."""
        if self.within is None:
            yield true()
        else:
            yield from (ids.in_(some) for some in chunks(self.within))

    def united(self, sets: Iterable[Chosen]) -> Chosen:
        """Records that are in any of the sets."""
        chosen = self.nothing
        for one in sets:
            chosen |= one
        return chosen
