"""Strain from whole patterns: the trusted solver of a scan, one pattern at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import NoLatticeError
from parscope.core.solver import Solver, Status
from parscope.live.kernels.contract import Detector, Output
from parscope.live.kernels.solver import readable
from parscope.live.kernels.tracked import EXAMPLES, STRAINS, lattice_of, reference_of
from parscope.solvers.lattice import LatticeFilters
from parscope.solvers.lattice.contrast import calibrate
from parscope.techniques.diffraction import strain

Array = NDArray[np.float64]


def fit_pattern(
    frame: NDArray[Any], solver: Solver, reference: Array, mask: NDArray[np.bool_], nodata: int, out: Array
) -> None:
    """Strain of one pattern; NaN where the fit failed or a pixel that matters was not read.

    Parameters
    ----------
    frame : ndarray, shape (q_y, q_x)
        Counts.
    solver : Solver
        Of centre and affine map.
    reference : ndarray, shape (2, 2, 2)
        What is multiplied from the left and from the right before the strain.
    mask : ndarray of bool, shape (q_y, q_x)
        Pixels that the solver leaves out.
    nodata : int
        Value of a pixel that was not read, [counts]; -1 if there is none.
    out : ndarray of float64, shape (4,)
        e_xx, e_yy, e_xy [1] and rotation [rad].
    """
    out[:] = np.nan
    if readable(frame, mask, nodata):
        affine = solver(frame[None]).theta[0, 2:].reshape(2, 2)
        out[:] = strain(reference[0] @ affine @ reference[1])


@dataclass(frozen=True)
class PatternStrain:
    """Strain at the physical limit, relative to the median of the examples, in some hundred microseconds a pattern."""

    name: str = "pattern-strain"
    examples: int = EXAMPLES
    outputs: tuple[Output, ...] = STRAINS

    function: ClassVar[Callable[..., None]] = staticmethod(fit_pattern)

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
            Solver, reference, mask, value of a pixel that was not read.

        Raises
        ------
        NoLatticeError
            If no lattice is in the examples, or none of them can be fitted.
        """
        physics, mask = lattice_of(detector, examples)
        solver = calibrate(LatticeFilters(physics), np.where(mask, 0, examples).astype(examples.dtype))
        found = solver(examples)
        good = found.status == Status.OK
        if not good.any():
            raise NoLatticeError("cannot be fitted", "examples of the patterns", "choose patterns of the crystal")
        affine = np.median(found.theta[good, 2:], axis=0).reshape(2, 2)
        return solver, reference_of(affine, physics.probe.distortion), mask, detector.nodata
