"""Reads every file again and compares it with its hash: what changed unseen, and what is gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import delete, exists, func, insert, select, update

from parscope.catalog.collect.digest import digest
from parscope.catalog.collect.names import to_path
from parscope.catalog.collect.sweep import Found, examine, is_gone
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.clock import now
from parscope.catalog.store.tables import file, record, sighting, verification

_PAGE = 200


@dataclass(frozen=True)
class Fault:
    """A file that is not what the catalog says.

    Parameters
    ----------
    path : Path
        Where it was.
    record : str
        Identity of its record.
    fault : str
        ``damaged``: other content, though size and time are the same; ``changed``: written to since, and not yet
        collected; ``missing``: the content is nowhere any more; ``unreadable``.
    """

    path: Path
    record: str
    fault: str


@dataclass
class Report:
    """What came of a verification.

    Parameters
    ----------
    files : int
        How many were read and found to be whole.
    size : int
        Bytes that were read.
    faults : list of Fault
        The others.
    resumed : bool
        Whether a verification that had been stopped went on.
    """

    files: int = 0
    size: int = 0
    faults: list[Fault] = field(default_factory=list)
    resumed: bool = False


@dataclass(frozen=True)
class Clock:
    """What tells the time, and lets it pass.

    Parameters
    ----------
    now : callable, default that of the machine
        Gives the time [s]; from when on does not matter.
    sleep : callable, default that of the machine
        Waits so long [s].
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep


class _Pace:
    """Waits so that no more than so many bytes a second are read."""

    def __init__(self, rate: float | None, clock: Clock) -> None:
        self.rate, self.clock, self.began, self.size = rate, clock, clock.now(), 0

    def __call__(self, size: int) -> None:
        self.size += size
        if self.rate is not None:
            early = self.began + self.size / self.rate - self.clock.now()
            if early > 0:
                self.clock.sleep(early)


def verify(
    catalog: Catalog,
    *,
    rate: float | None = None,
    resume: bool = False,
    tell: Callable[[int, int], None] = lambda done, total: None,
    clock: Clock = Clock(),
) -> Report:
    """Read all files that should be there.

    Parameters
    ----------
    catalog : Catalog
        Where their hashes are.
    rate : float, optional
        Bytes a second that are read at most [B/s], to leave the disk to others.
    resume : bool, default False
        Go on where the last verification was stopped; files that it found whole are not read again. If it was not
        stopped, a new one begins.
    tell : callable, optional
        Told how many files are done, and how many there are.
    clock : Clock, optional
        By which the rate is kept.

    Returns
    -------
    Report
        Files with faults stay as they are in the catalog; `parscope.catalog.collect.collector` brings it up to date.

    Raises
    ------
    CatalogError
        If the catalog cannot be read.
    """
    mark, resumed = _begin(catalog, resume)
    with catalog.reading() as connection:
        left = select(func.count()).where(file.c.present, file.c.verified.is_distinct_from(mark))
        total = connection.scalar(left) or 0
    report, pace = Report(resumed=resumed), _Pace(rate, clock)
    report.faults += _lost(catalog)
    for number, row in enumerate(_files(catalog, mark), 1):
        fault, content = _fault(catalog, row, pace)
        if fault == "missing" and _has_copy(catalog, row):
            pass  # moved, or one of several copies: the collector will see
        elif fault:
            report.faults.append(Fault(to_path(row.path), row.uid, fault))
        else:
            report.files += 1
            with catalog.writing() as connection:
                same = (file.c.path == row.path, file.c.hash == content)
                connection.execute(update(file).where(*same).values(verified=mark))
        report.size = pace.size
        tell(number, total)
    with catalog.writing() as connection:
        connection.execute(update(verification).where(verification.c.began == mark).values(ended=now()))
    return report


def _begin(catalog: Catalog, resume: bool) -> tuple[int, bool]:
    """When the verification began that is to go on, and whether it is an older one, which was stopped."""
    with catalog.writing() as connection:
        last = connection.scalar(select(verification.c.began).where(verification.c.ended.is_(None))) if resume else None
        if last is not None:
            return last, True
        connection.execute(delete(verification))
        mark = now()
        connection.execute(insert(verification).values(began=mark))
        return mark, False


def _files(catalog: Catalog, mark: int) -> Iterator[Any]:
    """Files that were not found whole in this verification, page by page, so that no transaction lasts long."""
    columns = select(file.c.path, file.c.hash, file.c.size, file.c.mtime_ns, record.c.uid)
    left = columns.join(record).where(file.c.present, file.c.verified.is_distinct_from(mark)).order_by(file.c.path)
    after = ""
    while True:
        with catalog.reading() as connection:
            page = connection.execute(left.where(file.c.path > after).limit(_PAGE)).all()
        if not page:
            return
        yield from page
        after = page[-1].path


def _lost(catalog: Catalog) -> list[Fault]:
    """Places of contents that are nowhere any more, be it that a collector found them gone or written over."""
    other = file.alias()
    copy = exists().where(other.c.hash == sighting.c.hash, other.c.present)
    same = sighting.c.hash == record.c.hash
    gone = select(sighting.c.path, record.c.uid).join(record).where(same, sighting.c.hash != "", ~copy)
    parts = select(file.c.path, record.c.uid).join(record).where(file.c.part, ~file.c.present, file.c.hash != "")
    lone = parts.where(~exists().where(other.c.hash == file.c.hash, other.c.present))
    with catalog.reading() as connection:
        rows = connection.execute(gone.union(lone).order_by("path"))
        return [Fault(to_path(row.path), row.uid, "missing") for row in rows]


def _has_copy(catalog: Catalog, row: Any) -> bool:
    """Whether the content of a file lies in another place, too, where it is read by itself."""
    with catalog.reading() as connection:
        other = select(file.c.path).where(file.c.hash == row.hash, file.c.present, file.c.path != row.path)
        return any(examine(to_path(path)) is not None for path in connection.scalars(other))


def _fault(catalog: Catalog, row: Any, pace: _Pace) -> tuple[str, str]:
    """What is wrong with a file, nothing if it is whole, and its hash; it may be written to while it is read."""
    path = to_path(row.path)
    before = examine(path)
    if before is None:
        return ("missing" if is_gone(path) else "unreadable"), ""
    try:
        content = digest(path, pace)
    except OSError:
        return "unreadable", ""
    after = examine(path)
    with catalog.reading() as connection:  # the row was read with others, hours ago if a rate is kept
        known = select(file.c.hash, file.c.size, file.c.mtime_ns).where(file.c.path == row.path)
        row = connection.execute(known).one_or_none() or row
    if content == row.hash:
        return "", content
    same = before == after == Found(path, row.size, row.mtime_ns)
    return ("damaged" if same else "changed"), content
