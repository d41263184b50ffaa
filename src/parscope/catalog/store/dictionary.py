"""The dictionary of paths: each path that occurs has a number, which stands for it in the index."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from sqlalchemy import Connection, insert, select

from parscope.catalog.store.tables import path

Name: TypeAlias = tuple[str, int]
"""A path as a JSON array of its keys, and the number of an aspect."""

_COLUMNS = (path.c.id, path.c["keys"], path.c.aspect)  # path.c.keys would be a method
_AT_ONCE = 500  # paths that one statement asks for


class Dictionary:
    """Numbers of paths that this process has met; paths never go, so that what is known stays true."""

    def __init__(self) -> None:
        self._known: dict[Name, int] = {}

    @contextmanager
    def shared_with(self, connection: Connection) -> Iterator[None]:
        """Let `numbers` use and extend what is known, while a transaction lasts; to be kept only if that is.

        Parameters
        ----------
        connection : Connection
            About to begin the transaction.

        Yields
        ------
        None
        """
        new: dict[Name, int] = {}
        info = connection.info  # which a connection that breaks does not give out any more
        info["paths"] = (self._known, new)
        try:
            yield
            self._known.update(new)
        finally:
            del info["paths"]


def numbers(connection: Connection, names: Iterable[Name]) -> dict[Name, int]:
    """Numbers of paths, new ones for those that never occurred.

    Parameters
    ----------
    connection : Connection
        In the transaction that writes.
    names : iterable of (str, int)
        Paths as JSON arrays of keys, and aspects.

    Returns
    -------
    dict
        From (path, aspect) to the number.
    """
    known, new = connection.info["paths"]
    wanted = set(names)
    unknown = wanted.difference(known, new)
    if unknown:
        new.update(_read(connection, unknown))
        new.update(_write(connection, unknown.difference(new)))
    return {name: new[name] if name in new else known[name] for name in wanted}


def _read(connection: Connection, names: set[Name]) -> dict[Name, int]:
    found: dict[Name, int] = {}
    wanted = sorted({keys for keys, _ in names})
    for start in range(0, len(wanted), _AT_ONCE):
        some = path.c["keys"].in_(wanted[start : start + _AT_ONCE])
        rows = connection.execute(select(*_COLUMNS).where(some))
        found.update({(keys, aspect): id_ for id_, keys, aspect in rows})
    return found


def _write(connection: Connection, names: set[Name]) -> dict[Name, int]:
    if not names:
        return {}
    rows = [
        {"keys": keys, "aspect": aspect, "leaf": json.dumps(json.loads(keys)[-1] if keys != "[]" else "")}
        for keys, aspect in sorted(names)
    ]
    made = connection.execute(insert(path).returning(*_COLUMNS), rows)
    return {(keys, aspect): id_ for id_, keys, aspect in made}
