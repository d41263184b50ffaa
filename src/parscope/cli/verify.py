"""The verb `verify`: whether every collected file still is what it was."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from parscope.cli.catalog_option import CatalogOption, open_catalog
from parscope.cli.progress import progress_bar
from parscope.core.errors import OptionError

if TYPE_CHECKING:
    from parscope.catalog.collect.verify import Report

app = typer.Typer(add_completion=False)

FAULTY = 3


@app.command()
def verify(
    catalog: CatalogOption = None,
    rate: Annotated[
        float | None, typer.Option(help="Read at most so many MB/s, to leave the disk to others \\[no limit].")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the last run was stopped, if it was.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read every collected file again, and tell which are damaged, changed or missing.

    Damaged: size and time are the same, the content is not. Changed: written to since, and not collected yet.
    Leaves with 0 if all files are whole, and with 3 if any is not.
    """
    from parscope.catalog.collect.verify import verify as read_again

    if rate is not None and not rate > 0:
        raise OptionError(f"{rate:g} MB/s is no rate", "--rate", "give a number above 0")
    with open_catalog(catalog) as opened, progress_bar("Reading", "files") as show:
        try:
            report = read_again(
                opened,
                rate=None if rate is None else rate * 1e6,
                resume=resume,
                tell=lambda done, total: show("Reading", done, total),
            )
        except KeyboardInterrupt as stop:
            stop.add_note("parscope verify --resume goes on from here")
            raise
    if resume and not report.resumed:
        print("no verification had been stopped: this one read all files", file=sys.stderr)
    if as_json:
        print(json.dumps(_as_json(report)))
    else:
        _print(report)
    if report.faults:
        raise typer.Exit(FAULTY)


def _as_json(report: Report) -> dict[str, Any]:
    faults = [{"path": str(fault.path), "record": fault.record, "fault": fault.fault} for fault in report.faults]
    return {"whole": report.files, "bytes": report.size, "faults": faults}


def _print(report: Report) -> None:
    """One line, and a table of what is wrong; in a pipe, a line each."""
    console = Console()
    print(f"{report.files} files are whole, {len(report.faults)} are not ({report.size / 1e6:.1f} MB read)")
    if not console.is_terminal:
        for fault in report.faults:
            print(f"{fault.fault}\t{fault.record}\t{_shown(fault.path)}")
    elif report.faults:
        table = Table("fault", "record", "file", box=None, pad_edge=False)
        for fault in report.faults:
            table.add_row(fault.fault, fault.record[:8], _shown(fault.path))
        console.print(table)


def _shown(path: Path) -> str:
    """Path with signs that every terminal takes."""
    return str(path).encode("utf-8", "backslashreplace").decode()
