"""Lattice filters: the trusted solver for patterns made of copies of one template, at the Cramér-Rao bound."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.physics import Constellation, Contrast
from parscope.core.solver import Estimate, Status
from parscope.solvers.lattice import kernel
from parscope.solvers.lattice.bank import Bank, Classes, adopt, build, classify, window

Array = NDArray[np.float64]

# Degrees of freedom that the scan's scatter is worth beside that of a single pattern.
_SCAN_WEIGHT = 60.0
_KERNEL_TYPES = (np.uint8, np.uint16, np.int16, np.int32, np.uint32, np.float32)


@dataclass(frozen=True)
class LatticeFilters:
    """Maximum-likelihood position and affine map of a constellation, with a calibrated covariance.

    Every copy of the template is measured by matched filters that are optimal under counting noise and contrast
    inside the template; the six parameters follow from all copies together. Capture range: 4 px, 8 degrees, 5 %.

    Parameters
    ----------
    physics : Constellation
        What the signals look like: template, reference positions, mean counts, contrast, gain, mask.
    shift, deformation : float, default 3.0 px and 0.05
        Standard deviations of the Gaussian prior about the reference; wide, so that its share in an estimate of
        standard error s is (s / deformation)^2.
    bins : int, default 6
        Sub-pixel positions of the filters along each axis.

    Notes
    -----
    The bound for disks of unknown position is the Fisher information of Poisson counts with amplitude and
    background eliminated; see docs/explanation/strain.md. Not for signals whose copies have different shapes.
    """

    physics: Constellation
    shift: float = 3.0
    deformation: float = 0.05
    bins: int = 6

    @property
    def prior(self) -> Array:
        """Information of the prior about the reference, shape (6, 6)."""
        return np.diag(np.array([self.shift] * 2 + [self.deformation] * 4) ** -2.0)

    @cached_property
    def _coarse(self) -> tuple[Bank, Bank]:
        """Filters with a wide and a middle edge, to find the way."""
        radius, edge = self.physics.extent
        at = self.physics.reference
        gaps = np.linalg.norm(at[:, None] - at[None], axis=-1)
        gap = float(gaps[gaps > 1e-6].min()) if len(at) > 1 else np.inf
        widest = max(1.2 * edge, min(3.5, (gap - radius - 1.0) / 2.2))
        classes = classify(self.physics, window(radius, widest))
        wide, middle = (
            build(self.physics, classes, w, textured=False, most_bins=4)
            for w in (widest, max(min(1.4, widest), 1.1 * edge))
        )
        return wide, middle

    @cached_property
    def _classes(self) -> Classes:
        """Copies that share the filters of the true edge."""
        return classify(self.physics, window(*self.physics.extent))

    @cached_property
    def _fine(self) -> Bank:
        """Filters with the true edge and the contrast prior, to measure."""
        return build(self.physics, self._classes, self.physics.extent[1], textured=True, most_bins=self.bins)

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
        physics = replace(self.physics, contrast=contrast)  # type: ignore[type-var]
        other = replace(self, physics=physics, bins=bins)
        other.__dict__.update(_coarse=self._coarse, _classes=self._classes)
        if replace(contrast, scatter=1.0) == replace(self.physics.contrast, scatter=1.0) and bins == self.bins:
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
            Shares the filters, which takes microseconds, unless copies reach into each other's windows.
        """
        other = replace(self, physics=physics)
        reach = max(b.half for b in (*self._coarse, self._fine))
        shared = adopt(physics, reach, self._classes)
        if shared is not None:
            other.__dict__.update(_coarse=self._coarse, _fine=self._fine, _classes=shared)
        return other

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
        return self.score(signals, theta)[2]

    def score(self, signals: NDArray[Any], theta: Array) -> tuple[Array, Array, Array]:
        """Likelihood about given parameters, from which patterns can be fitted together.

        Parameters
        ----------
        signals : ndarray, shape (n, q_y, q_x)
            Counts, integer or float.
        theta : ndarray, shape (n, 6) or (6,)
            Parameters, within a pixel of the truth.

        Returns
        -------
        information : ndarray, shape (n, 6, 6)
            Of the pattern alone, without the prior; zero where the parameters are NaN.
        gradient : ndarray, shape (n, 6)
            Information times the step from `theta` to the most likely parameters.
        amplitude : ndarray, shape (n, copies)
            As `measure` returns it.

        Raises
        ------
        ValueError
            If the patterns have another shape than the physics.
        """
        frames = self._frames(signals)
        n = len(frames)
        out = (np.zeros((n, 6, 6)), np.zeros((n, 6)), np.full((n, len(self.physics.reference)), np.nan))
        at = np.broadcast_to(theta, (n, 6))
        known = np.isfinite(at).all(1)
        lattice, banks, _, _, mask = self._arguments
        kernel.score(frames, np.where(known[:, None], at, self.physics.theta), lattice, banks[2], mask, out)
        for array, unknown in zip(out, (0.0, 0.0, np.nan), strict=True):
            array[~known] = unknown
        return out

    def __call__(self, signals: NDArray[Any], /, start: Array | None = None) -> Estimate:
        """Fit independent patterns.

        Parameters
        ----------
        signals : ndarray, shape (n, q_y, q_x)
            Counts, integer or float.
        start : ndarray, shape (n, 6), optional
            Where to begin; default the reference.

        Returns
        -------
        Estimate
            `extra` holds ``amplitude`` (n, copies) [counts/px], ``electrons`` (n,), ``limit_ratio`` (n,),
            ``scale`` (n,) and ``information`` (n, 6, 6).

        Raises
        ------
        ValueError
            If the patterns have another shape than the physics.
        """
        return self._fit(signals, start, run=1)

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
            Of rows times columns signals.

        Raises
        ------
        ValueError
            If the patterns have another shape than the physics.
        """
        flat = signals.reshape(-1, *signals.shape[2:])
        return self._fit(flat, None if start is None else start.reshape(-1, 6), run=signals.shape[1])

    def _fit(self, signals: NDArray[Any], start: Array | None, run: int) -> Estimate:
        """Run the kernel on one batch."""
        frames = self._frames(signals)
        n, copies = len(frames), len(self.physics.reference)
        begin = np.tile(self.physics.theta, (n, 1)) if start is None else np.ascontiguousarray(start)
        out = (
            np.full((n, 6), np.nan),
            np.full((n, 6, 6), np.nan),
            np.zeros((n, copies), np.float32),
            np.full((n, kernel.DIAGNOSTICS), np.nan),
            np.zeros((n, 6, 6)),
        )
        kernel.fit(frames, begin, run, *self._arguments, out)
        return self._judge(out)

    def _frames(self, signals: NDArray[Any]) -> NDArray[Any]:
        """Patterns as the kernel takes them."""
        if signals.shape[1:] != self.physics.signal_shape:
            raise ValueError(f"patterns {signals.shape[1:]} do not match the physics {self.physics.signal_shape}")
        return np.ascontiguousarray(signals, dtype=_kernel_type(signals.dtype))

    @cached_property
    def _arguments(self) -> tuple[Any, ...]:
        """The physics as the kernel takes it."""
        p = self.physics
        wide, middle = self._coarse
        fine = self._fine
        mask = np.zeros(p.signal_shape, np.bool_) if p.mask is None else p.mask
        reach = wide.half + 8
        near = [mask[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1].any() for y, x in self._at]
        lattice = (
            np.ascontiguousarray(p.reference),
            self._classes.member,
            np.array(near),
            np.asarray(p.levels.amplitude, np.float64),
            float(p.gain),
        )
        prior = (p.theta, np.diag(self.prior).copy())
        banks = tuple(
            (b.half, b.bins, b.filters, b.shot, b.texture, b.template, b.edge, b.fisher, self._tilt(b))
            for b in (wide, middle, fine)
        )
        return lattice, banks, prior, float(p.contrast.depth), mask

    def _tilt(self, bank: Bank) -> Array:
        """What the slope of the background adds to the displacement of each copy, (copies, bins, bins, 2)."""
        tilt: Array = np.einsum("nijkl,nl->nijk", bank.tilt[self._classes.member], self.physics.levels.slope)
        return tilt

    @property
    def _at(self) -> NDArray[np.int64]:
        """Pixels nearest to the copies of the reference."""
        return np.rint(self.physics.reference + self.physics.theta[:2]).astype(np.int64)

    def _judge(self, out: tuple[Any, ...]) -> Estimate:
        """Give every signal its status, and NaN where it failed."""
        theta, covariance, amplitude, diagnostics, normal = out
        # The scatter of the copies about the fit corrects the covariance: the pattern's own, and the scan's.
        spread = diagnostics[:, kernel.SPREAD]
        freedom = max(2 * len(self.physics.reference) - 6, 1)
        factor = (_SCAN_WEIGHT * self.physics.contrast.scatter + freedom * spread) / (_SCAN_WEIGHT + freedom)
        covariance *= factor[:, None, None]
        normal /= factor[:, None, None]
        total, step = diagnostics[:, kernel.TOTAL], diagnostics[:, kernel.STEP]
        status = self._limits(theta, covariance, step)
        status[total <= 0] = Status.WEAK
        status[~np.isfinite(total) | ~np.isfinite(theta).all(1) & (total > 0)] = Status.BAD_INPUT
        failed = status != Status.OK
        theta[failed] = np.nan
        covariance[failed] = np.nan
        extra = {
            "amplitude": amplitude,
            "electrons": total / self.physics.gain,
            "limit_ratio": np.where(failed, np.nan, diagnostics[:, kernel.LIMIT] * np.sqrt(factor)),
            "scale": diagnostics[:, kernel.SCALE],
            "factor": factor,
            "predicted_ratio": diagnostics[:, kernel.LIMIT],
            "spread": spread,
            "information": normal,
        }
        return Estimate(theta, covariance, diagnostics[:, kernel.MISFIT], status, extra)


    def _limits(self, theta: Array, covariance: Array, step: Array) -> NDArray[np.uint8]:
        """Status of fits that ended somewhere, by where."""
        status = np.full(len(theta), Status.OK, np.uint8)
        offset = theta - self.physics.theta
        moved = offset[:, :2][:, None] + np.einsum(
            "sij,nj->sni", offset[:, 2:].reshape(-1, 2, 2), self.physics.reference
        )
        radius = self.physics.extent[0]
        status[np.hypot(*np.moveaxis(moved, -1, 0)).max(1) > 12 + radius] = Status.AT_BOUND
        status[step > 1.0] = Status.NO_MODEL
        variance = np.diagonal(covariance, axis1=1, axis2=2)[:, 2:]
        status[variance.max(1) > 0.04**2] = Status.WEAK
        return status

    def pooled(self, single: Estimate, theta: Array, covariance: Array, usable: NDArray[np.bool_]) -> Estimate:
        """Estimate of patterns that were fitted together.

        Parameters
        ----------
        single : Estimate
            Of the same patterns, each alone.
        theta : ndarray, shape (n, 6)
            Common parameters.
        covariance : ndarray, shape (n, 6, 6)
            Inverse of the pooled information.
        usable : ndarray of bool, shape (n,)
            Where the pattern itself is data.

        Returns
        -------
        Estimate
        """
        factor = self.physics.contrast.scatter
        status = np.where(usable, self._limits(theta, covariance, np.zeros(len(theta))), single.status)
        failed = status != Status.OK
        extra = {
            **single.extra,
            "limit_ratio": np.where(failed, np.nan, single.extra["predicted_ratio"] * np.sqrt(factor)),
            "information": np.linalg.inv(covariance) / factor,
        }
        theta = np.where(failed[:, None], np.nan, theta)
        covariance = np.where(failed[:, None, None], np.nan, factor * covariance)
        return Estimate(theta, covariance, single.misfit, status.astype(np.uint8), extra)


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


def _kernel_type(dtype: np.dtype[Any]) -> type:
    """The type the kernel is compiled for that holds the data without loss, or 32-bit floats."""
    return next((t for t in _KERNEL_TYPES if dtype == np.dtype(t)), np.float32)
