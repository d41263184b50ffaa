"""What stands in a catalog, table by table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Table, select

from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.tables import file


def rows(catalog: Catalog, table: Table, *columns: str) -> list[Any]:
    """Rows of a table in a steady order; with one column its values."""
    chosen = [table.c[name] for name in columns] or list(table.c)
    with catalog.reading() as connection:
        found = connection.execute(select(*chosen).order_by(*table.primary_key.columns)).all()
    return [row[0] if len(columns) == 1 else tuple(row) for row in found]


def places(catalog: Catalog) -> dict[str, tuple[int, bool]]:
    """Of each file: its record, and whether it is there."""
    return {Path(path).name: (of, there) for path, of, there in rows(catalog, file, "path", "record", "present")}
