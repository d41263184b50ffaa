"""The phantoms of the strain benchmark: scans whose strain is known, in several lattices, detectors and difficulties.

``A128_flat``, ``A128_mod`` and ``B256_mod`` have flat or fringed disks on a square lattice; ``C_dyn`` is made of
multislice patterns of silicon; the others vary the lattice, the size of the disks, the spacing, the detector, or are
polycrystals under more and more background.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.dynamical import si110
from benchmarks.strain.score import Truth
from parscope.techniques.diffraction.simulate import ScanDesign, Simulation, simulate

Array = NDArray[np.float64]
Images = NDArray[np.float32]

A128 = ScanDesign(scan=(32, 32), electrons=1.0)
B256 = ScanDesign(
    scan=(16, 32),
    pattern=(256, 256),
    electrons=1.0,
    radius=10.0,
    edge=0.8,
    lattice=(42.0, 42.0, -90.0, 79.0),
    max_q=114.0,
    envelope=80.0,
    tilt=24.0,
    background_width=28.0,
)
HEXAGONAL = (24.0, 24.0, 60.0, 11.0)
POLYCRYSTAL = ScanDesign(
    scan=(128, 128), electrons=1.0, lattice=HEXAGONAL, ellipse=(0.0, 0.0), grains=60, max_strain=0.02
)

DESIGNS: dict[str, ScanDesign] = {
    "A128_flat": replace(A128, contrast=0.0),
    "A128_mod": A128,
    "B256_mod": B256,
    "hexagonal": replace(A128, lattice=HEXAGONAL),
    "oblique": replace(A128, lattice=(24.0, 30.0, 75.0, 11.0)),
    "spots": replace(A128, radius=1.2, contrast=0.0),
    "spacing_24": replace(A128, lattice=(24.0, 24.0, -90.0, 79.0)),
    "spacing_40": replace(A128, lattice=(40.0, 40.0, -90.0, 79.0)),
    "spacing_60": replace(B256, lattice=(60.0, 60.0, -90.0, 79.0)),
    "detector_64": A128.sized((64, 64)),
    "detector_128": A128.sized((128, 128)),
    "detector_256": replace(A128.sized((256, 256)), scan=(16, 32)),
    "detector_512": replace(A128.sized((512, 512)), scan=(8, 32)),
} | {f"polycrystal_{share:02d}": replace(POLYCRYSTAL, background=share / 100) for share in (0, 25, 50, 70)}

DYNAMICAL = "C_dyn"
NAMES = (*DESIGNS, DYNAMICAL)

SILICON, REPEATS = 5.431, 8
"""Lattice constant, [Å], and scan positions with the same expected pattern."""


@dataclass(frozen=True)
class Phantom:
    """A scan whose expected patterns and truth are known.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    design : ScanDesign
        Geometry: probe, lattice, background; of the multislice phantom what a person would have measured.
    truth : Truth
        Of all n patterns, in scan order.
    share : ndarray, shape (n,)
        Share of the electrons from a second grain, [1].
    grain : ndarray of int, shape (n,)
        Grain of every pattern.
    source : Simulation or ndarray of float32, shape (n, pattern y, pattern x)
        Where the expected patterns come from.
    """

    name: str
    design: ScanDesign
    truth: Truth
    share: Array
    grain: NDArray[np.int64]
    source: Simulation | Images

    @property
    def scan(self) -> tuple[int, int]:
        """Scan positions (y, x)."""
        return self.design.scan

    @property
    def boundary(self) -> NDArray[np.bool_]:
        """Patterns in which two grains mix by more than 2 %, shape (n,)."""
        return self.share > 0.02

    @property
    def expected(self) -> Images:
        """Expected patterns, each of sum 1, shape (n, pattern y, pattern x)."""
        return np.concatenate(list(self.rows()))

    def rows(self) -> Iterator[Images]:
        """Expected patterns of one scan row after the other, each of sum 1, shape (scan x, pattern y, pattern x)."""
        for y in range(self.scan[0]):
            if isinstance(self.source, Simulation):
                yield self.source.expected(y, y + 1)[0]
            else:
                yield self.source[y * self.scan[1] : (y + 1) * self.scan[1]]

    def draw(self, electrons: float, seed: int = 0) -> NDArray[np.uint16]:
        """Draw the whole scan.

        Parameters
        ----------
        electrons : float
            Mean electrons per pattern.
        seed : int, default 0
            Added to the number of electrons to give the seed of the draw.

        Returns
        -------
        ndarray of uint16, shape (scan y, scan x, pattern y, pattern x)
        """
        rng = np.random.default_rng(seed + int(electrons))
        patterns = np.empty((*self.scan, *self.design.pattern), np.uint16)
        for y, mean in enumerate(self.rows()):
            patterns[y] = rng.poisson(mean.astype(np.float64) * electrons)
        return patterns


def load(name: str, dynamical: Path | None = None) -> Phantom:
    """Make a phantom.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    dynamical : Path, optional
        File of multislice patterns for ``C_dyn``; default that of `benchmarks.dynamical.si110.file`.

    Returns
    -------
    Phantom

    Raises
    ------
    KeyError
        If there is no phantom of that name.
    """
    return _dynamical(dynamical or si110.file()) if name == DYNAMICAL else made(name, DESIGNS[name])


def made(name: str, design: ScanDesign) -> Phantom:
    """Make a phantom of any design.

    Parameters
    ----------
    name : str
        How it is called.
    design : ScanDesign
        With one electron a pattern.

    Returns
    -------
    Phantom
    """
    scan = simulate(design)
    truth = scan.truth
    lattice = truth.basis @ np.swapaxes(truth.affine, -1, -2)
    return Phantom(
        name,
        scan.design,
        Truth(
            lattice.reshape(-1, 2, 2),
            truth.centre.reshape(-1, 2),
            truth.basis,
            truth.indices,
            truth.reference.ravel(),
        ),
        truth.share.ravel(),
        truth.grain.ravel(),
        scan,
    )


def _dynamical(path: Path) -> Phantom:
    """Expected patterns and truth of ``C_dyn`` from strained silicon [110] at four thicknesses."""
    with np.load(path) as stored:
        frames, meta = stored["frames"], stored["meta"]
        pixel = float(stored["det_mrad"]) * 1e-3 / float(stored["lam"])
        radius = float(stored["alpha"]) / float(stored["det_mrad"])
    g_y, g_x = 1 / SILICON / pixel, np.sqrt(2) / SILICON / pixel
    length, half = float(np.hypot(g_y, g_x)), float(np.rad2deg(np.arctan2(g_y, g_x)))
    design = ScanDesign(
        scan=(len(frames) * REPEATS // 32, 32),
        pattern=frames.shape[1:],
        electrons=1.0,
        radius=radius,
        edge=0.62,
        ellipse=(0.0, 0.0),
        lattice=(length, length, 180 - 2 * half, half),
        max_q=50.0,
        background_width=16.0,
        descan=0.0,
    )
    centre = np.array(design.pattern) / 2
    y, x = (np.arange(n) - c for n, c in zip(design.pattern, centre, strict=True))
    diffuse = 1 / (1 + (y[:, None] ** 2 + x**2) / design.background_width**2)
    mixed = (1 - design.background) * frames + design.background * diffuse / diffuse.sum()
    # The stored rotation is from axis 0 towards axis 1; a matrix on (y, x) pairs turns the same way.
    c, s = np.cos(meta[:, 2]), np.sin(meta[:, 2])
    turn = np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)
    affine = turn / (1 + meta[:, None, :2])
    basis = design.crystal_basis
    truth = Truth(
        np.repeat(basis @ np.swapaxes(affine, -1, -2), REPEATS, 0),
        np.broadcast_to(centre, (len(frames) * REPEATS, 2)),
        basis,
        design.indices,
        np.repeat(meta[:, 6] > 0, REPEATS),
    )
    nothing = np.zeros(len(frames) * REPEATS)
    return Phantom(
        DYNAMICAL, design, truth, nothing, nothing.astype(np.int64), np.repeat(mixed.astype(np.float32), REPEATS, 0)
    )
