"""Runner of parscope: without any parameter, as a person would call it; or with the set-up given as to the peers."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.strain.peers.job import Job
from parscope.core.solver import Estimate
from parscope.solvers.lattice import LatticeFilters
from parscope.solvers.lattice.contrast import calibrate
from parscope.techniques.diffraction import Background, DiffractionPattern, Probe, strain_jacobian
from parscope.techniques.diffraction.setup import find_setup

Array = NDArray[np.float64]
REPEATS, SAMPLE = 5, 512


def given_pattern(job: Job) -> DiffractionPattern:
    """Physics from the hand-given probe and lattice; only intensities and background are looked up in the data."""
    mean = job.flat.mean(0, dtype=np.float64)
    shape = mean.shape
    offsets = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1) - job.centre
    probe = Probe(job.radius, float(job.given["edge"]), np.array(job.given["distortion"]))
    trial = DiffractionPattern(
        shape, probe, tuple(job.centre), job.basis, job.indices, np.ones(len(job.indices)), Background(1.0, 10.0)
    )
    disks = [trial.template(offsets - q, probe.edge)[0].ravel() for q in trial.reference]
    fits = []
    for width in np.geomspace(0.05, 1.0, 12) * min(shape):
        columns = np.stack([*disks, Background(1.0, width).at(offsets).ravel()], -1)
        levels, residual, *_ = np.linalg.lstsq(columns, mean.ravel(), rcond=None)
        fits.append((float(residual[0]), width, levels))
    _, width, levels = min(fits, key=lambda fit: fit[0])
    amplitude = np.maximum(levels[:-1], 1e-6)
    return DiffractionPattern(
        shape, probe, tuple(job.centre), job.basis, job.indices, amplitude, Background(max(levels[-1], 1e-9), width)
    )


def automatic_pattern(job: Job) -> DiffractionPattern:
    """Physics as parscope finds it from a sample of the patterns, with no parameter at all."""
    return find_setup(sample(job, SAMPLE)).physics


def sample(job: Job, count: int) -> NDArray[np.uint16]:
    """At most `count` patterns from all over the scan."""
    return np.asarray(job.flat[np.linspace(0, len(job.flat) - 1, min(count, len(job.flat))).astype(int)])


def fit(job: Job, find: Callable[[Job], DiffractionPattern]) -> None:
    """Set up once, fit several times, and keep the median time of the fits."""
    start = time.process_time()
    solver = calibrate(LatticeFilters(find(job)), sample(job, SAMPLE // 2))
    solver.rows(job.patterns[:1])
    setup = time.process_time() - start
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        estimate = solver.rows(job.patterns)
        seconds.append(time.process_time() - start)
    save(job, solver, estimate, float(np.median(seconds)), setup)


def save(job: Job, solver: LatticeFilters, estimate: Estimate, seconds: float, setup: float) -> None:
    """Lattices, centres and standard errors as the scoring wants them."""
    affine = estimate.theta[:, 2:].reshape(-1, 2, 2)
    slope = strain_jacobian(affine)
    variance = np.einsum("nij,njk,nik->ni", slope, estimate.covariance[:, 2:, 2:], slope)
    job.save(
        seconds,
        solver.physics.basis @ np.swapaxes(affine, -1, -2),
        centre=estimate.theta[:, :2],
        strain_std=np.sqrt(variance),
        status=estimate.status,
        setup=setup,
    )


def main() -> None:
    """Run the mode that the settings ask for."""
    job = Job.from_command()
    if job.settings.get("pool", 1) > 1:
        raise NotImplementedError("pooling of neighbouring positions")
    fit(job, {"given": given_pattern, "auto": automatic_pattern}[job.settings["mode"]])


if __name__ == "__main__":
    main()
