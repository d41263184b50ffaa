"""The spectroscopy table: resonances, the twin of a published film, and hysteresis loops."""

from __future__ import annotations

from typing import Any

from benchmarks.exchange import Run
from benchmarks.report import Row
from benchmarks.spectroscopy import loops, resonances, twin


def measure(run: Run, quick: bool) -> tuple[list[Row], list[dict[str, Any]]]:
    """Run everything.

    Parameters
    ----------
    run : Run
        Where spectra and answers live.
    quick : bool
        Whether a tenth of the spectra are enough.

    Returns
    -------
    rows : list of Row
        Lines of the table.
    records : list of dict
        All scores of all methods.
    """
    parts = [part.measure(run, quick) for part in (resonances, twin, loops)]
    return [row for rows, _ in parts for row in rows], [record for _, records in parts for record in records]
