"""The truth behind a simulated scan: strain, grains, positions and electrons of every disk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from parscope.techniques.diffraction.lattice import reciprocal_map, strain
from parscope.techniques.diffraction.simulate_design import ScanDesign

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """What a perfect analysis of the scan would find; NaN where there is no specimen.

    Parameters
    ----------
    e_xx, e_yy, e_xy : ndarray, shape (y, x)
        Strain on the detector, that is of `affine`, [1].
    rotation : ndarray, shape (y, x)
        Rotation on the detector, positive from +x towards +y, [rad].
    crystal : ndarray, shape (y, x, 4)
        e_xx, e_yy, e_xy [1] and rotation [rad] of the crystal, before the distortion of the detector.
    centre : ndarray, shape (y, x, 2)
        Centre of the pattern (y, x), [px].
    affine : ndarray, shape (y, x, 2, 2)
        Map of the distorted reference lattice `basis` to the one on the detector, (y, x) order.
    other_affine : ndarray, shape (y, x, 2, 2)
        The same of the second crystal in the pattern; meaningful where `share` is above 0.
    share : ndarray, shape (y, x)
        Share of the electrons that the second crystal scatters: neighbouring grain or overlap, [1].
    grain, other_grain : ndarray of int, shape (y, x)
        Index of the first and of the second crystal; -1 without specimen.
    electrons : ndarray, shape (y, x, n)
        Mean electrons in every disk of the first crystal.
    other_electrons : ndarray, shape (y, x, n)
        The same of the second crystal.
    reference : ndarray of bool, shape (y, x)
        Positions of the unstrained reference.
    basis : ndarray, shape (2, 2)
        Rows g1, g2 on the detector, distortion included, (y, x) order, [px].
    indices : ndarray of int, shape (n, 2)
        Miller indices of the disks.
    """

    e_xx: Array
    e_yy: Array
    e_xy: Array
    rotation: Array
    crystal: Array
    centre: Array
    affine: Array
    other_affine: Array
    share: Array
    grain: NDArray[np.int64]
    other_grain: NDArray[np.int64]
    electrons: Array
    other_electrons: Array
    reference: NDArray[np.bool_]
    basis: Array
    indices: NDArray[np.int64]

    @property
    def positions(self) -> Array:
        """Positions of every disk of the first crystal, shape (y, x, n, 2), order (y, x), [px]."""
        return disk_positions(self.affine, self.centre, self.basis, self.indices)


@dataclass(frozen=True)
class Disks:
    """Random properties of every disk of one lattice, drawn once per scan.

    Parameters
    ----------
    factor : ndarray, shape (n,)
        Structure factor, relative intensity.
    wave : ndarray, shape (n, 2)
        Wave vector of the fringes in units of 1 / radius, order (y, x).
    phase, drift : ndarray, shapes (n,) and (2, n)
        Phase of the fringes and its change over the scan, (y, x), [rad].
    ramp : ndarray, shape (n, 2)
        Direction of the linear ramp, order (y, x).
    ramp_phase : ndarray, shape (n,)
        Phase of the strength of the ramp, [rad].
    """

    factor: Array
    wave: Array
    phase: Array
    drift: Array
    ramp: Array
    ramp_phase: Array

    @classmethod
    def draw(cls, indices: NDArray[np.int64], seed: int) -> Disks:
        """Draw the properties of the disks `indices` (n, 2)."""
        rng, n = np.random.default_rng(seed), len(indices)
        factor = np.exp(rng.normal(0, 0.35, n))
        factor[(indices == 0).all(1)] = 1.0
        direction, periods = rng.uniform(0, 2 * np.pi, n), rng.uniform(0.25, 0.8, n)
        phase, drift = rng.uniform(0, 2 * np.pi, n), rng.normal(0, 4, (2, n))
        ramp = rng.uniform(0, 2 * np.pi, n)
        wave = 2 * np.pi * periods[:, None] * _unit(direction)
        return cls(factor, wave, phase, drift, _unit(ramp), ramp)


@dataclass(frozen=True)
class Crystals:
    """Which crystals a pattern is of, and what tells the crystals apart.

    Parameters
    ----------
    first, second : ndarray of int, shape (y, x)
        Index of the crystal that scatters most, and of the other one.
    share : ndarray, shape (y, x)
        Share of the second one, [1].
    own : ndarray, shape (crystals, 4)
        Mean e_xx, e_yy, e_xy [1] and rotation [rad].
    tilt : ndarray, shape (crystals, 2)
        Offset of the excitation envelope, [px].
    phase : ndarray, shape (crystals, n)
        Offset of the fringes, [rad].
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    share: Array
    own: Array
    tilt: Array
    phase: Array


def scan_coordinates(design: ScanDesign) -> tuple[Array, Array]:
    """Coordinates y and x of the scan from 0 to 1, shape (y, x) each."""
    axes = (np.linspace(0, 1, n) for n in design.scan)
    y, x = np.meshgrid(*axes, indexing="ij")
    return y, x


