"""Memory and time of ``parscope fit`` on 1.4 million spectra; by hand: ``python -m benchmarks.spectroscopy.memory``.

The scan has the size of the published film, 60 x 60 positions of 384 spectra of 165 bins, and no two spectra are alike.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.memory import Large
from benchmarks.spectroscopy.draws import FILM_FREQUENCY, film
from parscope import Axis
from parscope.io import write_spectra

COLUMNS, STEPS = 60, 384
NOISE = 0.5
"""Half width of the noise over the standard deviation of the clean spectra: peaks about 13 times the noise."""


def rows(count: int) -> Iterator[NDArray[np.complex64]]:
    """Rows of a scan, each of shape (1, columns, steps, bins)."""
    for seed in range(count):
        spectra = film(NOISE, COLUMNS * STEPS, seed).spectra
        yield spectra.reshape(1, COLUMNS, STEPS, -1).astype(np.complex64)


def large_scan(path: Path, size: float) -> tuple[str, int]:
    """Write a scan of about `size` bytes, one row at least; what it is, and how many spectra."""
    row = COLUMNS * STEPS * FILM_FREQUENCY.size * 8
    count = max(1, round(size / row))
    step = float(FILM_FREQUENCY[1] - FILM_FREQUENCY[0])
    axes = (
        Axis("y", count),
        Axis("x", COLUMNS),
        Axis("step", STEPS),
        Axis("frequency", FILM_FREQUENCY.size, "Hz", step, float(FILM_FREQUENCY[0])),
    )
    write_spectra(path, rows(count), axes)
    what = f"scan of {count} x {COLUMNS} x {STEPS} spectra, {count * row / 1e9:.1f} GB"
    return what, count * COLUMNS * STEPS


LARGE = Large(
    name="spectroscopy_memory",
    module="benchmarks.spectroscopy.memory",
    gigabytes=1.82,
    limit=2.0,
    write=large_scan,
    command=lambda scan, folder: ["fit", "be-sho", str(scan), "-o", str(folder / "maps.nc")],
    signals="spectra",
    seeds={"rows": "number of the row"},
)


if __name__ == "__main__":
    sys.exit(LARGE.main())
