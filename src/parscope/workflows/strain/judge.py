"""What could not be fitted, and why: decided over the whole scan, where single patterns cannot tell."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.solver import Status
from parscope.techniques.diffraction import DiffractionPattern
from parscope.workflows.strain.excess import certain

Arrays = dict[str, NDArray[Any]]

_SIGMAS = 6.0
# Standard errors this many times the scan's typical one, or misfits, mean another kind of pattern.
_FAR_LIMIT, _FAR_MISFIT = 4.0, 5.0
# Diffracted electrons below this share of the direct beam's, or within this many standard errors of none: vacuum.
_VACUUM_SHARE, _VACUUM_SIGMAS = 0.01, 4.0
# Background between the disks may vary with thickness by this much before it counts as a second lattice.
_SECOND_LATTICE = 1.4


def judge(maps: Arrays, physics: DiffractionPattern, outside: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Status of every scan position.

    Parameters
    ----------
    maps : dict of ndarray
        What `fit_block` returns, for the whole scan.
    physics : DiffractionPattern
        The set-up.
    outside : ndarray of bool, shape (q_y, q_x)
        Pixels between the disks.

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
        status[fitted & _second_lattice(maps["excess"], fitted, certain(physics, outside))] = Status.SECOND_LATTICE
    broken = np.isin(status, (Status.BAD_INPUT, Status.UNREADABLE))
    status[~broken & _vacuum(maps["amplitude"], maps["electrons"], physics)] = Status.VACUUM
    return status


def _second_lattice(excess: NDArray[Any], fitted: NDArray[np.bool_], sigma: float) -> NDArray[np.bool_]:
    """Where there are more counts between the disks than background and noise explain."""
    if not np.isfinite(excess[fitted]).any():
        return np.zeros(excess.shape, np.bool_)
    usual = max(1.0, float(np.nanmedian(excess[fitted])))
    return np.asarray(excess > usual * _SECOND_LATTICE + _SIGMAS * sigma)


def _vacuum(amplitude: NDArray[Any], electrons: NDArray[Any], physics: DiffractionPattern) -> NDArray[np.bool_]:
    """Where the direct disk is all there is."""
    direct = (physics.indices == 0).all(1)
    if not direct.any() or direct.all():
        return np.zeros(electrons.shape, np.bool_)
    area = np.pi * physics.probe.radius**2 / physics.gain
    counts = np.clip(amplitude, 0, None) * area
    under = physics.levels.background * area
    beam = counts[..., direct].sum(-1)
    diffracted = (amplitude[..., ~direct] * area).sum(-1)
    noise = np.sqrt((counts[..., ~direct] + 2 * under[~direct]).sum(-1) + 1)
    none = (diffracted < _VACUUM_SIGMAS * noise) | (diffracted < _VACUUM_SHARE * beam)
    return none & (beam > 25) & (beam > 0.3 * electrons)
