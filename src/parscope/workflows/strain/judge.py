"""What could not be fitted, and why: decided over the whole scan, where single patterns cannot tell."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, uniform_filter

from parscope.core.solver import Status
from parscope.workflows.strain.excess import Cells

Arrays = dict[str, NDArray[Any]]

_SIGMAS = 5.5
# Standard errors this many times the scan's typical one, or misfits, mean another kind of pattern.
_FAR_LIMIT, _FAR_MISFIT = 4.0, 5.0
# Diffracted electrons below this share of the direct beam's, or within this many standard errors of none: vacuum.
_VACUUM_SHARE, _VACUUM_SIGMAS = 0.01, 4.0
# Electrons in the direct disk, and their share of all, below which nothing is said about vacuum.
_FEWEST, _MOSTLY = 25, 0.3
# The background may deviate from its mean by this share from cell to cell, as with thickness, before that is a lattice.
_UNEVEN = 0.3
# Sides of the squares of positions whose excess is averaged: a weak second lattice shows where it extends.
_WINDOWS = (1, 3, 5, 9)


def judge(maps: Arrays, cells: tuple[Cells, ...]) -> NDArray[np.uint8]:
    """Status of every scan position.

    Parameters
    ----------
    maps : dict of ndarray
        What `fit_block` returns, for the whole scan.
    cells : tuple of Cells
        What ``excess`` was measured in, for each crystal.

    Returns
    -------
    ndarray of uint8, shape (scan y, scan x)
    """
    status = maps["status"].copy()
    broken = np.isin(status, (Status.BAD_INPUT, Status.UNREADABLE))
    status[~broken & _vacuum(maps)] = Status.VACUUM
    fitted = status == Status.OK
    # Where two lattices were fitted at once, a second one is no surprise, and the misfit is that of both.
    resolved = fitted & (maps["share"] > 0)
    single = fitted & ~resolved
    if single.any():
        status[single & _odd(maps, single)] = Status.NO_MODEL
        for number, own in enumerate(cells):
            mine = single & (maps["grain"] == number)
            status[_second_lattice(maps["excess"], mine, own)] = Status.SECOND_LATTICE
    if resolved.any():
        status[resolved & _odd(maps, resolved)] = Status.BOUNDARY
    return status


def _odd(maps: Arrays, fitted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where fits are much less certain, or follow the pattern much less, than is usual among them."""
    limit, misfit = maps["limit_ratio"], maps["misfit"]
    return np.asarray(
        (limit > _FAR_LIMIT * np.median(limit[fitted])) | (misfit > _FAR_MISFIT * np.median(misfit[fitted]))
    )


def _second_lattice(excess: NDArray[Any], fitted: NDArray[np.bool_], cells: Cells) -> NDArray[np.bool_]:
    """Where there are more counts between the disks than background and noise explain, alone or with neighbours."""
    known = fitted & np.isfinite(excess)
    found = np.zeros(excess.shape, np.bool_)
    if not known.any() or not np.isfinite(cells.sigma):
        return found
    usual = max(1.0, float(np.median(excess[known])))
    least = _UNEVEN**2 * cells.electrons
    alone = max(least, _SIGMAS * usual * cells.sigma)
    # A strong second lattice next to a position would else make the mean round it as large as a weak one there.
    bounded = np.minimum(excess, usual + 2 * alone)
    for side in _WINDOWS:
        mean, count = _around(bounded, known, side)
        noise = _SIGMAS * usual * cells.sigma / np.sqrt(np.maximum(count, 1))
        found |= known & (mean > usual + np.maximum(least, noise)) & (count > side**2 // 3)
    if not found.any():
        return found
    # Windows reach over the edge of a region: which side a position is on is told by what is near it.
    between = (usual + float(np.median(bounded[found]))) / 2
    near = maximum_filter(found, 3) & known & (_around(bounded, known, 3)[0] > between)
    return np.asarray(near | (known & (excess > usual + alone)))


def _around(values: NDArray[Any], known: NDArray[np.bool_], side: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean of the known values in a square round each position, and how many they are."""
    size = float(side**2)
    count = uniform_filter(known.astype(np.float64), side, mode="constant") * size
    total = uniform_filter(np.where(known, values, 0.0).astype(np.float64), side, mode="constant") * size
    return total / np.maximum(count, 0.5), count


def _vacuum(maps: Arrays) -> NDArray[np.bool_]:
    """Where the direct disk is all there is."""
    beam, diffracted, noise = maps["beam"], maps["diffracted"], maps["diffracted_std"]
    none = (diffracted < _VACUUM_SIGMAS * noise) | (diffracted < _VACUUM_SHARE * beam)
    return np.asarray(none & (beam > _FEWEST) & (beam > _MOSTLY * maps["electrons"]))
