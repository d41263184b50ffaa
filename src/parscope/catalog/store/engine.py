"""How a catalog's database is opened, and its two kinds of transactions.

SQLite is asked to begin as it must (the standard library would begin by itself, and late), to keep a write-ahead log,
so that readers never wait, and to wait for its turn to write. In PostgreSQL writers take turns by an advisory lock;
readers see one state of the catalog throughout a transaction in both.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import uniform
from typing import Any, Self

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from parscope.catalog.store.dictionary import Dictionary
from parscope.catalog.store.notices import noticed
from parscope.catalog.store.postgresql import postgresql, take_turn
from parscope.catalog.store.versions import is_current, make_current
from parscope.core.errors import CatalogError

_PATIENCE = 60  # seconds that a writer waits for its turn
_MEMORY = ("cache_size = -65536", "temp_store = MEMORY")
_WRITING = "parscope_writing"


class Database:
    """The database of one catalog; a context manager, and safe to share between threads.

    Parameters
    ----------
    address : str or Path
        A file, which is made if it is not there, or ``postgresql://USER@HOST/NAME``.

    Raises
    ------
    CatalogError
        If it cannot be opened, is no catalog, or one of a newer version; then it is left as it is, byte for byte.
    MissingExtraError
        If it is in PostgreSQL, and the library for that is not installed.
    """

    def __init__(self, address: str | Path) -> None:
        url = _url(address)
        self.name = url.set(drivername="postgresql").render_as_string() if url.host else str(url.database)
        """Its address for people, without a password."""

        self._dictionary = Dictionary()
        with told(self.name):
            current = _looked_at(url, self.name)
            self.engine: Engine = _postgresql(url, self.name) if url.host else _sqlite(url)
            if not current:
                self._make_current()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _make_current(self) -> None:
        try:
            with self.writing() as connection:
                make_current(connection, self.name)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Begin a transaction that reads, and sees one state of the catalog until its end.

        Yields
        ------
        Connection

        Raises
        ------
        CatalogError
            If the database does not answer, or is damaged.
        """
        with told(self.name), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Begin the one transaction that writes, once those before it are over; all of it is kept, or nothing.

        With it is kept which subscriptions have a new match among the records that it changed.

        Yields
        ------
        Connection

        Raises
        ------
        CatalogError
            If another one writes for more than a minute, or the database cannot be written.
        """
        with told(self.name), self.engine.connect() as plain:
            connection = plain.execution_options(**{_WRITING: True})
            with self._dictionary.shared_with(connection), connection.begin(), noticed(connection):
                yield connection

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()


@contextmanager
def told(name: str) -> Iterator[None]:
    """Make one line of what a database complains about.

    Parameters
    ----------
    name : str
        Of the catalog.

    Raises
    ------
    CatalogError
        With the database's own words.
    """
    try:
        yield
    except DBAPIError as error:
        raise CatalogError(_reason(error.orig), name) from error
    except sqlite3.Error as error:
        raise CatalogError(_reason(error), name) from error


def _reason(error: BaseException | None) -> str:
    """What a database says: pg8000 hands on the fields of PostgreSQL's message, M being the text."""
    said = error.args[0] if error is not None and error.args else error
    text = str(said.get("M", said) if isinstance(said, dict) else said)
    told = text.splitlines()[0].partition(" (timeout is ")[0] if text else ""  # what pg8000 was asked to do
    return told or "the database does not answer"


def _url(address: str | Path) -> URL:
    """Address as SQLAlchemy has it; files are absolute."""
    text = str(address)
    if "://" not in text:
        if not text or "\0" in text:
            raise CatalogError("is no address of a catalog", repr(text))
        return URL.create("sqlite", database=str(Path(text).absolute()))
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        url = URL.create("unknown")
    if url.drivername.partition("+")[0] not in ("postgresql", "postgres") or not url.database:
        advice = "name a file, or postgresql://USER@HOST/NAME"
        raise CatalogError("is no address of a catalog", text.partition("@")[2] or text, advice)
    return url.set(drivername="postgresql+pg8000", host=url.host or "localhost")


def _looked_at(url: URL, name: str) -> bool:
    """Whether a catalog is there, of this very version; nothing is changed in finding out."""
    if url.host:
        engine = _postgresql(url, name)
    else:
        path = Path(str(url.database))
        if not _is_sqlite(path):
            return False
        engine = create_engine(_for_reading(path), connect_args={"timeout": _PATIENCE})
    try:
        with engine.connect() as connection:
            return is_current(connection, name)
    finally:
        engine.dispose()


def _is_sqlite(path: Path) -> bool:
    """Whether a file of SQLite is there; an empty one is what is left if its making was interrupted."""
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except FileNotFoundError:
        if path.parent.is_dir():
            return False
        raise CatalogError("there is no such folder", str(path.parent)) from None
    except IsADirectoryError:
        raise CatalogError("is a folder, not a catalog", str(path), "name a file in it") from None
    except OSError as error:
        raise CatalogError(f"cannot be opened: {error.strerror}", str(path)) from error
    if start and start != b"SQLite format 3\0":
        raise CatalogError("is not a catalog; it is left as it is", str(path))
    return bool(start)


def _for_reading(path: Path) -> URL:
    """Address of a file that is only read.

    SQLite reads a write-ahead log with the help of files beside it. In a folder where it can make none there are either
    those of somebody who writes at this time, or there is no log, and nothing to wait for.
    """
    alone = not _may_write_beside(path) and not Path(f"{path}-wal").exists()
    how = {"immutable": "1"} if alone else {"mode": "ro"}
    return URL.create("sqlite", database=path.as_uri(), query={**how, "uri": "true"})


def _may_write_beside(path: Path) -> bool:
    return os.access(path.parent, os.W_OK)


def _sqlite(url: URL) -> Engine:
    path = Path(str(url.database))
    writable = _may_write_beside(path)
    address = url if writable else _for_reading(path)
    engine = create_engine(address, connect_args={"timeout": _PATIENCE}, max_overflow=-1)
    if writable:
        event.listen(engine, "connect", _prepare_sqlite)
    else:
        event.listen(engine, "connect", _prepare_reading)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None  # no BEGIN of its own
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:  # two who make one catalog at once: SQLite does not wait here
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.05)
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON", *_MEMORY):
        connection.execute(f"PRAGMA {pragma}")


def _prepare_reading(connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None
    for pragma in _MEMORY:
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get(_WRITING):
        _take_turn(connection)
    else:
        connection.exec_driver_sql("BEGIN")


def _take_turn(connection: Connection) -> None:
    """Begin to write, asking every few milliseconds: SQLite asks less and less often, so that some wait for ever."""
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA busy_timeout = 0")
    until = time.monotonic() + _PATIENCE
    try:
        while not _begun(driver):
            if time.monotonic() > until:
                what = f"others have been writing for {_PATIENCE} seconds"
                raise CatalogError(what, str(connection.engine.url.database), "try again later")
            time.sleep(uniform(0.002, 0.03))
    finally:
        driver.execute(f"PRAGMA busy_timeout = {_PATIENCE * 1000}")


def _begun(driver: sqlite3.Connection) -> bool:
    """Whether it is this one's turn to write, from now on."""
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        return False
    return True


def _postgresql(url: URL, name: str) -> Engine:
    engine = postgresql(url, name, _PATIENCE)
    event.listen(engine, "begin", lambda connection: _begin_postgresql(connection, name))
    return engine


def _begin_postgresql(connection: Connection, name: str) -> None:
    if connection.get_execution_options().get(_WRITING):
        take_turn(connection, name, _PATIENCE)
    else:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
