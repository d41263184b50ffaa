"""A whole table of one run: its environments, its head, its lines, and every method's scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import machine
from benchmarks.environments import ENVIRONMENTS
from benchmarks.exchange import Run
from benchmarks.report import Row, table


@dataclass(frozen=True)
class Book:
    """How a table is made.

    Parameters
    ----------
    name : str
        Of the table.
    peers : tuple of str
        Names of the environments of the others.
    libraries : tuple of str
        Distributions that parscope computes with, whose versions are stated.
    seeds : dict
        Of the random draws.
    measure : callable
        From a run, and whether a few cases are enough, to the lines and the scores of all methods.
    """

    name: str
    peers: tuple[str, ...]
    libraries: tuple[str, ...]
    seeds: dict[str, Any]
    measure: Callable[[Run, bool], tuple[Sequence[Row], Sequence[dict[str, Any]]]]

    def make(self, quick: bool = False, resume: str | None = None) -> dict[str, Any]:
        """Measure the table.

        Parameters
        ----------
        quick : bool, default False
            A few cases only.
        resume : str, optional
            Name of a run that broke off; what it has already is not measured again.

        Returns
        -------
        dict
            As `benchmarks.report.table` makes it.
        """
        for name in self.peers:
            ENVIRONMENTS[name].make()
        run = Run(resume)
        print(f"run {run.name}; if it breaks off: --resume {run.name}", flush=True)
        head = {
            "run": run.name,
            "versions": self.versions(),
            "machine": machine.machine(),
            "load_start": machine.load(),
            "date": machine.now(),
            "commit": machine.commit(),
            "seeds": self.seeds,
            "commands": [f"make bench ONLY={self.name}" + (" (quick)" if quick else "")],
        }
        rows, records = self.measure(run, quick)
        head["load_end"] = machine.load()
        run.clear()
        return table(head, rows, records)

    def versions(self) -> dict[str, str]:
        """Versions of everything that was compared and of what parscope computes with."""
        found = machine.versions("parscope", *self.libraries)
        for name in self.peers:
            found |= {f"{k} ({name})": v for k, v in ENVIRONMENTS[name].versions().items()}
        return found
