"""What the verb `find` prints, or writes, of the records it found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parscope.catalog.people.lineage import text_of
from parscope.catalog.people.matches import Selection, records
from parscope.catalog.people.saved import load, save
from parscope.catalog.people.tree import printable
from parscope.catalog.query.ast import EVERYTHING, And, Expression
from parscope.catalog.query.text import parse
from parscope.cli.columns import show
from parscope.cli.errors import note

if TYPE_CHECKING:
    from parscope.catalog.store.catalog import Catalog
    from parscope.catalog.store.records import Record

_ROWS = 50


def expression(catalog: Catalog, query: str | None, saved: str | None) -> Expression:
    """What is asked: the text, the query kept under a name, or what matches both.

    Parameters
    ----------
    catalog : Catalog
        Where queries are kept.
    query : str or None
        As it was typed.
    saved : str or None
        Name of a saved query.

    Returns
    -------
    Expression

    Raises
    ------
    QueryError
        If the text is no query.
    InputError
        If there is no saved query of this name.
    """
    asked = EVERYTHING if query is None else parse(query)
    if saved is None:
        return asked
    with catalog.reading() as connection:
        kept = load(connection, saved).expression
    return kept if query is None else And((kept, asked))


def keep(catalog: Catalog, name: str, asked: Expression, webhook: str | None) -> None:
    """Keep a query, and say how many records it matches now.

    Parameters
    ----------
    catalog : Catalog
        Where it is kept.
    name : str
        What it is called.
    asked : Expression
        The query.
    webhook : str or None
        As of `parscope.catalog.people.saved.save`.

    Raises
    ------
    ParscopeError
        If the name or the webhook cannot be used.
    """
    number = catalog.count(asked)
    save(catalog, name, asked, webhook)
    print(f"{name}: kept; {number} records match now")


def show_paths(catalog: Catalog, like: str | None) -> None:
    """Print which paths there are.

    Parameters
    ----------
    catalog : Catalog
        Where they are.
    like : str or None
        Pattern of their names.
    """
    rows = ((one.path, str(one.records), ", ".join(one.types), ", ".join(one.units)) for one in catalog.paths(like))
    show(("path", "records", "types", "units"), rows, right=("records",))


def _table(catalog: Catalog, selection: Selection, _: Any) -> None:
    """A page for a person; what comes after it is said on standard error."""
    limit = selection.limit or _ROWS
    page = catalog.find(
        selection.query, order=selection.order, newest=selection.newest, limit=limit, cursor=selection.cursor
    )
    show(("id", "acquired", "kind", "name"), map(_row, page.records))
    if page.cursor is not None:
        note(f"{catalog.count(selection.query)} records match; go on with --cursor {page.cursor}")


def _row(record: Record) -> list[str]:
    """Cells of one record."""
    document = record.document
    acquired = text_of(document.get("acquired"))[:19].replace("T", " ")
    cells = [record.uid[:8], acquired, text_of(document.get("kind")), text_of(document.get("name"))]
    return [printable(cell) for cell in cells]


def _ids(catalog: Catalog, selection: Selection, _: Any) -> None:
    """Uids, one a line."""
    for record in records(catalog, selection):
        print(record.uid)


def _json(catalog: Catalog, selection: Selection, _: Any) -> None:
    """One JSON object a line."""
    for record in records(catalog, selection):
        print(
            json.dumps(
                {"uid": record.uid, "number": record.number, "error": record.error, **{"document": record.document}}
            )
        )


def _count(catalog: Catalog, selection: Selection, _: Any) -> None:
    """How many there are."""
    print(catalog.count(selection.query))


def _parquet(catalog: Catalog, selection: Selection, file: Path) -> None:
    """A Parquet file."""
    from parscope.catalog.people.parquet import write_parquet

    rows = write_parquet(records(catalog, selection), file)
    print(f"{file}: {rows} records")


def _crate(catalog: Catalog, selection: Selection, folder: Path) -> None:
    """An RO-Crate."""
    from parscope.catalog.people.crate import write_crate

    written = write_crate(catalog, (record.uid for record in records(catalog, selection)), folder)
    print(f"{folder}: {written.records} records, {written.files} files")
    for file in written.missing:
        note(f"{file}: is not where it was, and so not in the crate")


def _facet(catalog: Catalog, selection: Selection, path: str) -> None:
    """Values of a path, and how often."""
    raise NotImplementedError


FORMS = {
    "": _table,
    "--ids": _ids,
    "--json": _json,
    "--count": _count,
    "--facet": _facet,
    "--parquet": _parquet,
    "--crate": _crate,
}
"""What is done with a selection, by the option that asks for it."""
