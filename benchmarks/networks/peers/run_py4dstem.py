"""Runner of py4DSTEM on a polycrystal: it is told the grain of every pattern and how that grain is turned."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "strain" / "peers"))

import numpy as np
from job import Job
from run_py4dstem import calibrate, detect, fit, kernel


def main() -> None:
    """Detect once, then fit with the lattice of each grain and keep the patterns of that grain."""
    job = Job.from_command()
    grains, bases = np.array(job.given["grain"]), np.array(job.given["bases"])
    lattice = np.full((job.scan[0] * job.scan[1], 2, 2), np.nan)
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        found, seconds = detect(job, kernel(job))
        calibrate(job, found)
        for number, basis in enumerate(bases):
            job.basis = basis
            fitted, more = fit(job, found)
            seconds += more
            rows = _slices(fitted)
            lattice[grains == number] = rows[grains == number]
    job.save(seconds, lattice)


def _slices(fitted: Any) -> Any:
    """Rows g1, g2 of all patterns; NaN where there is no fit."""
    parts = {n: np.asarray(fitted.get_slice(n).data, float).ravel() for n in ("g1x", "g1y", "g2x", "g2y", "mask")}
    rows = np.stack([parts[n] for n in ("g1x", "g1y", "g2x", "g2y")], -1).reshape(-1, 2, 2)
    rows[parts["mask"] <= 0] = np.nan
    return rows


if __name__ == "__main__":
    main()
