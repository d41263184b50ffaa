"""What is queued, done, set aside and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, func, select, true

from parscope.catalog.collect.journal import COMMITTED, FINISHED, QUARANTINED, under
from parscope.catalog.collect.names import to_path
from parscope.catalog.store.tables import file, journal


@dataclass(frozen=True)
class Counts:
    """How many files are how far.

    Parameters
    ----------
    queued : int
        On their way.
    done : int
        In the catalog, and read.
    quarantined : int
        In the catalog with an error, or not readable at all.
    missing : int
        Once there, and not any more.
    """

    queued: int
    done: int
    quarantined: int
    missing: int

    @property
    def total(self) -> int:
        """All that were seen and are there, [1]."""
        return self.queued + self.done + self.quarantined


def count(connection: Connection, folder: Path | None = None) -> Counts:
    """Count the files of a catalog, or of one folder.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    folder : Path, optional
        Resolved.

    Returns
    -------
    Counts
    """
    here = true() if folder is None else under(journal.c.path, folder)
    grouped = select(journal.c.stage, func.count().label("files")).where(here).group_by(journal.c.stage)
    stages = {row.stage: row.files for row in connection.execute(grouped)}
    lost = true() if folder is None else under(file.c.path, folder)
    missing = connection.scalar(select(func.count()).where(lost, file.c.present.is_(False), file.c.hash != "")) or 0
    queued = sum(number for stage, number in stages.items() if stage not in FINISHED)
    there = select(func.count()).join_from(journal, file, journal.c.path == file.c.path)
    done = connection.scalar(there.where(here, journal.c.stage == COMMITTED, file.c.present)) or 0
    return Counts(queued, done, stages.get(QUARANTINED, 0), missing)


def quarantined(connection: Connection, folder: Path | None = None) -> list[tuple[Path, str]]:
    """List the files that could not be read, and why.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    folder : Path, optional
        Resolved.

    Returns
    -------
    list of tuple
        Path and error.
    """
    here = true() if folder is None else under(journal.c.path, folder)
    rows = select(journal.c.path, journal.c.error).where(here, journal.c.stage == QUARANTINED).order_by(journal.c.path)
    return [(to_path(path), error or "") for path, error in connection.execute(rows)]
