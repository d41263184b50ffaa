"""The spectroscopy table."""

from __future__ import annotations

from benchmarks.book import Book
from benchmarks.spectroscopy.table import measure
from benchmarks.spectroscopy.twin import SEED

BOOK = Book(
    name="spectroscopy",
    peers=("bglib",),
    libraries=("numpy", "numba", "scipy", "sympy", "torch"),
    seeds={"resonances": "(draw, signal to noise), draw from 0", "film": SEED, "sample of loops": 0},
    measure=measure,
)
