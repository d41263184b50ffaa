"""What people say about a record: a key and a value, by whom and when; taken back, never deleted."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, update

from parscope.catalog.people.names import checked
from parscope.catalog.people.retractions import By, retract
from parscope.catalog.store.tables import annotation
from parscope.catalog.store.texts import spellings
from parscope.core.errors import InputError


def annotate(connection: Connection, record: int, key: str, value: Any, by: By) -> None:
    """Say something about a record; what was said under this key before is withdrawn.

    The index is not renewed: `note` does that once for all that is said together.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    record : int
        Number of the row.
    key : str
        Found by queries as ``annotation.KEY``.
    value : object
        Anything that JSON holds; NaN and infinities are kept.
    by : By
        Who says so.

    Raises
    ------
    InputError
        If the key cannot be used, or JSON does not hold the value.
    """
    key = checked(key, "annotation")
    try:
        text = json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"the value cannot be kept as JSON: {error}", f"annotation {key}") from None
    connection.execute(update(annotation).where(_standing(record, key)).values(withdrawn=by[1]))
    row = {"record": record, "key": key, "value": text, "who": by[0], "created": by[1]}
    connection.execute(insert(annotation).values(row))


def withdraw(connection: Connection, record: int, key: str, by: By) -> bool:
    """Take back what was said under a key; it stays in the history of the record.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    record : int
        Number of the row.
    key : str
        As it was given.
    by : By
        Who takes it back.

    Returns
    -------
    bool
        Whether something stood there.
    """
    gone = update(annotation).where(_standing(record, key)).values(withdrawn=by[1])
    told = gone.returning(annotation.c.value, annotation.c.who, annotation.c.created)
    said = connection.execute(told).mappings().first()
    return retract(connection, record, ("annotation", key), said and {**said, "value": json.loads(said["value"])}, by)


def _standing(record: int, key: str) -> ColumnElement[bool]:
    """What was said under a key and not taken back."""
    return (annotation.c.record == record) & (annotation.c.key.in_(spellings(key))) & annotation.c.withdrawn.is_(None)
