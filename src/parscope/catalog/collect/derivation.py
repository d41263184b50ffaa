"""Results of parscope name the fingerprint of their source: that ties their records, whichever is collected first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, and_, select

from parscope.catalog.collect.rows import tie
from parscope.catalog.store import keys
from parscope.catalog.store.documents import decode
from parscope.catalog.store.tables import file, path, record, value

DERIVED_FROM = "derived from"
_FINGERPRINT = "source_fingerprint"
_DEEPEST = 4


def tie_derivation(connection: Connection, number: int, document: Mapping[str, Any], fingerprint: str) -> None:
    """Tie a record to the one it was made from, and to those that were made from it.

    Parameters
    ----------
    connection : Connection
        In a write transaction.
    number : int
        The record.
    document : mapping
        What it says.
    fingerprint : str
        Of its file.
    """
    origin = _origin(document, _DEEPEST)
    if origin is not None:
        same = select(file.c.record).where(file.c.fingerprint == origin[_FINGERPRINT]).distinct()
        for source in connection.scalars(same).all():
            _tie(connection, int(source), number, origin)
    for result, told in _results(connection, fingerprint):
        _tie(connection, number, result, told)


def _tie(connection: Connection, source: int, result: int, origin: Mapping[str, Any]) -> None:
    program = f"parscope {origin.get('parscope_version', '')}".strip()
    tie(connection, DERIVED_FROM, (source, result), program, _settings(origin.get("settings")))


def _settings(told: Any) -> dict[str, Any]:
    """Parameters as the result has them; a file may say anything."""
    try:
        settings = json.loads(told) if isinstance(told, str) else told
    except ValueError:
        settings = told
    if isinstance(settings, Mapping):
        return dict(settings)
    return {} if settings is None else {"settings": settings}


def _origin(tree: Mapping[str, Any], depth: int) -> Mapping[str, Any] | None:
    """Attributes of a result of parscope, wherever its reader puts them."""
    if isinstance(tree.get(_FINGERPRINT), str) and tree[_FINGERPRINT]:
        return tree
    inner = (child for child in tree.values() if isinstance(child, Mapping)) if depth else ()
    return next((found for child in inner if (found := _origin(child, depth - 1)) is not None), None)


def _results(connection: Connection, fingerprint: str) -> list[tuple[int, Mapping[str, Any]]]:
    """Records that name a fingerprint as that of their source."""
    kind, key = keys.typed(fingerprint)
    told = and_(value.c.type == kind, value.c.key == key, path.c.leaf == json.dumps(_FINGERPRINT))
    found = select(record.c.id, record.c.document).where(
        record.c.id.in_(select(value.c.record).join(path, path.c.id == value.c.path).where(told))
    )
    rows = [(int(row.id), _origin(decode(row.document), _DEEPEST)) for row in connection.execute(found)]
    return [(number, origin) for number, origin in rows if origin is not None and origin[_FINGERPRINT] == fingerprint]
