"""Where simulated signals come from: anywhere in the range of the physics, or as those of a scan are distributed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parscope.core.solver import Estimate, Status
from parscope.core.typical import searched_columns
from parscope.solvers.networks.spectra.decoder import Decoder
from parscope.solvers.population import Population

Array = NDArray[np.float64]

WEAKEST, _STRONGEST = -0.5, 2.5
"""Peaks over the noise that are drawn where nothing is known, as logarithms to the base 10."""

# Noise of a scan is drawn within this factor either way, so that one network serves scans of other dwell times.
_FACTOR = 4.0
# Share of signals drawn from anywhere beside those of a scan, so that what is rare there is known too.
_ANYWHERE = 0.1
# Fits are spread by this power of their number times their standard deviation (Scott, doi:10.1002/9780470316849).
_SCOTT = 4.0


@dataclass(frozen=True)
class Made:
    """Signals without noise (n, bins), the unit coordinates they were made of (n, k), and a noise for each (n,)."""

    unit: Tensor
    clean: Tensor
    noise: Tensor


class Draws(Protocol):
    """Draws simulated signals."""

    def __call__(self, count: int, chance: torch.Generator, /) -> Made:
        """`count` signals, and the standard deviation of the noise that would be with them."""


def noisy(made: Made, chance: torch.Generator) -> Tensor:
    """The signals with their noise.

    Parameters
    ----------
    made : Made
        Signals.
    chance : torch.Generator
        Where chance comes from.

    Returns
    -------
    Tensor, shape (n, bins)
    """
    # Of complex numbers PyTorch draws the modulus: each part has half its variance.
    size = made.noise * (math.sqrt(2) if made.clean.is_complex() else 1.0)
    return made.clean + size[:, None] * torch.randn(made.clean.shape, generator=chance, dtype=made.clean.dtype)


class Anywhere:
    """Signals from the whole range of a physics, flat in its unit coordinates, or as its soft bounds say.

    Strengths are flat in their logarithm, and the noise is 1.

    Parameters
    ----------
    decoder : Decoder
        Of the physics.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._moving = torch.as_tensor(searched_columns(decoder.physics))
        self._usual = _usual(decoder)

    def __call__(self, count: int, chance: torch.Generator, /) -> Made:
        """`count` signals."""
        unit = torch.rand(count, self._decoder.scale.size, generator=chance)
        if self._usual is not None:
            mean, spread = self._usual
            soft = mean + spread * torch.randn(unit.shape, generator=chance)
            unit = torch.where((soft > 0) & (soft < 1), soft, unit)
        columns = self._decoder.columns(unit)
        factors = torch.randn(count, columns.shape[1], generator=chance, dtype=columns.dtype)
        clean = torch.einsum("nm,nmb->nb", factors * self._moving, columns)
        peak = clean.abs().amax(1).clamp_min(1e-20)
        strength = 10 ** (WEAKEST + (_STRONGEST - WEAKEST) * torch.rand(count, generator=chance))
        return Made(unit, clean * (strength / peak)[:, None], torch.ones(count))


class OfPopulation:
    """Signals distributed as those of a scan, as far as a Gaussian says.

    Parameters
    ----------
    decoder : Decoder
        Of the physics.
    population : Population
        How what is searched, and the factors, are distributed.
    noise : float
        Standard deviation of the noise, in the `unit` of the signal.
    """

    def __init__(self, decoder: Decoder, population: Population, noise: float) -> None:
        self._decoder, self._noise, self._two_signs = decoder, noise, population.two_signs
        wide = decoder.scale.upper - decoder.scale.lower
        self._mean = torch.as_tensor((population.mean - decoder.scale.lower) / wide, dtype=torch.float32)
        self._std = torch.as_tensor(population.std / wide, dtype=torch.float32)
        self._factor = torch.as_tensor(population.factor_mean / noise, dtype=torch.float32)
        root = roots(population.factor_covariance) / noise
        self._root = torch.as_tensor(root, dtype=torch.float32)

    def __call__(self, count: int, chance: torch.Generator, /) -> Made:
        """`count` signals, in units of the noise of the scan."""
        unit = self._mean + self._std * torch.randn(count, len(self._mean), generator=chance)
        real = self._factor + torch.randn(count, len(self._factor), generator=chance) @ self._root.T
        if self._two_signs:
            real = real * (1.0 - 2.0 * torch.randint(2, (count, 1), generator=chance))
        return _made(self._decoder, unit.clamp(0, 1), real, _ranging(count, chance))


