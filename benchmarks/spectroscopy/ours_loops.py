"""Runner of parscope on hysteresis loops."""

from __future__ import annotations

import numpy as np

from benchmarks.spectroscopy.ours import timed
from benchmarks.spectroscopy.peers.job import Job
from parscope.solvers.least_squares import LeastSquares
from parscope.techniques.hysteresis import HysteresisLoop


def main() -> None:
    """Fit all loops in one call; the curves that the parameters make, NaN where there is no fit."""
    job = Job.from_command()
    physics, loops = HysteresisLoop(job.array("bias")), job.array("loops")
    solver = LeastSquares(physics)
    estimate, first, seconds = timed(lambda: solver(loops))
    fitted = physics.render(estimate.theta)
    np.savez(job.result, seconds=seconds, setup=first - seconds, fitted=fitted, status=estimate.status)


if __name__ == "__main__":
    main()
