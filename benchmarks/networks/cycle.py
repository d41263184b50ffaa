"""Runner of the cycle-consistent autoencoder: trained on the patterns that it then measures, as published."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch

from benchmarks.networks.phantom import polycrystal
from benchmarks.strain.peers.job import Job
from parscope.solvers.networks.cycle import SMALL, CycleSolver, Stage, View, learn
from parscope.solvers.train import Recipe


def stages(settings: dict[str, int]) -> tuple[Stage, Stage]:
    """Both stages: higher rates and fewer steps than published, where a training took thousands of epochs."""
    first = Recipe(rate=3e-3, most=settings["first"], every=50, checked=4, average=0.98, seed=settings["seed"])
    return Stage(16, first), Stage(8, replace(first, most=settings["second"]))


def main() -> None:
    """Train and measure; the physics is told as to everybody else, and says where the reference lattice lies."""
    torch.set_num_threads(1)
    job = Job.from_command()
    chosen = job.settings
    physics = polycrystal(chosen["background"], job.scan[0], job.patterns.shape[2]).pattern()
    sizes = replace(SMALL, size=SMALL.size * job.patterns.shape[2] // 128, classes=chosen["classes"])
    start = time.process_time()
    view = View.of(job.flat, physics, sizes.size)
    pair = learn(view(job.flat), view, sizes, stages(chosen), progress=_say)
    solver = CycleSolver(pair, view, physics)
    trained = time.process_time()
    estimate = solver(job.flat)
    lattice = job.basis @ np.swapaxes(estimate.theta[:, 2:].reshape(-1, 2, 2), -1, -2)
    parameters = sum(p.numel() for p in pair.fine.parameters())
    job.save(
        time.process_time() - trained,
        lattice,
        status=estimate.status,
        training=trained - start,
        parameters=parameters,
    )


def _say(what: str, done: int, most: int) -> None:
    print(what, done, most, flush=True)


if __name__ == "__main__":
    main()
