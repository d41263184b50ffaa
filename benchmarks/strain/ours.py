"""Runner of parscope: without any parameter, as a person would call it; or with the set-up given as to the peers."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.strain.peers.job import Job
from parscope import Frames, map_strain
from parscope.core.solver import Status
from parscope.techniques.diffraction import reciprocal_map

Array = NDArray[np.float64]
COMPONENTS = ("e_xx", "e_yy", "e_xy", "rotation")
# The speed is that of a scan of several copies of the patterns: one of a thousand takes a twentieth of a second.
ENOUGH, REPEATS = 8192, 2


class Stopwatch:
    """CPU seconds of the set-up and of the fit, from the phases that a strain map reports."""

    def __init__(self) -> None:
        self.start = self.ready = self.end = time.process_time()

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Note when the set-up, and when the last block, is finished."""
        if phase == "set-up":
            self.ready = time.process_time()
        self.end = time.process_time()

    @property
    def setup(self) -> float:
        """Seconds until the fit begins."""
        return self.ready - self.start

    @property
    def fit(self) -> float:
        """Seconds of the fit."""
        return self.end - self.ready


def settings(job: Job) -> dict[str, Any]:
    """Nothing but the pooling that a case asks for; or probe and lattice as the peers have them."""
    chosen = {"pool": job.settings["pool"]} if "pool" in job.settings else {}
    if job.settings["mode"] == "auto":
        return chosen
    lengths, axes = np.linalg.eigh(np.array(job.given["distortion"]))
    y, x = axes[:, 1]
    known = {
        "probe_radius": job.radius,
        "probe_edge": float(job.given["edge"]),
        "centre": tuple(job.centre.tolist()),
        "g1": tuple(job.basis[0].tolist()),
        "g2": tuple(job.basis[1].tolist()),
        "ellipse": (float(lengths[1] / lengths[0]), float(np.rad2deg(np.arctan2(y, x)))),
    }
    return chosen | known


def lattices(found: Any) -> Array:
    """Rows g1, g2 on the detector, shape (n, 2, 2): the strain of the crystal, seen through the distortion again.

    Of several crystals each is relative to its own reference.
    """
    crystal = reciprocal_map(*(found[name].values.ravel() for name in COMPONENTS))
    distortion = np.array(json.loads(found.attrs["distortion"]))
    detector = distortion @ crystal @ np.linalg.inv(distortion)
    zero = np.array(json.loads(found.attrs["reference_affine"]))
    basis = np.array(json.loads(found.attrs["reference_basis"]))
    reference = basis @ zero[0].T if len(zero) == 1 else basis
    return np.asarray(reference @ np.swapaxes(detector, -1, -2))


def of_two(found: Any) -> NDArray[np.bool_]:
    """Which patterns are said to be of two lattices, whether these were resolved or not, shape (n,)."""
    refused = np.isin(found.status.values, (Status.BOUNDARY, Status.SECOND_LATTICE))
    return np.asarray(refused | (found.second_share.values > 0)).ravel()


def main() -> None:
    """Map the strain; the first call gives set-up time and result, the following ones the speed when all is warm."""
    job = Job.from_command()
    frames, chosen = Frames.from_array(job.patterns), settings(job)
    first = Stopwatch()
    found = map_strain(frames, progress=first, **chosen)
    copies = max(1, ENOUGH // (frames.scan_shape[0] * frames.scan_shape[1]))
    many = Frames.from_array(np.tile(job.patterns, (copies, 1, 1, 1)))
    watches = [Stopwatch() for _ in range(REPEATS)]
    for watch in watches:
        map_strain(many, progress=watch, **chosen)
    status = found.status.values.ravel()
    job.save(
        # Whatever else the machine does only adds to the time.
        min(watch.fit for watch in watches) / copies,
        lattices(found),
        centre=np.stack([found.centre_y.values.ravel(), found.centre_x.values.ravel()], -1),
        strain_std=np.stack([found[f"{name}_std"].values.ravel() for name in COMPONENTS], -1),
        setup=first.setup,
        pool=found.attrs["pool"],
        status=status,
        boundary=of_two(found),
    )


if __name__ == "__main__":
    main()
