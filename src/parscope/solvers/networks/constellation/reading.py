"""How the encoder reads patterns: a first look for the orientation, further looks from there for the lattice."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import xlogy

from parscope.core.physics import Constellation
from parscope.solvers.networks.constellation.encoder import Encoder, solved
from parscope.solvers.networks.constellation.geometry import TURNS, Array, Geometry, rotation, rotations
from parscope.solvers.networks.constellation.looks import first_look, second_look

_LOOKS = 2
# Largest variance of the centre about the centre of mass, [px^2].
_CENTRE = 4.0
# Least information on a component of the map, however unsure the first look is: none is off by more than a half.
_LEAST = 4.0


@dataclass(frozen=True)
class First:
    """Parameters (n, 6) by the first look, information on the map, its probability, those of no and another lattice."""

    theta: Array
    information: Array
    sure: Array
    nothing: Array
    foreign: Array

    @property
    def told(self) -> NDArray[np.bool_]:
        """Whether there is a lattice of this physics, and its orientation is clear."""
        return np.asarray((self.nothing + self.foreign <= 0.5) & (self.sure >= 0.5))


@dataclass(frozen=True)
class Second:
    """Parameters (n, 6) by the last look, covariance (n, 6, 6), misfit [1] and evidence of disks [nat], both (n,)."""

    theta: Array
    covariance: Array
    misfit: Array
    evidence: Array


class Reading:
    """Reads patterns with an encoder.

    Parameters
    ----------
    encoder : Encoder
        The networks; they may be in training.
    physics : Constellation
        Supplies centre, copies and mask.
    geometry : Geometry
        Of the looks.
    """

    def __init__(self, encoder: Encoder, physics: Constellation, geometry: Geometry) -> None:
        self.encoder, self._physics, self._geometry = encoder, physics, geometry
        mask = physics.mask
        self._mask = np.zeros(physics.signal_shape, np.bool_) if mask is None else mask

    def first(self, patterns: NDArray[Any]) -> First:
        """The most likely orientation, and what it leaves of the map."""
        start = np.tile(np.asarray(self._physics.theta[:2], np.float64), (len(patterns), 1))
        cells, centre = first_look(patterns, start, self._geometry, self._mask)
        odds, deformed, other, sure = self.encoder.turn(torch.from_numpy(cells))
        share = torch.softmax(torch.cat([odds, other], 1).double(), 1).numpy()
        best = odds.argmax(1).numpy()
        rows = np.arange(len(best))
        turn = rotation(best * np.pi / TURNS)
        maps = turn @ (np.eye(2) + deformed.numpy()[rows, best].reshape(-1, 2, 2))
        alike = (best[:, None] + self._alike) % TURNS
        theta = np.concatenate([centre, maps.reshape(-1, 4)], 1)
        there = np.maximum(share[:, :-2].sum(1), 1e-300)
        sure_of = share[rows[:, None], alike].sum(1) / there
        return First(theta, torch.exp(2 * sure).double().numpy(), sure_of, *share[:, -2:].T)

    @cached_property
    def _alike(self) -> NDArray[np.int64]:
        """Offsets of the turns that are next to one, or to its equals by symmetry."""
        equal = np.rint(rotations(self._geometry.turns) / np.pi * TURNS).astype(np.int64)
        return np.unique((equal[:, None] + np.array([-1, 0, 1])) % TURNS)

    def second(self, patterns: NDArray[Any], first: First) -> Second:
        """What the copies tell, beginning at the first look and with it as a prior."""
        n, reference, reach = len(patterns), self._physics.reference, self._geometry.reach
        positions = self.encoder.positions
        on_map = np.maximum(first.information, _LEAST) / reach**2
        prior = torch.tensor(np.stack([np.minimum(on_map, 1 / _CENTRE), on_map, on_map], 1), dtype=torch.float32)
        theta = first.theta.copy()
        for _ in range(_LOOKS):
            sums = second_look(patterns, theta, reference, self._geometry, self._mask)
            shift, weight = self.encoder.shift(torch.from_numpy(sums))
            towards = torch.tensor(_stacked(first.theta - theta, reach), dtype=torch.float32)
            step, information = solved(shift, weight, positions, prior, towards)
            moved = step.numpy()
            theta[:, :2] += moved[:, 0]
            theta[:, 2:] += np.swapaxes(moved[:, 1:], 1, 2).reshape(n, 4) / reach
        left = (weight[..., None] * (shift - positions @ step.float()).square()).sum((1, 2))
        freedom = (2 * (weight > 0).sum(1) - 6).clamp(min=1)
        misfit = (left / freedom).double().numpy()
        covariance = _covariance(information.numpy(), reach)
        return Second(theta, covariance, misfit, self._evidence(sums.astype(np.float64)))

    def _evidence(self, sums: Array) -> Array:
        """Logarithm of the likelihood of disks over none, from windows (n, copies, 3, ZONES), shape (n,), [nat].

        Each disk costs half the logarithm of the electrons in its window, for its level, which is free (Schwarz,
        doi:10.1214/aos/1176344136), so that a lattice with more places for disks is not the better one for that.
        """
        electrons = sums[:, :, 0] / self._physics.gain
        inside, outside = electrons[..., :2].sum(-1), electrons[..., 3:].sum(-1)
        zones = np.square(self._geometry.zones)
        share = zones[1] / (zones[1] + zones[-1] - zones[2])
        total = inside + outside
        gain = xlogy(inside, inside / np.maximum(share * total, 1e-9)) + xlogy(
            outside, outside / np.maximum((1 - share) * total, 1e-9)
        )
        return np.asarray((np.where(inside > share * total, gain, 0.0) - 0.5 * np.log1p(total)).sum(1))


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
