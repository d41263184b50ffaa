"""Seeds: scan positions whose patterns are looked at without knowing any lattice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import NoLatticeError
from parscope.core.frames import Frames
from parscope.techniques.diffraction.pattern import DiffractionPattern
from parscope.techniques.diffraction.setup.correlation import Peaks, find_peaks
from parscope.techniques.diffraction.setup.finder import Lattice, lattice_of
from parscope.workflows.grains.lattice import change, related

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Electrons a seed should have; patterns of fewer are added up with their neighbours: for the stronger lattice, and,
# along the rows only, which costs no reading, for a weaker one.
ENOUGH, PLENTY = 3000.0, 60000.0
WIDEST, LONGEST = 5, 9
# Share of the diffracted intensity beside a lattice that another one must explain.
SECOND = 0.03
FILLED = 0.35
ALIKE_ROTATION, ALIKE_STRAIN = np.deg2rad(2.0), 0.03


@dataclass(frozen=True)
class Seed:
    """What one scan position shows.

    Parameters
    ----------
    place : tuple of int
        Scan position (y, x).
    peaks : Peaks
        Disks found.
    lattices : tuple of ndarray, shape (2, 2)
        Rows g1, g2 of the lattices found, strongest first, [px].
    """

    place: tuple[int, int]
    peaks: Peaks
    lattices: tuple[Array, ...]


def grid(shape: tuple[int, int], most: int) -> NDArray[np.int64]:
    """At most about `most` scan positions on an even grid, rows y, x, shape (n, 2)."""
    step = max(1.0, np.sqrt(shape[0] * shape[1] / most))
    axes = [np.unique(np.arange(step / 2, n, step).astype(np.int64)) if n > step else np.array([n // 2]) for n in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)


def number_of(lattice: Array, among: Sequence[Array]) -> int:
    """Number of the lattice that is nearly the same; -1 if there is none."""
    same = next((n for n, other in enumerate(among) if other is lattice), -1)
    if same >= 0 or not among:
        return same
    between = change(np.stack(among), lattice)
    close = between.within(ALIKE_ROTATION, ALIKE_STRAIN)
    size = np.abs(between.rotation) + between.stretch
    return int(np.argmin(np.where(close, size, np.inf))) if close.any() else -1


class Reader:
    """Patterns at scan positions, added up with their neighbours where the dose is low.

    Parameters
    ----------
    frames : Frames
        The scan.
    side : tuple of int
        Scan positions that are averaged, (y, x), odd.
    """

    def __init__(self, frames: Frames, side: tuple[int, int] = (1, 1)) -> None:
        self._frames, self.side = frames, side

    @property
    def noise(self) -> float:
        """Share of the variance that averaging leaves, [1]."""
        return 1.0 / (self.side[0] * self.side[1])

    def __call__(self, places: NDArray[np.int64]) -> NDArray[Any]:
        """Patterns at `places` (n, 2) of rows in ascending order; shape (n, q_y, q_x)."""
        result = np.empty((len(places), *self._frames.pattern_shape), np.float32)
        rows, columns = self._frames.scan_shape
        height, width = self.side
        for y in np.unique(places[:, 0]):
            low = int(np.clip(y - height // 2, 0, rows - height))
            block = np.asarray(self._frames.data[low : low + height])
            for n in np.flatnonzero(places[:, 0] == y):
                left = int(np.clip(places[n, 1] - width // 2, 0, columns - width))
                some = block[:, left : left + width]
                result[n] = some[0, 0] if some.shape[:2] == (1, 1) else some.mean((0, 1), dtype=np.float64)
        return result


def suited_readers(frames: Frames, sample: NDArray[Any], gain: float) -> tuple[Reader, Reader]:
    """Readers that average as few patterns as show the disks of the stronger, and of a weaker, lattice."""
    electrons = float(np.mean(np.sum(sample, axis=(1, 2), dtype=np.float64))) / gain
    rows, columns = frames.scan_shape
    side = next((s for s in range(1, WIDEST, 2) if s * s * electrons >= ENOUGH), WIDEST)
    high, wide = min(side, rows), min(side, columns)
    longest = max(wide, min(LONGEST, columns // 6))
    long = next((s for s in range(wide, longest, 2) if high * s * electrons >= PLENTY), longest)
    return Reader(frames, (high, wide)), Reader(frames, (high, long))


class Finder:
    """Finds the lattices of single patterns with what is known of the probe.

    Parameters
    ----------
    physics : DiffractionPattern
        Supplies probe, centre, gain and mask; its lattice is not used.
    noise : float
        Share of the variance that averaging has left, [1].
    """

    def __init__(self, physics: DiffractionPattern, noise: float) -> None:
        self.physics, self._gain = physics, physics.gain * noise
        self._mask = np.zeros(physics.shape, np.bool_) if physics.mask is None else physics.mask
        y, x = np.rint(physics.centre).astype(int)
        # a direct disk that is hidden cannot be named by its place
        self._centre = None if self._mask[y, x] else physics.centre

    def peaks(self, pattern: NDArray[Any]) -> Peaks:
        """Disks of a pattern."""
        return find_peaks(pattern, self.physics.probe, self._mask, self._gain)

    def seed(self, place: NDArray[np.int64], pattern: NDArray[Any], known: Sequence[Array] = ()) -> Seed:
        """Peaks and up to two lattices of a pattern; those `known` are tried first, which is quicker."""
        peaks = self.peaks(pattern)
        return Seed((int(place[0]), int(place[1])), peaks, self._of_known(peaks, known) or self._searched(peaks))

    def seeds(
        self, places: NDArray[np.int64], patterns: NDArray[Any], known: Sequence[Array]
    ) -> tuple[list[Seed], list[Array]]:
        """Seeds at places (n, 2) that show a lattice, and all different lattices, those `known` first."""
        lattices, found = list(known), []
        for place, pattern in zip(places, patterns, strict=True):
            seed = self.seed(place, pattern, lattices)
            lattices += [b for b in seed.lattices if number_of(b, lattices) < 0]
            found += [seed] if seed.lattices else []
        return found, lattices

    def _of_known(self, peaks: Peaks, known: Sequence[Array]) -> tuple[Array, ...]:
        """One or two known lattices on which nearly all disks of a pattern lie; none if there are no such."""
        direct = self.direct(peaks, np.array(self.physics.centre))
        centre = peaks.position[direct].mean(0) if direct.any() else np.array(self.physics.centre)
        found: list[Array] = []
        rest = peaks
        while known and len(found) < 2:
            offset = rest.position - centre
            away = offset @ np.linalg.inv(np.stack(known))
            miss = np.hypot(*np.moveaxis((away - np.rint(away)) @ np.stack(known), -1, 0))
            on = (miss < self._near) & ~self.direct(rest, centre)
            best = int(np.argmax(on @ rest.amplitude))
            if on[best].sum() < 4 or self._filled(offset, on[best], known[best]) < (0.6 * FILLED if found else FILLED):
                return ()
            found.append(known[best])
            off = ~on[best] | self.direct(rest, centre)
            rest = Peaks(rest.position[off], rest.amplitude[off], rest.significance[off])
            if not self.substantial(rest, peaks):
                return tuple(found)
        return ()

    def _searched(self, peaks: Peaks) -> tuple[Array, ...]:
        """Up to two lattices of disks."""
        found: list[Array] = []
        rest = peaks
        for _ in range(2):
            lattice = self._lattice(rest, FILLED if rest is peaks else 0.6 * FILLED)
            if lattice is None or (found and related(found[0], lattice.basis)):
                break
            found.append(lattice.basis)
            rest = self.beside(peaks, lattice.centre, found)
            if not self.substantial(rest, peaks):
                break
        return tuple(found)

    def beside(self, peaks: Peaks, centre: Array, bases: list[Array]) -> Peaks:
        """Disks that lie on none of the lattices; and the direct one."""
        offset = peaks.position - centre
        off = np.ones(len(peaks), np.bool_)
        for basis in bases:
            numbers = np.rint(offset @ np.linalg.inv(basis))
            reach = min(1.4 * self.physics.probe.radius, 0.35 * float(np.hypot(*basis.T).min()))
            off &= np.hypot(*(offset - numbers @ basis).T) > max(reach, 1.5)
        keep = off | self.direct(peaks, centre)
        return Peaks(peaks.position[keep], peaks.amplitude[keep], peaks.significance[keep])

    def direct(self, peaks: Peaks, centre: Array) -> Flags:
        """Which of the disks is the direct one."""
        return np.asarray(np.hypot(*(peaks.position - centre).T) < max(1.4 * self.physics.probe.radius, 3.0))

    def substantial(self, rest: Peaks, peaks: Peaks) -> bool:
        """Whether disks beside a lattice are many and strong enough to be those of another one."""
        centre = np.array(self.physics.centre)
        strength = [float(p.amplitude[~self.direct(p, centre)].sum()) for p in (rest, peaks)]
        sure = (rest.significance > 6) & ~self.direct(rest, centre)
        return bool(sure.sum() >= 4 and strength[0] > SECOND * strength[1])

    def _lattice(self, peaks: Peaks, least: float) -> Lattice | None:
        """Lattice of disks, if it is one: most of its points within the disks found must be taken."""
        try:
            lattice = lattice_of(peaks, self.physics.probe, self._mask, self._centre)
        except NoLatticeError:
            return None
        offset = peaks.position - lattice.centre
        numbers = np.rint(offset @ np.linalg.inv(lattice.basis))
        on = np.hypot(*(offset - numbers @ lattice.basis).T) < self._near
        if np.hypot(*(lattice.centre - self.physics.centre)) > 3 * self.physics.probe.radius + 4 or on.sum() < 4:
            return None
        return lattice if self._filled(offset, on, lattice.basis) > least else None

    @property
    def _near(self) -> float:
        """How far a disk of a lattice may be from its place, [px]."""
        return 1 + 0.2 * self.physics.probe.radius

    @staticmethod
    def _filled(offset: Array, on: Flags, basis: Array) -> float:
        """Share of the points of a lattice within the disks `on` it that are taken, [1]."""
        numbers = np.rint(offset[on] @ np.linalg.inv(basis))
        farthest = float(np.quantile(np.hypot(*offset[on].T), 0.9))
        expected = np.pi * farthest**2 / abs(float(np.linalg.det(basis)))
        return len(np.unique(numbers, axis=0)) / expected
