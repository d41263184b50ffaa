"""Runner of parscope on hysteresis loops."""

from __future__ import annotations

import numpy as np

from benchmarks.spectroscopy.ours import timed
from benchmarks.spectroscopy.peers.job import Job
from parscope.solvers.least_squares import LeastSquares
from parscope.techniques.hysteresis import HysteresisLoop


def main() -> None:
    """Fit all loops in one call; what is left of each, and which have a value after all."""
    job = Job.from_command()
    physics, loops = HysteresisLoop(job.array("bias")), job.array("loops")
    solver = LeastSquares(physics)
    estimate, first, seconds = timed(lambda: solver(loops))
    freedom = physics.axis.size - len(physics.parameters)
    left = freedom * np.square(estimate.extra["noise"])
    kept = np.isfinite(estimate.theta).all(axis=1)
    np.savez(job.result, seconds=seconds, setup=first - seconds, left=left, kept=kept, status=estimate.status)


if __name__ == "__main__":
    main()
