"""The verb `collect`: what instruments save in a folder goes into a catalog."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from parscope.cli.catalog_option import CatalogOption, open_catalog
from parscope.cli.errors import say
from parscope.cli.progress import progress_bar
from parscope.core.errors import InputError, OptionError

if TYPE_CHECKING:
    from parscope.catalog.collect.collector import Collector
    from parscope.catalog.store.catalog import Catalog

app = typer.Typer(add_completion=False)


@app.command()
def collect(  # noqa: PLR0913 - one argument an option, as typer wants it
    folder: Annotated[Path | None, typer.Argument(help="Where instruments save; with all folders in it.")] = None,
    catalog: CatalogOption = None,
    once: Annotated[bool, typer.Option("--once", help="Stop when all that lies there is in.")] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Read again what could not be read, or was read by another version.")
    ] = False,
    settle: Annotated[
        float, typer.Option(min=0, help="Seconds that a file must rest until it counts as finished.")
    ] = 3.0,
    status: Annotated[
        bool, typer.Option("--status", help="Only tell what is queued, done and could not be read.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON at the end.")] = False,
) -> None:
    """Collect every file that appears in a folder, until Ctrl-C, with all of its metadata.

    A file that no reader can read is kept with the reason. A second collector on the same folder shares the work.
    """
    if folder is None and not status:
        raise OptionError("no folder is given", "FOLDER", "name the folder in which your instruments save")
    with open_catalog(catalog, make=not status) as opened:
        if folder is not None and not status:
            _collect(opened, folder, settle, once=once, retry=retry)
        _tell(opened, folder, as_json)


def _collect(catalog: Catalog, folder: Path, settle: float, *, once: bool, retry: bool) -> None:
    """Run a collector; a signal lets it finish the file at hand, a second one does not."""
    from parscope.catalog.collect.collector import Collector
    from parscope.catalog.people.deliver import Courier

    with progress_bar("Collecting", "files") as show:
        collector = Collector(catalog, folder, settle, lambda done, total: show("Collecting", done, total), say)
        if retry:
            collector.retry()
        with _stopping(collector) as stopped, Courier(catalog):
            collector.run(once=once)
    _note(collector)
    if once and stopped():
        raise KeyboardInterrupt


@contextmanager
def _stopping(collector: Collector) -> Iterator[Callable[[], bool]]:
    """While the block runs, Ctrl-C and SIGTERM stop the collector kindly; yields whether they came."""
    came: list[int] = []

    def stop(number: int, frame: Any) -> None:
        if came:
            signal.default_int_handler(number, frame)
        came.append(number)
        collector.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _note(collector: Collector) -> None:
    """Say on standard error what was passed over."""
    passed = collector.passed
    console = Console(stderr=True)
    counted = (
        (passed.hidden, "hidden files or folders"),
        (passed.temporary, "unfinished files (.part, .tmp, ~, locks)"),
        (passed.links, "links to files collected where they lie"),
    )
    for number, what in counted:
        if number:
            console.print(f"passed over: {number} {what}", highlight=False)
    for what, paths in (("leads out of the folder", passed.outward), ("cannot be looked at", passed.unreadable)):
        for path in paths:
            console.print(Text(f"passed over: {_shown(path)} {what}"), soft_wrap=True)


def _tell(catalog: Catalog, folder: Path | None, as_json: bool) -> None:
    """Say how far the files are, and which could not be read."""
    from parscope.catalog.collect.status import count, quarantined

    if folder is not None and not folder.is_dir():
        raise InputError("there is no such folder", str(folder), "check the path")
    where = None if folder is None else folder.resolve()
    with catalog.reading() as connection:
        counts, wanting = count(connection, where), quarantined(connection, where)
    numbers = {
        "queued": counts.queued,
        "done": counts.done,
        "quarantined": counts.quarantined,
        "missing": counts.missing,
    }
    if as_json:
        told = [{"path": str(path), "error": error} for path, error in wanting]
        print(json.dumps({**numbers, "errors": told}))
        return
    print(", ".join(f"{number} {what}" for what, number in numbers.items()))
    console = Console()
    if not console.is_terminal:
        for path, error in wanting:
            print(f"{_shown(path)}\t{error}")
    elif wanting:
        table = Table("file", "why it could not be read", box=None, pad_edge=False)
        for path, error in wanting:
            table.add_row(Text(_shown(path)), Text(error))
        console.print(table)


def _shown(path: Path) -> str:
    """Path with signs that every terminal takes."""
    return str(path).encode("utf-8", "backslashreplace").decode()
