"""The whole strain table: head, lines, and every method's scores, of one run."""

from __future__ import annotations

import importlib.metadata
from typing import Any

from benchmarks import machine
from benchmarks.environments import ENVIRONMENTS
from benchmarks.report import table
from benchmarks.strain import scenes
from benchmarks.strain.cases import CASES, FURTHER, Case
from benchmarks.strain.exchange import Run
from benchmarks.strain.table import measure

PEERS = ("py4dstem", "others")


def chosen(quick: bool) -> tuple[Case, ...]:
    """Cases of the full or of the quick table; phantoms beyond the promised ones take part in the full one."""
    return tuple(c for c in CASES if c.quick) if quick else (*CASES, *FURTHER)


def make(quick: bool = False, resume: str | None = None) -> dict[str, Any]:
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
    for name in PEERS:
        ENVIRONMENTS[name].make()
    run = Run(resume)
    print(f"run {run.name}; if it breaks off: --resume {run.name}", flush=True)
    head = {
        "run": run.name,
        "versions": versions(),
        "machine": machine.machine(),
        "load_start": machine.load(),
        "date": machine.now(),
        "commit": machine.commit(),
        "seeds": scenes.SEEDS,
        "commands": ["make bench ONLY=strain" + (" (quick)" if quick else "")],
    }
    rows, records = measure(run, chosen(quick))
    head["load_end"] = machine.load()
    run.clear()
    return table(head, rows, records)


def versions() -> dict[str, str]:
    """Versions of everything that was compared and of what parscope computes with."""
    found = {name: importlib.metadata.version(name) for name in ("parscope", "numpy", "numba", "scipy")}
    for name in PEERS:
        found |= {f"{k} ({name})": v for k, v in ENVIRONMENTS[name].versions().items()}
    return found
