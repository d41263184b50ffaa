"""Scoring of strain maps against the truth of a phantom: the same for every method, by the method's own reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

FAILURE = 0.02
"""A pattern has failed when it has no fit, or when a strain component or the rotation is off by more than this."""


@dataclass(frozen=True)
class Truth:
    """What a phantom knows of its patterns; lattice vectors are rows, in (y, x) order.

    Parameters
    ----------
    lattice : ndarray, shape (n, 2, 2)
        Rows g1, g2 of every pattern, [px].
    centre : ndarray, shape (n, 2)
        Position of the direct disk, [px].
    basis : ndarray, shape (2, 2)
        Rows g1, g2 of the unstrained crystal on the same detector, [px].
    indices : ndarray of int, shape (disks, 2)
        Miller indices of the disks on the detector.
    reference : ndarray of bool, shape (n,)
        The unstrained strip.
    """

    lattice: Array
    centre: Array
    basis: Array
    indices: NDArray[np.int64]
    reference: Flags

    @property
    def strain(self) -> Array:
        """True e_xx, e_yy, e_xy [1] and rotation [rad], shape (n, 4)."""
        return strain_between(self.lattice, self.basis)


@dataclass(frozen=True)
class Measured:
    """What a method says of the same patterns.

    Parameters
    ----------
    lattice : ndarray, shape (n, 2, 2)
        Rows g1, g2 of every pattern, (y, x) order, [px]; NaN where there is no fit. Any primitive cell will do.
    centre : ndarray, shape (n, 2), optional
        Origin of the fitted lattice, [px].
    strain_std : ndarray, shape (n, 4), optional
        Standard errors of e_xx, e_yy, e_xy [1] and rotation [rad], where the method gives them.
    """

    lattice: Array
    centre: Array | None = None
    strain_std: Array | None = None


def strain_between(lattice: Array, reference: Array) -> Array:
    """Strain and rotation of crystals from their reciprocal lattices and an unstrained one.

    Parameters
    ----------
    lattice : ndarray, shape (n, 2, 2)
        Rows g1, g2, (y, x) order, [px].
    reference : ndarray, shape (2, 2)
        Rows g1, g2 of the unstrained crystal, [px].

    Returns
    -------
    ndarray, shape (n, 4)
        e_xx, e_yy, e_xy [1], rotation [rad] from +x towards +y; NaN where the lattice is not finite or is singular.

    Examples
    --------
    >>> strain_between(np.array([[[0.0, 10.0], [10.0, 0.0]]]), np.array([[0.0, 10.1], [10.0, 0.0]])).round(4).tolist()
    [[0.01, 0.0, 0.0, 0.0]]
    """
    lattice = np.asarray(lattice, dtype=np.float64)
    result = np.full((len(lattice), 4), np.nan)
    usable = np.isfinite(lattice).all((1, 2))
    usable[usable] = np.abs(np.linalg.det(lattice[usable])) > 1e-9
    if not usable.any() or not np.isfinite(reference).all():
        return result
    gradient = np.linalg.inv(lattice[usable]) @ reference
    left, stretch, right = np.linalg.svd(gradient)
    turn = left @ right
    pure = np.swapaxes(right, -1, -2) @ (stretch[..., None] * right)
    result[usable, 0] = pure[:, 1, 1] - 1
    result[usable, 1] = pure[:, 0, 0] - 1
    result[usable, 2] = pure[:, 0, 1]
    result[usable, 3] = np.arctan2(turn[:, 0, 1], turn[:, 0, 0])
    return result


def score(measured: Measured, truth: Truth, bound: float | None = None) -> dict[str, float]:
    """Precision, failures and honesty of one method on one scan.

    Parameters
    ----------
    measured : Measured
        Of n patterns.
    truth : Truth
        Of the same patterns.
    bound : float, optional
        Cramér-Rao limit of the strain RMS, [1].

    Returns
    -------
    dict of float
        ``failures`` [1]; over the rest ``strain_rms`` (e_xx, e_yy and e_xy together), ``e_xx_rms``, ``e_yy_rms``,
        ``e_xy_rms`` [1], ``rotation_rms`` [rad]; ``e_xx_mad`` [1] over all that have a fit (1.4826 times the median
        absolute error); where possible ``position_rms`` [px], ``spread`` [1] and ``ratio`` [1].
    """
    own_reference = median(measured.lattice[truth.reference])
    error = strain_between(measured.lattice, own_reference) - truth.strain
    result = statistics(error, measured.strain_std, bound)
    if measured.centre is not None:
        result["position_rms"] = position_rms(measured, truth, succeeded(error))
    return result


def succeeded(error: Array) -> Flags:
    """Patterns, shape (n,), whose errors (n, 4) are all there and small enough."""
    good: Flags = np.asarray(np.isfinite(error).all(1))
    good[good] = (np.abs(error[good]) <= FAILURE).all(1)
    return good


def statistics(error: Array, std: Array | None = None, bound: float | None = None) -> dict[str, float]:
    """Everything that is said of the errors of strain and rotation.

    Parameters
    ----------
    error : ndarray, shape (n, 4)
        Of e_xx, e_yy, e_xy [1] and rotation [rad]; NaN where there is no fit.
    std : ndarray, shape (n, 4), optional
        Standard errors, where the method gives them.
    bound : float, optional
        Cramér-Rao limit of the strain RMS, [1].

    Returns
    -------
    dict of float
        As `score` returns it, but for the positions.
    """
    good = succeeded(error)
    result = {"failures": float(np.mean(~good)), "strain_rms": _rms(error[good, :3])}
    for k, name in enumerate(("e_xx", "e_yy", "e_xy", "rotation")):
        result[f"{name}_rms"] = _rms(error[good, k])
    fitted = np.isfinite(error[:, 0])
    result["e_xx_mad"] = float(1.4826 * np.median(np.abs(error[fitted, 0]))) if fitted.any() else np.nan
    if std is not None:
        result["spread"] = _rms((error / std)[good])
    if bound is not None:
        result["ratio"] = result["strain_rms"] / bound
    return result


def position_rms(measured: Measured, truth: Truth, good: Flags) -> float:
    """Error of the disk positions that the fitted lattice predicts, a coordinate; [px].

    The method's cell and origin may differ from the truth's by an integer change of basis, which is undone first; so
    is a displacement common to the whole scan, where programs differ in what they call the centre of a pixel.

    Parameters
    ----------
    measured : Measured
        With its `centre`.
    truth : Truth
        Of the same patterns.
    good : ndarray of bool, shape (n,)
        Patterns that have not failed.

    Returns
    -------
    float
        NaN when no pattern is good, or when the method's cell is not one of the true lattice.
    """
    if measured.centre is None or not good.any():
        return np.nan
    own, centre = measured.lattice[good], measured.centre[good]
    change = truth.basis @ np.linalg.inv(median(own))
    if not np.abs(change - np.rint(change)).max() < 0.25:
        return np.nan
    lattice = np.rint(change) @ own
    shift = np.rint(median(truth.centre[good] - centre) @ np.linalg.inv(truth.basis))
    found = (centre + shift @ lattice)[:, None] + truth.indices @ lattice
    true = truth.centre[good][:, None] + truth.indices @ truth.lattice[good]
    return _rms(found - true - median((found - true).mean(1)))


def disk_scores(found: list[Array], truth: Truth, capture: float = 3.0) -> dict[str, float]:
    """Score free disk positions, for methods that look for disks before they fit a lattice.

    Parameters
    ----------
    found : list of ndarray, shape (k, 2)
        Positions (y, x) of the disks of every pattern, [px].
    truth : Truth
        Of the same patterns.
    capture : float, default 3.0
        A disk counts as found when the nearest position is closer than this, [px].

    Returns
    -------
    dict of float
        ``disk_rms`` [px] a coordinate over those found, ``disk_recall`` [1], ``false_disks`` a pattern.
    """
    errors, true_count, false_count = [], 0, 0
    for pattern, centre, lattice in zip(found, truth.centre, truth.lattice, strict=True):
        true = centre + truth.indices @ lattice
        true_count += len(true)
        if not len(pattern):
            continue
        distance = np.linalg.norm(true[:, None] - pattern[None], axis=-1)
        nearest = distance.argmin(1)
        hit = distance[np.arange(len(true)), nearest] < capture
        _, first = np.unique(nearest[hit], return_index=True)
        errors.append((pattern[nearest[hit]] - true[hit])[first])
        false_count += len(pattern) - len(first)
    every = np.concatenate(errors) if errors else np.empty((0, 2))
    return {
        "disk_rms": _rms(every),
        "disk_recall": len(every) / max(true_count, 1),
        "false_disks": false_count / max(len(found), 1),
    }


def boundary_scores(flagged: Flags, truth: Flags) -> tuple[float, float]:
    """Recall and precision of the flagged scan positions, NaN where there is nothing to divide by."""
    hits = float(np.sum(flagged & truth))
    wanted, claimed = float(truth.sum()), float(flagged.sum())
    return (hits / wanted if wanted else np.nan), (hits / claimed if claimed else np.nan)


def median(values: Array) -> Array:
    """Median over the first axis of what is finite; NaN, without a warning, when nothing is."""
    finite = values[np.isfinite(values).reshape(len(values), -1).all(1)]
    if not len(finite):
        return np.full(values.shape[1:], np.nan)
    return np.asarray(np.median(finite, axis=0))


def _rms(values: Array) -> float:
    """Root mean square; NaN of nothing."""
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else np.nan
