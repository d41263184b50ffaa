"""The benchmark command: ``python -m benchmarks.run [--only strain] [--quick] [--resume RUN]``."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

from benchmarks.environments import CACHE
from benchmarks.report import RESULTS, text, write

TABLES = {
    "strain": "benchmarks.strain.book",
    "spectroscopy": "benchmarks.spectroscopy.book",
    "catalog": "benchmarks.catalog.book",
    "live": "benchmarks.live.book",
    "networks-spectra": "benchmarks.networks.spectra",
    "networks-strain": "benchmarks.networks.strain",
    "networks-seeds": "benchmarks.networks.seeds",
    "polycrystal": "benchmarks.networks.polycrystal",
    "averaging": "benchmarks.networks.averaging",
    "optimisers": "benchmarks.networks.optimisers",
}
"""Where the book of each table is."""


def make(name: str, quick: bool, resume: str | None) -> int:
    """Measure one table, write it and show it; the number of missed targets."""
    book = import_module(TABLES[name]).BOOK
    made = book.make(quick=quick, resume=resume)
    path: Path = (CACHE / f"{name}-quick.json") if quick else RESULTS / f"{name}.json"
    write(made, path)
    print("\n" + text(made) + f"\n{path}")
    return sum(row["met"] is False for row in made["rows"])


def main(arguments: list[str] | None = None) -> int:
    """Measure the tables named, or all; exit with 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="TABLE", help=f"of {', '.join(TABLES)}; default all")
    parser.add_argument("--only", choices=TABLES, help="the same as naming one table")
    parser.add_argument("--quick", action="store_true", help="a few cases; the published table stays as it is")
    parser.add_argument("--resume", metavar="RUN", help="go on with a run that broke off")
    options = parser.parse_args(arguments)
    names = options.names or ([options.only] if options.only else list(TABLES))
    unknown = sorted(set(names) - set(TABLES))
    if unknown:
        parser.error(f"no table {', '.join(unknown)}; there are {', '.join(TABLES)}")
    missed = [make(name, options.quick, options.resume) for name in names]
    return int(any(missed))


if __name__ == "__main__":
    sys.exit(main())
