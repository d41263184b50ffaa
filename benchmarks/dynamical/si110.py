"""Where the dynamical patterns of silicon [110] are."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from benchmarks.environments import CACHE, ENVIRONMENTS, single_threaded

ROOT = Path(__file__).resolve().parents[2]
STORED = ROOT.parent / "shared" / "bench" / "strain" / "data" / "abtem_si110_56patterns.npz"


def file() -> Path:
    """File of the patterns: that of ``PARSCOPE_SI110``, the stored one, or one that is calculated now.

    Returns
    -------
    Path
        As `make_si110` writes it.
    """
    named = os.environ.get("PARSCOPE_SI110")
    if named:
        return Path(named)
    if STORED.exists():
        return STORED
    made = CACHE / "si110.npz"
    if not made.exists():
        environment = ENVIRONMENTS["abtem"]
        environment.make()
        script = Path(__file__).with_name("make_si110.py")
        part = made.with_name("part-si110.npz")
        subprocess.run([str(environment.python), str(script), str(part)], check=True, env=single_threaded())
        part.rename(made)
    return made
