"""What teaches the encoder: simulation from the physics, and the likelihood of the true parameters."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import xlogy
from torch import Tensor, nn

from parscope.core.physics import Constellation
from parscope.solvers.networks.constellation.encoder import Encoder, solved
from parscope.solvers.networks.constellation.geometry import TURNS, Array, Geometry, rotation, rotations
from parscope.solvers.networks.constellation.limit import information
from parscope.solvers.networks.constellation.looks import first_look, second_look
from parscope.solvers.networks.constellation.ranges import Ranges
from parscope.solvers.networks.constellation.scenes import SHIFT, Scene, Scenes

# How far the second look may be from the truth, as a share of the radius of the windows: from how sure a good second
# look is to what a first one leaves.
_NEAR, _FAR = 0.01, 0.35
# The map among centre and map of y, then of x.
_MAP = np.array([1, 2, 4, 5])


class Simulated:
    """Teacher: patterns from the physics, of known parameters.

    Parameters
    ----------
    physics : Constellation
        What is simulated.
    geometry : Geometry
        Of its looks.
    ranges : Ranges
        What is drawn over.
    batch : int, default 96
        Patterns a step.
    """

    def __init__(self, physics: Constellation, geometry: Geometry, ranges: Ranges, batch: int = 96) -> None:
        self._physics, self._geometry, self._batch = physics, geometry, batch
        self._scenes = Scenes(physics, ranges)
        self._mask = np.zeros(physics.signal_shape, np.bool_) if physics.mask is None else physics.mask

    def loss(self, module: nn.Module, generator: torch.Generator) -> Tensor:
        """Negative logarithm of the likelihood of the true parameters, both looks together, [nat]."""
        if not isinstance(module, Encoder):
            raise TypeError(f"{type(module).__name__} is no encoder of constellations")
        seed = int(torch.randint(1 << 31, (1,), generator=generator))
        scene = self._scenes.draw(self._batch, seed)
        first = self._first(module, scene)
        there = scene.present.nonzero()[0]
        second = self._second(module, scene.patterns[there], scene.theta[there], np.random.default_rng(seed))
        return first + second

    def floor(self, generator: torch.Generator) -> float:
        """Loss of one with the errors of the Cramér-Rao bound on the patterns that `loss` would draw, [nat].

        It knows which patterns have a lattice of this physics, and errs in none of the angles; its Gaussians are round,
        as those of the networks are: one variance for all of the map in the first look, one covariance for both axes in
        the second. It looks at every pixel, where the networks look at sums.
        """
        seed = int(torch.randint(1 << 31, (1,), generator=generator))
        made = self._scenes.expected(np.random.default_rng(seed), self._batch)
        there = made.present
        known, theta = information(self._physics, self._geometry, made)[there], made.theta[there]
        share, _ = _targets(theta[:, 2:].reshape(-1, 2, 2), self._geometry.turns)
        chosen = -xlogy(share, share).sum(1)
        variance = np.linalg.inv(known + self._unlooked())[:, _MAP, _MAP].sum(1) / self._geometry.reach**2 / len(_MAP)
        first = chosen + len(_MAP) / 2 * (1 + np.log(variance))
        _, _, prior = displaced(theta, self._geometry, np.random.default_rng(seed))
        covariance = np.linalg.inv(known + np.tile(prior.numpy(), 2)[..., None] * np.eye(6))
        both = (covariance[:, :3, :3] + covariance[:, 3:, 3:]) / 2
        second = len(both[0]) + np.linalg.slogdet(both)[1]
        return float(first.sum() / self._batch + second.mean())

    def _unlooked(self) -> Array:
        """Information on a lattice before the first look, once its angle is known, as of `information`."""
        strained, turned = self._scenes.ranges.strain**2 / 3, (np.pi / TURNS) ** 2 / 6
        variance = np.diag([SHIFT**2, strained, 0.0, SHIFT**2, 0.0, strained])
        # Shear and rotation are sum and difference of the same two components of the map.
        variance[2, [2, 4]] = variance[4, [4, 2]] = strained + turned, strained - turned
        unit = np.array([1.0, self._geometry.reach, self._geometry.reach] * 2)
        return np.linalg.inv(variance * unit[:, None] * unit)

    def _first(self, module: Encoder, scene: Scene) -> Tensor:
        """Loss of the first look: which angle if it is this lattice, and what remains of the map."""
        start = np.tile(np.asarray(self._physics.theta[:2]), (len(scene.patterns), 1))
        cells, _ = first_look(scene.patterns, start, self._geometry, self._mask)
        odds, deformed, other, sure = module.turn(torch.from_numpy(cells))
        share, rest = _targets(scene.theta[:, 2:].reshape(-1, 2, 2), self._geometry.turns)
        share *= scene.present[:, None]
        nothing = ~scene.present & ~scene.foreign
        target = torch.tensor(np.column_stack([share, nothing, scene.foreign]), dtype=torch.float32)
        chosen = -(target * torch.log_softmax(torch.cat([odds, other], 1), 1)).sum(1)
        miss = (deformed - torch.tensor(rest, dtype=torch.float32)).square().sum(-1)
        weight = target[:, :-2]
        gauss = (weight * (0.5 * torch.exp(2 * sure)[:, None] * miss - 4 * sure[:, None])).sum(1)
        return (chosen + gauss).mean()

    def _second(self, module: Encoder, patterns: NDArray[np.float32], theta: Array, rng: np.random.Generator) -> Tensor:
        """Loss of the second look, from somewhere near the truth."""
        start, off, prior = displaced(theta, self._geometry, rng)
        sums = second_look(patterns, start, self._physics.reference, self._geometry, self._mask)
        shift, weight = module.shift(torch.from_numpy(sums))
        step, information = solved(shift, weight, module.positions, prior, torch.zeros(len(theta), 3, 2))
        miss = step + torch.from_numpy(off)
        chi2 = torch.einsum("nic,nij,njc->n", miss, information, miss)
        total: Tensor = (0.5 * chi2 - torch.linalg.slogdet(information)[1]).mean()
        return total


def displaced(theta: Array, geometry: Geometry, rng: np.random.Generator) -> tuple[Array, Array, Tensor]:
    """Somewhere near parameters, to look from.

    Parameters
    ----------
    theta : ndarray, shape (n, 6)
        Parameters.
    geometry : Geometry
        Of the looks.
    rng : numpy.random.Generator
        Where chance comes from.

    Returns
    -------
    start : ndarray, shape (n, 6)
        Where to look from.
    off : ndarray, shape (n, 3, 2)
        How far that is off, as the steps of `solved`.
    prior : Tensor, shape (n, 3)
        Information on centre and map in that.
    """
    n, reach = len(theta), geometry.reach
    scale = float(geometry.zones[-1]) * np.exp(rng.uniform(np.log(_NEAR), np.log(_FAR), n))
    off = rng.normal(0, 1, (n, 3, 2)) * scale[:, None, None] / np.sqrt(2)
    start = theta.copy()
    start[:, :2] += off[:, 0]
    start[:, 2:] += np.swapaxes(off[:, 1:], 1, 2).reshape(n, 4) / reach
    return start, off, torch.tensor(2 / scale**2, dtype=torch.float32)[:, None].expand(-1, 3)


def _targets(affine: Array, turns: Array) -> tuple[Array, Array]:
    """Share of every angle (n, TURNS), and the map less identity that remains after each (n, TURNS, 4)."""
    n = len(affine)
    maps = affine[:, None] @ turns
    place = rotations(maps) / np.pi * TURNS
    low = np.floor(place).astype(int)
    share, rest = np.zeros((n, TURNS)), np.zeros((n, TURNS, 4))
    rows = np.arange(n)
    for t in range(len(turns)):
        for bin_, weight in ((low[:, t], 1 - (place - low)[:, t]), (low[:, t] + 1, (place - low)[:, t])):
            back = rotation(-bin_ * np.pi / TURNS)
            share[rows, bin_ % TURNS] += weight / len(turns)
            rest[rows, bin_ % TURNS] = (back @ maps[:, t] - np.eye(2)).reshape(n, 4)
    return share, rest
