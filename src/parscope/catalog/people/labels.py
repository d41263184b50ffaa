"""Tags and collections: names that records carry."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Table, delete, func, insert, select

from parscope.catalog.people.names import checked
from parscope.catalog.people.retractions import By, retract
from parscope.catalog.store import tables
from parscope.catalog.store.texts import spellings


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

    def put(self, connection: Connection, record: int, name: str, by: By) -> None:
        """Give a record a name; again, nothing happens.

        Parameters
        ----------
        connection : Connection
            In a write transaction.
        record : int
            Number of the row.
        name : str
            The tag, or the collection.
        by : By
            Who says so.

        Raises
        ------
        InputError
            If the name cannot be used.
        """
        name = checked(name, self.what)
        held = select(self.table.c.who).where(self.table.c[self.column] == name, self.table.c.record == record)
        if connection.execute(held).first() is None:
            row = {self.column: name, "record": record, "who": by[0], "created": by[1]}
            connection.execute(insert(self.table).values(row))

    def drop(self, connection: Connection, record: int, name: str, by: By) -> bool:
        """Take a name from a record; that it had it stays in its history.

        Parameters
        ----------
        connection : Connection
            In a write transaction.
        record : int
            Number of the row.
        name : str
            The tag, or the collection.
        by : By
            Who says so.

        Returns
        -------
        bool
            Whether it had it.
        """
        ours = self.table.c[self.column].in_(spellings(name)) & (self.table.c.record == record)
        gone = delete(self.table).where(ours).returning(self.table.c.who, self.table.c.created)
        said = connection.execute(gone).mappings().first()
        return retract(connection, record, (self.what, name), said, by)

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
