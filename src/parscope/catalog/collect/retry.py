"""Which files are read again: those that could not be read, and those that an older reader read."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sqlalchemy import Connection, select, update

from parscope.catalog.collect.journal import COMMITTED, HASHED, QUARANTINED, SETTLED, now, under
from parscope.catalog.collect.names import to_path
from parscope.catalog.store.tables import file, journal, record


def is_outdated(reader: str) -> bool:
    """Whether another version of the library that read a file is installed now.

    Parameters
    ----------
    reader : str
        As records keep it: ``digitalmicrograph: ncempy 1.16``.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_outdated("numpy: numpy 0.9")
    True
    """
    library, _, told = reader.rpartition(": ")[2].rpartition(" ")
    try:
        return version(library) != told
    except (PackageNotFoundError, ValueError):
        return False


def retry(connection: Connection, folder: Path) -> int:
    """Have files read again that no reader could read, or that another version of their reader read.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    folder : Path
        The folder that is collected.

    Returns
    -------
    int
        How many.
    """
    here = under(journal.c.path, folder)
    readers = connection.scalars(select(record.c.reader).distinct()).all()
    outdated = [reader for reader in readers if is_outdated(reader)]
    theirs = select(file.c.path).join(record).where(record.c.reader.in_(outdated), file.c.part.is_(False))
    old = journal.c.path.in_(theirs.where(file.c.present)) & (journal.c.stage == COMMITTED)
    again = here & journal.c.hash.is_not(None) & ((journal.c.stage == QUARANTINED) | old)
    values = {"stage": HASHED, "error": None, "changed": now()}
    return int(connection.execute(update(journal).where(again).values(**values)).rowcount)


def retry_unreadable(connection: Connection, folder: Path) -> None:
    """Go on with files that the operating system refused before, and does not any more.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    folder : Path
        The folder that is collected.
    """
    refused = under(journal.c.path, folder) & (journal.c.stage == QUARANTINED) & journal.c.hash.is_(None)
    for path in connection.scalars(select(journal.c.path).where(refused)).all():
        if os.access(to_path(path), os.R_OK):
            values = {"stage": SETTLED, "error": None, "changed": now()}
            connection.execute(update(journal).where(journal.c.path == path).values(**values))
