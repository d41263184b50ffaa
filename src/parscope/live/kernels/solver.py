"""Any solver of the package as a kernel: least squares, networks, integers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import ShapeError
from parscope.core.solver import Solver, Status
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


def tell_apart(
    frame: NDArray[Any], solvers: Sequence[Solver], mask: NDArray[np.bool_], nodata: int, out: Array
) -> None:
    """Parameters and misfit of one pattern by the phase for which most speaks, and its number; else as `solve`.

    Parameters
    ----------
    frame : ndarray, shape (q_y, q_x)
        Counts.
    solvers : sequence of Solver
        One for each phase, whose estimates have ``evidence`` in `extra`.
    mask : ndarray of bool, shape (q_y, q_x)
        Pixels that are given to the solvers as 0.
    nodata : int
        Value of a pixel that was not read, [counts]; -1 if there is none.
    out : ndarray of float64, shape (parameters + 2,)
        Parameters in the order and units of the physics, misfit, and number of the phase; where there is none, the
        misfit of the first.
    """
    out[:] = np.nan
    if readable(frame, mask, nodata):
        signals = np.where(mask, 0, frame)[None].astype(frame.dtype)
        found = [solver(signals) for solver in solvers]
        evidence = [one.extra["evidence"][0] if one.status[0] == Status.OK else -np.inf for one in found]
        best = int(np.argmax(np.nan_to_num(evidence, nan=-np.inf)))
        out[-2] = found[best].misfit[0]
        if found[best].status[0] == Status.OK:
            out[:-2], out[-1] = found[best].theta[0], best


@dataclass(frozen=True)
class SolverKernel:
    """A solver, one pattern at a time; for several phases one of each, and the one for which most speaks is told.

    Parameters
    ----------
    solver : Solver
        Can be pickled; its signals have the shape of the patterns.
    name : str, default "solver"
        Of the kernel.
    others : tuple of Solver, optional
        For phases 1, 2, ..., of the same parameters. Estimates of all then have ``evidence`` in `extra`.
    """

    solver: Solver
    name: str = "solver"
    examples: int = 0
    others: tuple[Solver, ...] = ()

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
            With a solver for each phase, in the order of the training.

        Raises
        ------
        FormatError
            If there are no networks, or damaged ones.
        MissingExtraError
            If PyTorch is not installed.
        """
        from parscope.solvers.networks.constellation.solver import ConstellationNetwork
        from parscope.solvers.networks.constellation.store import load_encoders

        solvers = []
        for orientation, window, notes in load_encoders(Path(text)):
            physics = understood(notes.get("physics", {}), text)
            calibrated = {name: float(notes[name]) for name in ("unlikely", "excess") if name in notes}
            solvers.append(ConstellationNetwork(physics, orientation, window, **calibrated))
        return cls(solvers[0], others=tuple(solvers[1:]))

    @property
    def function(self) -> Callable[..., None]:
        """What is run; see `solve` and `tell_apart`."""
        return tell_apart if self.others else solve

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The parameters of the physics, the misfit, and of several phases the number of the one that was found."""
        found = (Output(p.name, p.unit, p.name.replace("_", " ")) for p in self.solver.physics.parameters)
        phase = (Output("phase", "1", "number of the phase"),) if self.others else ()
        return (*found, Output("misfit", "1", "misfit"), *phase)

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
            Solver, or one for each phase, mask, value of a pixel that was not read.

        Raises
        ------
        ShapeError
            If a solver is for patterns of another shape.
        """
        solvers = (self.solver, *self.others)
        for shape in (tuple(one.physics.signal_shape) for one in solvers):
            if shape != detector.shape:
                raise ShapeError(f"is for patterns {shape}, not {detector.shape}", self.name)
        return solvers if self.others else self.solver, detector.mask, detector.nodata
