"""The noise of a scan, heard from many of its spectra: the one under which they are most probable.

An instrument has one noise for a whole scan, which one spectrum tells to some percent and a thousand to a few tenths.
At the most probable noise the variance that spectra expect of it is, in the mean over them, the one that is said
(Fisher's identity); a typical spectrum stands for the mean here, for some of a scan are no spectra at all.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

Array = NDArray[np.float64]

FEWEST = 100
"""Spectra that tell the noise of a scan, at least."""

_ROUNDS, _CLOSE = 20, 1e-3
# Spectra without noise expect less than none of it.
_LEAST = 1e-3
# Quantiles of the spectra that are compared with those of chance, and by what factor they may lie wider apart: a noise
# that varies by a few percent over the scan changes no interval by more.
_INNER = (0.1587, 0.5, 0.8413)
_WIDER = 1.25


def hear(variance: Callable[[float], Array], first: float, freedom: int) -> float | None:
    """The noise that spectra have in common, if they have.

    Medians and quantiles do not see the few spectra that failed.

    Parameters
    ----------
    variance : callable
        Of the noise that each of n spectra expects, over that of a noise which is said, as `Weigher.variance`.
    first : float
        Standard deviation of the noise to begin with, in the `unit` of the signal.
    freedom : int
        Real numbers of a spectrum.

    Returns
    -------
    float or None
        Standard deviation, in the `unit` of the signal; None where the spectra differ by more than chance.
    """
    low, middle, high = np.asarray(chi2.ppf(_INNER, freedom)) / freedom
    noise = first
    for _ in range(_ROUNDS):
        below, typical, above = np.quantile(variance(noise), _INNER) / middle
        change = np.sqrt(max(typical, _LEAST))
        noise *= change
        if abs(change - 1) < _CLOSE:
            alike = above - below < _WIDER * typical * (high - low) / middle
            return float(noise) if alike else None
    return None
