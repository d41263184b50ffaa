"""Scoring of fitted resonances against the truth and the Cramér-Rao bound: the same for every method."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.scores import Scores
from benchmarks.spectroscopy.draws import NAMES, Array, Draw, factors

NORMAL = 1.959964
"""Half width of the 95 % interval of a normal distribution, in standard deviations."""
ROBUST = 1.4826
"""Standard deviation over the median absolute deviation of a normal distribution."""
GROSS = 6.0
"""A resonance further off than this many standard errors, and than the width of the line, is a failure."""


def canonical(parameters: Array) -> Array:
    """Parameters with a positive amplitude, phases within a turn; NaN where the quality factor is not positive.

    (amplitude, phase) and (-amplitude, phase + pi) are the same oscillator; a negative quality factor is none.

    Parameters
    ----------
    parameters : ndarray, shape (n, 4)
        In the order of `NAMES`.

    Returns
    -------
    ndarray, shape (n, 4)
    """
    resonance, quality, amplitude, phase = np.array(parameters, np.float64).T
    turned = np.remainder(phase + np.pi * (amplitude < 0) + np.pi, 2 * np.pi) - np.pi
    made = np.stack([resonance, quality, np.abs(amplitude), turned], axis=1)
    made[~(np.isfinite(made).all(axis=1) & (quality > 0))] = np.nan
    return made


def errors(found: Array, truth: Array) -> Array:
    """Found less true parameters, shape (n, 4); the nearer way round for phases, NaN where nothing was found."""
    away = canonical(found) - truth
    away[:, 3] = np.remainder(away[:, 3] + np.pi, 2 * np.pi) - np.pi
    return away


def failed(away: Array, draw: Draw) -> NDArray[np.bool_]:
    """Spectra without a fit, or whose resonance is off by more than line and noise explain; shape (n,)."""
    width = draw.truth[:, 0] / draw.truth[:, 1]
    allowed = np.maximum(width, GROSS * draw.limits[:, 0])
    return ~np.isfinite(away).all(axis=1) | (np.abs(away[:, 0]) > allowed)


def reconstruction(found: Array, draw: Draw) -> float:
    """Squared distance of the fitted from the clean spectra over what an efficient fit leaves, [1].

    A spectrum without a fit counts as one fitted by zero.
    """
    physics = draw.physics
    clean = physics.render(factors(draw.truth))
    found = canonical(found)
    fitted, there = np.zeros_like(clean), np.isfinite(found).all(axis=1)
    fitted[there] = physics.render(factors(found[there]))
    efficient = len(NAMES) / (2 * draw.frequency.size) * 2 * draw.noise**2
    return float(np.mean(np.abs(fitted - clean) ** 2) / efficient)


def score(found: Array, draw: Draw, std: Array | None = None) -> Scores:
    """Efficiency, failures, reconstruction, medians and coverage of one method.

    Parameters
    ----------
    found : ndarray, shape (n, 4)
        Parameters in the order of `NAMES`; NaN where there is no fit.
    draw : Draw
        What was fitted.
    std : ndarray, shape (n, 4), optional
        Standard errors, where the method gives them.

    Returns
    -------
    dict of float
        ``failures`` and ``missing`` [1]; ``reconstruction`` [1]; of each parameter ``efficiency_`` (robust standard
        deviation of the error over its Cramér-Rao bound, where there is a fit) and ``median_`` (median absolute error,
        infinite where there is no fit); of resonance and quality ``coverage_`` [1].
    """
    away = errors(found, draw.truth)
    fitted = np.isfinite(away).all(axis=1)
    made = {
        "failures": float(np.mean(failed(away, draw))),
        "missing": float(np.mean(~fitted)),
        "reconstruction": reconstruction(found, draw),
    }
    ratio = np.abs(away / draw.limits)[fitted]
    size = np.where(fitted[:, None], np.abs(away), np.inf)
    for k, name in enumerate(NAMES):
        made[f"efficiency_{name}"] = float(ROBUST * np.median(ratio[:, k])) if fitted.any() else np.nan
        made[f"median_{name}"] = float(np.median(size[:, k]))
    if std is not None:
        made |= coverage(found, draw, std)
    return made


def coverage(found: Array, draw: Draw, std: Array) -> Scores:
    """How often the 95 % interval holds the true resonance, and the true quality factor, where there are any.

    The interval of the quality factor is one of its logarithm.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        resonance = np.abs(found[:, 0] - draw.truth[:, 0]) / std[:, 0]
        quality = np.abs(np.log(found[:, 1] / draw.truth[:, 1])) * found[:, 1] / std[:, 1]
    made = {}
    for name, distance in (("resonance", resonance), ("quality", quality)):
        known = distance[np.isfinite(distance)]
        made[f"coverage_{name}"] = float(np.mean(known < NORMAL)) if known.size else np.nan
    return made


def attainable(draw: Draw, spread: tuple[float, ...] = ()) -> Scores:
    """Median absolute error of each parameter at the Cramér-Rao bound.

    Parameters
    ----------
    draw : Draw
        Spectra with their truth.
    spread : tuple of float, optional
        Standard deviations of the truth, in the order of `NAMES`, for one who knows its distribution: what this adds to
        the information (van Trees, ISBN 978-0-471-09517-0) is counted too.

    Returns
    -------
    dict of float
        ``median_`` of each parameter.
    """
    covariance = draw.covariance
    if spread:
        # In units of the spread, as the parameters differ by eleven orders of magnitude.
        unit = np.array(spread)
        information = np.linalg.inv(covariance / np.outer(unit, unit)) + np.eye(len(unit))
        covariance = np.linalg.inv(information) * np.outer(unit, unit)
    limits = np.median(np.sqrt(np.diagonal(covariance, axis1=1, axis2=2)), axis=0) / ROBUST
    return {f"median_{name}": float(limits[k]) for k, name in enumerate(NAMES)}
