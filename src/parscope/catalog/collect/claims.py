"""Who works on which file: collectors on one folder share it, and take over from those that die.

An owner says now and then that it lives. One that is silent for too long, or of this machine and dead, has lost its
files; should it come to life again, its next step fails, see `parscope.catalog.collect.journal.advance`.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import ColumnElement, Connection, and_, exists, or_, select, update

from parscope.catalog.collect.journal import WORK, Entry, entry_of, still, under
from parscope.catalog.collect.owner import is_dead
from parscope.catalog.store.clock import now
from parscope.catalog.store.tables import journal

LEASE = 60_000_000
"""For how long an owner may be silent, in µs."""


def is_free(connection: Connection, folder: Path) -> bool:
    """Whether there is a settled file that nobody works on.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    folder : Path
        The folder that is collected.

    Returns
    -------
    bool
    """
    waiting = _waiting(folder)
    return bool(connection.scalar(select(exists().where(waiting, _free(connection, waiting)))))


def is_left(connection: Connection, folder: Path, *, patient: bool) -> bool:
    """Whether there is a settled file that is not in the catalog yet, be it in the hands of another collector.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    folder : Path
        The folder that is collected.
    patient : bool
        Whether those count that wait for another file, which may never settle.

    Returns
    -------
    bool
    """
    postponed = and_(journal.c.owner.is_(None), journal.c.lease.is_not(None))
    waiting = _waiting(folder) if patient else and_(_waiting(folder), ~postponed)
    return bool(connection.scalar(select(exists().where(waiting))))


def claim(connection: Connection, folder: Path, owner: str, most: int) -> list[Entry]:
    """Take files that nobody works on, the longest known first.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    folder : Path
        The folder that is collected.
    owner : str
        Who takes them.
    most : int
        How many at most.

    Returns
    -------
    list of Entry
    """
    waiting = _waiting(folder)
    order = (journal.c.since, journal.c.path)
    free = select(journal).where(waiting, _free(connection, waiting)).order_by(*order).limit(most)
    rows = connection.execute(free).all()
    mine = {"owner": owner, "lease": now() + LEASE}
    connection.execute(update(journal).where(journal.c.path.in_([row.path for row in rows])).values(**mine))
    return [entry_of(row, owner) for row in rows]


def postpone(connection: Connection, entry: Entry, until: int) -> None:
    """Put a file back, to be taken again later.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    entry : Entry
        The file.
    until : int
        When, in µs since 1970.
    """
    connection.execute(update(journal).where(still(entry)).values(owner=None, lease=until))


def renew(connection: Connection, owner: str) -> None:
    """Say that an owner lives.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    owner : str
        Who.
    """
    connection.execute(update(journal).where(journal.c.owner == owner).values(lease=now() + LEASE))


def release(connection: Connection, owner: str) -> None:
    """Put back all that an owner has taken.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    owner : str
        Who.
    """
    connection.execute(update(journal).where(journal.c.owner == owner).values(owner=None, lease=None))


def _waiting(folder: Path) -> ColumnElement[bool]:
    return and_(journal.c.stage.in_(WORK), under(journal.c.path, folder))


def _free(connection: Connection, waiting: ColumnElement[bool]) -> ColumnElement[bool]:
    """Without an owner, or with one who is silent or dead."""
    owners = connection.scalars(select(journal.c.owner).where(waiting, journal.c.owner.is_not(None)).distinct())
    dead = [one for one in owners.all() if one is not None and is_dead(one)]
    return or_(journal.c.lease.is_(None), journal.c.lease < now(), journal.c.owner.in_(dead))
