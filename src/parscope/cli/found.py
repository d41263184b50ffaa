"""What the verb `find` prints, or writes, of the records it found."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parscope.catalog.people.hints import hints
from parscope.catalog.people.lineage import text_of
from parscope.catalog.people.matches import Selection, records
from parscope.catalog.people.saved import load, save
from parscope.catalog.people.tree import leaf, printable
from parscope.catalog.query.ast import EVERYTHING, And, Exists, Expression, Term
from parscope.catalog.query.spell import spell
from parscope.catalog.query.text import parse
from parscope.catalog.store.documents import portable
from parscope.cli.columns import show
from parscope.core.errors import QueryError

if TYPE_CHECKING:
    from parscope.catalog.store.catalog import Catalog
    from parscope.catalog.store.records import Record

_ROWS, _VALUES = 50, 20
_MOMENT = re.compile(r"(\S{10})T([0-9:]{8})[.,]?[0-9]*(.*)")  # day, time to the second, and what zone it is of


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


def term(path: str) -> Term:
    """Read a path, or an aspect of one, as queries have it.

    Parameters
    ----------
    path : str
        As it was typed.

    Returns
    -------
    Term

    Raises
    ------
    QueryError
        If it is none.
    """
    found = parse(f"{path} exists")
    if not isinstance(found, Exists):
        raise QueryError("is no path", path, "write it as beam.voltage")
    return found.term


def order(path: str | None) -> Term | str | None:
    """Read what records are sorted by.

    Parameters
    ----------
    path : str or None
        A path; ``changed`` is when they last changed.

    Returns
    -------
    Term, str or None

    Raises
    ------
    QueryError
        If it is none.
    """
    return path if path in (None, "changed") else term(path)


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
    rows = (
        (_typed(one.path), str(one.records), ", ".join(one.types), ", ".join(one.units)) for one in catalog.paths(like)
    )
    show(("path", "records", "types", "units"), rows, right=("records",))


def _table(catalog: Catalog, selection: Selection, _: Any) -> None:
    """A page for a person; what comes after it is said on standard error."""
    limit = selection.limit or _ROWS
    page = catalog.find(
        selection.query, order=selection.order, newest=selection.newest, limit=limit, cursor=selection.cursor
    )
    show(("id", "acquired", "kind", "name"), map(_row, page.records))
    if page.total == 0:
        _explain(catalog, selection)
    if page.cursor is not None:
        _say(f"{page.total} records match; go on with --cursor {page.cursor}")


def _row(record: Record) -> list[str]:
    """Cells of one record."""
    document = record.document
    acquired = _MOMENT.sub(r"\1 \2\3", text_of(document.get("acquired"))).replace("+00:00", "Z")
    cells = [record.uid[:8], acquired, text_of(document.get("kind")), text_of(document.get("name"))]
    return [printable(cell) for cell in cells]


def _ids(catalog: Catalog, selection: Selection, _: Any) -> None:
    """Uids, one a line."""
    for record in records(catalog, selection):
        print(record.uid)


def _json(catalog: Catalog, selection: Selection, _: Any) -> None:
    """One JSON object a line."""
    for record in records(catalog, selection):
        own = {"uid": record.uid, "number": record.number, "error": record.error}
        print(json.dumps(own | {"document": portable(record.document)}, allow_nan=False))


def _count(catalog: Catalog, selection: Selection, _: Any) -> None:
    """How many there are."""
    number = catalog.count(selection.query)
    print(number)
    if number == 0:
        _explain(catalog, selection)


def _explain(catalog: Catalog, selection: Selection) -> None:
    """Say why nothing may have been found, as far as that is known."""
    for line in hints(catalog, selection.query):
        _say(line)


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
        _say(f"{file}: is not where it was, and so not in the crate")


def _facet(catalog: Catalog, selection: Selection, path: str) -> None:
    """Values of a path, and how often; where there are more numbers than are listed, how they are spread."""
    found = catalog.facet(term(path), selection.query, selection.limit or _VALUES)
    unit = found.histogram.unit if found.histogram is not None else ""
    rows = [(leaf(one.value) or "", str(one.records)) for one in found.values]
    show((f"{path} [{unit}]" if unit else path, "records"), rows, right=("records",))
    if found.distinct == len(found.values):
        return
    if found.histogram is not None:
        bins = zip(pairwise(found.histogram.edges), found.histogram.counts, strict=True)
        print()
        spread = [(f"{low:g}", f"{high:g}", str(number)) for (low, high), number in bins]
        show(("from", "to", "values"), spread, right=("from", "to", "values"))
    _say(f"{found.distinct} different values; --limit lists more")


def _typed(keys: tuple[str, ...]) -> str:
    """A path as it may be typed in a query."""
    return spell(Exists(Term(keys))).removesuffix(" exists")


def _say(line: str) -> None:
    """Tell a person, and not the program that reads the output."""
    print(line, file=sys.stderr)


FORMS: dict[str, Callable[[Catalog, Selection, Any], None]] = {
    "": _table,
    "--ids": _ids,
    "--json": _json,
    "--count": _count,
    "--facet": _facet,
    "--parquet": _parquet,
    "--crate": _crate,
}
"""What is done with a selection, by the option that asks for it."""
