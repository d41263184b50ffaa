"""Tags and collections: names that records carry."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Table, delete, func, insert, select

from parscope.catalog.people.names import checked
from parscope.catalog.store import tables


@dataclass(frozen=True)
class Labels:
    """Names of one sort; a record has each of them or not.

    Parameters
    ----------
    what : str
        What the names are, for a person.
    table : Table
        Where they are kept.
    column : str
        Column of the name.
    """

    what: str
    table: Table
    column: str

    def put(self, connection: Connection, record: int, name: str, who: str, when: int) -> None:
        """Give a record a name; again, nothing happens.

        Parameters
        ----------
        connection : Connection
            In a write transaction.
        record : int
            Number of the row.
        name : str
            The tag, or the collection.
        who : str
            Who says so.
        when : int
            Microseconds since 1970, UTC.

        Raises
        ------
        InputError
            If the name cannot be used.
        """
        name = checked(name, self.what)
        held = select(self.table.c.who).where(self.table.c[self.column] == name, self.table.c.record == record)
        if connection.execute(held).first() is None:
            row = {self.column: name, "record": record, "who": who, "created": when}
            connection.execute(insert(self.table).values(row))

    def drop(self, connection: Connection, record: int, name: str) -> bool:
        """Take a name from a record.

        Parameters
        ----------
        connection : Connection
            In a write transaction.
        record : int
            Number of the row.
        name : str
            The tag, or the collection.

        Returns
        -------
        bool
            Whether it had it.
        """
        ours = (self.table.c[self.column] == name) & (self.table.c.record == record)
        return connection.execute(delete(self.table).where(ours)).rowcount > 0

    def names(self, connection: Connection) -> dict[str, int]:
        """All names, and on how many records each is.

        Parameters
        ----------
        connection : Connection
            To the catalog.

        Returns
        -------
        dict of str
        """
        name = self.table.c[self.column]
        rows = connection.execute(select(name, func.count()).group_by(name))
        return dict(sorted((name, number) for name, number in rows))


TAGS = Labels("tag", tables.tag, "name")
COLLECTIONS = Labels("collection", tables.member, "collection")
