"""Questions that people keep under a name, and subscribe to."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, delete, insert, select

from parscope.catalog.people.names import checked, login
from parscope.catalog.query.ast import Expression
from parscope.catalog.query.wire import dumps, loads
from parscope.catalog.store import tables
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.clock import now
from parscope.catalog.store.plan import matching
from parscope.catalog.store.texts import spellings
from parscope.core.errors import InputError
from parscope.io import webhooks


@dataclass(frozen=True)
class Saved:
    """A question that somebody keeps.

    Parameters
    ----------
    name : str
        What it is called.
    expression : Expression
        The question.
    webhook : str or None
        Where new matches are told; empty if they wait for a program that asks, None if nobody subscribed.
    who : str
        Who keeps it.
    created : int
        Since when, microseconds since 1970, UTC.
    """

    name: str
    expression: Expression
    webhook: str | None
    who: str
    created: int


def save(catalog: Catalog, name: str, expression: Expression, webhook: str | None = None, who: str = "") -> None:
    """Keep a question under a name; one that is kept under it already is replaced.

    Parameters
    ----------
    catalog : Catalog
        Where it is kept.
    name : str
        What it is called.
    expression : Expression
        The question.
    webhook : str, optional
        Subscribe to records that match it from now on: where to tell (HTTP POST), or empty if a program asks for them,
        by `deliver`.
    who : str, default the login name
        Who keeps it.

    Raises
    ------
    InputError
        If the name cannot be used.
    OptionError
        If the webhook is not on the list of hosts.
    QueryError
        If the question cannot be answered: a unit or a pattern in it is none.
    """
    name = checked(name, "saved query")
    if webhook:
        webhooks.check(webhook)
    row = {"name": name, "expression": dumps(expression), "webhook": webhook, "who": who or login()}
    with catalog.writing() as connection:
        matching(connection, expression, [])  # what cannot be answered would hold up every record to come
        same = (tables.saved.c.name == name) & (tables.saved.c.expression == row["expression"])
        if connection.execute(select(tables.saved.c.name).where(same)).first() is None:
            connection.execute(delete(tables.notice).where(tables.notice.c.saved == name))  # of another question
        connection.execute(delete(tables.saved).where(tables.saved.c.name == name))
        connection.execute(insert(tables.saved).values(row | {"created": now()}))


def forget(catalog: Catalog, name: str) -> None:
    """Drop a question that was kept, and what waits to be told of it.

    Parameters
    ----------
    catalog : Catalog
        Where it is kept.
    name : str
        What it is called.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    with catalog.writing() as connection:
        gone = connection.execute(delete(tables.saved).where(tables.saved.c.name.in_(spellings(name))))
        if not gone.rowcount:
            raise _unknown(connection, name)
        waiting = tables.notice.c.saved.in_(spellings(name)) & tables.notice.c.delivered.is_(None)
        connection.execute(delete(tables.notice).where(waiting))


def load(connection: Connection, name: str) -> Saved:
    """Find the question of a name.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    name : str
        What it is called.

    Returns
    -------
    Saved

    Raises
    ------
    InputError
        If there is none of this name; those that are there are named.
    """
    row = connection.execute(select(tables.saved).where(tables.saved.c.name.in_(spellings(name)))).mappings().first()
    if row is None:
        raise _unknown(connection, name)
    return _saved(row)


def everything(connection: Connection) -> list[Saved]:
    """All questions that are kept, by name.

    Parameters
    ----------
    connection : Connection
        To the catalog.

    Returns
    -------
    list of Saved
    """
    rows = connection.execute(select(tables.saved).order_by(tables.saved.c.name)).mappings()
    return [_saved(row) for row in rows]


def subscribed(connection: Connection) -> list[Saved]:
    """Questions whose new matches somebody wants to be told.

    Parameters
    ----------
    connection : Connection
        To the catalog.

    Returns
    -------
    list of Saved
    """
    rows = connection.execute(select(tables.saved).where(tables.saved.c.webhook.is_not(None))).mappings()
    return [_saved(row) for row in rows]


def _saved(row: RowMapping) -> Saved:
    """A question as its row has it."""
    return Saved(**(dict(row) | {"expression": loads(row["expression"])}))


def _unknown(connection: Connection, name: str) -> InputError:
    """What is said of a name that is none."""
    kept = connection.execute(select(tables.saved.c.name).order_by(tables.saved.c.name)).scalars().all()
    advice = f"there are {', '.join(kept)}" if kept else "keep one with parscope find --save NAME QUERY"
    return InputError("there is no saved query of this name", name, advice)