class OfFits:
    """Signals as those that were fitted, each spread a little: a distribution of any form.

    Parameters
    ----------
    decoder : Decoder
        Of the physics.
    fits : Estimate
        Of least squares; those that are OK are used, ten at least.
    """

    def __init__(self, decoder: Decoder, fits: Estimate) -> None:
        good = fits.status == Status.OK
        self._decoder, k = decoder, decoder.scale.size
        noise = fits.extra["noise"][good]
        unit, real = decoder.scale.unit(fits.theta[good]), fits.theta[good, k:] / noise[:, None]
        self._unit, self._real = (torch.as_tensor(each, dtype=torch.float32) for each in (unit, real))
        self._spread = float(len(unit)) ** (-1 / (k + _SCOTT))
        self._std = self._unit.std(0)

    def __call__(self, count: int, chance: torch.Generator, /) -> Made:
        """`count` signals, in units of the noise of each."""
        some = torch.randint(len(self._unit), (count,), generator=chance)
        away = self._spread * self._std * torch.randn(count, len(self._std), generator=chance)
        size = torch.exp(self._spread * torch.randn(count, 1, generator=chance))
        return _made(
            self._decoder, (self._unit[some] + away).clamp(0, 1), size * self._real[some], _ranging(count, chance)
        )


class Mixed:
    """Signals of a scan, and a tenth from anywhere.

    Parameters
    ----------
    scan, anywhere : Draws
        Where they come from.
    """

    def __init__(self, scan: Draws, anywhere: Draws) -> None:
        self._scan, self._anywhere = scan, anywhere

    @property
    def parts(self) -> tuple[tuple[float, Draws], tuple[float, Draws]]:
        """Both, each with its share, [1]."""
        return (1 - _ANYWHERE, self._scan), (_ANYWHERE, self._anywhere)

    def __call__(self, count: int, chance: torch.Generator, /) -> Made:
        """`count` signals."""
        others = max(int(_ANYWHERE * count), 1)
        first, second = self._scan(count - others, chance), self._anywhere(others, chance)
        return Made(*(torch.cat([getattr(made, part) for made in (first, second)]) for part in Made.__annotations__))


def roots(covariance: Array) -> Array:
    """Square roots of covariances, singular ones as well.

    Parameters
    ----------
    covariance : ndarray, shape (..., k, k)
        Of which rounding may have made some variance negative.

    Returns
    -------
    ndarray, shape (..., k, k)
        Whose products with their transposes are the covariances.
    """
    variance, axes = np.linalg.eigh(covariance)
    result: Array = axes * np.sqrt(np.maximum(variance, 0.0))[..., None, :]
    return result


def _made(decoder: Decoder, unit: Tensor, real: Tensor, noise: Tensor) -> Made:
    factors = torch.view_as_complex(real.reshape(len(real), -1, 2)) if decoder.physics.complex else real
    return Made(unit, torch.einsum("nm,nmb->nb", factors, decoder.columns(unit)), noise)


def _ranging(count: int, chance: torch.Generator) -> Tensor:
    """Noise about 1, flat in its logarithm."""
    return torch.exp(math.log(_FACTOR) * (2 * torch.rand(count, generator=chance) - 1))


def _usual(decoder: Decoder) -> tuple[Tensor, Tensor] | None:
    """Soft bounds in unit coordinates: mean and standard deviation."""
    usual = decoder.physics.usual
    if not usual:
        return None
    low, wide = decoder.scale.lower, decoder.scale.upper - decoder.scale.lower
    mean, spread = np.array(usual).T
    return torch.as_tensor((mean - low) / wide).float(), torch.as_tensor(spread / wide).float()


def moving_templates(decoder: Decoder, count: int, seed: int) -> NDArray[np.inexact]:
    """Columns that depend on what is searched, at places spread over the range, of unit length.

    Parameters
    ----------
    decoder : Decoder
        Of the physics.
    count : int
        How many.
    seed : int
        Fixes where.

    Returns
    -------
    ndarray, shape (count, bins)
    """
    chance = torch.Generator().manual_seed(seed)
    places = torch.quasirandom.SobolEngine(decoder.scale.size, scramble=True, seed=seed)  # type: ignore[no-untyped-call]
    columns = decoder.columns(places.draw(count))
    moving = columns[:, torch.as_tensor(searched_columns(decoder.physics))]
    chosen = moving[torch.arange(count), torch.randint(moving.shape[1], (count,), generator=chance)]
    unit: NDArray[np.inexact] = (
        chosen / torch.linalg.vector_norm(chosen, dim=1, keepdim=True).clamp_min(1e-20)
    ).numpy()
    return unit
