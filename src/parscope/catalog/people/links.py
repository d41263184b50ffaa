"""Which record was made from which, by what."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Connection, Select, delete, insert, literal, select

from parscope.catalog.people.retractions import By, retract
from parscope.catalog.store.notices import mark
from parscope.catalog.store.tables import link, record
from parscope.core.errors import InputError

DERIVED = "derived from"


@dataclass(frozen=True)
class Making:
    """How one record was made from another.

    Parameters
    ----------
    program : str
        What made it, with its version: ``parscope 0.1.0``.
    parameters : mapping
        Of the program, as JSON holds them.
    who : str
        Who ran it, or noted it.
    when : int
        When it was noted, microseconds since 1970, UTC.
    """

    program: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    who: str = ""
    when: int = 0


def derive(connection: Connection, target: int, source: int, making: Making, kind: str = DERIVED) -> None:
    """Note that a record was made from another; the same again changes nothing.

    Parameters
    ----------
    connection : Connection
        In a write transaction, so that no other writer closes a circle meanwhile.
    target, source : int
        Numbers of the rows.
    making : Making
        How.
    kind : str, default "derived from"
        Of the link.

    Raises
    ------
    InputError
        If the source is the record itself or was made from it, if another making is noted, or if JSON does not hold the
        parameters.
    """
    parameters = _as_json(making.parameters)
    there = (link.c.target == target) & (link.c.source == source) & (link.c.kind == kind)
    noted = connection.execute(select(link.c.program, link.c.parameters).where(there)).first()
    if noted is not None:
        if (making.program, parameters) not in {("", "{}"), tuple(noted)}:
            raise InputError(f"another making is noted: {noted.program} {noted.parameters}", kind, "take it back first")
        return
    if source == target or descends(connection, source, target):
        raise InputError("a record cannot be derived from itself, not even through others", kind)
    row = {"source": source, "target": target, "kind": kind, "program": making.program, "parameters": parameters}
    connection.execute(insert(link).values(row | {"who": making.who, "created": making.when}))
    tied(connection, source, target)


def tied(connection: Connection, source: int, target: int) -> None:
    """Have all records looked at for which a new link makes a difference.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    source, target : int
        Ends of the link, as numbers of the rows.
    """
    mark(connection, connection.scalars(reached(source, link.c.target, link.c.source)))
    mark(connection, connection.scalars(reached(target, link.c.source, link.c.target)))


def descends(connection: Connection, record: int, ancestor: int) -> bool:
    """Whether a record was made from another, directly or through others.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    record, ancestor : int
        Numbers of the rows.

    Returns
    -------
    bool
    """
    above = reached(record, link.c.target, link.c.source)
    made = select(link.c.source).where(link.c.target.in_(above), link.c.source == ancestor)
    return connection.execute(made).first() is not None


def reached(record: int, here: Column[int], there: Column[int]) -> Select[int]:
    """Select a record and all to which links lead from it.

    Parameters
    ----------
    record : int
        Number of the row.
    here, there : Column
        Of the link: the end to leave from, and the one to go to.

    Returns
    -------
    Select
        Of numbers of rows.
    """
    found = select(literal(record, here.type).label("id")).cte("reached", recursive=True)
    found = found.union(select(there).where(here == found.c.id))
    return select(found.c.id)


def part(connection: Connection, target: int, source: int, by: By) -> bool:
    """Take back that a record was derived from another; that it was said stays in its history.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    target, source : int
        Numbers of the rows.
    by : By
        Who takes it back.

    Returns
    -------
    bool
        Whether that was noted.
    """
    uid = connection.execute(select(record.c.uid).where(record.c.id == source)).scalar_one()
    ours = (link.c.target == target) & (link.c.source == source) & (link.c.kind == DERIVED)
    gone = delete(link).where(ours).returning(link.c.program, link.c.parameters, link.c.who, link.c.created)
    said = connection.execute(gone).mappings().first()
    told = said and {**said, "parameters": json.loads(said["parameters"])}
    return retract(connection, target, (DERIVED, uid), told, by)


def _as_json(parameters: Mapping[str, Any]) -> str:
    """Parameters as they are kept."""
    try:
        return json.dumps(dict(parameters))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"cannot be kept as JSON: {error}", "parameters") from None
