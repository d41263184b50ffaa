"""The exchange folder: what a runner is given, and what it writes; needs NumPy only, of any version."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

# From amplitude, resonance, quality, phase, the order of the other programs, to that of the table.
ORDER = (1, 2, 0, 3)


class Job:
    """One case as files: arrays that are loaded by name, and what a person could have told the program.

    Parameters
    ----------
    case : Path
        Folder with the arrays and ``given.json``.
    result : Path
        File to write, ``.npz``.
    settings : dict
        Options of the runner; ``count`` is how many of the signals it gets.
    """

    def __init__(self, case: Path, result: Path, settings: dict[str, Any]) -> None:
        self.case, self.result, self.settings = case, result, settings
        self.given = json.loads((case / "given.json").read_text())

    @classmethod
    def from_command(cls) -> Job:
        """Read ``CASE RESULT SETTINGS`` from the command line."""
        case, result, settings = sys.argv[1:4]
        return cls(Path(case), Path(result), json.loads(settings))

    def array(self, name: str) -> Any:
        """One of the arrays of the case."""
        return np.load(self.case / f"{name}.npy")

    @property
    def spectra(self) -> Any:
        """Complex spectra, shape (count, bins)."""
        return self.array("spectra")[: self.settings.get("count")]

    def save(self, seconds: float, theta: Any, **more: Any) -> None:
        """Write parameters in the order of the other programs, the CPU seconds, and what else there is."""
        errors = {"std": np.asarray(more.pop("std"))[:, ORDER]} if "std" in more else {}
        np.savez(self.result, seconds=seconds, theta=np.asarray(theta, float)[:, ORDER], **errors, **more)
