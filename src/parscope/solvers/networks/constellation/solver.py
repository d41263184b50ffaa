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
from parscope.solvers.networks.constellation.encoder import Encoder, solved
from parscope.solvers.networks.constellation.geometry import TURNS, Array, Geometry, rotation, rotations
from parscope.solvers.networks.constellation.looks import first_look, second_look, totals
from parscope.solvers.networks.threads import one_thread

# Patterns at a time: what is between the layers stays in the cache of a core.
_CHUNK = 128
_LOOKS = 2
# Largest variance of the centre about the centre of mass, [px^2].
_CENTRE = 4.0
_KINDS = (np.uint8, np.uint16, np.int16, np.int32, np.uint32, np.float32)


@dataclass(frozen=True)
class _First:
    """Parameters (n, 6) by the first look, information on the map, its probability, those of no and another lattice."""

    theta: Array
    information: Array
    sure: Array
    nothing: Array
    foreign: Array


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
            probability of the orientation, [1].

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
    def _encoder(self) -> Encoder:
        return Encoder(self.orientation, self.window, self.geometry, self.physics.gain).eval()

    @cached_property
    def _mask(self) -> NDArray[np.bool_]:
        mask = self.physics.mask
        return np.zeros(self.physics.signal_shape, np.bool_) if mask is None else mask

    def _enter(self, result: Estimate, at: NDArray[np.int64], patterns: NDArray[Any]) -> None:
        """Enter the estimates of patterns into the result."""
        with torch.no_grad(), one_thread():
            first = self._first(patterns)
            theta, covariance, misfit = self._second(patterns, first)
        theta[:, 2:] = self._least_turned(theta[:, 2:].reshape(-1, 2, 2)).reshape(-1, 4)
        status = np.full(len(at), Status.OK, np.uint8)
        status[misfit > self.unlikely] = Status.NO_MODEL
        status[first.sure < 0.5] = Status.AMBIGUOUS
        refused = first.nothing + first.foreign > 0.5
        status[refused] = np.where(first.nothing > first.foreign, Status.ABSENT, Status.NO_MODEL)[refused]
        good = status == Status.OK
        result.theta[at] = np.where(good[:, None], theta, np.nan)
        result.covariance[at] = np.where(good[:, None, None], self.excess * covariance, np.nan)
        result.misfit[at], result.status[at] = misfit, status
        result.extra["confidence"][at] = first.sure

    def _first(self, patterns: NDArray[Any]) -> _First:
        """The most likely orientation, and what it leaves of the map."""
        start = np.tile(np.asarray(self.physics.theta[:2], np.float64), (len(patterns), 1))
        cells, centre = first_look(patterns, start, self.geometry, self._mask)
        odds, deformed, other, sure = self._encoder.turn(torch.from_numpy(cells))
        share = torch.softmax(torch.cat([odds, other], 1).double(), 1).numpy()
        best = odds.argmax(1).numpy()
        rows = np.arange(len(best))
        turn = rotation(best * np.pi / TURNS)
        maps = turn @ (np.eye(2) + deformed.numpy()[rows, best].reshape(-1, 2, 2))
        alike = (best[:, None] + self._alike) % TURNS
        theta = np.concatenate([centre, maps.reshape(-1, 4)], 1)
        there = np.maximum(share[:, :-2].sum(1), 1e-300)
        sure_of = share[rows[:, None], alike].sum(1) / there
        return _First(theta, torch.exp(2 * sure).double().numpy(), sure_of, *share[:, -2:].T)

    @cached_property
    def _alike(self) -> NDArray[np.int64]:
        """Offsets of the turns that are next to one, or to its equals by symmetry."""
        equal = np.rint(rotations(self.geometry.turns) / np.pi * TURNS).astype(np.int64)
        return np.unique((equal[:, None] + np.array([-1, 0, 1])) % TURNS)

    def _second(self, patterns: NDArray[Any], first: _First) -> tuple[Array, Array, Array]:
        """Parameters, covariance and misfit from the copies, beginning at the first look and with it as a prior."""
        n, reference, reach = len(patterns), self.physics.reference, self.geometry.reach
        positions = self._encoder.positions
        on_map = first.information / reach**2
        prior = torch.tensor(np.stack([np.minimum(on_map, 1 / _CENTRE), on_map, on_map], 1), dtype=torch.float32)
        theta = first.theta.copy()
        for _ in range(_LOOKS):
            sums = second_look(patterns, theta, reference, self.geometry, self._mask)
            shift, weight = self._encoder.shift(torch.from_numpy(sums))
            towards = torch.tensor(_stacked(first.theta - theta, reach), dtype=torch.float32)
            step, information = solved(shift, weight, positions, prior, towards)
            moved = step.double().numpy()
            theta[:, :2] += moved[:, 0]
            theta[:, 2:] += np.swapaxes(moved[:, 1:], 1, 2).reshape(n, 4) / reach
        left = (weight[..., None] * (shift - positions @ step).square()).sum((1, 2))
        freedom = (2 * (weight > 0).sum(1) - 6).clamp(min=1)
        return theta, _covariance(information.double().numpy(), reach), (left / freedom).double().numpy()

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
    return Estimate(np.full((n, 6), np.nan), np.full((n, 6, 6), np.nan), nan, bad, {"confidence": nan.copy()})


def _stacked(theta: Array, reach: float) -> Array:
    """Parameters (n, 6) as the columns of `solved` (n, 3, 2)."""
    maps = np.swapaxes(theta[:, 2:].reshape(-1, 2, 2), 1, 2) * reach
    return np.concatenate([theta[:, None, :2], maps], 1)


def _covariance(information: Array, reach: float) -> Array:
    """Covariance of the six parameters from the information on either coordinate of a copy."""
    scale = np.array([1.0, 1 / reach, 1 / reach])
    small = np.linalg.inv(information) * scale[:, None] * scale
    covariance = np.zeros((len(small), 6, 6))
    for own in ([0, 2, 3], [1, 4, 5]):
        covariance[:, np.array(own)[:, None], own] = small
    return covariance
