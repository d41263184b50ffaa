"""One block of scan rows through the solver: the unit of work of a laptop, a cluster and a resumed job alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.frames import Frames
from parscope.core.solver import Estimate, Status
from parscope.solvers.lattice import LatticeFilters
from parscope.solvers.lattice.pooling import halo, pool
from parscope.workflows.grains import fit_crystals
from parscope.workflows.strain.descan import Descan
from parscope.workflows.strain.excess import Cells
from parscope.workflows.strain.network import NetworkStart
from parscope.workflows.strain.sampling import read_rows

_BLOCK_BYTES = 32 << 20

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Plan:
    """All that is decided before the scan is fitted.

    Parameters
    ----------
    frames : Frames
        The scan.
    crystals : tuple of LatticeFilters
        One for each crystal.
    candidates : ndarray of int16, shape (scan y, scan x, k), optional
        Crystals that may be present at each position; None for a single crystal.
    pool : int
        Side of the square of positions that share their information.
    cells : tuple of Cells
        Pixels between the disks of each crystal, to find second lattices.
    descan : Descan, optional
        Where to begin the fits of a single crystal; default where the mean pattern is.
    network : NetworkStart, optional
        Says for every pattern where to begin, in place of `descan`.
    """

    frames: Frames
    crystals: tuple[LatticeFilters, ...]
    candidates: NDArray[np.int16] | None
    pool: int
    cells: tuple[Cells, ...]
    descan: Descan | None = None
    network: NetworkStart | None = None

    def blocks(self) -> list[tuple[int, int]]:
        """Scan rows (start, stop) of the blocks: about 32 MiB of patterns each, whoever does the work."""
        rows = self.frames.scan_shape[0]
        row_bytes = int(np.prod(self.frames.data.shape[1:])) * np.dtype(self.frames.data.dtype).itemsize
        step = max(1, min(rows, _BLOCK_BYTES // max(row_bytes, 1)))
        return [(y, min(y + step, rows)) for y in range(0, rows, step)]


def fit_block(plan: Plan, start: int, stop: int) -> Arrays:
    """Fit scan rows.

    Parameters
    ----------
    plan : Plan
        What is decided.
    start, stop : int
        Rows, the last one excluded.

    Returns
    -------
    dict of ndarray
        All of first dimensions (rows, columns): ``theta`` (6), ``covariance`` (4, 4) of the affine map, ``misfit``,
        ``status``, ``limit_ratio``, ``electrons``, ``amplitude`` (disks) [electrons], ``beam``, ``diffracted`` and
        ``diffracted_std`` [electrons], ``excess``, ``grain``, ``share``.
    """
    around = halo(plan.pool) if plan.pool > 1 else 0
    first, last = max(0, start - around), min(plan.frames.scan_shape[0], stop + around)
    patterns, unreadable = read_rows(plan.frames, first, last)
    shape = patterns.shape[:2]
    estimate, grain, share = _fit(plan, patterns, first)
    flat = patterns.reshape(-1, *patterns.shape[2:])
    result: Arrays = {
        "theta": estimate.theta,
        "covariance": estimate.covariance[:, 2:, 2:].astype(np.float32),
        "misfit": estimate.misfit.astype(np.float32),
        "status": estimate.status.copy(),
        "limit_ratio": estimate.extra["limit_ratio"].astype(np.float32),
        "electrons": estimate.extra["electrons"].astype(np.float32),
        "amplitude": estimate.extra["amplitude"].astype(np.float32) * np.float32(electrons_per_count(plan.crystals[0])),
        "excess": _excess(plan, flat, grain.reshape(-1), estimate.theta[:, :2]),
        "grain": grain.reshape(-1),
        "share": share.reshape(-1),
        **_beams(plan, estimate.extra["amplitude"], grain.reshape(-1)),
    }
    result["status"][result["electrons"] == 0] = Status.BAD_INPUT
    result["status"][unreadable.reshape(-1)] = Status.UNREADABLE
    inner = slice(start - first, stop - first)
    return {k: v.reshape(*shape, *v.shape[1:])[inner].copy() for k, v in result.items()}


def electrons_per_count(solver: LatticeFilters) -> float:
    """Electrons in a disk of one count per pixel."""
    physics: Any = solver.physics
    return float(np.pi * physics.probe.radius**2 / physics.gain)


def _fit(plan: Plan, patterns: NDArray[Any], first: int) -> tuple[Estimate, NDArray[np.int16], NDArray[np.float32]]:
    """Estimates of all patterns, which crystal they belong to, and the share of a second one."""
    shape = patterns.shape[:2]
    if plan.candidates is None:
        return _of_one(plan, patterns, first), np.zeros(shape, np.int16), np.zeros(shape, np.float32)
    estimate, grain, share = fit_crystals(patterns, plan.candidates[first : first + shape[0]], plan.crystals)
    return _with_the_rest(plan, patterns, estimate, grain), grain, share


def _of_one(plan: Plan, patterns: NDArray[Any], first: int) -> Estimate:
    """Estimates of a single crystal."""
    solver, at = plan.crystals[0], None
    if plan.network is not None:
        at = plan.network.start(patterns)
    elif plan.descan is not None:
        at = plan.descan.start(solver.physics.theta, first, first + len(patterns))
    if plan.pool > 1:
        return pool(solver, patterns, plan.pool, start=at)
    if plan.network is not None and at is not None:
        return solver(patterns.reshape(-1, *patterns.shape[2:]), at.reshape(-1, 6), near=True)
    return solver.rows(patterns, at)


def _with_the_rest(plan: Plan, patterns: NDArray[Any], estimate: Estimate, grain: NDArray[np.int16]) -> Estimate:
    """What can be said of patterns of no crystal: how many electrons they have, and whether they are data."""
    none = np.flatnonzero(grain.reshape(-1) < 0)
    solver = plan.crystals[0]
    other = solver(patterns.reshape(-1, *patterns.shape[2:])[none])
    status = estimate.status.copy()
    status[none] = np.where(other.status == Status.OK, Status.NO_MODEL, other.status)
    extra = {}
    disks = max(len(c.physics.reference) for c in plan.crystals)
    for name in ("limit_ratio", "electrons", "amplitude"):
        tail = (disks,) if name == "amplitude" else ()
        values = estimate.extra.get(name, np.zeros((len(status), *tail), np.float32)).copy()
        values[(none, slice(len(solver.physics.reference))) if tail else none] = other.extra[name]
        extra[name] = values
    return replace(estimate, status=status, extra=extra)


def _excess(
    plan: Plan, flat: NDArray[Any], grain: NDArray[np.int16], centre: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Excess of counts between the disks of each pattern's own crystal, wherever its centre is."""
    result = np.full(len(flat), np.nan, np.float32)
    for number, cells in enumerate(plan.cells):
        mine = grain == number
        moved = centre[mine] - plan.crystals[number].physics.theta[:2]
        result[mine] = cells.excess(flat if mine.all() else flat[mine], moved)
    return result


def _beams(plan: Plan, amplitude: NDArray[Any], grain: NDArray[np.int16]) -> Arrays:
    """Electrons in the direct disk and in all others, and the standard error of the latter."""
    names = ("beam", "diffracted", "diffracted_std")
    result = {name: np.full(len(grain), np.nan, np.float32) for name in names}
    for number, solver in enumerate(plan.crystals):
        physics: Any = solver.physics
        direct = (physics.indices == 0).all(1)
        mine = (np.maximum(grain, 0) == number).nonzero()[0]
        if not direct.any() or direct.all():
            continue
        area = electrons_per_count(solver)
        electrons = amplitude[mine, : len(direct)].astype(np.float64) * area
        under = physics.levels.background[~direct] * area
        result["beam"][mine] = np.clip(electrons[:, direct], 0, None).sum(1)
        result["diffracted"][mine] = electrons[:, ~direct].sum(1)
        shot = np.clip(electrons[:, ~direct], 0, None) + 2 * under
        result["diffracted_std"][mine] = np.sqrt(shot.sum(1) + 1)
    return result
