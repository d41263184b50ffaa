"""What a network says of a spectrum, weighed by the physics: the posterior itself, where a Gaussian was told.

Neural importance sampling (Dax et al., doi:10.1103/PhysRevLett.130.171403): parameters are drawn from what the network
says, and from anywhere, since near the noise the posterior has several peaks and a Gaussian one; each counts by its
probability over that of being drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import i0e, ndtri

from parscope.solvers.networks.spectra.decoder import Decoder
from parscope.solvers.networks.spectra.draws import WEAKEST
from parscope.solvers.networks.spectra.inlet import Inlet

Array = NDArray[np.float64]

# Places from anywhere, from what the network says, and how much wider than that they are drawn.
_ANYWHERE, _TOLD, _WIDER = 1024, 64, 1.5
# Places that must count before they say more than the network does.
_FEWEST = 4.0
_CHUNK = 256
_LEAST = 1e-30


@dataclass(frozen=True)
class _Places:
    """Unit coordinates of n signals (n, p, k), how much of a signal (n, p) they explain, and `_weakest` (n, p)."""

    unit: Array
    explained: Array
    weakest: Array


class Weigher:
    """Posterior mean and covariance of what is searched, for strengths that are flat in their logarithm.

    Parameters
    ----------
    inlet, decoder : Inlet, Decoder
        Of a physics of which one column depends on what is searched, as `suits` says.
    """

    def __init__(self, inlet: Inlet, decoder: Decoder) -> None:
        self._inlet, self._decoder = inlet, decoder
        k = decoder.scale.size
        drawn = torch.quasirandom.SobolEngine(k, scramble=True, seed=0).draw(_ANYWHERE + _TOLD)  # type: ignore[no-untyped-call]
        self._unit: Array = drawn[:_ANYWHERE].double().numpy()
        self._normal: Array = ndtri(drawn[_ANYWHERE:].double().numpy().clip(1e-6, 1 - 1e-6))
        columns = self._columns(drawn[:_ANYWHERE])
        self._weakest = _weakest(columns)
        self._strengths = Strengths(inlet.parts)
        self._templates = columns / np.linalg.norm(columns, axis=1, keepdims=True)

    @staticmethod
    def suits(inlet: Inlet, decoder: Decoder) -> bool:
        """Whether a physics has one column that depends on what is searched, and no soft bounds."""
        return int(inlet.moving.sum()) == 1 and not decoder.physics.usual

    def __call__(self, signals: NDArray[Any], unit: Array, axes: Array) -> tuple[Array, Array]:
        """Weigh what is told of signals.

        Parameters
        ----------
        signals : ndarray, shape (n, bins)
            Measured spectra.
        unit : ndarray, shape (n, k)
            Mean of what the network says, in unit coordinates.
        axes : ndarray, shape (n, k, k)
            Axes of its covariance.

        Returns
        -------
        unit, axes : ndarray
            The same of the posterior; as they were where too few places count.
        """
        unit, axes = unit.copy(), axes.copy()
        for first in range(0, len(signals), _CHUNK):
            part = slice(first, first + _CHUNK)
            alone = self._inlet.without_level(torch.as_tensor(signals[part])).numpy()
            self._weigh(alone, unit[part], axes[part])
        return unit, axes

    def _weigh(self, alone: NDArray[Any], unit: Array, axes: Array) -> None:
        """Weigh what is told of a few signals without their level, in place."""
        wide = _WIDER * axes
        places = self._places(alone, unit, wide)
        energy = np.square(np.abs(alone)).sum(axis=1).astype(np.float64)[:, None]
        power = self._probability(places, energy) - _density(places.unit, unit, wide)
        power[~((places.unit >= 0) & (places.unit <= 1)).all(axis=2)] = -np.inf
        weight = np.exp(power - power.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        mean = np.einsum("np,npk->nk", weight, places.unit)
        away = places.unit - mean[:, None]
        covariance = np.einsum("np,npk,npl->nkl", weight, away, away)
        told = (1 / np.square(weight).sum(axis=1) >= _FEWEST) & (np.linalg.eigvalsh(covariance)[:, 0] > _LEAST)
        unit[told], axes[told] = mean[told], np.linalg.cholesky(covariance[told])

    def _places(self, alone: NDArray[Any], unit: Array, wide: Array) -> _Places:
        """Places from anywhere, the same for all signals, and from what is told of each."""
        n, k = unit.shape
        own = unit[:, None] + np.einsum("nkl,pl->npk", wide, self._normal)
        columns = self._columns(torch.as_tensor(own.reshape(-1, k).astype(np.float32))).reshape(n, _TOLD, -1)
        size = np.maximum(np.square(np.abs(columns)).sum(axis=2), _LEAST)
        explained = np.square(np.abs(np.einsum("npb,nb->np", columns.conj(), alone))) / size
        anywhere = np.square(np.abs(alone @ self._templates.conj().T))
        return _Places(
            np.concatenate([np.broadcast_to(self._unit, (n, *self._unit.shape)), own], axis=1),
            np.concatenate([anywhere, explained], axis=1).astype(np.float64),
            np.concatenate([np.broadcast_to(self._weakest, anywhere.shape), _weakest(columns)], axis=1),
        )

    def _columns(self, unit: torch.Tensor) -> NDArray[Any]:
        """The column that moves, without the level, at unit coordinates (n, k), shape (n, bins)."""
        moving = self._decoder.columns(unit)[:, int(np.argmax(self._inlet.moving))]
        columns: NDArray[Any] = self._inlet.without_level(moving).numpy()
        return columns

    def _probability(self, places: _Places, energy: Array) -> Array:
        """Logarithm of the probability of places, all strengths and any noise together.

        That of the best strength is Student's distribution, since the noise is not known; see `Strengths` for the rest.
        """
        freedom = self._decoder.freedom
        left = np.maximum(energy - places.explained.max(axis=1, keepdims=True), 1e-12 * energy + _LEAST)
        share = np.minimum(places.explained / np.maximum(energy, _LEAST), 1 - 1e-12)
        power: Array = self._strengths(np.sqrt(places.explained * freedom / left), places.weakest)
        return power - 0.5 * freedom * np.log1p(-share)


class Strengths:
    """Probability of all strengths together over that of the best one, where they are flat in their logarithm.

    Parameters
    ----------
    parts : int
        Real numbers of a factor: 1, or 2 where it has a phase.
    """

    def __init__(self, parts: int) -> None:
        self._parts = parts
        self._best, self._weakest = np.arange(0.0, 30.25, 0.25), np.linspace(np.log(0.01), np.log(10.0), 28)
        fine = np.linspace(np.log(0.01), np.log(60.0), 4000)
        size, best = np.exp(fine)[None], self._best[:, None]
        turned = i0e(size * best) if parts == 2 else 0.5 * (1 + np.exp(-2 * size * best))
        density = np.exp(-0.5 * np.square(size - best)) * turned
        above = np.cumsum(density[:, ::-1], axis=1)[:, ::-1] * (fine[1] - fine[0])
        at = np.clip(np.searchsorted(fine, self._weakest), 0, fine.size - 1)
        self._table = np.log(np.maximum(above[:, at], _LEAST))

    def __call__(self, best: Array, weakest: Array) -> Array:
        """Its logarithm.

        Parameters
        ----------
        best : ndarray
            Length of the signal of the best strength, in units of the noise.
        weakest : ndarray of the same shape
            Logarithm of the length of the weakest that there is.

        Returns
        -------
        ndarray
        """
        far = best > self._best[-1]
        row, up = _between(np.minimum(best, self._best[-1]), self._best)
        column, on = _between(weakest, self._weakest)
        table = self._table
        low = (1 - on) * table[row, column] + on * table[row, column + 1]
        high = (1 - on) * table[row + 1, column] + on * table[row + 1, column + 1]
        found: Array = (1 - up) * low + up * high
        return found - np.where(far, self._parts * np.log(np.maximum(best / self._best[-1], 1.0)), 0.0)


def _between(values: Array, nodes: Array) -> tuple[NDArray[np.int64], Array]:
    """Between which even nodes values lie, and how far on."""
    at = np.clip((values - nodes[0]) / (nodes[1] - nodes[0]), 0, len(nodes) - 1.000001)
    row = at.astype(np.int64)
    return row, at - row


def _weakest(columns: NDArray[Any]) -> Array:
    """Logarithm of the length of the weakest signal of each column (..., bins) that there is, in units of the noise."""
    size = np.square(np.abs(columns))
    energy = size.sum(axis=-1) / np.maximum(size.max(axis=-1), _LEAST)
    weakest: Array = np.log(10**WEAKEST) + 0.5 * np.log(np.maximum(energy.astype(np.float64), _LEAST))
    return weakest


def _density(places: Array, unit: Array, wide: Array) -> Array:
    """Logarithm of the density that places (n, p, k) were drawn with."""
    k = unit.shape[1]
    away = np.einsum("nkl,npl->npk", np.linalg.inv(wide), places - unit[:, None])
    volume = np.abs(np.linalg.det(wide))[:, None] * (2 * np.pi) ** (k / 2)
    normal = np.exp(-0.5 * np.square(away).sum(axis=2)) / np.maximum(volume, _LEAST)
    density: Array = np.log(_ANYWHERE + _TOLD * normal)
    return density
