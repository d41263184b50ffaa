"""The catalog table."""

from __future__ import annotations

from benchmarks.book import Book
from benchmarks.catalog.table import SEED, measure

BOOK = Book(
    name="catalog",
    peers=("tiled",),
    libraries=("sqlalchemy", "google-re2", "lark", "pint", "numpy"),
    seeds={"documents": SEED},
    measure=measure,
)
