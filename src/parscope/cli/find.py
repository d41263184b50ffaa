"""The verb `find`: records of the catalog by any of their metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from parscope.cli.catalog_option import CatalogOption, open_catalog
from parscope.core.errors import OptionError

app = typer.Typer(add_completion=False)
_AS, _KEPT, _ABOUT = "How the records are given", "Saved queries", "Instead of records"


@app.command()
def find(  # noqa: PLR0913 - one argument an option, as typer wants it
    query: Annotated[
        str | None, typer.Argument(help='Such as: mode = "HAADF" and beam.voltage >= 200 kV [all].')
    ] = None,
    catalog: CatalogOption = None,
    order: Annotated[str | None, typer.Option(help="Path whose value orders the records [when they came].")] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="Oldest, or smallest, first.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="How many at most [50 in a table, else all].")] = None,
    cursor: Annotated[str | None, typer.Option(help="Go on where the last page ended, which named it.")] = None,
    ids: Annotated[bool, typer.Option("--ids", help="Their uids, for a pipe.", rich_help_panel=_AS)] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document a line.", rich_help_panel=_AS)] = False,
    parquet: Annotated[
        Path | None, typer.Option(help="File to make, for pandas and DuckDB.", rich_help_panel=_AS)
    ] = None,
    crate: Annotated[
        Path | None, typer.Option(help="Folder to make: an RO-Crate with their files.", rich_help_panel=_AS)
    ] = None,
    count: Annotated[bool, typer.Option("--count", help="How many there are.", rich_help_panel=_ABOUT)] = False,
    facet: Annotated[
        str | None, typer.Option(metavar="PATH", help="Values of a path, and how often.", rich_help_panel=_ABOUT)
    ] = None,
    paths: Annotated[
        bool, typer.Option("--paths", help="Which paths exist; QUERY is a pattern: '%voltage'.", rich_help_panel=_ABOUT)
    ] = False,
    save: Annotated[
        str | None, typer.Option(metavar="NAME", help="Keep the query under a name.", rich_help_panel=_KEPT)
    ] = None,
    subscribe: Annotated[
        bool,
        typer.Option("--subscribe", help="With --save: new matches wait for parscope saved.", rich_help_panel=_KEPT),
    ] = False,
    webhook: Annotated[
        str | None, typer.Option(metavar="URL", help="With --save: new matches are told there.", rich_help_panel=_KEPT)
    ] = None,
    saved: Annotated[
        str | None, typer.Option(metavar="NAME", help="Use the query of this name.", rich_help_panel=_KEPT)
    ] = None,
) -> None:
    """Find records of the catalog by any of their metadata."""
    given = {
        "--ids": ids,
        "--json": as_json,
        "--parquet": parquet,
        "--crate": crate,
        "--count": count,
        "--facet": facet,
    }
    given = {name: value for name, value in (given | {"--paths": paths, "--save": save}).items() if value}
    if len(given) > 1:
        raise OptionError("only one of them at a time", ", ".join(given))
    if (subscribe or webhook) and not save:
        raise OptionError("only with --save NAME", "--webhook" if webhook else "--subscribe")
    with open_catalog(catalog) as opened:
        from parscope.catalog.people.matches import Selection
        from parscope.cli import found

        if paths:
            found.show_paths(opened, query)
            return
        expression = found.expression(opened, query, saved)
        if save:
            found.keep(opened, save, expression, webhook or ("" if subscribe else None))
            return
        form, value = next(iter(given.items()), ("", None))
        found.FORMS[form](opened, Selection(expression, found.order(order), not reverse, limit, cursor), value)