def build_truth(design: ScanDesign, disks: Disks, crystals: Crystals) -> Truth:
    """Work out everything that is known about the scan."""
    y, x = scan_coordinates(design)
    distortion, indices = design.distortion, design.indices
    vacuum = x > 1 - design.vacuum if design.vacuum else np.zeros(design.scan, dtype=bool)
    first = _deformation(design, crystals, crystals.first)
    first[vacuum] = np.nan
    other = _deformation(design, crystals, crystals.second)
    affine, other_affine = (distortion @ _map(e) @ np.linalg.inv(distortion) for e in (first, other))
    apparent = strain(affine)
    share = np.where(vacuum, 0.0, crystals.share)
    of_first = _electrons(design, disks, crystals.tilt[crystals.first], 1 - share, vacuum)
    of_other = _electrons(design, disks, crystals.tilt[crystals.second], share, vacuum)
    reference = x < 0.25 if not design.grains else (crystals.first == 0)
    return Truth(
        e_xx=apparent[..., 0],
        e_yy=apparent[..., 1],
        e_xy=apparent[..., 2],
        rotation=apparent[..., 3],
        crystal=first,
        centre=_centre(design, y, x),
        affine=affine,
        other_affine=other_affine,
        share=share,
        grain=np.where(vacuum, -1, crystals.first),
        other_grain=np.where(share > 0, crystals.second, -1),
        electrons=of_first,
        other_electrons=of_other,
        reference=reference & (share == 0) & ~vacuum,
        basis=design.crystal_basis @ distortion.T,
        indices=indices,
    )


def draw_crystals(design: ScanDesign) -> Crystals:
    """Lay out the grains and the overlapping crystal."""
    rng = np.random.default_rng((design.seed, 1))
    count, n = max(design.grains, 1), len(design.indices)
    first, second, share = _voronoi(design, rng) if design.grains else _single(design)
    own = np.zeros((count + 1, 4))
    own[1:count, :3] = rng.uniform(-0.5, 0.5, (count - 1, 3)) * design.max_strain
    own[1:count, 3] = rng.uniform(-0.5, 0.5, count - 1) * np.deg2rad(_period(design))
    own[count] = (0.07, 0.07, 0.0, np.deg2rad(17.0))
    tilt = 0.5 * design.tilt * rng.normal(0, 1, (count + 1, 2))
    phase = rng.uniform(0, 2 * np.pi, (count + 1, n))
    tilt[0], phase[0] = 0.0, 0.0
    if design.overlap:
        y, _ = scan_coordinates(design)
        under = (y > 0.75) & (share == 0)
        second, share = np.where(under, count, second), np.where(under, design.overlap, share)
    return Crystals(first, second, share, own, tilt, phase)


def disk_positions(affine: Array, centre: Array, basis: Array, indices: NDArray[np.int64]) -> Array:
    """Positions of disks, shape (..., n, 2), from maps (..., 2, 2) and centres (..., 2), [px]."""
    result: Array = centre[..., None, :] + (indices @ basis) @ np.swapaxes(affine, -1, -2)
    return result


def _unit(angle: Array) -> Array:
    """Unit vectors (y, x) at angles from +y towards +x."""
    return np.stack([np.cos(angle), np.sin(angle)], -1)


def _map(deformation: Array) -> Array:
    """Reciprocal map of strain and rotation, shape (..., 4) -> (..., 2, 2)."""
    return reciprocal_map(*np.moveaxis(deformation, -1, 0))


def _centre(design: ScanDesign, y: Array, x: Array) -> Array:
    """Descan: smooth wander of the pattern centre."""
    wander = np.stack([np.sin(2.3 * y + 1.1 * x + 0.4), np.cos(1.7 * x - 2 * y)], -1)
    result: Array = np.array(design.pattern) / 2 + design.descan * wander
    return result


def _electrons(design: ScanDesign, disks: Disks, tilt: Array, share: Array, vacuum: NDArray[np.bool_]) -> Array:
    """Mean electrons per disk: Gaussian envelope whose centre follows the local tilt of the crystal."""
    y, x = scan_coordinates(design)
    tilt = tilt + design.tilt * np.stack([np.sin(3.1 * x + y), np.cos(2.9 * y - 1.3 * x)], -1)
    g = design.indices @ design.crystal_basis
    distance2 = ((g - tilt[..., None, :]) ** 2).sum(-1)
    intensity = disks.factor * np.exp(-distance2 / design.envelope**2)
    direct = (design.indices == 0).all(1)
    scattered = intensity[..., ~direct].sum(-1, keepdims=True)
    intensity[..., ~direct] *= (1 - design.direct) / np.maximum(scattered, 1e-30)
    intensity[..., direct] = design.direct
    intensity *= (design.electrons * (1 - design.background) * share)[..., None]
    intensity[vacuum] = np.where(direct, design.electrons, 0.0) * share[vacuum][:, None]
    result: Array = intensity
    return result


