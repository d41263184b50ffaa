"""The verb `demo`: a scan whose strain is known, mapped by the same code as any other, and compared."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from parscope.cli.progress import progress_bar
from parscope.cli.strain import run, write_extras
from parscope.core.errors import OutputError

app = typer.Typer(add_completion=False)

_DPI = 96
_DEGREES = 57.29577951308232


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Folder for all that is written.")] = Path("parscope-demo"),
) -> None:
    """Simulate a strained crystal, map its strain and compare with the truth.

    Scans are written as an instrument would, mapped as `parscope strain` does it, and compared with what was put in.
    Files of an earlier demo in the folder are replaced.
    """
    from parscope.workflows.demo import GRAINS, INCLUSION

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot be made ({error.strerror})", str(folder), "choose another folder") from error
    _show(folder / "inclusion.emd", INCLUSION, "a strained particle in a crystal")
    _show(folder / "grains.emd", GRAINS, "six grains, each crystal found relative to its own median")
    page = folder / "inclusion.html"
    print(f"\nreports: {page} and {folder / 'grains.html'}")
    if _somebody_sits_here():
        webbrowser.open(page.absolute().as_uri())


def _show(scan: Path, design: Any, title: str) -> None:
    """Simulate, map, compare and print."""
    from parscope.report.comparison_figure import comparison_figure
    from parscope.report.files import write_whole
    from parscope.report.sheet import png
    from parscope.workflows.demo import compare, known, write_scan

    with progress_bar("simulate") as show:
        truth = write_scan(scan, design, show)
    result = run(scan, scan.with_suffix(".nc"), {}, {"overwrite": True})
    write_extras(result, scan.with_suffix(".nc"), None, report=True)
    picture = png(comparison_figure(result, known(truth, result)), _DPI)
    write_whole(scan.with_name(f"{scan.stem}_and_truth.png"), picture)
    fitted = int((result["status"] == 0).sum())
    print(f"\n{scan}: {title}, {result['status'].size} patterns of {design.electrons:.0f} electrons")
    crystals, seconds = int(result.attrs["grains"]), result.attrs["elapsed_s"]
    found = "one crystal" if crystals == 1 else f"{crystals} crystals"
    print(f"{found}, {fitted} patterns fitted in {seconds:.0f} s, set-up included\n")
    Console(highlight=False).print(_table(compare(result, truth)))


def _table(scores: list[Any]) -> Table:
    """What was reached beside what was claimed and what is possible."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for name in ("error (RMS)", "standard error", "error / standard error", "Cramér-Rao limit"):
        table.add_column(name, justify="right")
    for score in scores:
        factor, unit = (_DEGREES, "°") if score.name == "rotation" else (100.0, "%")
        numbers = [f"{factor * value:.3f} {unit}" for value in (score.error, score.claimed, score.limit)]
        table.add_row(score.name, numbers[0], numbers[1], f"{score.spread:.2f}", numbers[2])
    return table


def _somebody_sits_here() -> bool:
    """Whether there is a terminal and a screen with a person before them."""
    screen = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(screen) and sys.stdout.isatty() and not os.environ.get("CI")
