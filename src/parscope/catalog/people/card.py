"""All that a catalog has of one record, as rows that JSON holds: what `show` prints and an export carries."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table, select

from parscope.catalog.store import tables

Rows = list[dict[str, Any]]

PARTS = {
    "versions": (tables.version, ("number",)),
    "files": (tables.file, ("path",)),
    "sightings": (tables.sighting, ("path", "first")),
    "annotations": (tables.annotation, ("created", "id")),
    "tags": (tables.tag, ("name",)),
    "collections": (tables.member, ("collection",)),
    "retractions": (tables.retraction, ("created", "id")),
}
"""Lists of a card, where they are from, and their order."""


def card(connection: Connection, record: int) -> dict[str, Any]:
    """Collect all that is known of a record.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    record : int
        Number of the row.

    Returns
    -------
    dict of str
        Columns of the record, its document verbatim as text; the lists of `PARTS`; and `links`, with uids in place of
        row numbers. Times are microseconds since 1970, UTC.
    """
    row = connection.execute(select(tables.record).where(tables.record.c.id == record)).mappings().one()
    told: dict[str, Any] = {key: value for key, value in row.items() if key != "id"}
    for name, (table, order) in PARTS.items():
        told[name] = _rows(connection, table, record, order)
    told["links"] = _links(connection, record)
    return told


def thumbnail(connection: Connection, record: int) -> bytes | None:
    """The small picture of a record.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    record : int
        Number of the row.

    Returns
    -------
    bytes or None
        A PNG file.
    """
    found = select(tables.thumbnail.c.png).where(tables.thumbnail.c.record == record)
    png = connection.execute(found).scalar()
    return None if png is None else bytes(png)


def _rows(connection: Connection, table: Table, record: int, order: tuple[str, ...]) -> Rows:
    """Rows of a record, without the columns that number them here."""
    columns = [column for column in table.c if column.name not in ("record", "id")]
    ordered = select(*columns).where(table.c.record == record).order_by(*(table.c[name] for name in order))
    return [dict(row) for row in connection.execute(ordered).mappings()]


def _links(connection: Connection, record: int) -> Rows:
    """Links to and from a record."""
    link, one, other = tables.link, tables.record.alias("one"), tables.record.alias("other")
    rest = [link.c[name] for name in ("kind", "program", "parameters", "who", "created")]
    found = (
        select(one.c.uid.label("source"), other.c.uid.label("target"), *rest)
        .join_from(link, one, link.c.source == one.c.id)
        .join(other, link.c.target == other.c.id)
        .where((link.c.source == record) | (link.c.target == record))
        .order_by(link.c.created, link.c.source, link.c.target, link.c.kind)
    )
    return [dict(row) for row in connection.execute(found).mappings()]
