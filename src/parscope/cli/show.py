"""The verb `show`: all that the catalog knows of one record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parscope.cli.catalog_option import CatalogOption, open_catalog
from parscope.core.errors import InputError

if TYPE_CHECKING:
    from parscope.catalog.people.lineage import Lineage

app = typer.Typer(add_completion=False)


@app.command()
def show(
    record: Annotated[str, typer.Argument(metavar="ID", help="The record, or how its id begins.")],
    catalog: CatalogOption = None,
    whole: Annotated[bool, typer.Option("--all", help="All values of the vendor too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
    thumbnail: Annotated[Path | None, typer.Option(help="File to write its picture to, PNG.")] = None,
) -> None:
    """Show a record: what its file says, where it is, its versions, what it was made from, what people said."""
    with open_catalog(catalog) as opened, opened.reading() as connection:
        from parscope.catalog.people import card
        from parscope.catalog.people.lineage import lineage
        from parscope.catalog.store.records import resolve

        id_ = resolve(connection, record)
        told = card.card(connection, id_)
        graph = lineage(connection, id_)
        png = card.thumbnail(connection, id_) if thumbnail else None
    if thumbnail:
        _write(thumbnail, png, told["uid"])
    if as_json:
        print(_as_json(told, graph))
        return
    from parscope.catalog.people.tree import printable

    for line in _lines(told, graph, whole):
        print(printable(line))


def _as_json(told: dict[str, Any], graph: Lineage) -> str:
    """All of it, for a program."""
    from parscope.catalog.store.documents import decode, portable

    whole = told | {"document": decode(told["document"]), "lineage": graph.as_json()}
    for part, key in (
        ("versions", "document"),
        ("annotations", "value"),
        ("links", "parameters"),
        ("retractions", "said"),
    ):
        whole[part] = [row | {key: json.loads(row[key])} for row in told[part]]
    return json.dumps(portable(whole), indent=1, allow_nan=False)


def _write(file: Path, png: bytes | None, uid: str) -> None:
    """Write the picture, whole or not at all."""
    from parscope.catalog.people.beside import beside

    if png is None:
        raise InputError("the record has no picture", uid)
    with beside(file) as place:
        place.write_bytes(png)


def _lines(told: dict[str, Any], graph: Lineage, whole: bool) -> Iterator[str]:
    """All of it, for a person; what a terminal would obey is still in it."""
    from parscope.catalog.people.tree import lines

    yield f"{told['uid']}  version {told['number']}, read by {told['reader'] or 'nobody'}"
    yield from lines(json.loads(told["document"]), folded=() if whole else ("vendor",))
    yield from _section("files", _files(told))
    yield from _section("earlier versions", (f"{row['number']}  {_time(row['created'])}" for row in told["versions"]))
    yield from _section("derived from", graph.ancestors())
    yield from _section("made from it", graph.descendants())
    yield from _section("tags", (f"{row['name']}  {_by(row)}" for row in told["tags"]))
    yield from _section("collections", (f"{row['collection']}  {_by(row)}" for row in told["collections"]))
    yield from _section("annotations", _annotations(told))
    yield from _section("taken back", _retractions(told))


def _section(title: str, rows: Iterator[str] | list[str]) -> Iterator[str]:
    """A title with indented lines below; nothing without lines."""
    for number, row in enumerate(rows):
        if number == 0:
            yield ""
            yield title
        yield f"  {row}"


def _files(told: dict[str, Any]) -> Iterator[str]:
    """Where its files are, and whether they are there now."""
    from parscope.catalog.collect.names import to_path
    from parscope.catalog.collect.sweep import is_gone

    for row in told["files"]:
        state = "  missing" if is_gone(to_path(row["path"])) else ""
        yield f"{row['path']}  {row['size']} bytes{'  part' if row['part'] else ''}{state}"


def _annotations(told: dict[str, Any]) -> Iterator[str]:
    """What people said and did not take back."""
    for row in told["annotations"]:
        if row["withdrawn"] is None:
            yield f"{row['key']} = {row['value']}  {_by(row)}"


def _retractions(told: dict[str, Any]) -> Iterator[str]:
    """What people took back."""
    from parscope.catalog.people.links import DERIVED

    for row in told["retractions"]:
        name = row["name"][:8] if row["what"] == DERIVED else row["name"]
        yield f"{row['what']} {name}  {_by(row)}, said {_by(json.loads(row['said']))}"


def _by(row: dict[str, Any]) -> str:
    """Who said so, and when."""
    return f"({row['who']}, {_time(row['created'])})"


def _time(microseconds: int) -> str:
    """A time in ISO 8601, to the minute."""
    return datetime.fromtimestamp(microseconds / 1e6, UTC).strftime("%Y-%m-%dT%H:%MZ")
