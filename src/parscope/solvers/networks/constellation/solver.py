"""A trained encoder as a solver: centre and map of every pattern, at any orientation, with a covariance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from parscope.core.errors import ShapeError
from parscope.core.network import Network
from parscope.core.physics import Constellation
from parscope.core.solver import Estimate, Status
from parscope.solvers.networks.constellation.encoder import Encoder
from parscope.solvers.networks.constellation.geometry import Array, Geometry, rotations
from parscope.solvers.networks.constellation.looks import totals
from parscope.solvers.networks.constellation.reading import Reading
from parscope.solvers.networks.threads import one_thread

# Patterns at a time: what is between the layers stays in the cache of a core.
_CHUNK = 128
_KINDS = (np.uint8, np.uint16, np.int16, np.int32, np.uint32, np.float32)


@dataclass(frozen=True)
class ConstellationNetwork:
    """Centre and affine map of a constellation at any orientation, told by a network with a covariance.

    The first look sums each pattern in rings and angles about its centre of mass, and says how the lattice lies; the
    second and third look at a window round every copy, whose displacements give the lattice by weighted least squares.
    Several times less precise than `LatticeFilters` at high doses, for which its answers are a start.

    Parameters
    ----------
    physics : Constellation
        What it was trained on: template and lattice; another centre, gain and mask may be put in.
    orientation, window : Network
        Trained for it.
    unlikely : float, default inf
        Misfit that hardly any pattern of this physics has, [1]: above it, it is another one.
    excess : float, default 1.0
        Variance of the answers over what the networks claim, [1].

    Raises
    ------
    ShapeError
        If the physics has no lattice on its detector.
    """

    physics: Constellation
    orientation: Network
    window: Network
    unlikely: float = np.inf
    excess: float = 1.0

    @cached_property
    def geometry(self) -> Geometry:
        """Cells and windows of its looks."""
        return Geometry.of(self.physics)

    def __call__(self, signals: NDArray[Any], /) -> Estimate:
        """Estimate centre and map of every pattern.

        Parameters
        ----------
        signals : ndarray, shape (n, q_y, q_x)
            Counts, integer or float.

        Returns
        -------
        Estimate
            Of the equal maps of a lattice with symmetry, the one least turned. `extra` holds ``confidence`` (n,): the
            probability of the orientation, [1], and ``evidence`` (n,): logarithm of the likelihood of its disks over
            that of none, for comparison with another lattice, [nat].

        Raises
        ------
        ShapeError
            If the patterns have another shape than the physics.
        """
        if signals.shape[1:] != self.physics.signal_shape:
            raise ShapeError(f"{signals.shape[1:]}, not {self.physics.signal_shape}", "patterns")
        result = _nothing(len(signals))
        native = signals.dtype.newbyteorder("=")
        kind = next((k for k in _KINDS if native == k), np.float32)
        for first in range(0, len(signals), _CHUNK):
            patterns = np.ascontiguousarray(signals[first : first + _CHUNK], dtype=kind)
            total = totals(patterns)
            sound = np.flatnonzero(np.isfinite(total) & (total > 0))
            if len(sound):
                self._enter(result, first + sound, patterns if len(sound) == len(patterns) else patterns[sound])
        return result

    @cached_property
    def reading(self) -> Reading:
        """The networks under PyTorch, and their looks."""
        encoder = Encoder(self.orientation, self.window, self.geometry, self.physics.gain).eval()
        return Reading(encoder, self.physics, self.geometry)

    def _enter(self, result: Estimate, at: NDArray[np.int64], patterns: NDArray[Any]) -> None:
        """Enter the estimates of patterns into the result."""
        with torch.no_grad(), one_thread():
            first = self.reading.first(patterns)
            second = self.reading.second(patterns, first)
        theta = second.theta.copy()
        theta[:, 2:] = self._least_turned(theta[:, 2:].reshape(-1, 2, 2)).reshape(-1, 4)
        status = np.full(len(at), Status.OK, np.uint8)
        status[second.misfit > self.unlikely] = Status.NO_MODEL
        status[first.sure < 0.5] = Status.AMBIGUOUS
        refused = first.nothing + first.foreign > 0.5
        status[refused] = np.where(first.nothing > first.foreign, Status.ABSENT, Status.NO_MODEL)[refused]
        good = status == Status.OK
        result.theta[at] = np.where(good[:, None], theta, np.nan)
        result.covariance[at] = np.where(good[:, None, None], self.excess * second.covariance, np.nan)
        result.misfit[at], result.status[at] = second.misfit, status
        result.extra["confidence"][at], result.extra["evidence"][at] = first.sure, second.evidence

    def _least_turned(self, maps: Array) -> Array:
        """Of the maps onto the same lattice the one with the smallest rotation."""
        every = maps[:, None] @ self.geometry.turns
        best = np.abs(rotations(every)).argmin(1)
        result: Array = every[np.arange(len(maps)), best]
        return result


def _nothing(n: int) -> Estimate:
    """NaN for patterns of which nothing is known yet."""
    bad = np.full(n, Status.BAD_INPUT, np.uint8)
    nan = np.full(n, np.nan)
    return Estimate(
        np.full((n, 6), np.nan),
        np.full((n, 6, 6), np.nan),
        nan,
        bad,
        {"confidence": nan.copy(), "evidence": nan.copy()},
    )
