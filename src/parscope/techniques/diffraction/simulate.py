"""Simulates nanobeam 4D-STEM scans whose strain, grains and disk positions are known exactly.

Kinematic disks with dynamical-looking fringes on a deformed lattice, a diffuse background, descan, distortion and a
detector with faults. What it is not: a multislice calculation; use a scattering code for absolute intensities.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import ShapeError
from parscope.core.frames import Frames
from parscope.core.physics import Contrast
from parscope.techniques.diffraction.pattern import Background, DiffractionPattern, Probe
from parscope.techniques.diffraction.simulate_design import Detector as Detector
from parscope.techniques.diffraction.simulate_design import ScanDesign as ScanDesign
from parscope.techniques.diffraction.simulate_render import add_disks, fill_background, scatter
from parscope.techniques.diffraction.simulate_truth import (
    Crystals,
    Disks,
    Truth,
    build_truth,
    disk_positions,
    draw_crystals,
    scan_coordinates,
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Simulation:
    """A simulated scan: its truth, and its patterns when they are asked for.

    It is `Sliceable`: ``simulation[2, 3]`` draws one scan row and returns one pattern, and `frames` wraps it for
    every workflow. A row is always the same, in whatever pieces the scan is read.

    Parameters
    ----------
    design : ScanDesign
        What was simulated.
    truth : Truth
        What a perfect analysis would find.
    disks : Disks
        Random properties of the disks.
    crystals : Crystals
        Layout of the grains.
    mask : ndarray of bool, shape (pattern y, pattern x)
        True where a detector pixel is hot, dead or behind the beam stop.
    response : ndarray, shape (pattern y, pattern x)
        Relative response of the detector pixels, [1].
    excess : ndarray, shape (pattern y, pattern x)
        Electrons per pattern that hot pixels see without a beam.
    """

    design: ScanDesign
    truth: Truth
    disks: Disks
    crystals: Crystals
    mask: NDArray[np.bool_]
    response: Array
    excess: Array

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Scan and pattern sizes (y, x, q_y, q_x)."""
        return (*self.design.scan, *self.design.pattern)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of one sample."""
        return np.dtype(self.design.detector.kind)

    @property
    def frames(self) -> Frames:
        """The scan for the workflows, drawn when it is read."""
        scan = Frames.from_array(self, source="simulation")
        return Frames(self, scan.axes, {"seed": self.design.seed}, scan.source, self.mask if self.mask.any() else None)

    def __getitem__(self, key: Any, /) -> Any:
        """Patterns that `key` selects; integers and slices of step 1 on the scan rows, anything after it."""
        key = key if isinstance(key, tuple) else (key,)
        head, rest = (key[0], key[1:]) if key and key[0] is not Ellipsis else (slice(None), key)
        if isinstance(head, slice):
            start, stop, step = head.indices(self.shape[0])
            return self.rows(start, max(start, stop))[(slice(None, None, step), *rest)]
        row = range(self.shape[0])[head]
        return self.rows(row, row + 1)[(0, *rest)]

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Draw scan rows.

        Parameters
        ----------
        start, stop : int
            Half-open range of scan rows.

        Returns
        -------
        ndarray, shape (stop - start, scan x, pattern y, pattern x)
            Detector counts, of type `dtype`; the same for the same row in any call.

        Raises
        ------
        ShapeError
            If the range is not within the scan.
        """
        self._check_range(start, stop)
        block = np.empty((stop - start, *self.shape[1:]), dtype=self.dtype)
        for y in range(start, stop):
            rng = np.random.default_rng((self.design.seed, 3, y))
            for x, mean in enumerate(self._patterns(y)):
                block[y - start, x] = self._detect(rng, mean)
        return block

    def expected(self, start: int, stop: int) -> NDArray[np.float32]:
        """Mean electrons per pixel of scan rows, before the detector turns them into counts.

        Parameters
        ----------
        start, stop : int
            Half-open range of scan rows.

        Returns
        -------
        ndarray of float32, shape (stop - start, scan x, pattern y, pattern x)
            Faulty pixels included; multiply by the gain for counts.

        Raises
        ------
        ShapeError
            If the range is not within the scan.
        """
        self._check_range(start, stop)
        block = np.empty((stop - start, *self.shape[1:]), dtype=np.float32)
        for y in range(start, stop):
            for x, mean in enumerate(self._patterns(y)):
                block[y - start, x] = mean
        return block

    def pattern(self, contrast: Contrast | None = None) -> DiffractionPattern:
        """The true physics of the scan, for solvers that are to start from a perfect template.

        Parameters
        ----------
        contrast : Contrast, optional
            Prior for the fringes; default none.

        Returns
        -------
        DiffractionPattern
            Of the first crystal without strain, with the mean intensities of the scan.
        """
        design, truth = self.design, self.truth
        probe = Probe(design.radius, design.edge, design.distortion)
        # A soft disk holds pi (r^2 + edge^2) pixels, not pi r^2: the edge is farther out on average.
        area = np.pi * (design.radius**2 + design.edge**2) * np.linalg.det(design.distortion)
        centre = truth.centre.mean((0, 1))
        offsets = np.stack(np.meshgrid(*(np.arange(n) for n in design.pattern), indexing="ij"), -1) - centre
        level = design.electrons * design.background / Background(1.0, design.background_width).at(offsets).sum()
        gain = design.detector.gain
        return DiffractionPattern(
            shape=design.pattern,
            probe=probe,
            centre=(float(centre[0]), float(centre[1])),
            basis=truth.basis,
            indices=truth.indices,
            amplitude=truth.electrons.mean((0, 1)) / area * gain,
            background=Background(gain * level, design.background_width),
            contrast=Contrast() if contrast is None else contrast,
            gain=gain,
            mask=self.mask if self.mask.any() else None,
        )

    def _check_range(self, start: int, stop: int) -> None:
        """Refuse rows that are not in the scan."""
        if not 0 <= start <= stop <= self.shape[0]:
            raise ShapeError(f"rows {start} to {stop} are not within 0 to {self.shape[0]}", "simulation")

    def _patterns(self, y: int) -> Iterator[Array]:
        """Yield the expected patterns of one scan row; the array is reused."""
        design, truth = self.design, self.truth
        inverse = np.linalg.inv(design.distortion)
        probe = np.array([*inverse.ravel(), design.radius, design.edge])
        crystals = [self.row_disks(y), self.row_disks(y, second=True)]
        image = np.empty(design.pattern)
        for x in range(design.scan[1]):
            diffuse = design.electrons * design.background * (truth.grain[y, x] >= 0)
            fill_background(image, truth.centre[y, x], diffuse, design.background_width)
            for positions, electrons, fringe in crystals:
                add_disks(image, positions[x], electrons[x], probe, fringe[x])
            image *= self.response
            image += self.excess
            yield image

    def row_disks(self, y: int, second: bool = False) -> tuple[Array, Array, Array]:
        """Disks along one scan row.

        Parameters
        ----------
        y : int
            Scan row.
        second : bool, default False
            Of the second crystal, in place of the first.

        Returns
        -------
        positions : ndarray, shape (scan x, n, 2)
            Centres (y, x), [px].
        electrons : ndarray, shape (scan x, n)
            Mean electrons per disk.
        fringe : ndarray, shape (scan x, n, 6)
            As `add_disks` takes it: depth, wave vector, phase and ramp.
        """
        design, truth, disks, crystals = self.design, self.truth, self.disks, self.crystals
        affine = (truth.other_affine if second else truth.affine)[y]
        which = (crystals.second if second else crystals.first)[y]
        electrons = (truth.other_electrons if second else truth.electrons)[y]
        sy, sx = (c[y, :, None] for c in scan_coordinates(design))
        here = np.where(np.isfinite(affine), affine, np.eye(2))
        positions = disk_positions(here, truth.centre[y], truth.basis, truth.indices)
        direct = (truth.indices == 0).all(1)
        specimen = (truth.grain[y] >= 0)[:, None]
        depth = design.contrast * np.where(direct, 0.4, 1.0) * specimen
        phase = disks.phase + sy * disks.drift[0] + sx * disks.drift[1] + crystals.phase[which]
        ramp = 0.5 * depth * np.cos(sy * disks.drift[1] + sx * disks.drift[0] + disks.ramp_phase) / design.radius
        fringe = np.empty((*phase.shape, 6))
        fringe[..., 0], fringe[..., 3] = depth, phase
        fringe[..., 1:3] = disks.wave / design.radius
        fringe[..., 4:] = ramp[..., None] * disks.ramp
        return positions, electrons, fringe

    def _detect(self, rng: np.random.Generator, mean: Array) -> NDArray[Any]:
        """Counts of one pattern: shot noise, gain, readout noise, and the type of the file."""
        detector = self.design.detector
        counts: NDArray[Any] = draw_counts(rng, mean)
        if detector.gain != 1:
            counts = counts * detector.gain
        if detector.readout:
            counts = counts + rng.normal(0.0, detector.readout, mean.shape)
        if self.dtype.kind == "u":
            whole = np.rint(counts) if counts.dtype.kind == "f" else counts
            counts = np.clip(whole, 0, np.iinfo(self.dtype).max)
        return counts.astype(self.dtype)


