"""The strain table."""

from __future__ import annotations

from benchmarks.book import Book
from benchmarks.strain import scenes
from benchmarks.strain.cases import CASES, FURTHER, Case
from benchmarks.strain.table import measure


def chosen(quick: bool) -> tuple[Case, ...]:
    """Cases of the full or of the quick table; phantoms beyond the promised ones take part in the full one."""
    return tuple(c for c in CASES if c.quick) if quick else (*CASES, *FURTHER)


BOOK = Book(
    name="strain",
    peers=("py4dstem", "others"),
    libraries=("numpy", "numba", "scipy"),
    seeds=scenes.SEEDS,
    measure=lambda run, quick: measure(run, chosen(quick)),
)
