"""Collects a folder: sweeps it, waits until files settle, and takes one after the other into the catalog."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection

from parscope.catalog.collect import claims, journal
from parscope.catalog.collect.extract import Extractor
from parscope.catalog.collect.journal import SETTLED, Entry
from parscope.catalog.collect.names import files_of_database, is_temporary, to_path, to_text
from parscope.catalog.collect.owner import new_owner
from parscope.catalog.collect.retry import retry, unreadable_before
from parscope.catalog.collect.roots import enter
from parscope.catalog.collect.status import count
from parscope.catalog.collect.steps import carry_out
from parscope.catalog.collect.sweep import (
    Found,
    PassedOver,
    examine,
    is_away,
    is_data_set,
    is_gone,
    is_lost,
    place_of,
    sweep,
)
from parscope.catalog.collect.watch import Watch
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.clock import now
from parscope.core.errors import CatalogError, InputError, ParscopeError

SETTLE = 3.0
"""How long size and time of a file must rest until it counts as finished, in s."""

_AWAY = "is empty, though the catalog has files of it; none of them is marked missing"
_ADVICE = "see that its disk is mounted"
_SWEEP = 60.0
_SHARE = 10
_BATCH = 500
_MANY = 200
_AT_ONCE = 8
_BREATH = 0.2
_PAUSE, _LONGEST_PAUSE = 0.5, 60.0
_COUNTING = 20
_CALM = 2.0


@dataclass
class Collector:
    """Takes what an instrument saves in a folder into a catalog.

    Any number of them may work on one folder, on one machine or several: they share the files.

    Parameters
    ----------
    catalog : Catalog
        Where records go.
    folder : Path
        What is collected, with all folders in it.
    settle : float, default 3.0
        How long size and time of a file must rest until it counts as finished [s].
    tell : callable, optional
        Told how many files are done, and how many there are.
    say : callable, optional
        Told in one line what somebody should look after: that the folder is away.
    only : str, optional
        Beginning of the names of the files that are taken; others are left for later. Default: all are.

    Raises
    ------
    InputError
        If there is no such folder, or it is a data set itself.
    """

    catalog: Catalog
    folder: Path
    settle: float = SETTLE
    tell: Callable[[int, int], None] = lambda done, total: None
    say: Callable[[str], None] = lambda line: None
    only: str = ""
    passed: PassedOver = field(default_factory=PassedOver, init=False)
    faults: list[Exception] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        """Find the folder, whatever it is called."""
        if not self.folder.is_dir():
            raise InputError("there is no such folder", str(self.folder), "check the path")
        self.folder = self.folder.resolve()
        if is_data_set(self.folder):
            raise InputError("is one data set", str(self.folder), "give the folder in which it lies")
        self._but = files_of_database(self.catalog.engine.url)
        self._owner = new_owner()
        self._stopped = threading.Event()
        self._due = self._tell_at = 0.0
        self._pause = _PAUSE
        self._away = False

    def stop(self) -> None:
        """Let the file at hand be finished, and then end `run`; may be called by a signal."""
        self._stopped.set()

    def retry(self) -> int:
        """Have files read again that could not be read, or that another version of their reader read.

        Returns
        -------
        int
            How many.
        """
        with self.catalog.writing() as connection:
            return retry(connection, self.folder)

    def run(self, *, once: bool = False) -> None:
        """Collect until stopped.

        Parameters
        ----------
        once : bool, default False
            End as soon as all files that have settled are in the catalog.

        Raises
        ------
        CatalogError
            If the catalog cannot be written.
        InputError
            If the folder is empty, though the catalog has files of it, and `once` is asked for.
        OSError
            If the folder cannot be listed.
        Exception
            In the end, for a fault of parscope itself; its file is set aside, and all others are in.
        """
        self.faults.clear()
        with Watch(self.folder, active=not once) as watch, Extractor() as extractor, _Heart(self.catalog, self._owner):
            try:
                self.look()
                if once:
                    self._check_there()
                self._due = time.monotonic() + _SWEEP
                settled_by = moved = time.monotonic()
                settled_by += self.settle
                while not self._stopped.is_set():
                    if self._turn(watch, extractor, once=once):
                        moved = time.monotonic()
                    elif once and time.monotonic() > settled_by and not self._queued(time.monotonic() - moved < _CALM):
                        self._check_there()
                        break
                    else:
                        watch.wait(_BREATH)
            finally:
                with self.catalog.writing() as connection:
                    claims.release(connection, self._owner)
        if self.faults:
            self.faults[0].add_note(f"of {len(self.faults)} such faults, whose files are set aside: see --status")
            raise self.faults[0]

    def _check_there(self) -> None:
        """Refuse to end well with a folder of which all files are away."""
        with self.catalog.reading() as connection:
            known = is_away(self.folder) and bool(journal.known_in(connection, self.folder))
        if known:
            raise InputError(_AWAY, str(self.folder), _ADVICE)

    def _turn(self, watch: Watch, extractor: Extractor, *, once: bool) -> bool:
        """Look and work once; whoever watches for years outlives a database that is away for a while."""
        try:
            self._look_again(watch.take())
            moved = self._work(extractor)
        except CatalogError as error:
            if once:
                raise
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            self.say(f"{error}; trying again in {self._pause:.0f} s")
            self._due = 0.0  # what changed meanwhile was taken from the watch already
            self._stopped.wait(self._pause)
            return False
        self._pause = _PAUSE
        return moved

    def look(self, start: Path | None = None) -> None:
        """Note what lies in the folder, and what does not any more.

        Parameters
        ----------
        start : Path, optional
            A folder in it, if only that is to be looked at.

        Raises
        ------
        OSError
            If it cannot be listed.
        """
        folder = self.folder if start is None else start
        passed = PassedOver()
        if start is None and not is_away(self.folder):
            with self.catalog.writing() as connection:
                enter(connection, self.folder)
        with self.catalog.reading() as connection:
            expected = journal.known_in(connection, folder)
        expected -= self._see(sweep(self.folder, folder, but=self._but, passed=passed))
        if self._stopped.is_set():
            return  # in the middle of the list: what was not come to is not gone
        self._lose(to_path(name) for name in expected)
        if start is None:
            self.passed = passed
            with self.catalog.reading() as connection:
                readable = unreadable_before(connection, self.folder)
            if readable:
                with self.catalog.writing() as connection:
                    journal.take_up(connection, readable, SETTLED)

    def _look_again(self, changed: set[Path]) -> None:
        """Sweep when it is time to; until then, look where something changed."""
        began = time.monotonic()
        if began >= self._due or len(changed) > _MANY:
            try:
                self.look()
            except OSError:  # a share that is away for a while; what was in it is not taken for lost
                self.passed.unreadable.append(self.folder)
            self._due = time.monotonic() + max(_SWEEP, _SHARE * (time.monotonic() - began))
            return
        for folder, deep in {place for path in changed if (place := place_of(path, self.folder))}:
            with contextlib.suppress(OSError):
                self.look(folder) if deep else self._see(sweep(self.folder, folder, deep=False, but=self._but))
        gone = {path for path in changed if not path.exists() and not is_temporary(path.name)}
        with self.catalog.reading() as connection:
            files = {path for path in gone if journal.is_known(connection, path)}
            inside = [path for folder in gone - files for path in journal.known_in(connection, folder)]
        self._lose([*files, *map(to_path, inside)])

    def _see(self, found: Iterator[Found]) -> set[str]:
        """Note files; return their names."""
        names: set[str] = set()
        found = (one for one in found if one.path.name.startswith(self.only))
        while (batch := list(islice(found, _BATCH))) and not self._stopped.is_set():
            names |= {to_text(one.path) for one in batch}
            with self.catalog.reading() as connection:
                news = journal.news(connection, batch)
            if news:
                with self.catalog.writing() as connection:
                    journal.see(connection, self.folder, news)
        return names

    def _lose(self, paths: Iterable[Path]) -> None:
        """Note which of these files are gone, and those in folders that are gone, but for a folder that is away."""
        gone = [to_text(path) for path in paths if is_gone(path)]
        away, self._away = self._away, bool(gone) and is_away(self.folder)
        if self._away and not away:
            self.say(f"{self.folder}: {_AWAY}; {_ADVICE}")
        elif gone and not self._away:
            for start in range(0, len(gone), _BATCH):  # others want to write, too
                with self.catalog.writing() as connection:
                    journal.lose(connection, gone[start : start + _BATCH])

    def _work(self, extractor: Extractor) -> bool:
        """Let files settle, and take some of them into the catalog; whether there was any."""
        with self.catalog.reading() as connection:
            due = journal.resting(connection, self.folder, now() - round(self.settle * 1e6))
            busy = bool(due) or claims.is_free(connection, self.folder)
        if not busy:
            return False
        found = [examine(entry.path) for entry in due]
        with self.catalog.writing() as connection:
            self._settle(connection, due, found)
            claimed = claims.claim(connection, self.folder, self._owner, _AT_ONCE)
        moved = False
        for entry in claimed:
            if self._stopped.is_set():
                break
            try:
                moved |= carry_out(self.catalog, extractor, entry)
            except ParscopeError:
                raise
            except Exception as fault:  # noqa: BLE001 - raised when all other files are in, see `run`
                self.faults.append(fault)
                moved = True
            self._tell()
        return moved

    def _queued(self, patient: bool) -> bool:
        """Whether a file that has settled is not in the catalog; if patient, also one that waits for another file."""
        with self.catalog.reading() as connection:
            due = journal.resting(connection, self.folder, now() - round(self.settle * 1e6))
            return bool(due) or claims.is_left(connection, self.folder, patient=patient)

    def _settle(self, connection: Connection, due: list[Entry], found: list[Found | None]) -> None:
        """Let on what rests; what changed meanwhile begins anew."""
        for entry, one in zip(due, found, strict=True):
            if one is None and not is_lost(entry.path, self.folder):
                journal.wait_again(connection, entry)
            elif one is None:
                journal.lose(connection, [entry.name])
            elif (one.size, one.mtime_ns) == (entry.size, entry.mtime_ns):
                journal.advance(connection, entry, SETTLED)
            else:
                journal.see(connection, self.folder, [one])

    def _tell(self) -> None:
        began = time.monotonic()
        if began > self._tell_at:
            with self.catalog.reading() as connection:
                counts = count(connection, self.folder)
            self.tell(counts.total - counts.queued, counts.total)
            # a million rows are counted in a second, which must stay a small part of the time
            self._tell_at = time.monotonic() + max(_BREATH, _COUNTING * (time.monotonic() - began))


class _Heart:
    """Tells other collectors now and then that this one lives; use it as a context manager."""

    def __init__(self, catalog: Catalog, owner: str) -> None:
        self._catalog, self._owner = catalog, owner
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._ended.wait(claims.LEASE / 3e6):
            # if others keep the catalog busy for a minute, the next beat may come through
            with contextlib.suppress(CatalogError), self._catalog.writing() as connection:
                claims.renew(connection, self._owner)
