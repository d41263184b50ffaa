"""How much contrast is inside the copies, and of which wavelengths, found from the data by restricted likelihood.

A sample of windows round single copies is described by amplitude, level and displacement of the template, counting
noise, and waves of unknown power inside it. The powers that make the windows most likely, whatever amplitude, level
and displacement are, give the second moments of the contrast, and with them the best linear filters. What then remains
of the scatter of the copies about the fit over its prediction corrects the covariance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.physics import Contrast
from parscope.core.solver import Status
from parscope.solvers.lattice import waves
from parscope.solvers.lattice.evidence import Evidence, evidence, joined
from parscope.solvers.lattice.filters import LatticeFilters

Array = NDArray[np.float64]

# Powers found with filters that know of no contrast place the copies well enough for those found in the second round.
_ROUNDS = 2
_ITERATIONS, _FIRST_POWER = 12, 0.003
# With fewer copies there is no scatter about the fit to judge by.
_FEWEST = 4


def calibrate(solver: LatticeFilters, signals: NDArray[Any]) -> LatticeFilters:
    """The same solver with the contrast prior that suits the data.

    Parameters
    ----------
    solver : LatticeFilters
        With any contrast.
    signals : ndarray, shape (n, q_y, q_x)
        A sample of patterns, some hundred.

    Returns
    -------
    LatticeFilters
        Unchanged if no pattern of the sample can be fitted, or there are too few copies to scatter.

    Notes
    -----
    Restricted likelihood: H. D. Patterson and R. Thompson, Biometrika 58 (1971) 545, doi:10.1093/biomet/58.3.545.
    Not for copies of a few pixels, where contrast cannot be told from a displacement.
    """
    if len(solver.physics.reference) < _FEWEST:
        return solver
    current, power = solver, None
    for _ in range(_ROUNDS):
        power = find_power([(current, signals)], power)
        if power is None:
            return solver
        current = solver.with_contrast(Contrast(power), bins=3)
    final = solver.with_contrast(Contrast(current.physics.contrast.power))
    scatter = _scatter(final, signals)
    return final.with_contrast(replace(final.physics.contrast, scatter=scatter)) if scatter is not None else solver


def find_power(
    fits: Sequence[tuple[LatticeFilters, NDArray[Any]]],
    start: tuple[float, ...] | None = None,
    changing: bool = False,
) -> tuple[float, ...] | None:
    """Most likely power of each wavelength.

    Parameters
    ----------
    fits : sequence of (LatticeFilters, ndarray of shape (n, q_y, q_x))
        Samples of patterns, each with the solver that says where their copies are; of one template.
    start : tuple of float, optional
        Powers to begin with.
    changing : bool, default False
        Whether what all patterns of a sample have in common is left out.

    Returns
    -------
    tuple of float or None
        As of `Contrast`; None if no copy can be looked at.
    """
    seen = joined([_evidence(solver, signals, changing) for solver, signals in fits])
    if len(seen.count) == 0:
        return None
    # Waves shorter than two pixels are not resolved.
    resolved = sum(f <= fits[0][0].physics.extent[0] / 2 for f in Contrast.periods)
    covariances = waves.covariances()[:resolved]
    return _most_likely(seen, covariances, start or (_FIRST_POWER,) * len(covariances))


def _evidence(solver: LatticeFilters, signals: NDArray[Any], changing: bool) -> Evidence:
    """Evidence of the patterns that are fitted."""
    estimate = solver(signals)
    good = estimate.status == Status.OK
    return evidence(solver.physics, signals[good], estimate.theta[good], changing)


def _most_likely(seen: Evidence, covariances: Array, start: tuple[float, ...]) -> tuple[float, ...]:
    """Powers of largest restricted likelihood, by steps that keep them positive."""
    power = np.array(start)
    both = np.concatenate([seen.gram, seen.moment], -1)
    q = seen.gram.shape[-1]
    for _ in range(_ITERATIONS):
        inside = np.eye(q) + seen.gram @ np.tensordot(power, covariances, 1)
        solved = np.linalg.solve(inside, both)
        expected = np.tensordot(seen.count, solved[..., :q], 1)
        found = np.linalg.solve(inside, np.swapaxes(solved[..., q:], 1, 2)).sum(0)
        power *= np.einsum("ij,kji->k", found, covariances) / np.einsum("ij,kji->k", expected, covariances)
    return tuple(power.tolist())


def _scatter(solver: LatticeFilters, signals: NDArray[Any]) -> float | None:
    """Scatter of the copies over its prediction, typical of the sample."""
    estimate = solver(signals)
    good = estimate.status == Status.OK
    return float(np.median(estimate.extra["spread"][good])) if good.any() else None
