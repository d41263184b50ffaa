"""The pair of networks as a solver: the affine map of each pattern, in the conventions of all others."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parscope.core.errors import ShapeError
from parscope.core.physics import Constellation
from parscope.core.solver import Estimate, Status
from parscope.solvers.networks.cycle.autoencoder import Cycle
from parscope.solvers.networks.cycle.spots import lattice_of, reduced, spots
from parscope.solvers.networks.cycle.stages import Pair
from parscope.solvers.networks.cycle.view import View
from parscope.solvers.networks.cycle.warp import warped

Array = NDArray[np.float64]

# Part of the bounded range beyond which a strain may be anything, and residual variance of a base that is none, [1].
_EDGE, _NO_BASE = 0.99, 1.0


class CycleSolver:
    """Centre and affine map by the cycle-consistent spatial transforming autoencoder; no standard errors.

    The networks relate a pattern to the base of its class. Where the base itself lies follows from its spots, in which
    the reference lattice of the physics is looked for at all orientations.

    Parameters
    ----------
    pair : Pair
        Trained networks.
    view : View
        As they were trained with.
    physics : Constellation
        Of the reference lattice.
    """

    def __init__(self, pair: Pair, view: View, physics: Constellation) -> None:
        self._pair, self._view, self._physics = pair, view, physics
        with torch.no_grad():
            self._bases = pair.fine.bases()
        half = view.size / 2
        # What is (x, y) in half sides for the networks is (y, x) in pixels for everybody else.
        found = spots(self._bases, view.mask, view.spot).double().numpy()[..., ::-1] * half
        placed = [lattice_of(centres[np.abs(centres).max(1) < half], physics.reference) for centres in found]
        self._centres, self._maps = np.stack([c for c, _ in placed]), np.stack([a for _, a in placed])

    @property
    def physics(self) -> Constellation:
        """Of the reference lattice."""
        return self._physics

    def __call__(self, signals: NDArray[Any], /) -> Estimate:
        """Affine maps of patterns, shape (n, pattern y, pattern x); see `Solver`.

        Covariances are NaN, as the method offers none. `extra` has ``class``, shape (n,).

        Raises
        ------
        ShapeError
            If the patterns have another shape than the physics.
        """
        if signals.shape[1:] != self._physics.signal_shape:
            raise ShapeError(f"{signals.shape[1:]}, not {self._physics.signal_shape}", "patterns")
        usable = np.isfinite(signals).all((1, 2)) & (signals.max((1, 2), initial=0) > 0)
        frames = self._view(np.where(usable[:, None, None], signals, 0))
        parts = [self._answered(part) for part in torch.split(frames, 64)]
        theta, misfit, status, own = (np.concatenate(column) for column in zip(*parts, strict=True))
        status[~usable], misfit[~usable] = Status.BAD_INPUT, np.nan
        theta[status != Status.OK] = np.nan
        return Estimate(theta, np.full((len(theta), 6, 6), np.nan), misfit, status, {"class": own})

    def _answered(self, frames: Tensor) -> tuple[Array, Array, NDArray[np.uint8], NDArray[np.int64]]:
        """Parameters, misfit, status and class of some patterns."""
        with torch.no_grad():
            cycle = self._pair.fine(frames, self._pair.starts(frames))
            misfit, left = self._misfit(frames, cycle)
        own = cycle.classes.argmax(1).numpy()
        found = cycle.deformation
        # From (x, y) to (y, x).
        whole = found.whole.double().numpy()[:, ::-1, ::-1]
        shift = found.shift.double().numpy()[:, ::-1] * self._view.size / 2
        centre = np.einsum("nij,nj->ni", whole, self._centres[own] + shift) + self._view.centre
        affine = reduced(whole @ self._maps[own], self._physics.reference)
        theta = np.concatenate([centre, affine.reshape(-1, 4)], 1)
        status = np.where(found.at_bound(_EDGE).numpy(), Status.AT_BOUND, Status.OK).astype(np.uint8)
        status[(left > _NO_BASE) | ~np.isfinite(theta).all(1)] = Status.NO_MODEL
        return theta, misfit, status, own

    def _misfit(self, frames: Tensor, cycle: Cycle) -> tuple[Array, Array]:
        """Mean squared residual over the noise of counting, and over the variance of the scan."""
        inside = self._view.mask[0, 0] > 0
        base = torch.einsum("nk,kyx->nyx", cycle.classes, self._bases[:, 0])[:, inside]
        left = (warped(frames, cycle.deformation)[:, 0, inside] - base).square().mean(1)
        noise = frames[:, 0, inside].mean(1).clamp(min=1e-12) * self._physics.gain / self._view.unit
        return (left / noise).double().numpy(), left.double().numpy()
