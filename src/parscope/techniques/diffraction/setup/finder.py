"""The lattice of one diffraction pattern, with no parameter to choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from parscope.core.errors import NoLatticeError
from parscope.techniques.diffraction.pattern import Probe
from parscope.techniques.diffraction.setup.cell import Cell, find_cell
from parscope.techniques.diffraction.setup.correlation import Peaks, find_peaks
from parscope.techniques.diffraction.setup.moments import Array
from parscope.techniques.diffraction.setup.pixels import Mask

LEAST_EVIDENCE = 8.0
SURE_EVIDENCE = 30.0


@dataclass(frozen=True)
class Lattice:
    """The lattice of one diffraction pattern.

    Parameters
    ----------
    centre : ndarray, shape (2,)
        Centre of the direct disk (y, x), [px].
    g1, g2 : ndarray, shape (2,)
        Reduced lattice vectors (y, x) in canonical order, [px].
    score : float
        Share of the diffracted intensity in the disks found that lies on the lattice, [1].
    disks : int
        Number of disks on the lattice, the direct one included.
    evidence : float
        Log-likelihood of the lattice over disks strewn at random, [nats].
    peaks : Peaks
        All disks found, on the lattice or not.
    """

    centre: Array
    g1: Array
    g2: Array
    score: float
    disks: int
    evidence: float
    peaks: Peaks

    @property
    def basis(self) -> Array:
        """Rows g1, g2, [px]."""
        return np.stack([self.g1, self.g2])


def find_lattice(
    pattern: NDArray[Any],
    probe: Probe,
    mask: Mask | None = None,
    *,
    gain: float = 1.0,
    centre: tuple[float, float] | None = None,
) -> Lattice:
    """Find the lattice of one diffraction pattern: a single one, a local average, or the mean of a scan.

    Parameters
    ----------
    pattern : ndarray, shape (q_y, q_x)
        Counts.
    probe : Probe
        The disk; its radius may be wrong by a fifth.
    mask : ndarray of bool, shape (q_y, q_x), optional
        Pixels not to be used.
    gain : float, default 1.0
        Variance of a pixel over its mean, [counts]; for a mean of n patterns, that of one pattern divided by n.
    centre : tuple of float, optional
        Where the direct disk is known to be (y, x), [px], to about the radius of the disk; default: found.

    Returns
    -------
    Lattice

    Raises
    ------
    NoLatticeError
        If fewer than three disks, or no lattice through them, stand out of the noise.
    """
    seen = np.zeros(np.shape(pattern), dtype=bool) if mask is None else mask
    found: list[Lattice] = []
    failure = NoLatticeError("show no lattice", "patterns")
    for sharp in (False, True):
        try:
            peaks = find_peaks(pattern, probe, mask, gain, sharp)
            found.append(lattice_of(peaks, probe, seen, centre))
        except NoLatticeError as error:
            failure = error
        if found and not _crowded(found[0], probe):
            break
    if not found:
        raise failure
    return max(found, key=lambda lattice: lattice.evidence)


def _crowded(lattice: Lattice, probe: Probe) -> bool:
    """Whether the disks overlap or nearly do, so that their edges alone may tell more than their areas."""
    return bool(np.hypot(*lattice.g1) < 2.2 * probe.radius or lattice.evidence < 4 * LEAST_EVIDENCE)


def lattice_of(peaks: Peaks, probe: Probe, mask: Mask, centre: tuple[float, float] | None = None) -> Lattice:
    """Lattice through disks already found; see `find_lattice`.

    Raises
    ------
    NoLatticeError
        If no lattice through the disks is likelier than chance.
    """
    if len(peaks) < 3:
        raise NoLatticeError(
            f"show {len(peaks)} disks, too few for a lattice", "patterns", "add patterns, or give --g1 and --g2"
        )
    weights = confidence(peaks)
    keep = np.argsort(-weights * (1 + 1e-6 * np.arange(len(peaks), 0, -1)), kind="stable")[:72]
    keep = np.sort(keep)
    tolerance = 0.35 + 0.06 * probe.radius
    cell = find_cell(peaks.position[keep], weights[keep], tolerance, max(1.2 * probe.radius, 3.0))
    if cell is None:
        raise NoLatticeError("show no regular lattice of disks", "patterns", "add patterns, or give --g1 and --g2")
    on, numbers = on_lattice(peaks, cell, 3 * tolerance)
    if cell.evidence < LEAST_EVIDENCE or weights[on].sum() < _needed(cell, probe) * weights.sum():
        raise NoLatticeError("show no regular lattice of disks", "patterns", "add patterns, or give --g1 and --g2")
    origin, basis = _refined(peaks, on, numbers, cell)
    direct = _direct(peaks, on, numbers, mask.shape, centre)
    if centre is None:
        hidden = _hidden_points(peaks, on, (origin, basis), mask, probe.radius)
        direct = _most_central(peaks, on, numbers, (origin, basis), np.concatenate([direct[None], hidden]))
    middle = origin + direct @ basis
    diffracted = (numbers != direct).any(axis=1) | ~on
    total = float(peaks.amplitude[diffracted].sum())
    score = float(peaks.amplitude[diffracted & on].sum()) / total if total > 0 else 0.0
    return Lattice(middle, basis[0], basis[1], score, int(on.sum()), cell.evidence, peaks)


def _needed(cell: Cell, probe: Probe) -> float:
    """Share of the disks seen that a lattice must explain: few disks, or dense lattices, agree by chance."""
    if np.hypot(*cell.basis[0]) < 2.2 * probe.radius:
        return 0.85
    return 0.4 if cell.evidence > SURE_EVIDENCE else 0.75


def confidence(peaks: Peaks) -> Array:
    """How far each disk is to be trusted as one, 0 to 1: by its significance, and by its strength among the others."""
    typical = np.sort(peaks.amplitude)[::-1][: max(3, len(peaks) // 3)][-1]
    strength = np.clip(peaks.amplitude / (0.05 * typical), 0, 1)
    return np.asarray(np.clip((peaks.significance - 3) / 4, 0.1, 1) * strength)


def on_lattice(peaks: Peaks, cell: Cell, reach: float) -> tuple[NDArray[np.bool_], Array]:
    """Which disks lie on the lattice, and the lattice numbers of all, shape (n, 2)."""
    fraction = (peaks.position - cell.origin) @ np.linalg.inv(cell.basis)
    numbers = np.rint(fraction)
    miss = np.sqrt((((fraction - numbers) @ cell.basis) ** 2).sum(axis=1))
    return np.asarray(miss < reach), numbers


def _direct(
    peaks: Peaks, on: NDArray[np.bool_], numbers: Array, shape: tuple[int, ...], centre: tuple[float, float] | None
) -> Array:
    """Lattice numbers of the direct disk: the one at the known centre; else the brightest, preferring the middle."""
    if centre is not None:
        distance = ((peaks.position - np.asarray(centre)) ** 2).sum(axis=1)
        return np.asarray(numbers[np.argmin(np.where(on, distance, np.inf))])
    size = np.asarray(shape, dtype=np.float64)
    away = ((peaks.position - (size - 1) / 2) ** 2).sum(axis=1) / (0.25 * size.min()) ** 2
    return np.asarray(numbers[np.argmax(np.where(on, peaks.amplitude * np.exp(-0.5 * away), -np.inf))])


def _hidden_points(
    peaks: Peaks, on: NDArray[np.bool_], lattice: tuple[Array, Array], mask: Mask, radius: float
) -> Array:
    """Lattice numbers of the points near the middle of the intensity that bad pixels hide, shape (n, 2)."""
    origin, basis = lattice
    nearest = np.rint((_middle(peaks, on) - origin) @ np.linalg.inv(basis))
    steps = np.stack(np.meshgrid(*[np.arange(-2.0, 3.0)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    points = nearest + steps
    place = np.rint(origin + points @ basis).astype(int)
    y, x = (np.clip(place[:, i], 0, mask.shape[i] - 1) for i in range(2))
    size = max(2 * int(0.5 * radius) + 1, 3)
    return np.asarray(points[ndimage.uniform_filter(mask.astype(np.float64), size)[y, x] > 0.5])


def _most_central(
    peaks: Peaks, on: NDArray[np.bool_], numbers: Array, lattice: tuple[Array, Array], candidates: Array
) -> Array:
    """Of some lattice numbers, those the disks seen are most symmetric about and closest to."""
    if len(candidates) == 1:
        return np.asarray(candidates[0])
    origin, basis = lattice
    balance = np.array([_symmetry(peaks.amplitude[on], numbers[on], c) for c in candidates])
    away = np.sqrt(((origin + candidates @ basis - _middle(peaks, on)) ** 2).sum(axis=1))
    return np.asarray(candidates[np.argmax(balance - 0.2 * away / np.sqrt(np.abs(np.linalg.det(basis))))])


def _middle(peaks: Peaks, on: NDArray[np.bool_]) -> Array:
    """Mean position of the disks on the lattice, weighted by amplitude (y, x), [px]."""
    return np.asarray(np.average(peaks.position[on], axis=0, weights=peaks.amplitude[on]))


def _symmetry(amplitude: Array, numbers: Array, centre: Array) -> float:
    """Share of the disks, by root of amplitude, that have a partner on the other side of `centre`."""
    partner = (2 * centre - numbers)[:, None, :] == numbers[None, :, :]
    paired = partner.all(axis=2).any(axis=1) & (numbers != centre).any(axis=1)
    root = np.sqrt(amplitude)
    return float(root[paired].sum() / root.sum())


def _refined(peaks: Peaks, on: NDArray[np.bool_], numbers: Array, cell: Cell) -> tuple[Array, Array]:
    """Origin and basis by least squares, each disk weighted by what its electrons tell of its position."""
    design = np.concatenate([np.ones((len(peaks), 1)), numbers], axis=1)
    weight = on / (1.0 / np.maximum(peaks.significance, 1) ** 2 + 1 / 30**2)
    for _ in range(3):
        normal = (design * weight[:, None]).T @ design
        if np.linalg.cond(normal) > 1e9:
            return cell.origin, cell.basis
        solution = np.linalg.solve(normal, (design * weight[:, None]).T @ peaks.position)
        miss = ((peaks.position - design @ solution) ** 2).sum(axis=1)
        typical = max(float(np.median(miss[on])), 1e-4)
        weight = on / (1.0 / np.maximum(peaks.significance, 1) ** 2 + 1 / 30**2) / (1 + miss / (4 * typical))
    return solution[0], solution[1:]
