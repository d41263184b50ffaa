"""New matches of questions to which somebody subscribed: noted with the record, told after it is committed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, update

from parscope.catalog.people import webhooks
from parscope.catalog.people.saved import Saved, everything
from parscope.catalog.store import tables
from parscope.core.errors import ParscopeError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from parscope.catalog.store.catalog import Catalog


@dataclass(frozen=True)
class Notice:
    """A record that matches a question since its last version.

    Parameters
    ----------
    id : int
        Number of the notice: the same if it is told twice, as after a crash in between.
    saved : str
        Name of the question.
    record : str
        Uid of the record.
    number : int
        Of its version.
    name, kind : str
        As its document has them; empty without.
    created : int
        When it matched, microseconds since 1970, UTC.
    """

    id: int
    saved: str
    record: str
    number: int
    name: str
    kind: str
    created: int


def notice(connection: Connection, record: int, number: int) -> None:
    """Note which questions a record matches that is being committed, once for each of its versions.

    Parameters
    ----------
    connection : Connection
        In the write transaction of the record.
    record : int
        Number of the row.
    number : int
        Of its version.
    """
