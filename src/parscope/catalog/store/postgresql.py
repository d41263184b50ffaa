"""How PostgreSQL is reached: by the addresses and passwords its own programs take, and never waiting for ever.

A client that is silent within a transaction holds up all writers, be it that its network is gone: the server ends it.
"""

from __future__ import annotations

import logging
import os
import re
import ssl
from getpass import getuser
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from parscope.core.errors import CatalogError, MissingExtraError

_TURN = 0x7061727363  # of writers: any number that others will not take
_IDLE = 300  # seconds that a client may be silent within a transaction
_SILENCE = 600  # seconds without a word of the server after which it is taken to be gone
_NO_LOCK = "55P03"  # what PostgreSQL calls it that a lock was not to be had in time
_ENCRYPTION = {"disable": False, "allow": None, "prefer": None, "require": True}  # as pg8000 has it; None: if it can be
_VERIFIED = {"verify-ca": False, "verify-full": True}  # whether the name in the certificate has to be that of the host
_SECRET = 0o077  # permissions that a file of passwords may not give: PostgreSQL's own programs pass it over, too

_LINE = re.compile(":".join([r"((?:\\.|[^:\\])*)"] * 5))  # of such a file: host, port, database, user, password


def postgresql(url: URL, name: str, patience: float) -> Engine:
    """Prepare to open a database in PostgreSQL.

    Parameters
    ----------
    url : URL
        Its address. Without a user it is ``PGUSER``, or who is logged in; without a password that of ``PGPASSWORD``,
        or of the file ``PGPASSFILE``, by default ``~/.pgpass``.
    name : str
        What errors call it.
    patience : float
        How long a statement waits for others [s].

    Returns
    -------
    Engine

    Raises
    ------
    CatalogError
        If the address has options that are not understood.
    MissingExtraError
        If the library for PostgreSQL is not installed.
    """
    known = url.set(username=url.username or os.environ.get("PGUSER") or _login(name), query={})
    known = known.set(password=url.password or os.environ.get("PGPASSWORD") or _filed(known))
    how = {"ssl_context": _encryption(url, name), "timeout": _SILENCE}
    try:
        engine = create_engine(known, max_overflow=-1, connect_args=how, pool_logging_name="parscope")
    except ModuleNotFoundError:
        raise MissingExtraError("pg8000", "postgres") from None
    pool = type(engine.pool)  # would print a traceback of what is raised as well, when a connection is lost
    logging.getLogger(f"{pool.__module__}.{pool.__qualname__}.parscope").setLevel(logging.CRITICAL)
    limits = {
        "lock_timeout": max(1, round(patience * 1000)),
        "idle_in_transaction_session_timeout": round(_IDLE * 1000),
    }
    event.listen(engine, "connect", lambda connection, _: _limit(connection, limits))
    return engine


def take_turn(connection: Connection, name: str, patience: float) -> None:
    """Wait until it is this transaction's turn to write.

    Parameters
    ----------
    connection : Connection
        In a transaction of PostgreSQL that just began.
    name : str
        What errors call the catalog.
    patience : float
        How long it waits, to tell people [s].

    Raises
    ------
    CatalogError
        If others write for longer.
    """
    try:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_TURN})")
    except DBAPIError as error:
        told = error.orig.args[0] if error.orig is not None and error.orig.args else None
        if not isinstance(told, dict) or told.get("C") != _NO_LOCK:
            raise
        raise CatalogError(f"others have been writing for {patience:g} seconds", name, "try again later") from error


def _login(name: str) -> str:
    try:
        return getuser()
    except (KeyError, OSError, ImportError):  # a number without a name, as in some containers
        raise CatalogError("it is not known as which user", name, "write it as postgresql://USER@HOST/NAME") from None


def _limit(connection: Any, limits: dict[str, int]) -> None:
    """Set how many milliseconds things may take, for as long as a connection lasts."""
    cursor = connection.cursor()
    for setting, milliseconds in limits.items():
        cursor.execute(f"SET {setting} = {milliseconds}")
    connection.commit()
    cursor.close()


def _encryption(url: URL, name: str) -> ssl.SSLContext | bool | None:
    """What the options of an address say of encryption, as pg8000 has it."""
    given = {key: value if isinstance(value, str) else value[-1] for key, value in url.query.items()}
    mode, root = given.pop("sslmode", "prefer"), given.pop("sslrootcert", None)
    for key in given:
        raise CatalogError(f"the option {key!r} is not understood", name, "leave it out; sslmode and sslrootcert are")
    if mode in _ENCRYPTION:
        return _ENCRYPTION[mode]
    if mode not in _VERIFIED:
        raise CatalogError(f"there is no sslmode {mode!r}", name, f"take {', '.join([*_ENCRYPTION, *_VERIFIED])}")
    try:
        context = ssl.create_default_context(cafile=root)
    except OSError as error:
        raise CatalogError(f"the certificates of sslrootcert cannot be read: {error.strerror}", str(root)) from error
    context.check_hostname = _VERIFIED[mode]
    return context


def _filed(url: URL) -> str | None:
    """Find the password of an address in the file in which PostgreSQL's own programs look for it."""
    path = Path(os.environ.get("PGPASSFILE") or Path("~/.pgpass").expanduser())
    try:
        if os.name == "posix" and path.stat().st_mode & _SECRET:
            return None
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    wanted = (str(url.host), str(url.port or 5432), str(url.database), str(url.username))
    for line in lines:
        fields = _LINE.fullmatch(line)
        if fields and all(field in ("*", part) for field, part in zip(fields.groups(), wanted, strict=False)):
            return re.sub(r"\\(.)", r"\1", fields[5])
    return None
