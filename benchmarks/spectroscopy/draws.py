"""Resonances with known parameters, and the noise that covers them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from parscope.core import cramer_rao
from parscope.techniques.band_excitation import BandExcitation

Array = NDArray[np.float64]

NAMES = ("resonance", "quality", "amplitude", "phase")
"""Order of the parameters in every truth and answer; Hz, 1, V, rad."""

FREQUENCY = 320e3 + 1e3 * (np.arange(80) - 39.5)
"""80 bins of 1 kHz, [Hz]."""

FILM_FREQUENCY = 1.31e6 + 4e6 / 4096 * (np.arange(165) - 82)
"""Of the published set: 165 bins of a band at 1.31 MHz, [Hz]."""


@dataclass(frozen=True)
class Draw:
    """Spectra of a simple harmonic oscillator under noise.

    Parameters
    ----------
    frequency : ndarray, shape (bins,)
        Frequencies, [Hz].
    truth : ndarray, shape (n, 4)
        Parameters in the order of `NAMES`.
    noise : float
        Standard deviation of real and imaginary part each.
    spectra : ndarray of complex, shape (n, bins)
        What is measured.
    """

    frequency: Array
    truth: Array
    noise: float
    spectra: NDArray[np.complex128]

    @property
    def physics(self) -> BandExcitation:
        """What made the spectra."""
        return BandExcitation(self.frequency)

    @cached_property
    def covariance(self) -> Array:
        """Cramér-Rao bound of the covariance in the order of `NAMES`, shape (n, 4, 4)."""
        bound = cramer_rao(self.physics, factors(self.truth), self.noise)
        amplitude, phase = self.truth[:, 2], self.truth[:, 3]
        turn = np.zeros_like(bound)
        turn[:, 0, 0] = turn[:, 1, 1] = 1.0
        turn[:, 2, 2:] = np.stack([np.cos(phase), np.sin(phase)], axis=1)
        turn[:, 3, 2:] = np.stack([-np.sin(phase), np.cos(phase)], axis=1) / amplitude[:, None]
        return np.asarray(turn @ bound @ turn.transpose(0, 2, 1))

    @property
    def limits(self) -> Array:
        """Cramér-Rao standard errors in the order of `NAMES`, shape (n, 4)."""
        return np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))

    def first(self, count: int) -> Draw:
        """The same without all but the first spectra."""
        return Draw(self.frequency, self.truth[:count], self.noise, self.spectra[:count])


def factors(parameters: Array) -> Array:
    """From the order of `NAMES` to the parameters of the physics, both of shape (n, 4)."""
    resonance, quality, amplitude, phase = parameters.T
    return np.stack([resonance, quality, amplitude * np.cos(phase), amplitude * np.sin(phase)], axis=1)


def resonances(snr: float, count: int, seed: int) -> Draw:
    """Resonances over the middle of the band, of any phase, whose peaks are `snr` times the noise or nearly so.

    Parameters
    ----------
    snr : float
        Modulus at resonance over the noise of one component; spread by a factor of 0.7 to 1.4.
    count : int
        Spectra.
    seed : int
        Of the random numbers, together with `snr`.

    Returns
    -------
    Draw
        Of noise 1.
    """
    rng = np.random.default_rng((seed, round(snr)))
    low, high = FREQUENCY[0], FREQUENCY[-1]
    resonance = low + (high - low) * rng.uniform(0.3, 0.7, count)
    quality = np.exp(rng.uniform(np.log(30), np.log(300), count))
    amplitude = snr * np.exp(rng.uniform(np.log(0.7), np.log(1.4), count)) / quality
    truth = np.stack([resonance, quality, amplitude, rng.uniform(-np.pi, np.pi, count)], axis=1)
    clean = BandExcitation(FREQUENCY).render(factors(truth))
    noise = rng.normal(size=clean.shape) + 1j * rng.normal(size=clean.shape)
    return Draw(FREQUENCY, truth, 1.0, clean + noise)


SPREAD = (3e3, 20.0, 2.3e-5, 0.35)
"""Standard deviations of the film in the order of `NAMES`; of the phase about plus or minus a quarter turn."""


def film(times: float, count: int, seed: int) -> Draw:
    """A twin of the published lead zirconate titanate film: the same bins, parameters spread as published.

    Resonance, quality factor, amplitude and phase are drawn from distributions that have the published widths; the film
    itself is not public in a form that could be drawn here.

    Parameters
    ----------
    times : float
        Half width of the uniform noise over the standard deviation of the clean data, as it was published.
    count : int
        Spectra.
    seed : int
        Of the random numbers; the film is the same whatever the noise.

    Returns
    -------
    Draw
    """
    rng = np.random.default_rng(seed)
    resonance = rng.normal(1.3245e6, SPREAD[0], count).clip(1.3105e6, 1.3295e6)
    quality = rng.normal(210, SPREAD[1], count).clip(100, 299)
    amplitude = np.abs(rng.normal(7.3e-5, SPREAD[2], count)).clip(5e-6, 1.5e-4)
    phase = rng.choice([-1.0, 1.0], count) * np.pi / 2 + rng.normal(0, SPREAD[3], count)
    truth = np.stack([resonance, quality, amplitude, np.remainder(phase + np.pi, 2 * np.pi) - np.pi], axis=1)
    clean = BandExcitation(FILM_FREQUENCY).render(factors(truth))
    half = times * float(np.std(clean))
    noise = rng.uniform(-half, half, clean.shape) + 1j * rng.uniform(-half, half, clean.shape)
    return Draw(FILM_FREQUENCY, truth, half / np.sqrt(3), clean + noise)