def simulate(design: ScanDesign) -> Simulation:
    """Simulate a nanobeam 4D-STEM scan.

    Parameters
    ----------
    design : ScanDesign
        Specimen, probe, detector and dose.

    Returns
    -------
    Simulation
        Truth at once, patterns when they are read.

    Examples
    --------
    >>> scan = simulate(ScanDesign(scan=(4, 4), electrons=500))
    >>> scan.rows(0, 1).shape
    (1, 4, 128, 128)
    >>> round(float(scan.expected(0, 1)[0, 0].sum()))
    500
    """
    disks, crystals = Disks.draw(design.indices, design.seed), draw_crystals(design)
    mask, response, excess = _faults(design)
    return Simulation(design, build_truth(design, disks, crystals), disks, crystals, mask, response, excess)


def draw_counts(rng: np.random.Generator, mean: Array) -> NDArray[np.int64]:
    """Poisson counts, by the cheaper of two exact ways.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    mean : ndarray, shape (q_y, q_x)
        Electrons per pixel.

    Returns
    -------
    ndarray of int, shape (q_y, q_x)
    """
    total = float(mean.sum())
    if total > 4 * mean.size:
        return rng.poisson(mean)
    counts = np.zeros(mean.shape, dtype=np.int64)
    scatter(mean, rng.standard_exponential(int(rng.poisson(total)) + 1), counts)
    return counts


def _faults(design: ScanDesign) -> tuple[NDArray[np.bool_], Array, Array]:
    """Faulty pixels, relative response and dark electrons of the detector."""
    detector = design.detector
    rng = np.random.default_rng((design.seed, 2))
    response, excess = np.ones(design.pattern), np.zeros(design.pattern)
    y, x = np.meshgrid(*(np.arange(n) - n / 2 for n in design.pattern), indexing="ij")
    if detector.beam_stop:
        bar = (np.abs(x) < 0.4 * detector.beam_stop) & (y < 0)
        response[(y * y + x * x < detector.beam_stop**2) | bar] = 0.0
    hot, dead = np.split(rng.permutation(response.size)[: detector.hot + detector.dead], [detector.hot])
    response.flat[dead] = 0.0
    excess.flat[hot] = 0.02 * design.electrons
    return (response == 0) | (excess > 0), response, excess
