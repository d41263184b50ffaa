"""The exchange folder: what a runner is given, and what it writes; needs NumPy only, of any version."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


class Job:
    """Patterns and everything a person could have told the program beforehand.

    Parameters
    ----------
    case : Path
        Folder with ``patterns.npy`` (scan y, scan x, pattern y, pattern x), ``probe.npy`` and ``given.json``.
    result : Path
        File to write, ``.npz``.
    settings : dict
        Options of the runner.
    """

    def __init__(self, case: Path, result: Path, settings: dict[str, Any]) -> None:
        self.result, self.settings = result, settings
        self.patterns = neighbour_sums(np.load(case / "patterns.npy"), settings.get("sum", 1))
        self.probe = np.load(case / "probe.npy")
        given = json.loads((case / "given.json").read_text())
        self.given = given
        self.scan = self.patterns.shape[:2]
        self.radius = float(given["radius"])
        self.centre = np.array(given["centre"])
        self.basis = np.array(given["basis"])
        self.indices = np.array(given["indices"])

    @classmethod
    def from_command(cls) -> Job:
        """Read ``CASE RESULT SETTINGS`` from the command line."""
        case, result, settings = sys.argv[1:4]
        return cls(Path(case), Path(result), json.loads(settings))

    @property
    def flat(self) -> Any:
        """Patterns as a list, shape (n, pattern y, pattern x)."""
        return self.patterns.reshape(-1, *self.patterns.shape[2:])

    @property
    def spacing(self) -> float:
        """Length of the shorter lattice vector, [px]."""
        return float(np.linalg.norm(self.basis, axis=1).min())

    @property
    def guesses(self) -> Any:
        """Disk positions of the unstrained pattern, shape (disks, 2), [px]."""
        return self.centre + self.indices @ self.basis

    def save(self, seconds: float, lattice: Any, **more: Any) -> None:
        """Write rows g1, g2 of every pattern (n, 2, 2), the CPU seconds, and what else the program offers."""
        disks = more.pop("disks", None)
        if disks is not None:
            more["disks"] = np.concatenate([np.asarray(d, float).reshape(-1, 2) for d in disks])
            more["disk_counts"] = np.array([len(d) for d in disks])
        np.savez(self.result, seconds=seconds, lattice=lattice, **more)


def neighbour_sums(patterns: Any, size: int) -> Any:
    """Sum of the size x size scan positions around each, fewer at the edges of the scan; `size` is odd."""
    reach = size // 2
    padded = np.pad(patterns, ((reach, reach), (reach, reach), (0, 0), (0, 0)))
    rows, columns = patterns.shape[:2]
    return sum(padded[i : i + rows, j : j + columns] for i in range(size) for j in range(size))


def fit_lattice(job: Job, positions: Any, weights: Any) -> tuple[Any, Any]:
    """Weighted least squares of positions (n, disks, 2) = centre + h g1 + k g2; NaN where fewer than 5 disks count."""
    design = np.concatenate([np.ones((len(job.indices), 1)), job.indices], axis=1).astype(float)
    normal = np.einsum("sn,ni,nj->sij", weights, design, design) + 1e-12 * np.eye(3)
    right = np.einsum("sn,ni,snd->sid", weights, design, positions)
    solution = np.linalg.solve(normal, right)
    solution[(weights > 0).sum(1) < 5] = np.nan
    return solution[:, 1:], solution[:, 0]


def index_peaks(job: Job, peaks: Any, tolerance: float) -> tuple[Any, Any]:
    """Assign peaks (y, x, intensity) to the expected disks; the nearest within `tolerance`, weight 0 where none is."""
    expected, n = job.guesses, len(job.indices)
    positions, weights = np.zeros((len(peaks), n, 2)), np.zeros((len(peaks), n))
    for i, found in enumerate(peaks):
        if not len(found):
            continue
        distance = np.linalg.norm(expected[:, None] - found[None, :, :2], axis=-1)
        nearest = distance.argmin(1)
        hit = distance[np.arange(n), nearest] < tolerance
        positions[i, hit] = found[nearest[hit], :2]
        weights[i, hit] = np.clip(found[nearest[hit], 2], 1e-6, None)
    return positions, weights