def _deformation(design: ScanDesign, crystals: Crystals, which: NDArray[np.int64]) -> Array:
    """Strain and rotation (y, x, 4) of crystal `which` at every position."""
    y, x = scan_coordinates(design)
    last = len(crystals.own) - 1
    result = crystals.own[which]
    if design.grains:
        phase = 2.4 * which
        wave = 0.2 * np.sin(2 * np.pi * (y + 0.7 * x) + phase) * ((which > 0) & (which < last))
        scale = np.array([1.0, -0.6, 0.5, 0.0]) * design.max_strain
        scale[3] = np.deg2rad(design.max_rotation)
        return np.asarray(result + wave[..., None] * scale)
    own = _FIELDS[design.strain_field](design, y, x)
    return np.asarray(np.where((which == 0)[..., None], own, result))


def _layers(design: ScanDesign, y: Array, x: Array) -> Array:
    """A stepped layer among smooth waves beside an unstrained reference."""
    s, turn = design.max_strain, np.deg2rad(design.max_rotation)
    e_yy = s * 0.7 * np.sin(2 * np.pi * (y + 0.3 * x))
    layer = np.where((x > 0.5) & (x < 0.75), 0.8, 0.0) - 0.4 * np.cos(2 * np.pi * y) * (x > 0.75)
    e_xy = s * 0.4 * np.cos(2 * np.pi * (x - 0.5 * y))
    rotation = -turn * np.sin(2 * np.pi * (0.7 * y - 0.5 * x))
    return np.stack([s * layer, e_yy, e_xy, rotation], -1) * (x >= 0.25)[..., None]


def _inclusion(design: ScanDesign, y: Array, x: Array) -> Array:
    """A round misfitting and turned inclusion: J. D. Eshelby, doi:10.1098/rspa.1957.0133, smoothed.

    The displacement is r f(r) with f -> 1 inside and (a / r)^2 outside. The last factor of f makes it fade
    faster far away, so that the reference is unstrained.
    """
    a, b = 0.15, 0.22
    dy, dx = y - 0.5, x - 0.65
    r2 = dy * dy + dx * dx + 1e-12
    t, u = (r2 / a**2) ** 2, (r2 / b**2) ** 2
    f = np.exp(-u) / np.sqrt(1 + t)
    slope = -f * (2 * t / (1 + t) + 4 * u)
    direction = np.stack([dy, dx], -1) / np.sqrt(r2)[..., None]
    stretch = f[..., None, None] * np.eye(2) + slope[..., None, None] * (
        direction[..., :, None] * direction[..., None, :]
    )
    s, turn = design.max_strain, np.deg2rad(design.max_rotation)
    gradient = np.eye(2) + np.array([[s, turn], [-turn, s]]) @ stretch
    return strain(np.swapaxes(np.linalg.inv(gradient), -1, -2))


def _unstrained(_: ScanDesign, y: Array, _x: Array) -> Array:
    """No strain at all."""
    return np.zeros((*y.shape, 4))


_FIELDS = {"layers": _layers, "inclusion": _inclusion, "none": _unstrained}


def _period(design: ScanDesign) -> float:
    """Rotation after which the lattice looks the same, [deg]."""
    length1, length2, angle, _ = design.lattice
    square = abs(length1 - length2) < 1e-6 * length1
    return {90.0: 90.0, 60.0: 60.0, 120.0: 60.0}.get(abs(angle), 180.0) if square else 180.0


def _single(design: ScanDesign) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """One crystal everywhere."""
    nothing = np.zeros(design.scan, dtype=np.int64)
    return nothing, nothing.copy(), np.zeros(design.scan)


def _voronoi(design: ScanDesign, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """Grains round random seeds; the neighbour's share follows the tail of the probe across the boundary."""
    size = np.array(design.scan, dtype=float)
    seeds = rng.uniform(0, 1, (design.grains, 2)) * size
    # The grain of the reference is the one in which a person would look for it: left, half way down.
    home = np.argmin(((seeds - size * (0.5, 0.12)) ** 2).sum(1))
    seeds[[0, home]] = seeds[[home, 0]]
    where = np.stack(np.meshgrid(*(np.arange(n) for n in design.scan), indexing="ij"), -1)
    distance2 = ((where[:, :, None] - seeds) ** 2).sum(-1)
    if design.grains == 1:
        return _single(design)
    two = np.argsort(distance2, axis=-1)[..., :2]
    near, far = np.moveaxis(np.take_along_axis(distance2, two, -1), -1, 0)
    apart = np.linalg.norm(seeds[two[..., 0]] - seeds[two[..., 1]], axis=-1)
    share = ndtr(-(far - near) / (2 * np.maximum(apart, 1e-9)) / design.probe_size)
    share[share < 1e-3] = 0.0
    return two[..., 0].astype(np.int64), two[..., 1].astype(np.int64), share
