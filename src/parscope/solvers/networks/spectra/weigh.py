"""What a network says of a spectrum, weighed by the physics: the posterior itself, where a Gaussian was told.

Neural importance sampling (Dax et al., doi:10.1103/PhysRevLett.130.171403): parameters are drawn from what the network
says, and from anywhere, since near the noise the posterior has several peaks and a Gaussian one; each counts by its
probability over that of being drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
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
_ANYWHERE, _TOLD, _WIDER = 2048, 64, 1.5
# Places that must count before they say more than the network does.
_FEWEST = 4.0
_CHUNK = 256
_LEAST = 1e-30
# Standard deviations that what is left of a signal may be off the noise that all are said to have.
_STRANGE = 4.0
# Relative change of the noise over which the probability of a signal is compared.
_STEP = 0.02


@dataclass(frozen=True)
class _Places:
    """Unit coordinates for n signals (n, p, k), how much of a signal (n, p) they explain, and `_lengths` (n, p).

    ``drawn`` (n, p) is the logarithm of the density they were drawn with, infinite outside the range, and ``energy``
    (n, 1) that of the signals.
    """

    unit: Array
    explained: Array
    weakest: Array
    drawn: Array
    energy: Array


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
        length, self._weakest = _lengths(columns)
        self._strengths = Strengths(inlet.parts)
        self._templates = columns / length[:, None]

    @staticmethod
    def suits(inlet: Inlet, decoder: Decoder) -> bool:
        """Whether a physics has one column that depends on what is searched, and no soft bounds."""
        return int(inlet.moving.sum()) == 1 and not decoder.physics.usual

    def __call__(
        self, signals: NDArray[Any], unit: Array, axes: Array, noise: Array | None = None
    ) -> tuple[Array, Array]:
        """Weigh what is told of signals.

        Parameters
        ----------
        signals : ndarray, shape (n, bins)
            Measured spectra.
        unit : ndarray, shape (n, k)
            Mean of what the network says, in unit coordinates.
        axes : ndarray, shape (n, k, k)
            Axes of its covariance.
        noise : ndarray, shape (n,), optional
            Standard deviation of each real number of the noise; a signal that it cannot be true of has any. Default:
            it is not known.

        Returns
        -------
        unit, axes : ndarray
            The same of the posterior; as they were where too few places count.
        """
        unit, axes = unit.copy(), axes.copy()
        for part, places in self._parts(signals, unit, axes):
            power = self._probability(places, None if noise is None else noise[part, None]) - places.drawn
            _weigh(places.unit, power, unit[part], axes[part])
        return unit, axes

    def variance(self, signals: NDArray[Any], unit: Array, axes: Array, noise: Array) -> Array:
        """Variance of the noise that each signal expects, about one that is said of it (Fisher's identity).

        Parameters
        ----------
        signals : ndarray, shape (n, bins)
            Measured spectra.
        unit, axes : ndarray of shapes (n, k) and (n, k, k)
            What the network says, as for a call.
        noise : ndarray, shape (n,)
            Standard deviation that is said.

        Returns
        -------
        ndarray, shape (n,)
            In units of the variance that is said: 1 in the mean where that is true.
        """
        found = np.empty(len(signals))
        for part, places in self._parts(signals, unit, axes):
            up, down = (self._evidence(places, noise[part, None] * np.exp(step)) for step in (_STEP, -_STEP))
            found[part] = (up - down) / (2 * _STEP * self._inlet.free)
        return found

    def _parts(self, signals: NDArray[Any], unit: Array, axes: Array) -> Iterator[tuple[slice, _Places]]:
        """Places for a few signals after the other."""
        for first in range(0, len(signals), _CHUNK):
            part = slice(first, first + _CHUNK)
            alone = self._inlet.without_level(torch.as_tensor(signals[part])).numpy()
            yield part, self._places(alone, unit[part], _WIDER * axes[part])

    def _places(self, alone: NDArray[Any], unit: Array, wide: Array) -> _Places:
        """Places from anywhere, the same for all signals without their level, and from what is told of each."""
        n, k = unit.shape
        own = unit[:, None] + self._normal @ wide.transpose(0, 2, 1)
        columns = self._columns(torch.as_tensor(own.reshape(-1, k).astype(np.float32))).reshape(n, _TOLD, -1)
        length, weakest = _lengths(columns)
        explained = np.square(np.abs((columns @ alone.conj()[:, :, None])[..., 0]) / length)
        anywhere = np.square(np.abs(alone @ self._templates.conj().T))
        places = np.concatenate([np.broadcast_to(self._unit, (n, *self._unit.shape)), own], axis=1)
        drawn = _density(places, unit, wide)
        drawn[:, _ANYWHERE:][((own < 0) | (own > 1)).any(axis=2)] = np.inf
        return _Places(
            places,
            np.concatenate([anywhere, explained], axis=1).astype(np.float64),
            np.concatenate([np.broadcast_to(self._weakest, anywhere.shape), weakest], axis=1),
            drawn,
            np.square(np.abs(alone)).sum(axis=1).astype(np.float64)[:, None],
        )

    def _columns(self, unit: torch.Tensor) -> NDArray[Any]:
        """The column that moves, without the level, at unit coordinates (n, k), shape (n, bins)."""
        moving = self._decoder.columns(unit)[:, int(np.argmax(self._inlet.moving))]
        columns: NDArray[Any] = self._inlet.without_level(moving).numpy()
        return columns

    def _probability(self, places: _Places, noise: Array | None) -> Array:
        """Logarithm of the probability of places, all strengths together, and any noise where none is said or true."""
        freedom, energy = self._decoder.freedom, places.energy
        left = np.maximum(energy - places.explained.max(axis=1, keepdims=True), 1e-12 * energy + _LEAST) / freedom
        if noise is None:
            return self._of_any_noise(places, left)
        power = self._of_noise(places, noise)
        strange = (np.abs(left / np.square(noise) - 1) > _STRANGE * np.sqrt(2 / freedom))[:, 0]
        if strange.any():
            some = _Places(*(getattr(places, f.name)[strange] for f in fields(_Places)))
            power[strange] = self._of_any_noise(some, left[strange])
        return power

    def _of_noise(self, places: _Places, noise: Array) -> Array:
        """Logarithm of the probability of places for a noise, over that of no signal at all."""
        power: Array = self._strengths(np.sqrt(places.explained) / noise, places.weakest)
        return power + 0.5 * places.explained / np.square(noise)

    def _of_any_noise(self, places: _Places, left: Array) -> Array:
        """The same for any noise, which the best place leaves with a variance ``left``: Student's distribution."""
        share = np.minimum(places.explained / np.maximum(places.energy, _LEAST), 1 - 1e-12)
        power: Array = self._strengths(np.sqrt(places.explained / left), places.weakest)
        return power - 0.5 * self._decoder.freedom * np.log1p(-share)

    def _evidence(self, places: _Places, noise: Array) -> Array:
        """Logarithm of the probability of signals in units of a noise.

        Of a strong signal little is left beside its energy and what is explained of it: the difference comes first.
        """
        power = self._of_noise(places, noise) - 0.5 * places.energy / np.square(noise) - places.drawn
        most = power.max(axis=1)
        evidence: Array = most + np.log(np.exp(power - most[:, None]).sum(axis=1))
        return evidence


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


def _weigh(places: Array, power: Array, unit: Array, axes: Array) -> None:
    """Put mean and axes of places of given logarithmic weights in place of those told, where enough of them count."""
    weight = np.exp(power - power.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    mean = (weight[:, None] @ places)[:, 0]
    away = places - mean[:, None]
    covariance = (weight[:, :, None] * away).transpose(0, 2, 1) @ away
    told = (1 / np.square(weight).sum(axis=1) >= _FEWEST) & (np.linalg.eigvalsh(covariance)[:, 0] > _LEAST)
    unit[told], axes[told] = mean[told], np.linalg.cholesky(covariance[told])


def _between(values: Array, nodes: Array) -> tuple[NDArray[np.int64], Array]:
    """Between which even nodes values lie, and how far on."""
    at = np.clip((values - nodes[0]) / (nodes[1] - nodes[0]), 0, len(nodes) - 1.000001)
    row = at.astype(np.int64)
    return row, at - row


def _lengths(columns: NDArray[Any]) -> tuple[Array, Array]:
    """Lengths of columns (..., bins), and the logarithm of the length of the weakest signal there is of each.

    The latter in units of the noise.
    """
    size = np.square(np.abs(columns))
    energy: Array = np.maximum(size.sum(axis=-1), _LEAST).astype(np.float64)
    weakest: Array = np.log(10**WEAKEST) + 0.5 * np.log(energy / np.maximum(size.max(axis=-1), _LEAST))
    return np.sqrt(energy), weakest


def _density(places: Array, unit: Array, wide: Array) -> Array:
    """Logarithm of the density that places (n, p, k) were drawn with."""
    k = unit.shape[1]
    away = (places - unit[:, None]) @ np.linalg.inv(wide).transpose(0, 2, 1)
    volume = np.abs(np.linalg.det(wide))[:, None] * (2 * np.pi) ** (k / 2)
    normal = np.exp(-0.5 * np.square(away).sum(axis=2)) / np.maximum(volume, _LEAST)
    density: Array = np.log(_ANYWHERE + _TOLD * normal)
    return density
