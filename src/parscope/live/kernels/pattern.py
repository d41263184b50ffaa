"""Strain from whole patterns: the trusted solver of a scan, one pattern at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import NoLatticeError
from parscope.core.solver import Status
from parscope.live.kernels.contract import Detector, Output, State
from parscope.live.kernels.solver import readable
from parscope.live.kernels.tracked import EXAMPLES, STRAINS, lattice_of, reference_of, zero_of
from parscope.solvers.lattice import LatticeFilters
from parscope.solvers.lattice.contrast import calibrate
from parscope.techniques.diffraction import strain

Array = NDArray[np.float64]


# Standard errors and misfits this many times the usual one mean another kind of pattern.
_FAR_LIMIT, _FAR_MISFIT = 4.0, 5.0
# Diffracted electrons below this share of the direct beam's, or within this many standard errors of none: vacuum.
_VACUUM_SHARE, _VACUUM_SIGMAS = 0.01, 4.0


@dataclass(frozen=True)
class Usual:
    """What the examples say of patterns of this sample.

    Parameters
    ----------
    reference : ndarray, shape (2, 2, 2)
        What an affine map is multiplied with from the left and from the right before the strain.
    limit : float
        Standard error over its bound, [1].
    misfit : float
        Mean squared residual over its expectation, [1].
    """

    reference: Array
    limit: float
    misfit: float


def fit_pattern(frame: NDArray[Any], solver: LatticeFilters, usual: Usual, detector: Detector, out: Array) -> None:
    """Strain of one pattern; NaN where there is none, where it is not like the examples, or not all of it was read.

    Parameters
    ----------
    frame : ndarray, shape (q_y, q_x)
        Counts.
    solver : LatticeFilters
        Of centre and affine map.
    usual : Usual
        Reference, and what a good fit is like.
    detector : Detector
        With the pixels that the solver leaves out.
    out : ndarray of float64, shape (4,)
        e_xx, e_yy, e_xy [1] and rotation [rad].
    """
    out[:] = np.nan
    if not readable(frame, detector.mask, detector.nodata):
        return
    found = solver(frame[None])
    odd = found.extra["limit_ratio"][0] > _FAR_LIMIT * usual.limit or found.misfit[0] > _FAR_MISFIT * usual.misfit
    if found.status[0] == Status.OK and not odd and not _vacuum(solver, found.extra["amplitude"][0]):
        affine = found.theta[0, 2:].reshape(2, 2)
        out[:] = strain(usual.reference[0] @ affine @ usual.reference[1])


def _vacuum(solver: LatticeFilters, amplitude: NDArray[np.float32]) -> bool:
    """Whether the direct disk is all there is."""
    # The physics of these filters is a DiffractionPattern, of which their type knows the geometry only.
    physics: Any = solver.physics
    direct = (physics.indices == 0).all(1)
    if not direct.any() or direct.all():
        return False
    area = np.pi * physics.probe.radius**2 / physics.gain
    electrons = amplitude * area
    others = electrons[~direct]
    noise = np.sqrt((np.clip(others, 0, None) + 2 * area * physics.levels.background[~direct]).sum() + 1)
    return bool(others.sum() < max(_VACUUM_SIGMAS * noise, _VACUUM_SHARE * electrons[direct].sum()))


@dataclass(frozen=True)
class PatternStrain:
    """Strain at the physical limit, relative to the median of the examples, in some hundred microseconds a pattern."""

    name: str = "pattern-strain"
    examples: int = EXAMPLES
    outputs: tuple[Output, ...] = STRAINS

    @property
    def function(self) -> Callable[..., None]:
        """What is run; see `fit_pattern`."""
        return fit_pattern

    def setup(self, detector: Detector, examples: NDArray[Any]) -> tuple[Any, ...]:
        """Prepare the state; see `Kernel.setup`.

        Parameters
        ----------
        detector : Detector
            What is known of the patterns.
        examples : ndarray, shape (n, q_y, q_x)
            Patterns of this sample.

        Returns
        -------
        tuple
            Solver, what is usual, detector with all pixels that are left out.

        Raises
        ------
        NoLatticeError
            If no lattice is in the examples, or none of them can be fitted.
        """
        physics, mask, counts = lattice_of(detector, examples)
        solver = calibrate(LatticeFilters(physics), np.where(mask, 0, counts).astype(counts.dtype))
        found = solver(counts)
        good = found.status == Status.OK
        if not good.any():
            raise NoLatticeError("cannot be fitted", "examples of the patterns", "choose patterns of the crystal")
        zero = np.median(found.theta[good], axis=0)
        limit, misfit = (float(np.median(a[good])) for a in (found.extra["limit_ratio"], found.misfit))
        usual = Usual(reference_of(zero[2:].reshape(2, 2), physics.probe.distortion), limit, misfit)
        state = solver, usual, replace(detector, mask=mask)
        return State(state, {**zero_of(physics, zero), "disks": len(physics.indices), "examples": int(good.sum())})
