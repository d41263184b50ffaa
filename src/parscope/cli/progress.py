"""A progress bar that every verb shares."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Show = Callable[[str, int, int], None]

# Where there is no terminal, time between two lines, [s].
_QUIET = 60.0


@contextmanager
def progress_bar(first: str, counted: str = "rows", logged: bool = False) -> Iterator[Show]:
    """Show what is done on standard error while the block runs; where there is no terminal, nothing.

    Parameters
    ----------
    first : str
        Name of the first phase.
    counted : str, default "rows"
        What is counted.
    logged : bool, default False
        Whether a line a minute is written where there is no terminal, for what takes many.

    Yields
    ------
    callable
        To be called with the name of the phase, how many are done, and all of them.
    """
    console = Console(stderr=True)
    if logged and not console.is_terminal:
        yield _lines(console, counted)
        return
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


def _lines(console: Console, counted: str) -> Show:
    """Progress for a log: nothing of what takes less than a minute."""
    last = time.monotonic()

    def show(phase: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _QUIET:
            last = time.monotonic()
            console.print(f"{phase}: {done} of {total} {counted}", soft_wrap=True, highlight=False, markup=False)

    return show
