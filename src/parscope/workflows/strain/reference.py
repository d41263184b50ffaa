"""The lattice of zero strain: given, or that of the flattest region of the scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from parscope.core.errors import OptionError
from parscope.core.solver import Status
from parscope.techniques.diffraction import strain, strain_jacobian, turned

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Given = tuple[slice, slice] | Array | None

_FEWEST = 8
# Windows this much above the least spread are as flat; so many of them are compared.
_FLAT, _TRIALS = 1.5, 64
# Strains that differ by less are the same lattice; 95 % quantile of chi-squared with four degrees of freedom.
_ALIKE, _AGREES = 5e-4, 9.49


@dataclass(frozen=True)
class Reference:
    """Zero strain of a scan.

    Parameters
    ----------
    region : ndarray of bool, shape (scan y, scan x)
        Positions whose median lattice is zero strain; nowhere true for a given lattice.
    affine : ndarray, shape (crystals, 2, 2)
        Affine map of zero strain relative to the set-up of each crystal; NaN for crystals without fitted positions.
    how : str
        One sentence for the report.
    """

    region: Mask
    affine: Array
    how: str


def choose(maps: dict[str, NDArray[Any]], status: NDArray[np.uint8], given: Given, bases: Array) -> Reference:
    """Choose what zero strain is.

    Parameters
    ----------
    maps : dict of ndarray
        ``theta`` (scan y, scan x, 6), ``covariance`` (scan y, scan x, 4, 4), ``grain`` (scan y, scan x).
    status : ndarray of uint8, shape (scan y, scan x)
        From `judge`.
    given : tuple of slice, or ndarray, or None
        A region of the scan; or rows g1, g2 of a lattice [px], turned for each crystal; or nothing.
    bases : ndarray, shape (crystals, 2, 2)
        Rows g1, g2 of the set-up of each crystal, [px]; several crystals have each their own reference.

    Returns
    -------
    Reference

    Raises
    ------
    OptionError
        If nothing could be fitted in the given region.
    """
    affine = maps["theta"][..., 2:].reshape(*status.shape, 2, 2)
    good = status == Status.OK
    region = np.zeros(status.shape, np.bool_)
    crystals = len(bases)
    if isinstance(given, np.ndarray):
        zero = np.array([turned(given, basis).T @ np.linalg.inv(basis.T) for basis in bases])
        return Reference(region, zero, "the given lattice" + (", turned onto each grain" if crystals > 1 else ""))
    if given is not None:
        region[given] = True
        how = "the median lattice of the given region"
        if not (region & good).any():
            raise OptionError("has no fitted pattern", "--reference", "give another region")
    elif crystals == 1:
        region, how = _flattest(affine, maps["covariance"], good)
    if crystals > 1:
        return _of_each(affine, good, region, maps["grain"], crystals)
    return Reference(region, np.tile(_median(affine, region & good), (crystals, 1, 1)), how)


def _of_each(affine: Array, good: Mask, region: Mask, grain: NDArray[np.int16], crystals: int) -> Reference:
    """Each grain relative to itself, within the given region where it reaches there."""
    places = [good & (grain == c) for c in range(crystals)]
    places = [place & region if (place & region).any() else place for place in places]
    inside = " (within the given region, for grains that reach there)" if region.any() else ""
    own = np.array([_median(affine, place) for place in places])
    return Reference(np.any(places, axis=0), own, f"the median lattice of each grain{inside}")


def _median(affine: Array, where: Mask) -> Array:
    """Median lattice of the positions; NaN where there are none."""
    return np.median(affine[where], axis=0) if where.any() else np.full((2, 2), np.nan)


def _flattest(affine: Array, covariance: NDArray[Any], good: Mask) -> tuple[Mask, str]:
    """A square window, a fifth of the scan wide, in which the lattice varies hardly more than its noise.

    Of several that do, the one whose lattice most of the scan shares: a substrate is larger than what grows on it.
    """
    side = [int(np.clip(n // 5, min(n, 3), 40)) for n in good.shape]
    if good.sum() < _FEWEST:
        return good, f"the median lattice of all {int(good.sum())} fitted positions"
    values = np.where(good[..., None, None], affine - np.median(affine[good], axis=0), 0.0).reshape(*good.shape, 4)
    noise = np.where(good[..., None], np.diagonal(covariance, axis1=2, axis2=3), 0.0).astype(np.float64)
    share = uniform_filter(good.astype(np.float64), side, mode="constant")
    scale = np.maximum(share, 1e-9)[..., None]
    mean, square, shot = (uniform_filter(v, (*side, 0), mode="constant") / scale for v in (values, values**2, noise))
    spread = (np.maximum(square - mean**2, 0.0) / np.maximum(shot, 1e-12)).sum(-1)
    half = [n // 2 for n in side]
    inside = np.zeros(good.shape, np.bool_)
    inside[half[0] : good.shape[0] - half[0] or None, half[1] : good.shape[1] - half[1] or None] = True
    fit = inside & (share > min(0.8, 0.95 * share[inside].max() if inside.any() else 0.8))
    if not fit.any():
        return good, "the median lattice of all fitted positions: no region is whole"
    y, x = _most_shared(values[good], noise[good], mean, np.where(fit, spread, np.inf))
    top, left = max(y - half[0], 0), max(x - half[1], 0)
    region = np.zeros(good.shape, np.bool_)
    region[top : top + side[0], left : left + side[1]] = True
    bottom, right = min(top + side[0], good.shape[0]), min(left + side[1], good.shape[1])
    where = f"rows {top} to {bottom - 1}, columns {left} to {right - 1}"
    return region, f"the flat region whose lattice most of the scan shares: {where}"


def _most_shared(values: Array, noise: Array, mean: Array, spread: Array) -> tuple[int, int]:
    """Of the flattest windows, the centre of the one whose mean lattice agrees with most positions."""
    flat = np.argwhere(spread <= _FLAT * spread.min())
    some = flat[np.unique(np.linspace(0, len(flat) - 1, min(len(flat), _TRIALS)).astype(int))]
    variance = noise + _ALIKE**2
    shared = [(((values - mean[y, x]) ** 2 / variance).sum(1) < _AGREES).sum() for y, x in some]
    y, x = some[int(np.argmax(shared))]
    return int(y), int(x)


def strains(
    theta: Array, covariance: NDArray[Any], grain: NDArray[np.int16], reference: Reference, distortion: Array
) -> tuple[Array, Array]:
    """Strain and rotation relative to the reference, and their standard errors.

    Parameters
    ----------
    theta : ndarray, shape (scan y, scan x, 6)
        Centre and affine map relative to the set-up of each position's crystal.
    covariance : ndarray, shape (scan y, scan x, 4, 4)
        Of the affine map.
    grain : ndarray of int16, shape (scan y, scan x)
        Crystal of each position; -1 for none.
    reference : Reference
        Zero strain.
    distortion : ndarray, shape (2, 2)
        Of the detector; taken out.

    Returns
    -------
    values, errors : ndarray, shape (scan y, scan x, 4)
        e_xx, e_yy, e_xy [1], rotation [rad].
    """
    undo = np.linalg.inv(distortion)
    right = np.full((*grain.shape, 2, 2), np.nan)
    known = np.isfinite(reference.affine).all((1, 2))
    inverse = np.full_like(reference.affine, np.nan)
    inverse[known] = np.linalg.inv(reference.affine[known]) @ distortion
    right[grain >= 0] = inverse[grain[grain >= 0]]
    affine = undo @ theta[..., 2:].reshape(*grain.shape, 2, 2) @ right
    linear = np.einsum("ik,...lj->...ijkl", undo, right).reshape(*grain.shape, 4, 4)
    slope = strain_jacobian(affine) @ linear
    variance = np.einsum("...ij,...jk,...ik->...i", slope, covariance.astype(np.float64), slope)
    return strain(affine), np.sqrt(variance)
