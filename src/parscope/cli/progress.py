"""A progress bar that every verb shares."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress_bar(first: str, counted: str = "rows") -> Iterator[Callable[[str, int, int], None]]:
    """Show what is done on standard error while the block runs; where there is no terminal, nothing.

    Parameters
    ----------
    first : str
        Name of the first phase.
    counted : str, default "rows"
        What is counted.

    Yields
    ------
    callable
        To be called with the name of the phase, how many are done, and all of them.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(counted),
        TimeRemainingColumn(),
    )
    # What is printed meanwhile would go where the bar is: right on the same terminal, wrong if it goes to a file.
    same = sys.stdout.isatty()
    with Progress(
        *columns, console=console, transient=True, redirect_stdout=same, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(first, total=None)

        def show(phase: str, done: int, total: int) -> None:
            bar.update(task, description=phase, completed=done, total=total)

        yield show
