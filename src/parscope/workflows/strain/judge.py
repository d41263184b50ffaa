"""What could not be fitted, and why: decided over the whole scan, where single patterns cannot tell."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.solver import Status

Arrays = dict[str, NDArray[Any]]

_SIGMAS = 6.0
# Standard errors this many times the scan's typical one, or misfits, mean another kind of pattern.
_FAR_LIMIT, _FAR_MISFIT = 4.0, 5.0
# Diffracted electrons below this share of the direct beam's, or within this many standard errors of none: vacuum.
_VACUUM_SHARE, _VACUUM_SIGMAS = 0.01, 4.0
# Electrons in the direct disk, and their share of all, below which nothing is said about vacuum.
_FEWEST, _MOSTLY = 25, 0.3
# Background between the disks may vary with thickness by this much before it counts as a second lattice.
_SECOND_LATTICE = 1.4


def judge(maps: Arrays, sigma: float) -> NDArray[np.uint8]:
    """Status of every scan position.

    Parameters
    ----------
    maps : dict of ndarray
        What `fit_block` returns, for the whole scan.
    sigma : float
        Standard deviation of ``excess`` for a single crystal, [1]; NaN where it says nothing about second lattices.

    Returns
    -------
    ndarray of uint8, shape (scan y, scan x)
    """
    status = maps["status"].copy()
    fitted = status == Status.OK
    limit, misfit = maps["limit_ratio"], maps["misfit"]
    if fitted.any():
        odd = (limit > _FAR_LIMIT * np.median(limit[fitted])) | (misfit > _FAR_MISFIT * np.median(misfit[fitted]))
        status[fitted & odd] = Status.NO_MODEL
        status[fitted & _second_lattice(maps["excess"], fitted, sigma)] = Status.SECOND_LATTICE
    broken = np.isin(status, (Status.BAD_INPUT, Status.UNREADABLE))
    status[~broken & _vacuum(maps)] = Status.VACUUM
    return status


def _second_lattice(excess: NDArray[Any], fitted: NDArray[np.bool_], sigma: float) -> NDArray[np.bool_]:
    """Where there are more counts between the disks than background and noise explain."""
    if not np.isfinite(excess[fitted]).any():
        return np.zeros(excess.shape, np.bool_)
    usual = max(1.0, float(np.nanmedian(excess[fitted])))
    return np.asarray(excess > usual * _SECOND_LATTICE + _SIGMAS * sigma)


def _vacuum(maps: Arrays) -> NDArray[np.bool_]:
    """Where the direct disk is all there is."""
    beam, diffracted, noise = maps["beam"], maps["diffracted"], maps["diffracted_std"]
    none = (diffracted < _VACUUM_SIGMAS * noise) | (diffracted < _VACUUM_SHARE * beam)
    return np.asarray(none & (beam > _FEWEST) & (beam > _MOSTLY * maps["electrons"]))
