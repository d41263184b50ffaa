"""What is known of a scan before a network is trained for it: fits of some of its spectra, and their distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.separable import Separable
from parscope.core.solver import Estimate, Status
from parscope.solvers.least_squares import LeastSquares
from parscope.solvers.networks.spectra.decoder import Decoder
from parscope.solvers.networks.spectra.draws import Anywhere, Draws, Mixed, OfFits, OfPopulation
from parscope.solvers.population import Population
from parscope.solvers.prior import EmpiricalBayes

# Fits of a scan that make up a distribution by themselves: so many, and more than this share of all.
_FEWEST, _MOST = 30, 0.5


def usable(signals: NDArray[Any]) -> NDArray[np.bool_]:
    """Which signals say anything: all samples finite, and not all zero.

    Parameters
    ----------
    signals : ndarray, shape (n, bins)
        Measured spectra.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    return np.asarray(np.isfinite(signals).all(axis=1) & (np.abs(signals).max(axis=1, initial=0.0) > 0))


@dataclass(frozen=True)
class Scan:
    """What is known of a scan before a network is trained.

    Parameters
    ----------
    signals : ndarray, shape (n, bins)
        Some of its spectra.
    fits : Estimate
        Of least squares.
    population : Population, optional
        How they are distributed, as far as a Gaussian says; None where that cannot be told.
    again : ndarray, shape (n, bins), optional
        The same spectra, measured again.
    """

    signals: NDArray[Any]
    fits: Estimate
    population: Population | None
    again: NDArray[Any] | None = None

    @classmethod
    def of(cls, physics: Separable, signals: NDArray[Any], again: NDArray[Any] | None = None) -> Scan:
        """Look at some spectra of a scan.

        Parameters
        ----------
        physics : Separable
            What made them.
        signals : ndarray, shape (n, bins)
            Some spectra, of which some may be NaN.
        again : ndarray, shape (n, bins), optional
            The same, measured again.

        Returns
        -------
        Scan
        """
        exact = LeastSquares(physics)
        fits = exact(signals, posterior=False)
        good = fits.status == Status.OK
        alone = good.sum() >= max(_FEWEST, _MOST * len(good))
        return cls(signals, fits, None if alone else EmpiricalBayes(exact).learn(signals), again)

    @property
    def noise(self) -> float:
        """Standard deviation of the noise of a typical spectrum, in the unit of the signal."""
        known = self.fits.extra["noise"][np.isfinite(self.fits.extra["noise"])]
        return float(np.median(known)) if len(known) else 1.0

    def draws(self, decoder: Decoder) -> tuple[Draws, str]:
        """Where simulated spectra like those of the scan come from, and how that is said in words."""
        anywhere = Anywhere(decoder)
        if self.population is not None:
            scan: Draws = OfPopulation(decoder, self.population, self.noise)
            return Mixed(scan, anywhere), "a Gaussian that makes the scan most likely, and a tenth from anywhere"
        if (self.fits.status == Status.OK).sum() >= _FEWEST:
            return Mixed(OfFits(decoder, self.fits), anywhere), "fits of the scan, spread, and a tenth from anywhere"
        return anywhere, "the whole range: too few spectra of the scan could be fitted"
