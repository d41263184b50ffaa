"""Runner of quantem: batched template correlation with background high-pass; weighted lattice fit of what it found."""

from __future__ import annotations

import time

import numpy as np
import torch
from job import Job, fit_lattice, index_peaks
from quantem.diffraction import disk_detection as dd

BATCH = 64


def main() -> None:
    """Detect disks with the exact probe, index them by the hand-given lattice."""
    torch.set_num_threads(1)
    job = Job.from_command()
    probe = torch.as_tensor(job.probe.astype(np.float32))
    template = torch.as_tensor(dd.make_template(probe / probe.max()))
    transform = dd.template_fourier(template)
    options = {
        "min_spacing": 0.6 * job.spacing,
        "edge_boundary": int(job.radius) + 1,
        "subpixel": job.settings["subpixel"],
        "max_num_peaks": int(1.2 * len(job.indices)),
        "background_sigma": 2.0 * job.radius,
        "sigma_cc": 1.0,
    }
    frames = torch.as_tensor(job.flat.astype(np.float32))
    dd.detect_disks_batch(frames[:4], transform, **options)
    start, found = time.process_time(), []
    for first in range(0, len(frames), BATCH):
        found += dd.detect_disks_batch(frames[first : first + BATCH], transform, **options)
    # Only its detection is timed: the lattice fit below is not the program's own.
    seconds = time.process_time() - start
    peaks = [np.asarray(f, dtype=float).reshape(len(f), -1) for f in found]
    lattice, centre = fit_lattice(job, *index_peaks(job, peaks, tolerance=0.12 * job.spacing + 1))
    job.save(seconds, lattice, centre=centre, disks=[p[:, :2] for p in peaks])


if __name__ == "__main__":
    main()
