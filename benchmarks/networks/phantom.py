"""The polycrystal of the published benchmark of the cycle-consistent autoencoder, simulated here.

As published: hexagonal grains at any orientation, 1e5 electrons a pattern, no descan, and a share of the electrons in a
background 1 / (1 + (q / 0.01)^2), where q is in cycles per pixel of the 200 px used of 256: a half width of 2 px.
As one base served for all grains, and rotations were taken modulo 60 degrees, grains differ in orientation and strain
alone: no tilt, disks without fringes, disks of a ring alike. Not published, and ours: the grains and their strains, the
disks that there are and their intensities, and counting noise where there is no background too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.strain.phantoms import POLYCRYSTAL
from parscope.techniques.diffraction.simulate import ScanDesign, Simulation, simulate
from parscope.techniques.diffraction.simulate_truth import build_truth

ELECTRONS = 100_000
PUBLISHED_SCAN, PUBLISHED_PATTERN = 256, 256
BACKGROUNDS = (0, 25, 50, 70)
GRAIN = 256
"""Scan positions in a grain."""


def design(background: float, scan: int, pattern: int) -> ScanDesign:
    """Polycrystal of the published kind.

    Parameters
    ----------
    background : float
        Share of the electrons in the background, [%].
    scan, pattern : int
        Sides of the scan and of the patterns, [px].
    """
    sized = POLYCRYSTAL.sized((pattern, pattern))
    return replace(
        sized,
        scan=(scan, scan),
        electrons=float(ELECTRONS),
        grains=max(4, scan**2 // GRAIN),
        descan=0.0,
        tilt=0.0,
        contrast=0.0,
        background=background / 100,
        background_width=2.0 * pattern / PUBLISHED_PATTERN,
    )


def polycrystal(background: float, scan: int, pattern: int, other: int = 0) -> Simulation:
    """Simulate that design, with the disks of each ring alike; of other grains and chance where `other` is not 0."""
    chosen = design(background, scan, pattern)
    made = simulate(replace(chosen, seed=chosen.seed + other))
    disks = replace(made.disks, factor=np.ones_like(made.disks.factor))
    return replace(made, disks=disks, truth=build_truth(made.design, disks, made.crystals))
