"""What people took back of a record: what it was, who had said it, and who took it back, and when."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from sqlalchemy import Connection, insert

from parscope.catalog.store.tables import retraction

By: TypeAlias = tuple[str, int]
"""Who, and when: microseconds since 1970, UTC."""


def retract(connection: Connection, record: int, what: tuple[str, str], said: Mapping[Any, Any] | None, by: By) -> bool:
    """Keep in the history of a record what is taken back.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    record : int
        Number of the row.
    what : tuple of str
        Sort and name of it: ``("tag", "good")``.
    said : mapping or None
        What stood there; None if nothing did, and nothing is kept.
    by : By
        Who takes it back.

    Returns
    -------
    bool
        Whether something stood there.
    """
    if said is None:
        return False
    row = {"record": record, "what": what[0], "name": what[1], "said": json.dumps(dict(said))}
    connection.execute(insert(retraction).values(row | {"who": by[0], "created": by[1]}))
    return True
