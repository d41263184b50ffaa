"""Whether networks for strain converge whatever the seed: ``python -m benchmarks networks-seeds``.

Each is trained for a short time on one scan of a polycrystal, and measured alone on another draw of it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.book import Book
from benchmarks.exchange import Run
from benchmarks.networks.strain import TAUGHT_AT, TAUGHT_BY, alone, started, taught
from benchmarks.report import Row, Target
from benchmarks.strain import phantoms

PHANTOM = TAUGHT_BY["polycrystal"]
SEEDS, MINUTES = 10, 2.0
NEAR, FEW = 0.3, 0.01
"""A training has converged whose networks place disks inside the grains so well, [px], and fail so seldom, [1]."""


def measure(run: Run, quick: bool) -> tuple[list[Row], list[dict[str, Any]]]:
    """Train and measure; two for a few seconds where it is to be quick."""
    seeds, minutes = (2, 0.1) if quick else (SEEDS, MINUTES)
    phantom = phantoms.load(PHANTOM)
    found: list[dict[str, Any]] = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as home:
            folder = Path(home) / "net"
            told = taught(PHANTOM, folder, seed, minutes=minutes)
            scores = alone(phantom, started(PHANTOM, folder), TAUGHT_AT)
        print(f"seed {seed}: {scores}", flush=True)
        found.append({"method": "parscope", "key": f"{run.name}:{seed}", "case": PHANTOM, **told, **scores})
    return rows(f"{PHANTOM}, {seeds} seeds of {minutes:g} min", found), found


def rows(case: str, found: list[dict[str, Any]]) -> list[Row]:
    """Lines of the table.

    Parameters
    ----------
    case : str
        What was trained.
    found : list of dict
        Scores of each training, as from `alone`.

    Returns
    -------
    list of Row
        The share that converged, and the worst of all.
    """
    off = [one["position_rms_inside"] for one in found]
    failed = [one["failures_inside"] for one in found]
    good = [rms <= NEAR and share <= FEW for rms, share in zip(off, failed, strict=True)]
    metric = f"converge: disks within {NEAR:g} px, failures at most {100 * FEW:g} %"
    return [
        Row(case, metric, 100 * sum(good) / len(good), "%", target=Target(at_least=100.0)),
        Row(case, "disk position RMS, worst", float(np.max(off)), "px"),
        Row(case, "failures, worst", 100 * max(failed), "%"),
        Row(case, "training, wall time, longest", max(one["wall_s"] for one in found), "s"),
    ]


BOOK = Book(
    name="networks-seeds",
    peers=(),
    libraries=("numpy", "numba", "scipy", "torch", "safetensors"),
    seeds={"networks": f"0 to {SEEDS - 1}"},
    measure=measure,
)
