"""Lattice filters: the trusted solver for patterns made of copies of one template, at the Cramér-Rao bound."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.physics import Constellation, Contrast
from parscope.core.solver import Estimate
from parscope.solvers.lattice import kernel
from parscope.solvers.lattice.bank import Bank, adopt, build
from parscope.solvers.lattice.judge import judge
from parscope.solvers.lattice.layout import Array, Filters, Lattice, Scores, no_fits

_KERNEL_TYPES = (np.uint8, np.uint16, np.int16, np.int32, np.uint32, np.float32)
# A pixel further than this from where a copy begins cannot come under its window while the fit is valid, [px].
_ROAM = 16


@dataclass(frozen=True)
class LatticeFilters:
    """Maximum-likelihood position and affine map of a constellation, with a calibrated covariance.

    Every copy of the template is measured by matched filters that are optimal under counting noise and contrast
    inside the template; the six parameters follow from all copies together. Capture range: 4 px, 8 degrees, 5 %.

    Parameters
    ----------
    physics : Constellation
        What the signals look like: template, reference positions, mean counts, contrast, gain, mask.
    shift : float, default 3.0
        Standard deviation of the Gaussian prior of the centre about the reference, [px].
    deformation : float, default 0.03
        That of the components of the affine map, [1]; its share in an estimate of standard error s is
        (s / deformation)^2.
    bins : int, default 6
        Sub-pixel positions of the filters along each axis.

    Notes
    -----
    The bound for disks of unknown position is the Fisher information of Poisson counts with amplitude and
    background eliminated; see docs/explanation/strain.md. Not for signals whose copies have different shapes.
    """

    physics: Constellation
    shift: float = 3.0
    deformation: float = 0.03
    bins: int = 6

    @property
    def prior(self) -> Array:
        """Information of the prior about the reference, shape (6, 6)."""
        return np.diag(np.array([self.shift] * 2 + [self.deformation] * 4) ** -2.0)

    def with_contrast(self, contrast: Contrast, bins: int = 6) -> LatticeFilters:
        """The same solver under another contrast prior; what does not depend on it is shared.

        Parameters
        ----------
        contrast : Contrast
            The prior.
        bins : int, default 6
            Sub-pixel positions of the filters; 3 is enough for a comparison and four times faster to build.

        Returns
        -------
        LatticeFilters
        """
        # Constellation is abstract; whatever implements it is a frozen dataclass, which its type cannot say.
        physics = replace(self.physics, contrast=contrast)  # type: ignore[type-var]
        other = replace(self, physics=physics, bins=bins)
        other.__dict__.update(_coarse=self._coarse, _expected=self._expected)
        if contrast.power == self.physics.contrast.power and bins == self.bins:
            other.__dict__["_fine"] = self._fine
        return other

    def with_lattice(self, physics: Constellation) -> LatticeFilters:
        """The same filters for another orientation of the same kind of lattice.

        Parameters
        ----------
        physics : Constellation
            Same template, contrast and gain, other positions and mean counts.

        Returns
        -------
        LatticeFilters
            Shares the filters, unless copies reach into each other's windows: then these depend on the directions in
            which the neighbours lie, and are built anew when needed.
        """
        other = replace(self, physics=physics)
        fine = adopt(physics, self._fine)
        if fine is not None:
            # The coarse filters only find the way: for that neighbours may lie in other directions.
            other.__dict__.update(_fine=fine, _coarse=tuple(adopt(physics, b, crowded=True) for b in self._coarse))
        return other

    def __call__(self, signals: NDArray[Any], /, start: Array | None = None, near: bool = False) -> Estimate:
        """Fit independent patterns.

        Parameters
        ----------
        signals : ndarray, shape (n, q_y, q_x)
            Counts, integer or float.
        start : ndarray, shape (n, 6), optional
            Where to begin; default, and where it is NaN, the reference.
        near : bool, default False
            Whether the start is right to half a pixel, as that of a network: two passes of the finest filters follow.
            Where it is NaN, all do.

        Returns
        -------
        Estimate
            `extra` holds ``amplitude`` (n, copies) [counts/px], ``electrons`` (n,), ``limit_ratio`` (n,) of the
            standard error of strain to its Cramér-Rao bound for uniform templates, ``scale`` (n,) of the amplitudes
            relative to the mean, ``spread`` (n,) of the copies about the fit relative to its prediction,
            ``predicted_ratio`` (n,), that is `limit_ratio` before `spread` is known, and ``information`` (n, 6, 6).

        Raises
        ------
        ValueError
            If the patterns have another shape than the physics.
        """
        return self._fit(signals, start, run=1, near=near)

    def rows(self, signals: NDArray[Any], start: Array | None = None) -> Estimate:
        """Fit scan rows, each pattern beginning at its neighbour to the left.

        Parameters
        ----------
        signals : ndarray, shape (rows, columns, q_y, q_x)
            Counts, integer or float.
        start : ndarray, shape (rows, columns, 6), optional
            Where to begin when the neighbour does not help; default the reference.

        Returns
        -------
        Estimate
            Of rows times columns signals, as of `__call__`.

        Raises
        ------
        ValueError
            If the patterns have another shape than the physics.
        """
        flat = signals.reshape(-1, *signals.shape[2:])
        return self._fit(flat, None if start is None else start.reshape(-1, 6), run=signals.shape[1])

    def measure(self, signals: NDArray[Any], theta: Array) -> Array:
        """Mean amplitudes at given parameters, without fitting.

        Parameters
        ----------
        signals : ndarray, shape (n, q_y, q_x)
            Counts, integer or float.
        theta : ndarray, shape (n, 6) or (6,)
            Parameters.

        Returns
        -------
        ndarray, shape (n, copies)
            [counts/px]; NaN where the window of a copy leaves the detector, or the parameters are NaN.

        Raises
        ------
        ValueError
            If the patterns have another shape than the physics.
        """
        return self.score(signals, theta).amplitude

    def score(self, signals: NDArray[Any], theta: Array) -> Scores:
        """Likelihood about given parameters, from which patterns can be fitted together.

        Parameters
        ----------
        signals : ndarray, shape (n, q_y, q_x)
            Counts, integer or float.
        theta : ndarray, shape (n, 6) or (6,)
            Parameters, within a pixel of the truth.

        Returns
        -------
        Scores
            ``information`` (n, 6, 6) of the pattern alone, without the prior; ``gradient`` (n, 6), the information
            times the step from `theta` to the most likely parameters; ``amplitude`` (n, copies) as of `measure`. No
            information where the parameters are NaN.

        Raises
        ------
        ValueError
            If the patterns have another shape than the physics.
        """
        frames = self._frames(signals)
        n = len(frames)
        at = np.broadcast_to(theta, (n, 6))
        known = np.all(np.isfinite(at), axis=1)
        out = Scores(np.zeros((n, 6, 6)), np.zeros((n, 6)), np.full((n, len(self.physics.reference)), np.nan))
        where = np.ascontiguousarray(np.where(known[:, None], at, self.physics.theta))
        kernel.score(frames, where, self._lattice, self._banks[2], out)
        for array, unknown in zip(out, (0.0, 0.0, np.nan), strict=True):
            array[~known] = unknown
        return out

    def _fit(self, signals: NDArray[Any], start: Array | None, run: int, near: bool = False) -> Estimate:
        """Run the kernel on one batch."""
        frames = self._frames(signals)
        n = len(frames)
        out = no_fits(n, len(self.physics.reference))
        centre = np.asarray(self.physics.theta, np.float64)
        begin = np.tile(centre, (n, 1)) if start is None else np.where(np.isfinite(start), start, centre)
        if n:
            close = np.zeros(n, np.bool_) if start is None or not near else np.isfinite(start).all(1)
            kernel.fit(frames, (np.ascontiguousarray(begin), close), run, self._lattice, self._banks, out)
        return judge(self.physics, self.prior, begin, out)

    def _frames(self, signals: NDArray[Any]) -> NDArray[Any]:
        """Patterns as the kernel takes them: of a type that holds them without loss, or 32-bit floats."""
        if signals.shape[1:] != self.physics.signal_shape:
            raise ValueError(f"patterns {signals.shape[1:]} do not match the physics {self.physics.signal_shape}")
        native = signals.dtype.newbyteorder("=")
        kind = next((t for t in _KERNEL_TYPES if native == np.dtype(t)), np.float32)
        return np.ascontiguousarray(signals, dtype=kind)

    @cached_property
    def _coarse(self) -> tuple[Bank, Bank]:
        """Filters with a wide and a middle edge, to find the way."""
        radius, edge = self.physics.extent
        at = self.physics.reference
        gaps = np.linalg.norm(at[:, None] - at[None], axis=-1)
        gap = float(gaps[gaps > 1e-6].min()) if len(at) > 1 else np.inf
        # As wide as the gap between the copies allows, and never beyond what a start may be off.
        widest = max(1.2 * edge, min(3.5, (gap - radius - 1.0) / 2.2))
        middle = max(min(1.4, widest), 1.1 * edge)
        return (
            build(self.physics, widest, textured=False, most_bins=4),
            build(self.physics, middle, textured=False, most_bins=4),
        )

    @cached_property
    def _fine(self) -> Bank:
        """Filters with the true edge and the contrast prior, to measure."""
        return build(self.physics, self.physics.extent[1], textured=True, most_bins=self.bins)

    @cached_property
    def _banks(self) -> tuple[Filters, Filters, Filters]:
        """All filters as the kernel takes them."""
        wide, middle = self._coarse
        return self._as_filters(wide), self._as_filters(middle), self._as_filters(self._fine)

    def _as_filters(self, bank: Bank) -> Filters:
        """A bank as the kernel takes it."""
        member = bank.classes.member
        tilt = np.einsum("nijkl,nl->nijk", bank.tilt[member], self.physics.levels.slope)
        arrays = (bank.filters, bank.shot, bank.texture, bank.fisher, bank.template, bank.kept)
        return Filters(float(bank.edge), bank.half, bank.bins, *arrays, member, tilt)

    @cached_property
    def _expected(self) -> float:
        """Counts of the mean pattern on good pixels."""
        mean = np.asarray(self.physics.render(self.physics.theta[None])[0], np.float64)
        mask = self.physics.mask
        return max(float((mean if mask is None else mean[~mask]).sum()), 1e-12)

    @cached_property
    def _lattice(self) -> Lattice:
        """The physics as the kernel takes it."""
        p = self.physics
        mask = np.zeros(p.signal_shape, np.bool_)
        if p.mask is not None:
            mask[:] = p.mask
        reach = self._coarse[0].half + _ROAM
        at = np.rint(p.reference + p.theta[:2]).astype(np.int64)
        near = [bool(np.any(mask[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1])) for y, x in at]
        return Lattice(
            np.ascontiguousarray(p.reference, np.float64),
            np.array(near, np.bool_),
            np.ascontiguousarray(p.levels.amplitude, np.float64),
            float(p.gain),
            self._expected,
            max(float(p.contrast.scatter), 1.0),
            mask,
            bool(mask.any()),
            np.asarray(p.theta, np.float64),
            np.diag(self.prior).copy(),
        )


def concatenate(parts: list[Estimate]) -> Estimate:
    """Join estimates of consecutive signals.

    Parameters
    ----------
    parts : list of Estimate
        At least one, with the same extras.

    Returns
    -------
    Estimate
    """
    joined = [np.concatenate([getattr(p, f) for p in parts]) for f in ("theta", "covariance", "misfit", "status")]
    extra = {k: np.concatenate([p.extra[k] for p in parts]) for k in parts[0].extra}
    return Estimate(joined[0], joined[1], joined[2], joined[3], extra)
