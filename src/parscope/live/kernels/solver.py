"""Any solver of the package as a kernel: least squares, networks, integers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import ShapeError
from parscope.core.solver import Solver
from parscope.live.kernels.contract import Detector, Output
from parscope.techniques.diffraction.saved import understood

Array = NDArray[np.float64]


def readable(frame: NDArray[Any], mask: NDArray[np.bool_], nodata: int) -> bool:
    """Whether every pixel that is used was read.

    Parameters
    ----------
    frame : ndarray, shape (q_y, q_x)
        Counts.
    mask : ndarray of bool, shape (q_y, q_x)
        Pixels that are not used.
    nodata : int
        Value of a pixel that was not read, [counts]; -1 if there is none.

    Returns
    -------
    bool
    """
    if nodata < 0:
        return True
    absent = frame == nodata
    return not absent.any() or not (absent & ~mask).any()


def solve(frame: NDArray[Any], solver: Solver, mask: NDArray[np.bool_], nodata: int, out: Array) -> None:
    """Parameters and misfit of one pattern; NaN where the solver says that it failed or a pixel was not read.

    Parameters
    ----------
    frame : ndarray, shape (q_y, q_x)
        Counts.
    solver : Solver
        Any.
    mask : ndarray of bool, shape (q_y, q_x)
        Pixels that are given to the solver as 0.
    nodata : int
        Value of a pixel that was not read, [counts]; -1 if there is none.
    out : ndarray of float64, shape (parameters + 1,)
        Parameters in the order and units of the physics, and misfit.
    """
    out[:] = np.nan
    if readable(frame, mask, nodata):
        found = solver(np.where(mask, 0, frame)[None].astype(frame.dtype))
        out[:-1], out[-1] = found.theta[0], found.misfit[0]


@dataclass(frozen=True)
class SolverKernel:
    """A solver, one pattern at a time.

    Parameters
    ----------
    solver : Solver
        Can be pickled; its signals have the shape of the patterns.
    name : str, default "solver"
        Of the kernel.
    """

    solver: Solver
    name: str = "solver"
    examples: int = 0

    @classmethod
    def parse(cls, text: str) -> SolverKernel:
        """Read the networks of a folder that ``parscope train strain`` made.

        Parameters
        ----------
        text : str
            Path of the folder.

        Returns
        -------
        SolverKernel
            Of several lattices, for the one it was made for first.

        Raises
        ------
        FormatError
            If there are no networks, or damaged ones.
        MissingExtraError
            If PyTorch is not installed.
        """
        from parscope.solvers.networks.constellation.solver import ConstellationNetwork
        from parscope.solvers.networks.constellation.store import load_encoder

        orientation, window, notes = load_encoder(Path(text))
        physics = understood(notes.get("physics", {}), text)
        calibrated = {name: float(notes[name]) for name in ("unlikely", "excess") if name in notes}
        return cls(ConstellationNetwork(physics, orientation, window, **calibrated))

    @property
    def function(self) -> Callable[..., None]:
        """What is run; see `solve`."""
        return solve

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The parameters of the physics, and the misfit."""
        found = (Output(p.name, p.unit, p.name.replace("_", " ")) for p in self.solver.physics.parameters)
        return (*found, Output("misfit", "1", "misfit"))

    def setup(self, detector: Detector, examples: NDArray[Any]) -> tuple[Any, ...]:
        """Prepare the state; see `Kernel.setup`.

        Parameters
        ----------
        detector : Detector
            What is known of the patterns.
        examples : ndarray, shape (n, q_y, q_x)
            Not looked at.

        Returns
        -------
        tuple
            Solver, mask, value of a pixel that was not read.

        Raises
        ------
        ShapeError
            If the solver is for patterns of another shape.
        """
        shape = tuple(self.solver.physics.signal_shape)
        if shape != detector.shape:
            raise ShapeError(f"is for patterns {shape}, not {detector.shape}", self.name)
        return self.solver, detector.mask, detector.nodata
