"""Which files are read again: those that could not be read, and those that an older reader read."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sqlalchemy import Connection, func, select

from parscope.catalog.collect.journal import COMMITTED, HASHED, QUARANTINED, take_up, under
from parscope.catalog.collect.names import to_path
from parscope.catalog.store.tables import file, journal, record


def is_outdated(reader: str) -> bool:
    """Whether another version of the library that read a file is installed now.

    Parameters
    ----------
    reader : str
        As records keep it: ``tiff: tifffile 2024.1``.

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
    theirs = select(func.min(file.c.path)).join(record).where(record.c.reader.in_(outdated), file.c.part.is_(False))
    one_of_each = theirs.where(file.c.present, under(file.c.path, folder)).group_by(file.c.record)
    old = journal.c.path.in_(one_of_each) & (journal.c.stage == COMMITTED)
    again = here & journal.c.hash.is_not(None) & ((journal.c.stage == QUARANTINED) | old)
    return take_up(connection, connection.scalars(select(journal.c.path).where(again)).all(), HASHED)


def unreadable_before(connection: Connection, folder: Path) -> list[str]:
    """Find files that the operating system refused before, and does not any more.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    folder : Path
        The folder that is collected.

    Returns
    -------
    list of str
        Paths as the database spells them.
    """
    refused = under(journal.c.path, folder) & (journal.c.stage == QUARANTINED) & journal.c.hash.is_(None)
    paths = connection.scalars(select(journal.c.path).where(refused)).all()
    return [path for path in paths if os.access(to_path(path), os.R_OK)]
