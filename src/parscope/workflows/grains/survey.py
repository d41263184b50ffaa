"""Survey of a scan with several lattices: which of them every pattern follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from parscope.core.frames import Frames
from parscope.core.solver import Estimate, Status
from parscope.solvers.lattice import LatticeFilters
from parscope.techniques.diffraction.lattice import strain_jacobian
from parscope.techniques.diffraction.pattern import DiffractionPattern
from parscope.techniques.diffraction.setup.select import lattice_points
from parscope.workflows.grains.fit import fit_crystals, pattern_physics
from parscope.workflows.grains.seeds import Finder, Reader, Seed, number_of

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
Flags = NDArray[np.bool_]
Progress = Callable[[float], None]

MOST_POSITIONS = 20000
BLOCK_BYTES = 32 << 20
POORLY, WELL = 0.6, 0.85
NEW_SEEDS, ROUNDS = 120, 3


@dataclass(frozen=True)
class Survey:
    """What the patterns of a coarse or full grid of scan positions follow.

    Parameters
    ----------
    stride : int
        Scan steps from one position to the next.
    label : ndarray of int, shape (y, x)
        Number of the lattice; -1 where none fits.
    lattice : ndarray, shape (y, x, 2, 2)
        Rows g1, g2, in the cell of their reference, [px].
    centre : ndarray, shape (y, x, 2)
        Centre of the pattern, [px].
    error : ndarray, shape (y, x)
        Standard error of the rotation, [rad].
    explained : ndarray, shape (y, x)
        Share of the electrons in diffracted disks, [1].
    """

    stride: int
    label: Labels
    lattice: Array
    centre: Array
    error: Array
    explained: Array


def pattern_of(lattice: Array, like: DiffractionPattern, farthest: float, amplitude: float) -> DiffractionPattern:
    """Pattern of equally strong disks on a lattice, with the probe and background of another one."""
    margin = like.probe.radius + 3 * like.probe.edge + 1
    numbers = lattice_points(np.array(like.centre), lattice, like.shape, margin, farthest)
    return replace(like, basis=lattice, indices=numbers.astype(np.int64), amplitude=np.full(len(numbers), amplitude))


def stride_of(shape: tuple[int, int]) -> int:
    """Scan steps from one position of a survey to the next, for a scan of a shape (y, x)."""
    return max(1, int(np.ceil(np.sqrt(shape[0] * shape[1] / MOST_POSITIONS))))


def rows_together(frames: Frames, stride: int) -> Iterator[NDArray[np.int64]]:
    """Rows of a survey of a scan, counted in its steps, that are read together."""
    rows = -(-frames.scan_shape[0] // stride)
    row_bytes = frames.data.dtype.itemsize * int(np.prod(frames.data.shape[1:]))
    at_once = max(1, BLOCK_BYTES // max(row_bytes // stride, 1))
    for start in range(0, rows, at_once):
        yield np.arange(start, min(start + at_once, rows))


def rotation_errors(estimate: Estimate) -> Array:
    """Standard error of the rotation of each pattern, shape (n,), [rad]; NaN where it is not OK."""
    good = estimate.status == Status.OK
    slope = strain_jacobian(estimate.theta[good, 2:].reshape(-1, 2, 2))[:, 3]
    error = np.full(len(good), np.nan)
    error[good] = np.sqrt(np.einsum("ni,nij,nj->n", slope, estimate.covariance[good, 2:, 2:], slope))
    return error


class Surveyor:
    """Fits the scan with lattices and looks for more where they explain little.

    Parameters
    ----------
    frames : Frames
        The scan.
    finder : Finder
        Of lattices in single patterns.
    reader : Reader
        Of the patterns for the finder.
    farthest : float
        Disk used, [px] from the centre.
    amplitude : float
        Typical counts per pixel of a diffracted disk.
    """

    def __init__(self, frames: Frames, finder: Finder, reader: Reader, farthest: float, amplitude: float) -> None:
        self._frames, self._finder, self._reader = frames, finder, reader
        self._farthest, self._amplitude = farthest, amplitude
        self.stride = stride_of(frames.scan_shape)
        self._solvers: list[LatticeFilters] = []
        self._numbers: list[list[int]] = []

    def run(
        self, seeds: list[Seed], lattices: list[Array], progress: Progress
    ) -> tuple[Survey, list[Array], list[Seed]]:
        """Survey, the lattices it found besides those of the seeds, and all seeds it needed."""
        survey, present = self._survey(lattices, seeds, None, progress)
        for _ in range(ROUNDS):
            places = _poorly_explained(survey)
            more, grown = self._finder.seeds(places, self._reader(places), lattices)
            useful = [s for s in more if self._differs(s, grown, survey)]
            if not useful:
                break
            lattices, seeds = grown, seeds + useful
            survey, present = self._survey(lattices, seeds, (survey, present), progress)
        return survey, lattices, seeds

    def _differs(self, seed: Seed, lattices: list[Array], survey: Survey) -> bool:
        """Whether a seed shows another lattice than the survey does there."""
        y, x = (min(seed.place[k] // self.stride, survey.label.shape[k] - 1) for k in range(2))
        return bool(number_of(seed.lattices[0], lattices) != survey.label[y, x])

    def _survey(
        self, lattices: list[Array], seeds: list[Seed], before: tuple[Survey, Flags] | None, progress: Progress
    ) -> tuple[Survey, Flags]:
        """Fit the positions badly explained before at which seeds nearby show other lattices now."""
        self._grow(lattices)
        present, nearest = self._present(lattices, seeds)
        shape = present.shape[:2]
        if before is None:
            survey, changed = _nothing(self.stride, shape), np.ones(shape, np.bool_)
        else:
            survey, known = before
            known = np.pad(known, ((0, 0), (0, 0), (0, len(lattices) - known.shape[2])))
            changed = (present & ~known).any(-1) & (survey.explained < WELL * _typical(survey))
        columns = np.arange(shape[1]) * self.stride
        for rows in rows_together(self._frames, self.stride):
            y, x = np.nonzero(changed[rows])
            if len(y) == 0:
                continue
            of_rows = [np.asarray(self._frames.data[int(r) * self.stride])[columns[changed[r]]] for r in rows]
            options = _options(present[rows][y, x], nearest[rows][y, x])
            self._fit(np.concatenate(of_rows), options, survey, (rows[y], x))
            progress((rows[-1] + 1) / shape[0])
        return survey, present

    def _grow(self, lattices: list[Array]) -> None:
        """Solvers for lattices that have none yet; all share their filters."""
        for lattice in lattices[len(self._solvers) :]:
            physics = pattern_of(lattice, self._finder.physics, self._farthest, self._amplitude)
            new = self._solvers[0].with_lattice(physics) if self._solvers else LatticeFilters(physics, bins=3)
            self._solvers.append(new)

    def _present(self, lattices: list[Array], seeds: list[Seed]) -> tuple[Flags, Labels]:
        """Which lattices the seeds near every position show, (y, x, lattices), and the nearest one first, (y, x)."""
        self._numbers += [[number_of(b, lattices) for b in s.lattices] for s in seeds[len(self._numbers) :]]
        place = np.array([s.place for s in seeds], dtype=np.float64)
        shape = tuple(-(-n // self.stride) for n in self._frames.scan_shape)
        reach = 1.05 * float(np.sqrt(np.prod(self._frames.scan_shape) / len(seeds))) + self.stride
        present = np.zeros((*shape, len(lattices)), np.bool_)
        for numbers, at in zip(self._numbers, place / self.stride, strict=True):
            low = np.maximum(np.ceil(at - reach / self.stride), 0).astype(int)
            high = np.floor(at + reach / self.stride).astype(int) + 1
            present[low[0] : high[0], low[1] : high[1], numbers] = True
        here = np.stack(np.meshgrid(*(np.arange(n) * self.stride for n in shape), indexing="ij"), -1)
        return present, np.array([n[0] for n in self._numbers])[KDTree(place).query(here)[1]]

    def _fit(
        self, patterns: NDArray[Any], options: NDArray[np.int16], survey: Survey, at: tuple[Labels, Labels]
    ) -> None:
        """Fit patterns (n, q_y, q_x) with the first of their options, and with all where that explains little."""
        self._enter(patterns, options[:, :1], survey, at)
        explained = survey.explained[at]
        again = explained < WELL * np.median(explained)
        if again.any() and options.shape[1] > 1:
            self._enter(patterns[again], options[again], survey, (at[0][again], at[1][again]))

    def _enter(
        self, patterns: NDArray[Any], options: NDArray[np.int16], survey: Survey, at: tuple[Labels, Labels]
    ) -> None:
        """Fit patterns with their options and enter what they follow into the survey at their positions."""
        solvers = tuple(self._solvers)
        estimate, crystal, _ = fit_crystals(patterns[None], options[None], solvers, mixing=False)
        theta, good = estimate.theta, estimate.status == Status.OK
        affine, number = theta[:, 2:].reshape(-1, 2, 2), np.maximum(crystal[0], 0)
        physics = [pattern_physics(s) for s in solvers]
        direct = np.array([int(np.flatnonzero((p.indices == 0).all(1))[0]) for p in physics])[number]
        amplitude = np.clip(estimate.extra["amplitude"], 0, None)
        diffracted = amplitude.sum(1) - amplitude[np.arange(len(theta)), direct]
        area = np.pi * physics[0].probe.radius ** 2 / physics[0].gain
        survey.label[at] = np.where(good, crystal[0], -1)
        survey.lattice[at] = np.stack([p.basis for p in physics])[number] @ np.swapaxes(affine, -1, -2)
        survey.centre[at] = theta[:, :2]
        survey.error[at] = rotation_errors(estimate)
        survey.explained[at] = np.where(good, diffracted * area / np.maximum(estimate.extra["electrons"], 1e-9), 0.0)


def _nothing(stride: int, shape: tuple[int, int]) -> Survey:
    """Survey of which nothing is known yet."""
    nan = np.full(shape, np.nan)
    return Survey(
        stride,
        np.full(shape, -1, np.int64),
        np.full((*shape, 2, 2), np.nan),
        np.full((*shape, 2), np.nan),
        nan,
        np.zeros(shape),
    )


def _options(present: Flags, first: Labels) -> NDArray[np.int16]:
    """Numbers of the lattices present at n positions, one of them first, shape (n, k), filled up with -1."""
    rank = 2 - present.astype(np.int64)
    rank[np.arange(len(first)), first] = 0
    k = int((rank < 2).sum(-1).max(initial=1))
    order = np.argsort(rank, axis=-1, kind="stable")[..., :k]
    return np.where(np.take_along_axis(rank, order, -1) < 2, order, -1).astype(np.int16)


def _typical(survey: Survey) -> float:
    """Share of the electrons that a lattice explains where there is one, [1]."""
    return float(np.median(survey.explained[survey.label >= 0])) if (survey.label >= 0).any() else 1.0


def _poorly_explained(survey: Survey) -> NDArray[np.int64]:
    """Worst position of every connected patch that explains much less than is typical, in scan steps, shape (n, 2)."""
    poor = survey.explained < POORLY * _typical(survey)
    patches, count = ndimage.label(poor)
    if count == 0:
        return np.zeros((0, 2), np.int64)
    numbers = np.arange(1, count + 1)
    size = ndimage.sum_labels(poor, patches, numbers)
    largest = numbers[np.argsort(-size, kind="stable")][:NEW_SEEDS]
    depth = ndimage.distance_transform_edt(poor) - 0.5 * survey.explained / max(_typical(survey), 1e-9)
    worst = np.array(ndimage.maximum_position(depth, patches, largest), dtype=np.int64)
    return worst[np.lexsort(worst.T[::-1])] * survey.stride
