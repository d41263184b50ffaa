"""Dynamical diffraction patterns of strained silicon [110] by multislice, with abTEM.

Run by the interpreter of the environment `abtem`: ``python make_si110.py OUT.npz [STATES]``. 300 kV, 2 mrad
probe, four exit thicknesses of each state of strain, a random mistilt a state; the first quarter of the states, two
at least, is unstrained. A state takes about 40 s of one core.

The file holds ``frames`` (n, 128, 128), each of sum 1, and ``meta`` (n, 7): strain along axis 0 and along axis 1 of
the patterns [1], rotation [rad] from axis 0 towards axis 1, mistilt along both axes [mrad], index of the thickness,
1 for a reference; also ``det_mrad`` [mrad/px], ``alpha`` [mrad] and ``lam`` [Å].
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import abtem
import ase
import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

LATTICE = 5.431  # Å
ENERGY = 300e3  # eV
CONVERGENCE = 2.0  # mrad
PIXELS, PIXEL = 128, 0.30  # mrad a pixel: disks of 6.7 px radius, {111} at 20.9 px
THICKNESSES = (120.0, 200.0, 280.0, 400.0)  # Å
BOX = 110.0  # Å, wide enough for the probe at 2 mrad
SUPERSAMPLING, BLUR = 3, 0.5  # of the detector pixels; its point spread, px
STRAIN, ROTATION, TILT = 0.015, np.deg2rad(1.0), 1.0  # ranges and, for the tilt, standard deviation, mrad
WAVELENGTH = 12.2643 / np.sqrt(ENERGY * (1 + 0.978476e-6 * ENERGY))  # Å, relativistic


def unit_cell(along_0: float, along_1: float) -> Any:
    """Orthogonal cell of silicon seen along [110]: axes [001], [1-10], [110]; strained along the first two."""
    short = LATTICE / np.sqrt(2)
    sites = [(0, 0, 0), (0.5, 0.5, 0.5), (0.25, 0.0, 0.5), (0.75, 0.5, 0.0)]
    cell = (LATTICE * (1 + along_0), short * (1 + along_1), short)
    return ase.Atoms("Si4", scaled_positions=sites, cell=cell, pbc=True)


def exit_patterns(along_0: float, along_1: float, tilt: Any) -> tuple[list[Any], Any]:
    """Diffraction patterns at every thickness, zero frequency in the middle, and the lengths of the box [Å]."""
    cell = unit_cell(along_0, along_1)
    lengths = np.diag(cell.cell.array)
    repeats = np.rint(BOX / lengths[:2]).astype(int)
    slab = abtem.Potential(
        cell * (*repeats, 1),
        sampling=0.22,
        slice_thickness=lengths[2] / 2,
        parametrization="kirkland",
        projection="infinite",
    ).build(lazy=False)
    probe = abtem.Probe(energy=ENERGY, semiangle_cutoff=CONVERGENCE, tilt=tuple(tilt))
    probe.grid.match(slab)
    wave, passed, patterns = probe.build(lazy=False), 0, []
    for depth in THICKNESSES:
        layers = round(depth / lengths[2])
        wave = wave.multislice(abtem.CrystalPotential(slab, repetitions=(1, 1, layers - passed)))
        passed = layers
        amplitude = np.fft.fftshift(np.fft.fft2(np.asarray(wave.array).reshape(wave.shape[-2:])))
        patterns.append(np.abs(amplitude) ** 2)
    return patterns, repeats * lengths[:2]


def detect(pattern: Any, box: Any, rotation: float) -> Any:
    """Sample a pattern on the detector: turned, averaged over the pixels, blurred, sum 1."""
    fine = (np.arange(PIXELS * SUPERSAMPLING) + 0.5) / SUPERSAMPLING - 0.5 - PIXELS / 2
    per_angstrom = PIXEL * 1e-3 / WAVELENGTH
    q0, q1 = np.meshgrid(fine * per_angstrom, fine * per_angstrom, indexing="ij")
    c, s = np.cos(rotation), np.sin(rotation)
    crystal = (c * q0 + s * q1, c * q1 - s * q0)
    where = [q * length + n // 2 for q, length, n in zip(crystal, box, pattern.shape, strict=True)]
    sampled = map_coordinates(pattern, where, order=1)
    image = sampled.reshape(PIXELS, SUPERSAMPLING, PIXELS, SUPERSAMPLING).mean((1, 3))
    image = gaussian_filter(image, BLUR)
    return image / image.sum()


def main() -> None:
    """Calculate all states and write one file."""
    target, states = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 14
    abtem.config.set({"device": "cpu"})
    rng = np.random.default_rng(11)
    frames, meta = [], []
    for state in range(states):
        reference = state < max(2, states // 4)
        along_0, along_1 = (0.0, 0.0) if reference else rng.uniform(-STRAIN, STRAIN, 2)
        rotation = 0.0 if reference else float(rng.uniform(-ROTATION, ROTATION))
        tilt, start = rng.normal(0, TILT, 2), time.process_time()
        patterns, box = exit_patterns(along_0, along_1, tilt)
        for thickness, pattern in enumerate(patterns):
            frames.append(detect(pattern, box, rotation))
            meta.append((along_0, along_1, rotation, *tilt, thickness, reference))
        print(f"state {state + 1} of {states}: {time.process_time() - start:.0f} s", flush=True)
    np.savez(
        target,
        frames=np.array(frames, np.float32),
        meta=np.array(meta, float),
        det_mrad=PIXEL,
        alpha=CONVERGENCE,
        lam=WAVELENGTH,
    )


if __name__ == "__main__":
    main()
