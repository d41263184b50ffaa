"""Files of one acquisition, which become one record: that of the main file, of which the others are parts.

A main file names its parts when it is read. Names of files say which one to read first, so that parts which settle
together with it wait for it; parts that come later have it read again.
"""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import Connection, exists, select, update

from parscope.catalog.collect.journal import FINISHED, HASHED, SEEN, Entry, under
from parscope.catalog.collect.names import to_path, to_text
from parscope.catalog.store.tables import file, journal

_MAIN = (
    (re.compile(r"(.+)_\d+\.ser", re.IGNORECASE), "{}.emi"),
    (re.compile(r"(.+)_data_\d+\.h5", re.IGNORECASE), "{}_master.h5"),
    (re.compile(r"(.+)\.hdr", re.IGNORECASE), "{}.mib"),
)


def main_of(path: Path) -> Path | None:
    """Name the file that may tell about this one.

    Parameters
    ----------
    path : Path
        A file.

    Returns
    -------
    Path or None
        None if it may itself be the main file of an acquisition.

    Examples
    --------
    >>> str(main_of(Path("scan_data_000001.h5")))
    'scan_master.h5'
    """
    for pattern, main in _MAIN:
        if match := pattern.fullmatch(path.name):
            return path.with_name(main.format(match[1]))
    return None


def waits(connection: Connection, entry: Entry) -> bool:
    """Whether a file has to wait for its main file, which is to be read, or read again, first.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    entry : Entry
        The file.

    Returns
    -------
    bool
    """
    main = main_of(entry.path)
    if main is None:
        return False
    row = connection.execute(select(journal).where(journal.c.path == to_text(main))).one_or_none()
    if row is None:
        return False
    return row.stage not in FINISHED or _is_going_on(connection, main) or read_again(connection, main, entry.since)


def complete(connection: Connection, main: Path, since: int) -> None:
    """Have a main file read again for a part that came after it, once no other part is being written.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    main : Path
        The file.
    since : int
        Since when the part lies there, in µs since 1970.
    """
    if not _is_going_on(connection, main):
        read_again(connection, main, since)


def _is_going_on(connection: Connection, main: Path) -> bool:
    """Whether parts of an acquisition are being written: it is to be one version of its record, not one a part."""
    seen = select(journal.c.path).where(journal.c.stage == SEEN, under(journal.c.path, main.parent))
    return any(main_of(to_path(path)) == main for path in connection.scalars(seen))


def read_again(connection: Connection, main: Path, since: int) -> bool:
    """Have a main file read again that was read before one of its parts lay there.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    main : Path
        The file.
    since : int
        Since when the part lies there, in µs since 1970.

    Returns
    -------
    bool
        Whether it is read again.
    """
    outdated = (
        journal.c.path == to_text(main),
        journal.c.stage.in_(FINISHED),
        journal.c.hash.is_not(None),
        journal.c.changed < since,
    )
    done = connection.execute(update(journal).where(*outdated).values(stage=HASHED, error=None, extracted=None))
    return done.rowcount == 1


def is_part(connection: Connection, entry: Entry) -> bool:
    """Whether a main file that was read named this one.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    entry : Entry
        The file.

    Returns
    -------
    bool
    """
    named = exists().where(file.c.path == entry.name, file.c.part)
    return bool(connection.scalar(select(named)))


def main_file(connection: Connection, record: int) -> Path | None:
    """Find the file of a record of which the others are parts.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    record : int
        The record.

    Returns
    -------
    Path or None
        None if it is not there any more.
    """
    there = (file.c.record == record, file.c.part.is_(False), file.c.present)
    name = connection.scalars(select(file.c.path).where(*there).limit(1)).one_or_none()
    return None if name is None else to_path(name)
