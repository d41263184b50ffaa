"""The polycrystal of the published benchmark of the cycle-consistent autoencoder, simulated here.

As published: hexagonal grains at any orientation, 1e5 electrons a pattern, no descan, and a share of the electrons in a
background 1 / (1 + (q / 0.01)^2), where q is in cycles per pixel of the 200 px used of 256: a half width of 2 px.
Grains differ in orientation and strain alone, since one base served for all: no tilt, and disks without fringes. Not
published, and ours: the grains, their strains, the intensities of the disks; counting noise without a background too.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.strain.phantoms import POLYCRYSTAL
from parscope.techniques.diffraction.simulate import ScanDesign

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
