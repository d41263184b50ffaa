"""Runner of parscope on the polycrystal: the exact workflow without any parameter, or with a trained network."""

from __future__ import annotations

import json

import numpy as np

from benchmarks.strain.ours import COMPONENTS, Array, Stopwatch
from benchmarks.strain.peers.job import Job
from parscope import Frames, map_strain
from parscope.techniques.diffraction import reciprocal_map


def main() -> None:
    """Map the strain, each grain relative to itself, and undo that: errors are of one reference for all grains."""
    job = Job.from_command()
    frames = Frames.from_array(job.patterns)
    watch = Stopwatch()
    found = map_strain(frames, progress=watch, **job.settings)
    crystal: Array = reciprocal_map(*(found[name].values.ravel() for name in COMPONENTS))
    zero = np.array(json.loads(found.attrs["reference_affine"]))
    bases = np.array(json.loads(found.attrs["grain_bases"]))
    grain = found.grain.values.ravel() if "grain" in found else np.zeros(len(crystal), int)
    own = np.clip(grain, 0, len(zero) - 1)
    lattice = bases[own] @ np.swapaxes(crystal @ zero[own], -1, -2)
    job.save(watch.fit, lattice, setup=watch.setup, status=found.status.values.ravel())


if __name__ == "__main__":
    main()
