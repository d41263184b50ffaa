"""Units of quantities in the index, whose type tells dimensions apart but does not name them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, select

from parscope.catalog.query import units
from parscope.catalog.query.units import Measure
from parscope.catalog.store.documents import decode
from parscope.catalog.store.keys import Type, quantity_type
from parscope.catalog.store.tables import annotation, record, value


def unit_of(connection: Connection, kind: int, path: int | None = None) -> str:
    """SI unit of a type of quantities, read off one that is in a document or an annotation.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    kind : int
        Type of rows in the index.
    path : int, optional
        Number of a path with such rows. Default: any.

    Returns
    -------
    str
        Empty for what is no quantity.
    """
    if kind < Type.QUANTITY:
        return ""
    if kind not in _known:
        rows = value.c.type == kind if path is None else (value.c.path == path) & (value.c.type == kind)
        one = connection.scalar(select(value.c.record).where(rows).limit(1))
        document = connection.scalar(select(record.c.document).where(record.c.id == one))
        noted = select(annotation.c.key, annotation.c.value).where(annotation.c.record == one)
        said = [{row.key: json.loads(row.value)} for row in connection.execute(noted)]
        for found in _measures([decode(document or "{}"), *said]):
            _known[quantity_type(found.dimension)] = found.dimension
    return _known.get(kind, "")


_known: dict[int, str] = {quantity_type("1"): "1"}


def _measures(value: Any, key: str = "") -> Iterator[Measure]:
    """All quantities in a value."""
    found = None
    if isinstance(value, dict):
        found = units.in_mapping(value)
        for name, item in value.items():
            yield from _measures(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _measures(item, key)
    elif isinstance(value, str):
        found = units.in_text(value)
    elif isinstance(value, int | float) and (unit := units.of_key(key)):
        found = units.si(value, unit)
    if found is not None:
        yield found
