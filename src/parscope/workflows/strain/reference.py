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
_AT_ONCE = 4096
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
        ``theta`` (scan y, scan x, 6), ``covariance`` (scan y, scan x, 4, 4), ``grain`` (scan y, scan x); of several
        crystals ``share`` (scan y, scan x) of a second one, too.
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
        return _of_each(affine, good, region, (maps["grain"], maps["share"] == 0), crystals)
    return Reference(region, np.tile(_median(affine, region & good), (crystals, 1, 1)), how)


def _of_each(
    affine: Array, good: Mask, region: Mask, grains: tuple[NDArray[np.int16], Mask], crystals: int
) -> Reference:
    """Each grain relative to itself where it is alone, within the given region where it reaches there."""
    grain, alone = grains
    places = [good & (grain == c) for c in range(crystals)]
    places = [place & alone if (place & alone).any() else place for place in places]
    places = [place & region if (place & region).any() else place for place in places]
    inside = " (within the given region, for grains that reach there)" if region.any() else ""
    own = np.array([_median(affine, place) for place in places])
    return Reference(np.any(places, axis=0), own, f"the median lattice of each grain{inside}")


def _median(affine: Array, where: Mask) -> Array:
    """Median lattice of the positions; NaN where there are none."""
    if not where.any():
        return np.full((2, 2), np.nan)
    # One component at a time: a median copies what it sorts.
    return np.array([[np.median(affine[..., i, j][where]) for j in range(2)] for i in range(2)])


def _flattest(affine: Array, covariance: NDArray[Any], good: Mask) -> tuple[Mask, str]:
    """A square window, a fifth of the scan wide, in which the lattice varies hardly more than its noise.

    Of several that do, the one whose lattice most of the scan shares: a substrate is larger than what grows on it.
    """
    side = [int(np.clip(n // 5, min(n, 3), 40)) for n in good.shape]
    if good.sum() < _FEWEST:
        return good, f"the median lattice of all {int(good.sum())} fitted positions"
    share = uniform_filter(good.astype(np.float64), side, mode="constant")
    scale = np.maximum(share, 1e-9)
    middle = _median(affine, good)
    mean = np.empty((4, *good.shape))
    spread = np.zeros(good.shape)
    for k in range(4):
        values = np.where(good, affine[..., k // 2, k % 2] - middle[k // 2, k % 2], 0.0)
        noise = np.where(good, covariance[..., k, k], 0.0).astype(np.float64)
        mean[k] = uniform_filter(values, side, mode="constant") / scale
        square, shot = (uniform_filter(v, side, mode="constant") / scale for v in (values**2, noise))
        spread += np.maximum(square - mean[k] ** 2, 0.0) / np.maximum(shot, 1e-12)
    half = [n // 2 for n in side]
    inside = np.zeros(good.shape, np.bool_)
    inside[half[0] : good.shape[0] - half[0] or None, half[1] : good.shape[1] - half[1] or None] = True
    fit = inside & (share > min(0.8, 0.95 * share[inside].max() if inside.any() else 0.8))
    if not fit.any():
        return good, "the median lattice of all fitted positions: no region is whole"
    flat = np.where(fit, spread, np.inf)
    some = np.argwhere(flat <= _FLAT * flat.min())
    some = some[np.unique(np.linspace(0, len(some) - 1, min(len(some), _TRIALS)).astype(int))]
    shared = _shared(affine, covariance, good, middle.ravel() + mean[:, some[:, 0], some[:, 1]].T)
    y, x = some[int(np.argmax(shared))]
    top, left = max(y - half[0], 0), max(x - half[1], 0)
    region = np.zeros(good.shape, np.bool_)
    region[top : top + side[0], left : left + side[1]] = True
    bottom, right = min(top + side[0], good.shape[0]), min(left + side[1], good.shape[1])
    where = f"rows {top} to {bottom - 1}, columns {left} to {right - 1}"
    return region, f"the flat region whose lattice most of the scan shares: {where}"


def _shared(affine: Array, covariance: NDArray[Any], good: Mask, lattices: Array) -> NDArray[np.int64]:
    """How many positions agree with each of some lattices, shape (n, 4), within their noise; shape (n,)."""
    values, noise, known = affine.reshape(-1, 4), covariance.reshape(-1, 4, 4), good.ravel()
    shared = np.zeros(len(lattices), np.int64)
    for piece in _pieces(known.size):
        here = known[piece]
        variance = np.diagonal(noise[piece][here], axis1=1, axis2=2).astype(np.float64) + _ALIKE**2
        distance = ((values[piece][here] - lattices[:, None]) ** 2 / variance).sum(-1)
        shared += (distance < _AGREES).sum(1)
    return shared


def _pieces(positions: int) -> list[slice]:
    """Scan positions a few thousand at a time: what is computed on the way takes many times the room of a result."""
    return [slice(start, start + _AT_ONCE) for start in range(0, positions, _AT_ONCE)]


def strains(
    theta: Array, covariance: NDArray[Any], grain: NDArray[np.int16], reference: Reference, distortion: Array
) -> tuple[Array, NDArray[np.float32]]:
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
    values : ndarray, shape (scan y, scan x, 4)
        e_xx, e_yy, e_xy [1], rotation [rad]; the map of each is contiguous.
    errors : ndarray of float32, shape (scan y, scan x, 4)
        Their standard errors, in the same units.
    """
    undo = np.linalg.inv(distortion)
    known = np.isfinite(reference.affine).all((1, 2))
    # The last one is for positions of no crystal, whose number is -1.
    inverse = np.full((len(reference.affine) + 1, 2, 2), np.nan)
    inverse[:-1][known] = np.linalg.inv(reference.affine[known]) @ distortion
    measured, noise = theta.reshape(-1, 6)[:, 2:].reshape(-1, 2, 2), covariance.reshape(-1, 4, 4)
    values, errors = np.empty((4, grain.size)), np.empty((4, grain.size), np.float32)
    for piece in _pieces(grain.size):
        right = inverse[grain.ravel()[piece]]
        affine = undo @ measured[piece] @ right
        linear = np.einsum("ik,nlj->nijkl", undo, right).reshape(-1, 4, 4)
        slope = strain_jacobian(affine) @ linear
        variance = np.einsum("nij,njk,nik->ni", slope, noise[piece].astype(np.float64), slope)
        values[:, piece], errors[:, piece] = strain(affine).T, np.sqrt(variance).T
    return values.T.reshape(*grain.shape, 4), errors.T.reshape(*grain.shape, 4)
