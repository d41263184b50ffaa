r"""How far each file is on its way into the catalog, kept in the catalog itself.

::

    seen -> settled -> hashed -> extracted -> committed
                  \________\_________\____-> quarantined

A step is one transaction that succeeds only for the owner of the file, and only if the file is the one that the step
began with. So a process may die at any point: the next one takes the file over and repeats at most one step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, insert, or_, select, update

from parscope.catalog.collect.names import to_path, to_text
from parscope.catalog.collect.sweep import Found
from parscope.catalog.store.clock import now
from parscope.catalog.store.notices import mark
from parscope.catalog.store.tables import file, journal

SEEN, SETTLED, HASHED, EXTRACTED = "seen", "settled", "hashed", "extracted"
COMMITTED, QUARANTINED = "committed", "quarantined"
WORK = (SETTLED, HASHED, EXTRACTED)
FINISHED = (COMMITTED, QUARANTINED)

_MANY = 500
_AFRESH: dict[str, Any] = {"hash": None, "extracted": None, "error": None, "owner": None, "lease": None}


@dataclass(frozen=True)
class Entry:
    """A file on its way.

    Parameters
    ----------
    path : Path
        Absolute.
    root : Path
        The folder that is collected.
    stage : str
        How far it is.
    size : int
        In bytes.
    mtime_ns : int
        When it was changed last, in ns since 1970.
    since : int
        Since when size and time rest, in µs since 1970.
    hash : str or None
        Of its content, once it is known.
    extracted : str or None
        What its reader said, as JSON, once it did.
    owner : str
        Who works on it.
    """

    path: Path
    root: Path
    stage: str
    size: int
    mtime_ns: int
    since: int
    hash: str | None
    extracted: str | None
    owner: str

    @property
    def name(self) -> str:
        """Path as the database spells it."""
        return to_text(self.path)


def under(column: ColumnElement[str], folder: Path) -> ColumnElement[bool]:
    """Whether a path lies in a folder, whatever signs its name has and however the database sorts text.

    Parameters
    ----------
    column : ColumnElement
        Path in the database.
    folder : Path
        The folder.

    Returns
    -------
    ColumnElement
    """
    start = to_text(folder).rstrip("/") + "/"
    return func.substr(column, 1, len(start)) == start


def news(connection: Connection, found: Sequence[Found]) -> list[Found]:
    """Leave out the files of which everything is known; most sweeps find nothing else.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    found : sequence of Found
        What lies there.

    Returns
    -------
    list of Found
    """
    names = [to_text(one.path) for one in found]
    lost = file.c.present.is_(False) & (file.c.hash != "")
    columns = select(journal.c.path, journal.c.size, journal.c.mtime_ns).where(journal.c.path.in_(names))
    known = connection.execute(columns.where(~exists().where(file.c.path == journal.c.path, lost)))
    old = {tuple(row) for row in known}
    return [one for one, name in zip(found, names, strict=True) if (name, one.size, one.mtime_ns) not in old]


def see(connection: Connection, root: Path, found: Sequence[Found]) -> None:
    """Note files that lie there: new ones, changed ones, and old ones that are back.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    root : Path
        The folder that is collected.
    found : sequence of Found
        What lies there.
    """
    for start in range(0, len(found), _MANY):
        batch = {to_text(one.path): one for one in found[start : start + _MANY]}
        columns = (journal.c.path, journal.c.size, journal.c.mtime_ns)
        known = {row.path: row for row in connection.execute(select(*columns).where(journal.c.path.in_(batch)))}
        when = now()
        new = [name for name in batch if name not in known]
        facts = {name: {"size": one.size, "mtime_ns": one.mtime_ns} for name, one in batch.items()}
        same = [name for name, row in known.items() if facts[name] == {"size": row.size, "mtime_ns": row.mtime_ns}]
        fresh = {"root": to_text(root), "stage": SEEN, "since": when, "changed": when, **_AFRESH}
        if new:
            connection.execute(insert(journal), [{"path": name, **facts[name], **fresh} for name in new])
        for name in known.keys() - set(same):
            connection.execute(update(journal).where(journal.c.path == name).values(**facts[name], **fresh))
        _bring_back(connection, same)


def _bring_back(connection: Connection, names: Sequence[str]) -> None:
    """A file that had vanished and lies there with the same size and time is where it was."""
    gone = and_(file.c.path.in_(names), file.c.present.is_(False), file.c.hash != "")
    back = select(file.c.path).join(journal, journal.c.path == file.c.path).where(gone, journal.c.stage.in_(FINISHED))
    if paths := connection.scalars(back).all():
        connection.execute(update(file).where(file.c.path.in_(paths)).values(present=True))
        _mark(connection, paths)


def _mark(connection: Connection, paths: Sequence[str]) -> None:
    """What is true of a record may depend on whether its files are there."""
    mark(connection, connection.scalars(select(file.c.record).where(file.c.path.in_(paths))))


def lose(connection: Connection, names: Iterable[str]) -> None:
    """Note files that do not lie there any more; nothing that is known of them is deleted.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    names : iterable of str
        Paths as the database spells them.
    """
    paths = list(names)
    for start in range(0, len(paths), _MANY):
        some = paths[start : start + _MANY]
        connection.execute(update(file).where(file.c.path.in_(some)).values(present=False))
        _mark(connection, some)
        unfinished = or_(journal.c.stage != COMMITTED, journal.c.hash.is_(None))
        connection.execute(delete(journal).where(journal.c.path.in_(some), unfinished))


def known_in(connection: Connection, folder: Path) -> set[str]:
    """Paths of a folder that the catalog believes to be there.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    folder : Path
        The folder.

    Returns
    -------
    set of str
        As the database spells them.
    """
    there = select(file.c.path).where(under(file.c.path, folder), file.c.present)
    unfinished = select(journal.c.path).where(under(journal.c.path, folder), journal.c.stage != COMMITTED)
    return {*connection.scalars(there), *connection.scalars(unfinished)}


def is_known(connection: Connection, path: Path) -> bool:
    """Whether a path is one of a file, or was.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    path : Path
        Absolute.

    Returns
    -------
    bool
    """
    name = to_text(path)
    return any(connection.scalar(select(exists().where(table.c.path == name))) for table in (file, journal))


def resting(connection: Connection, folder: Path, before: int) -> list[Entry]:
    """Files that were seen, and should have settled by now.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    folder : Path
        The folder that is collected.
    before : int
        They must rest since then, in µs since 1970.

    Returns
    -------
    list of Entry
    """
    due = and_(journal.c.stage == SEEN, journal.c.since <= before, under(journal.c.path, folder))
    return [entry_of(row, "") for row in connection.execute(select(journal).where(due))]


def wait_again(connection: Connection, entry: Entry) -> None:
    """Let a file that cannot be looked at now rest once more, from now on.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    entry : Entry
        The file, seen.
    """
    connection.execute(update(journal).where(still(entry)).values(since=now()))


def entry_of(row: Any, owner: str) -> Entry:
    """Make an entry of a row of the journal.

    Parameters
    ----------
    row : Row
        With all columns.
    owner : str
        Who works on the file; empty for nobody.

    Returns
    -------
    Entry
    """
    where = (to_path(row.path), to_path(row.root))
    return Entry(*where, row.stage, row.size, row.mtime_ns, row.since, row.hash, row.extracted, owner)


def still(entry: Entry) -> ColumnElement[bool]:
    """Whether the file of the journal is the one that a step began with, in the same hands.

    Parameters
    ----------
    entry : Entry
        The file as the step knows it.

    Returns
    -------
    ColumnElement
    """
    return and_(
        journal.c.path == entry.name,
        journal.c.stage == entry.stage,
        journal.c.size == entry.size,
        journal.c.mtime_ns == entry.mtime_ns,
        journal.c.owner == entry.owner if entry.owner else journal.c.owner.is_(None),
    )


def advance(connection: Connection, entry: Entry, stage: str, **values: str | int | None) -> bool:
    """Write down that a step is done.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    entry : Entry
        The file as it was before the step.
    stage : str
        How far it is now.
    **values : str, int or None
        Columns that changed besides.

    Returns
    -------
    bool
        False if the file changed meanwhile, or somebody else took it over: what the step did is to be forgotten.
    """
    if stage in FINISHED:
        values = {"owner": None, "lease": None, "extracted": None, **values}
    done = connection.execute(update(journal).where(still(entry)).values(stage=stage, **values))
    return done.rowcount == 1


def take_up(connection: Connection, names: Sequence[str], stage: str) -> int:
    """Take up finished files again.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    names : sequence of str
        Paths as the database spells them.
    stage : str
        From which stage on.

    Returns
    -------
    int
        How many.
    """
    values = {"stage": stage, "error": None, "extracted": None, "owner": None, "lease": None}
    for start in range(0, len(names), _MANY):
        these = journal.c.path.in_(names[start : start + _MANY]) & journal.c.stage.in_(FINISHED)
        connection.execute(update(journal).where(these).values(**values))
    return len(names)
