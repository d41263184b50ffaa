"""Which folder a path is: two machines may each have a `/data` of their own, and their files must not be mixed up."""

from __future__ import annotations

import socket
from pathlib import Path

from sqlalchemy import Connection, delete, insert, select

from parscope.catalog.collect.names import to_path, to_text
from parscope.catalog.store.clock import now
from parscope.catalog.store.tables import root
from parscope.core.errors import InputError

_FORGOTTEN = 86_400_000_000  # µs after which a collector that was not heard of has no say any more


def enter(connection: Connection, folder: Path, host: str | None = None) -> None:
    """Say that this machine collects a folder, unless another machine collects another one under the same path.

    A folder that both share over the network has the same number of its file system on both.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    folder : Path
        The folder that is collected, resolved.
    host : str, optional
        Name of this machine.

    Raises
    ------
    InputError
        If another machine does.
    """
    own = host or socket.gethostname()
    others = select(root).where(root.c.host != own, root.c.seen > now() - _FORGOTTEN)
    for row in connection.execute(others):
        theirs = to_path(row.path)
        nested = folder.is_relative_to(theirs) or theirs.is_relative_to(folder)
        if nested and _number(theirs) != row.number:
            raise InputError(
                f"is another folder than {theirs} of {row.host}, which is in this catalog already",
                str(folder),
                "give each machine a path of its own, or a catalog of its own",
            )
    name = to_text(folder)
    connection.execute(delete(root).where(root.c.path == name, root.c.host == own))
    connection.execute(insert(root).values(path=name, host=own, number=_number(folder), seen=now()))


def _number(folder: Path) -> int:
    """By which the file system knows a folder; -1 if it is not there."""
    try:
        return folder.stat().st_ino
    except OSError:
        return -1
