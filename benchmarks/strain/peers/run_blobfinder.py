"""Runner of LiberTEM-blobfinder: fast correlation with a background-subtracting radial gradient, then grid matching."""

from __future__ import annotations

import math
import time

import libertem_blobfinder.common.gridmatching as grm
import numpy as np
from job import Job
from libertem_blobfinder.common.correlation import process_frames_fast
from libertem_blobfinder.common.patterns import RadialGradientBackgroundSubtraction


def main() -> None:
    """Correlate around the hand-given disk positions and match the hand-given lattice."""
    job = Job.from_command()
    search = max(int(0.45 * job.spacing), math.ceil(1.5 * job.radius) + 1)
    template = RadialGradientBackgroundSubtraction(radius=job.radius, search=search, radius_outer=1.5 * job.radius)
    frames = job.flat.astype(np.float32)
    peaks = np.clip(np.rint(job.guesses).astype(int), 0, np.array(frames.shape[1:]) - 1)
    upsample = job.settings.get("upsample", False)
    matcher = grm.Matcher(tolerance=0.2 * job.spacing, min_weight=0.05)
    process_frames_fast(template, frames[:2], peaks, upsample=upsample)
    lattice, centre = np.full((len(frames), 2, 2), np.nan), np.full((len(frames), 2), np.nan)
    start = time.process_time()
    centres, refined, heights, elevations = process_frames_fast(template, frames, peaks, upsample=upsample)
    for i in range(len(frames)):
        try:
            match = matcher.fastmatch(
                centers=centres[i],
                refineds=refined[i],
                peak_values=heights[i],
                peak_elevations=elevations[i],
                zero=job.centre,
                a=job.basis[0],
                b=job.basis[1],
            )
        except (np.linalg.LinAlgError, ValueError, IndexError):
            continue  # the program has no fit for this pattern: it stays NaN and counts as failed
        lattice[i], centre[i] = (match.a, match.b), match.zero
    seconds = time.process_time() - start
    job.save(seconds, lattice, centre=centre, disks=list(np.asarray(refined)))


if __name__ == "__main__":
    main()
