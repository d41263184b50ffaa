"""What to make of a fit: its covariance corrected by the scatter of the copies, and its status."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.physics import Constellation
from parscope.core.solver import Estimate, Status
from parscope.solvers.lattice.kernel import UNSETTLED
from parscope.solvers.lattice.layout import Array, Fits

# Degrees of freedom that the scan's scatter is worth beside that of a single pattern.
SCAN_WEIGHT = 60.0
# Distance from its beginning at which the fit has surely left the capture range: centre [px], affine map [1].
_FARTHEST = np.array([12.0] * 2 + [0.2] * 4)
# Standard error over that of the prior above which the electrons have said next to nothing.
_UNINFORMED = 0.8


def judge(physics: Constellation, prior: Array, begin: Array, fits: Fits) -> Estimate:
    """Give every signal its covariance, its status, and NaN where it failed.

    Parameters
    ----------
    physics : Constellation
        Supplies reference, gain and the scatter of the scan.
    prior : ndarray, shape (6, 6)
        Information of the prior.
    begin : ndarray, shape (n, 6)
        Where the fits began.
    fits : Fits
        From the kernel.

    Returns
    -------
    Estimate
    """
    factor = excess_variance(physics, fits.spread)
    covariance = fits.covariance * factor[:, None, None]
    status = placed(begin, prior, fits.theta, covariance)
    status[fits.step > UNSETTLED] = Status.NO_MODEL
    status[fits.total == 0] = Status.WEAK
    finite = np.isfinite(fits.total)
    status[~finite | (fits.total < 0)] = Status.BAD_INPUT
    failed = status != Status.OK
    extra: dict[str, NDArray[Any]] = {
        "amplitude": fits.amplitude,
        "electrons": fits.total / physics.gain,
        "limit_ratio": np.where(failed, np.nan, fits.limit * np.sqrt(factor)),
        "scale": fits.scale,
        "predicted_ratio": fits.limit,
        "spread": fits.spread,
        "information": fits.information / factor[:, None, None],
    }
    return failing(Estimate(fits.theta, covariance, fits.misfit, status, extra))


def excess_variance(physics: Constellation, spread: Array) -> Array:
    """Variance of fits over what counting noise and contrast let expect, by the scatter of the copies about them.

    Parameters
    ----------
    physics : Constellation
        Supplies the scatter of the scan, and the part of it that all its signals share and that is no error.
    spread : ndarray, shape (n,)
        Mean squared displacement of the copies of each signal about its fit, in units of its prediction, [1].

    Returns
    -------
    ndarray, shape (n,)
    """
    contrast = physics.contrast
    freedom = max(2 * len(physics.reference) - 6, 1)
    own = np.maximum(spread - contrast.shared, 0.0)
    return (SCAN_WEIGHT * (contrast.scatter - contrast.shared) + freedom * own) / (SCAN_WEIGHT + freedom)


def placed(begin: Array, prior: Array, theta: Array, covariance: Array) -> NDArray[np.uint8]:
    """Status of fits by where they ended.

    Parameters
    ----------
    begin : ndarray, shape (n, 6) or (6,)
        Where the fits began.
    prior : ndarray, shape (6, 6)
        Information of the prior.
    theta : ndarray, shape (n, 6)
        Parameters.
    covariance : ndarray, shape (n, 6, 6)
        Their covariance.

    Returns
    -------
    ndarray of uint8, shape (n,)
        WEAK where the covariance is hardly smaller than the prior's, AT_BOUND where the parameters are farther from
        where the fit began than the filters can follow, NO_MODEL where there are none, or OK.
    """
    allowed = np.diag(prior) ** -0.5
    status = np.full(len(theta), Status.OK, np.uint8)
    status[~np.isfinite(theta).all(1)] = Status.NO_MODEL
    status[(np.abs(theta - begin) > _FARTHEST).any(1)] = Status.AT_BOUND
    error = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    status[(error > _UNINFORMED * allowed).any(1)] = Status.WEAK
    return status


def failing(estimate: Estimate) -> Estimate:
    """The same with NaN for what has failed.

    Parameters
    ----------
    estimate : Estimate
        With its final status.

    Returns
    -------
    Estimate
    """
    failed = estimate.status != Status.OK
    theta = np.where(failed[:, None], np.nan, estimate.theta)
    covariance = np.where(failed[:, None, None], np.nan, estimate.covariance)
    return Estimate(theta, covariance, estimate.misfit, estimate.status, estimate.extra)
