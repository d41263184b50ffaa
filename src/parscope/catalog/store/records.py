"""Records as they are handed out, and how they are called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from parscope.catalog.store import tables
from parscope.catalog.store.documents import decode
from parscope.core.errors import CatalogError

SHORTEST = 4
"""Characters of the beginning of a uid by which a record may be called."""

COLUMNS = [
    tables.record.c[name] for name in ("uid", "number", "document", "hash", "reader", "error", "created", "changed")
]
"""What `record_of` needs of a row."""


@dataclass(frozen=True)
class Record:
    """One record, as it is now.

    Parameters
    ----------
    uid : str
        What people and other catalogs call it.
    number : int
        Of its version, from 1.
    document : dict
        All that is known of it, verbatim.
    hash : str or None
        SHA-256 of the content; None for what is no file.
    reader : str
        Which reader and library, with version, wrote the document.
    error : str or None
        Why no reader could read the file.
    created, changed : int
        When, in microseconds since 1970, UTC.
    """

    uid: str
    number: int
    document: dict[str, Any]
    hash: str | None
    reader: str
    error: str | None
    created: int
    changed: int


def record_of(row: Row[Any]) -> Record:
    """Record of a row that has `COLUMNS`."""
    named = {column.name: getattr(row, column.name) for column in COLUMNS}
    return Record(**(named | {"document": decode(row.document)}))


def resolve(connection: Connection, uid: str) -> int:
    """Number of the row of a record.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    uid : str
        Of the record, or the beginning of it, if no other begins so.

    Returns
    -------
    int

    Raises
    ------
    CatalogError
        If there is no such record, or several.
    """
    if not re.fullmatch(rf"[0-9a-f]{{{SHORTEST},32}}", uid):
        advice = f"records are called by {SHORTEST} to 32 digits and letters from a to f"
        raise CatalogError("is no name of a record", repr(uid), advice)
    table = tables.record
    begins = (table.c.uid >= uid, table.c.uid < f"{uid}g")
    found = connection.execute(select(table.c.id).where(*begins).limit(2)).scalars().all()
    if not found:
        raise CatalogError("there is no such record", uid)
    if len(found) > 1:
        raise CatalogError("several records begin so", uid, "write more of it")
    return int(found[0])


def load(connection: Connection, record_id: int) -> Record:
    """Record of a row.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    record_id : int
        Number of its row.

    Returns
    -------
    Record
    """
    return record_of(connection.execute(select(*COLUMNS).where(tables.record.c.id == record_id)).one())
