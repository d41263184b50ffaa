"""The table of the live analysis."""

from __future__ import annotations

from benchmarks.book import Book
from benchmarks.live.table import SEED, measure

BOOK = Book(
    name="live",
    peers=("libertem-live",),
    libraries=("numpy", "numba", "pyzmq", "cbor2", "dectris-compression", "bitshuffle", "libertem"),
    seeds={"patterns": SEED},
    measure=measure,
)
