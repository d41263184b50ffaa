"""The verb `unpack`: the records of an RO-Crate come into the catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from parscope.cli.catalog_option import CatalogOption, open_catalog

app = typer.Typer(add_completion=False)


@app.command()
def unpack(
    crate: Annotated[Path, typer.Argument(help="Folder that parscope find --crate made.")],
    catalog: CatalogOption = None,
) -> None:
    """Take the records of an RO-Crate into the catalog, all or none.

    Ids, documents and all that people said stay the same; the catalog names the files in the folder of the crate.
    Damaged files are refused. Records that are there already are not doubled.
    """
    with open_catalog(catalog, make=True) as opened:
        from parscope.catalog.people.crate_read import read_crate

        taken = read_crate(opened, crate)
    print(f"{crate}: {taken.added} records are new, {taken.known} were there")
    if taken.loose:
        print(f"links that lead to records which are not here: {taken.loose}")
