"""A trained encoder as a solver: centre and map of every pattern, at any orientation, with a covariance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from parscope.core.network import Network
from parscope.core.physics import Constellation
from parscope.core.solver import Estimate, Status
from parscope.solvers.networks.constellation.encoder import Encoder, solved
from parscope.solvers.networks.constellation.geometry import ANGLES, Geometry
from parscope.solvers.networks.constellation.looks import first_look, second_look

Array = NDArray[np.float64]

_LOOKS, _BATCH = 2, 512


@dataclass(frozen=True)
class ConstellationNetwork:
    """Trained networks that find a constellation at any orientation."""

    physics: Constellation
    orientation: Network
    window: Network

    @cached_property
    def geometry(self) -> Geometry:
        """Cells and windows of its looks."""
        return Geometry.of(self.physics)

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder(self.orientation, self.window, self.geometry, self.physics.gain)

    def __call__(self, signals: NDArray[Any], /) -> Estimate:
        parts = [self._fit(signals[k : k + _BATCH]) for k in range(0, max(len(signals), 1), _BATCH)]
        joined = [np.concatenate(p) for p in zip(*parts, strict=True)]
        return Estimate(joined[0], joined[1], joined[2], joined[3], {"odds": joined[4]})

    @torch.no_grad()
    def _fit(self, patterns: NDArray[Any]):
        n, reference, geometry = len(patterns), self.physics.reference, self.geometry
        mask = np.zeros(self.physics.signal_shape, np.bool_) if self.physics.mask is None else self.physics.mask
        start = np.tile(np.asarray(self.physics.theta[:2], np.float64), (n, 1))
        cells, centre = first_look(patterns, start, geometry, mask)
        odds, deformed, none, sure = (t.numpy() for t in self._encoder.turn(torch.from_numpy(cells)))
        best = odds.argmax(1)
        angle = best * np.pi / ANGLES
        c, s = np.cos(angle), np.sin(angle)
        turn = np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)
        rest = np.eye(2) + deformed[np.arange(n), best].reshape(n, 2, 2)
        first = np.concatenate([centre, (turn @ rest).reshape(n, 4)], 1)
        odds_all = np.concatenate([odds, none[:, None]], 1)
        odds_all -= odds_all.max(1, keepdims=True)
        p = np.exp(odds_all)
        p /= p.sum(1, keepdims=True)
        reach = geometry.reach
        positions = torch.tensor(np.column_stack([np.ones(len(reference)), reference / reach]), dtype=torch.float32)
        about_map = np.exp(2 * sure) / reach**2
        prior = torch.tensor(np.stack([np.minimum(about_map, 1.0), about_map, about_map], 1), dtype=torch.float32)
        theta = first.copy()
        for _ in range(_LOOKS):
            sums = second_look(patterns, theta, reference, geometry, mask)
            shift, weight = self._encoder.shift(torch.from_numpy(sums))
            back = first - theta
            towards = np.concatenate([back[:, None, :2], np.swapaxes(back[:, 2:].reshape(n, 2, 2), 1, 2) * reach], 1)
            step, information = solved(shift, weight, positions, prior, torch.tensor(towards, dtype=torch.float32))
            residual = shift - positions @ step
            chi2 = (weight[..., None] * residual.square()).sum((1, 2))
            moved = step.double().numpy()
            theta[:, :2] += moved[:, 0]
            theta[:, 2:] += np.swapaxes(moved[:, 1:], 1, 2).reshape(n, 4) / reach
        used = (weight > 0).sum(1).clamp(min=4)
        misfit = (chi2 / (2 * used - 6)).double().numpy()
        small = np.linalg.inv(information.double().numpy())
        scale = np.array([1, 1 / reach, 1 / reach])
        small = small * scale[:, None] * scale
        covariance = np.zeros((n, 6, 6))
        rows = np.array([[0, 2, 3], [1, 4, 5]])
        for r in rows:
            covariance[np.ix_(range(n), r, r)] = small
        status = np.full(n, Status.OK, np.uint8)
        status[p[:, -1] > 0.5] = Status.VACUUM
        return theta, covariance, misfit, status, p
