"""Runner of parscope: as a person would call it, without parameters; or with the set-up given by hand as to the peers."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from benchmarks.strain.peers.job import Job
from parscope.core.solver import Estimate
from parscope.solvers.lattice import LatticeFilters
from parscope.solvers.lattice.evidence import calibrate
from parscope.techniques.diffraction import Background, DiffractionPattern, Probe, strain_jacobian

Array = NDArray[np.float64]
REPEATS = 5


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


def given(job: Job) -> None:
    """Fit with the hand-given set-up."""
    start = time.process_time()
    physics = calibrate(given_pattern(job), job.flat[:: max(1, len(job.flat) // 256)])
    solver = LatticeFilters(physics)
    solver.banks  # noqa: B018  built now, not in the timed call
    setup = time.process_time() - start
    solver.rows(job.patterns[:1])
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        estimate = solver.rows(job.patterns)
        seconds.append(time.process_time() - start)
    save(job, physics, estimate, float(np.median(seconds)), setup)


def save(job: Job, physics: DiffractionPattern, estimate: Estimate, seconds: float, setup: float) -> None:
    """Lattices, centres and standard errors as the scoring wants them."""
    affine = estimate.theta[:, 2:].reshape(-1, 2, 2)
    slope = strain_jacobian(affine)
    variance = np.einsum("nij,njk,nik->ni", slope, estimate.covariance[:, 2:, 2:], slope)
    job.save(
        seconds,
        physics.basis @ np.swapaxes(affine, -1, -2),
        centre=estimate.theta[:, :2],
        strain_std=np.sqrt(variance),
        status=estimate.status,
        setup=setup,
    )


def main() -> None:
    """Run the mode that the settings ask for."""
    job = Job.from_command()
    {"given": given}[job.settings["mode"]](job)


if __name__ == "__main__":
    main()
