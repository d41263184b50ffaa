"""Runner of py4DSTEM: probe, sigmoid kernel, disk detection, origin, indexing and weighted lattice fit."""

from __future__ import annotations

import contextlib
import io
import time
import warnings
from typing import Any

import matplotlib

matplotlib.use("Agg")
warnings.filterwarnings("ignore")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import py4DSTEM  # noqa: E402
from job import Job  # noqa: E402

SHOW = {"vmin": 0, "vmax": 0.99}


def kernel(job: Job) -> Any:
    """Kernel of the exact probe with the tutorial's sigmoid trench, the best of its choices on these patterns."""
    probe = py4DSTEM.Probe(job.probe.astype(np.float32))
    made = probe.get_kernel(mode="sigmoid", origin=tuple(job.centre), radii=(0.0, 4.0 * job.radius), returncalc=True)
    return made if isinstance(made, np.ndarray) else probe.kernel


def detect(job: Job, template: Any) -> tuple[Any, float]:
    """Disks of every pattern, and the CPU seconds."""
    cube = py4DSTEM.DataCube(data=job.patterns.astype(np.float32))
    start = time.process_time()
    found = cube.find_Bragg_disks(
        template=template,
        corrPower=1.0,
        sigma_cc=job.settings["sigma_cc"],
        subpixel=job.settings["subpixel"],
        upsample_factor=16,
        edgeBoundary=int(job.radius) + 1,
        minRelativeIntensity=0.0,
        minAbsoluteIntensity=0.0,
        minPeakSpacing=0.6 * job.spacing,
        maxNumPeaks=int(1.2 * len(job.indices)),
    )
    return found, time.process_time() - start


def calibrate(job: Job, found: Any) -> None:
    """Fit the origin; where the program cannot, it is given the hand-set centre."""
    try:
        found.measure_origin(center_guess=tuple(job.centre), score_method="intensity weighted distance")
        found.fit_origin(fitfunction="parabola", plot=False)
    except Exception:  # noqa: BLE001  any fault of the program's own fit has the same remedy
        found.calibration.set_origin(tuple(np.full(job.scan, c) for c in job.centre))
    found.calibrate()


def fit(job: Job, found: Any) -> tuple[Any, float]:
    """Index by the intended cell, as a user would who sees another one picked, and fit; slices and CPU seconds."""
    strain = py4DSTEM.StrainMap(found)
    strain.choose_basis_vectors(
        minSpacing=0.5 * job.spacing,
        maxNumPeaks=len(job.indices),
        minRelativeIntensity=0.0,
        sigma=1.0,
        edgeBoundary=int(job.radius),
        vis_params=SHOW,
    )
    kind = [("qx", float), ("qy", float), ("g1_ind", int), ("g2_ind", int)]
    directions = np.zeros(len(job.indices), dtype=kind)
    directions["qx"], directions["qy"] = (job.indices @ job.basis).T
    directions["g1_ind"], directions["g2_ind"] = job.indices.T
    strain.braggdirections = py4DSTEM.PointList(directions)
    strain.g1, strain.g2 = job.basis
    start = time.process_time()
    strain.fit_basis_vectors(max_peak_spacing=0.12 * job.spacing + 1.0, vis_params=SHOW)
    return strain.g1g2_map, time.process_time() - start


def main() -> None:
    """Run the standard pipeline; the program's qx is our y."""
    job = Job.from_command()
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        found, detecting = detect(job, kernel(job))
        raw = [found.raw[i, j] for i in range(job.scan[0]) for j in range(job.scan[1])]
        disks = [np.stack([p.qx, p.qy], -1) for p in raw]
        calibrate(job, found)
        fitted, fitting = fit(job, found)
        plt.close("all")

    def part(name: str) -> Any:
        return np.asarray(fitted.get_slice(name).data, float).ravel()

    lattice = np.stack([part(n) for n in ("g1x", "g1y", "g2x", "g2y")], -1).reshape(-1, 2, 2)
    origin = np.stack([np.asarray(o, float).ravel() for o in found.calibration.get_origin()], -1)
    centre = np.stack([part("x0"), part("y0")], -1) + origin
    lattice[part("mask") <= 0] = np.nan
    job.save(detecting + fitting, lattice, centre=centre, disks=disks)


if __name__ == "__main__":
    main()
