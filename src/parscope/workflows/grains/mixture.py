"""Patterns of two crystals: both lattices fitted at once, so that the stronger one has a strain and an error."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.physics import Contrast
from parscope.core.solver import Estimate, Status
from parscope.solvers.lattice import LatticeFilters
from parscope.solvers.lattice.judge import excess_variance, placed
from parscope.solvers.lattice.waves import Process
from parscope.techniques.diffraction.pattern import Background, DiffractionPattern, Probe
from parscope.workflows.grains.disks import CENTRE, FIRST, PARAMETERS, SECOND, Disks, Optics, without
from parscope.workflows.grains.joint import SETTLED, Joint, fit_joint
from parscope.workflows.grains.lattice import change

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Crystals so alike that their disks overlap: a fit of one lattice ends between the two.
ALIKE_ROTATION, ALIKE_STRAIN = np.deg2rad(7.0), 0.06
# Sub-pixel positions of the columns of contrast along each axis.
_BINS = 6
# Variance of the contrast of a bright disk over that of its counts, below which a column is only noise of its pixels.
_FAINT = 0.5
# Centre and affine map of one lattice among the parameters of both.
_OF_FIRST = np.concatenate([np.arange(CENTRE, CENTRE + 2), np.arange(FIRST, FIRST + 4)])
_OF_SECOND = np.concatenate([np.arange(CENTRE, CENTRE + 2), np.arange(SECOND, SECOND + 4)])
# Brightness relative to the mean pattern, at most and at least.
_BRIGHTEST, _DIMMEST = 50.0, 0.02


@dataclass(frozen=True)
class Resolved:
    """Two lattices of each of n patterns.

    Parameters
    ----------
    good : ndarray of bool, shape (n,)
        Where the fit has settled and both lattices are known by their electrons.
    theta : ndarray, shape (n, 6)
        Centre and affine map of the stronger crystal, relative to its reference.
    covariance : ndarray, shape (n, 6, 6)
        Their covariance, whatever the other crystal is.
    swapped : ndarray of bool, shape (n,)
        Where the second crystal is the stronger one.
    share : ndarray, shape (n,)
        Share of the weaker one, 0 to 0.5, [1].
    misfit : ndarray, shape (n,)
        Mean squared residual of both lattices together over its expected variance, [1].
    amplitude : tuple of two ndarray, shapes (n, disks)
        Counts per pixel of the disks of the first and of the second crystal; the direct one is that of both.
    lattices : ndarray, shape (n, 10)
        Centre, and affine maps of the first and of the second crystal.
    """

    good: Flags
    theta: Array
    covariance: Array
    swapped: Flags
    share: Array
    misfit: Array
    amplitude: tuple[Array, Array]
    lattices: Array


@dataclass(frozen=True)
class Mixture:
    """Two crystals that may share a pattern, and the means to fit both.

    Parameters
    ----------
    first, second : LatticeFilters
        Of the crystal that was found the stronger one, and of the other; of the same probe.
    """

    first: LatticeFilters
    second: LatticeFilters

    def resolve(self, patterns: NDArray[Any], alone: Estimate, share: NDArray[Any]) -> Resolved:
        """Fit both lattices, with one centre and the amplitudes of all disks free.

        Parameters
        ----------
        patterns : ndarray, shape (n, q_y, q_x)
            Counts.
        alone : Estimate
            Fit of the first crystal as if it were alone.
        share : ndarray, shape (n,)
            Share of the second crystal, about, [1].

        Returns
        -------
        Resolved
        """
        frames = np.ascontiguousarray(patterns, np.float32)
        bright = np.clip(alone.extra["electrons"] * self._a.gain / self._counts, _DIMMEST, _BRIGHTEST)
        fitted = alone.status == Status.OK
        own = np.where(fitted[:, None], alone.theta, self._a.theta)
        start = np.empty((len(own), PARAMETERS))
        start[:, _OF_FIRST] = own
        start[:, SECOND : SECOND + 4] = self._second(frames, own, alone.extra["amplitude"])
        best = self._fit(frames, start, share, bright)
        between = change(self._a.basis, self._b.basis)
        if between.within(ALIKE_ROTATION, ALIKE_STRAIN):
            start[:] = self._middle
            start[:, CENTRE : CENTRE + 2] = own[:, :2]
            other = self._fit(frames, start, share, bright)
            better = (other.step < SETTLED) & ((other.misfit < best.misfit) | (best.step >= SETTLED))
            for mine, theirs in zip(best, other, strict=True):
                mine[better] = theirs[better]
        both = self._judged(best, alone)
        both.good[~fitted] = False
        return both

    @property
    def _a(self) -> DiffractionPattern:
        """Physics of the first crystal."""
        return _physics(self.first)

    @property
    def _b(self) -> DiffractionPattern:
        """Physics of the second crystal."""
        return _physics(self.second)

    @cached_property
    def _counts(self) -> float:
        """Counts of the mean pattern of the first crystal."""
        mean = self._a.render(self._a.theta[None])[0]
        return float(mean.sum() if self._a.mask is None else mean[~self._a.mask].sum())

    @property
    def _middle(self) -> Array:
        """Parameters of the undeformed crystals, shape (10,)."""
        return _joined(self._a.theta, self._b.theta)

    @cached_property
    def _use(self) -> Flags:
        """Disks of the second crystal that the first one has not: all but the direct one."""
        return np.asarray(~(self._b.indices == 0).all(1))

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        """Disks of both from the upper edge of the pattern to the lower: those that share pixels are near in it."""
        return np.argsort(np.concatenate([self._a.reference, self._b.reference[self._use]])[:, 0], kind="stable")

    def _second(self, frames: NDArray[np.float32], own: Array, amplitude: NDArray[Any]) -> Array:
        """Affine map of the second crystal (n, 4), from the patterns without the diffracted disks of the first."""
        diffracted = ~(self._a.indices == 0).all(1)
        counts = np.clip(amplitude[:, : len(diffracted)][:, diffracted], 0, None).astype(np.float64)
        bare = without(frames, own, self._a.reference[diffracted], counts, _optics(self._a).probe)
        begin = np.concatenate([own[:, :2], np.tile(self._b.theta[2:], (len(frames), 1))], 1)
        found = self.second(bare, begin).theta[:, 2:]
        return np.where(np.isfinite(found), found, self._b.theta[2:])

    def _fit(self, frames: NDArray[np.float32], start: Array, share: NDArray[Any], bright: Array) -> Joint:
        """Both lattices from one start; amplitudes as the disks of both are listed, first those of the first."""
        a, b, n = self._a, self._b, len(frames)
        at = np.concatenate([a.reference, b.reference[self._use]])
        lattice = np.repeat(np.arange(2), [len(a.reference), int(self._use.sum())])
        direct = (a.indices == 0).all(1)
        part = share[:, None].astype(np.float64)
        of_a, of_b = a.amplitude * np.where(direct, 1.0, 1.0 - part), b.amplitude[self._use] * part
        expected = np.concatenate([of_a, of_b], 1) * bright[:, None]
        prior = _joined(np.diag(self.first.prior), np.diag(self.second.prior)), self._middle
        out = Joint(
            np.zeros((n, PARAMETERS)),
            np.zeros((n, PARAMETERS, PARAMETERS)),
            np.zeros((n, len(at))),
            np.zeros(n),
            np.zeros(n),
        )
        order = self._order
        begin = np.ascontiguousarray(start), np.ascontiguousarray(expected[:, order]), bright
        fit_joint(frames, Disks(at[order], lattice[order], begin[1][0]), begin, prior, _optics(a), out)
        out.amplitude[:, order] = out.amplitude.copy()
        return out

    def _judged(self, found: Joint, alone: Estimate) -> Resolved:
        """Which crystal is the stronger one, its covariance, and whether the fit can be relied on."""
        a, b, n = self._a, self._b, len(found.theta)
        of_a, of_b = found.amplitude[:, : len(a.indices)], np.zeros((n, len(b.indices)))
        direct = (a.indices == 0).all(1), ~self._use
        of_b[:, self._use] = found.amplitude[:, len(a.indices) :]
        if direct[0].any() and direct[1].any():
            of_b[:, direct[1]] = of_a[:, direct[0]]
        mine, theirs = (
            np.clip(v[:, ~d].sum(1) / p.amplitude[~d].sum(), 0, None)
            for v, d, p in zip((of_a, of_b), direct, (a, b), strict=True)
        )
        share = theirs / np.maximum(mine + theirs, 1e-12)
        swapped = share > 0.5
        columns = np.where(swapped[:, None], _OF_SECOND, _OF_FIRST)
        theta = np.take_along_axis(found.theta, columns, 1)
        raw = np.asarray(np.linalg.inv(found.information))
        good = found.step < SETTLED
        for k, solver in ((_OF_FIRST, self.first), (_OF_SECOND, self.second)):
            centre = solver.physics.theta
            own = found.theta[:, k]
            good &= placed(centre, solver.prior, own, raw[:, k[:, None], k]) == Status.OK
        rows = np.arange(n)[:, None, None]
        raw = raw[rows, columns[:, :, None], columns[:, None, :]]
        # Where something is there that the two lattices are not, the error is larger by as much as the residual.
        covariance = np.maximum(found.misfit, 1.0)[:, None, None] * _scattered(raw, alone, a)
        lattices = np.concatenate([found.theta[:, _OF_FIRST], found.theta[:, SECOND : SECOND + 4]], 1)
        weaker = np.minimum(share, 1 - share)
        return Resolved(good, theta, covariance, swapped, weaker, found.misfit, (of_a, of_b), lattices)


def _joined(first: Array, second: Array) -> Array:
    """Parameters of both lattices in the order of the kernel, from six of each; the centre is that of the first."""
    both = np.empty(PARAMETERS)
    both[_OF_SECOND], both[_OF_FIRST] = second, first
    return both


def _scattered(raw: Array, alone: Estimate, physics: DiffractionPattern) -> Array:
    """Covariance (n, 6, 6) with what disks scatter beyond counting noise and contrast.

    The part that all patterns of a crystal share is in its reference too, but only as far as the disks have the same
    weights as in a pattern of this crystal alone: the difference of two estimates of which one is efficient has the
    difference of their covariances.
    """
    contrast = physics.contrast
    known = alone.status == Status.OK
    factor = excess_variance(physics, alone.extra["spread"])
    pure = np.where(known[:, None, None], alone.covariance / factor[:, None, None], 0.0)
    values, vectors = np.linalg.eigh(raw - pure)
    beyond = np.einsum("nij,nj,nkj->nik", vectors, np.clip(values, 0, None), vectors)
    return np.asarray((contrast.scatter - contrast.shared) * raw + contrast.shared * beyond)


def _physics(solver: LatticeFilters) -> DiffractionPattern:
    """Physics of a solver of diffraction patterns."""
    if not isinstance(solver.physics, DiffractionPattern):
        raise TypeError(f"{type(solver.physics).__name__} is no DiffractionPattern")
    return solver.physics


def _optics(physics: DiffractionPattern) -> Optics:
    """What the kernel has to know of probe, background, contrast and detector."""
    probe, under = physics.probe, physics.background
    mask = np.zeros(physics.shape, np.bool_) if physics.mask is None else physics.mask
    bright = float(physics.amplitude[~(physics.indices == 0).all(1)].max(initial=0.0))
    # A power of two, so that crystals of like brightness share their columns.
    level = 2.0 ** np.rint(np.log2(max(bright / physics.gain, 1e-9)))
    modes, rest = _columns(probe.radius, probe.edge, tuple(probe.distortion.ravel()), physics.contrast.power, level)
    numbers = np.array([*np.linalg.inv(probe.distortion).ravel(), probe.radius, probe.edge, physics.gain])
    return Optics(numbers, np.array([under.level, under.width, under.floor]), modes, rest, mask)


@lru_cache(maxsize=8)
def _columns(
    radius: float, edge: float, distortion: tuple[float, ...], power: tuple[float, ...], bright: float
) -> tuple[Array, Array]:
    """Columns of the contrast for every sub-pixel position, and the variance of what is left out."""
    probe, contrast = Probe(radius, edge, np.array(distortion).reshape(2, 2)), Contrast(power)
    stretch = max(1.0, float(np.linalg.norm(probe.distortion, 2)))
    half = int(np.ceil((radius + 4 * edge + 1) * stretch + 0.5))
    side = np.arange(-half, half + 1, dtype=np.float64)
    grid = np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2)
    if contrast.depth == 0:
        return np.zeros((_BINS, _BINS, len(side), len(side), 0)), np.zeros((_BINS, _BINS, len(side), len(side)))
    process = Process(radius, contrast)
    disk = DiffractionPattern(
        (1, 1), probe, (0.0, 0.0), np.eye(2), np.zeros((0, 2), np.int64), np.zeros(0), Background(1, 1)
    )

    def columns(middle: Array) -> Array:
        away = grid - middle
        return np.asarray(disk.template(away, edge)[0][:, None] * process(away))

    values, vectors = np.linalg.eigh(columns(np.zeros(2)).T @ columns(np.zeros(2)))
    strong = int((values * bright > _FAINT).sum())
    mixed = vectors[:, ::-1]
    modes = np.zeros((_BINS, _BINS, len(side), len(side), strong))
    rest = np.zeros((_BINS, _BINS, len(side), len(side)))
    for i, j in np.ndindex(_BINS, _BINS):
        every = columns((np.array([i, j]) + 0.5) / _BINS - 0.5) @ mixed
        modes[i, j] = every[:, :strong].reshape(len(side), len(side), strong)
        rest[i, j] = np.square(every[:, strong:]).sum(1).reshape(len(side), len(side))
    return modes, rest
