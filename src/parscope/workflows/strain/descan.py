"""Where the beam is at each scan position: descan carries it farther than one start of the fit reaches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parscope.core.solver import Status
from parscope.solvers.lattice import LatticeFilters

Array = NDArray[np.float64]

_ROUNDS = 6
_FEWEST = 12
# Displacement that the fit bridges with ease from a common start, [px].
_EASY = 1.5


@dataclass(frozen=True)
class Descan:
    """Displacement of the pattern as a quadratic of the scan position.

    Parameters
    ----------
    coefficients : ndarray, shape (6, 2)
        Of 1, y, x, y^2, y x, x^2, with y and x from -1 to 1 over the scan: displacement (y, x), [px].
    scan_shape : tuple of int
        Scan positions (y, x).
    """

    coefficients: Array
    scan_shape: tuple[int, int]

    def start(self, theta: Array, first: int, last: int) -> Array:
        """Where to begin the fits of scan rows.

        Parameters
        ----------
        theta : ndarray, shape (6,)
            Parameters of the undisplaced pattern.
        first, last : int
            Rows, the last one excluded.

        Returns
        -------
        ndarray, shape (rows, columns, 6)
        """
        y, x = np.mgrid[first:last, : self.scan_shape[1]]
        result = np.tile(theta, (*y.shape, 1))
        result[..., :2] += _terms(np.stack([y, x], -1), self.scan_shape) @ self.coefficients
        return result


def find_descan(
    solver: LatticeFilters, patterns: NDArray[np.generic], positions: NDArray[np.int64], scan_shape: tuple[int, int]
) -> Descan | None:
    """Follow the pattern over the scan, from where it is found at once to where it is not.

    Parameters
    ----------
    solver : LatticeFilters
        Fits the patterns.
    patterns : ndarray, shape (n, q_y, q_x)
        From all over the scan.
    positions : ndarray of int, shape (n, 2)
        Where in the scan (y, x).
    scan_shape : tuple of int
        Scan positions (y, x).

    Returns
    -------
    Descan or None
        None where the pattern stays within the reach of one start, or hardly any can be fitted.
    """
    theta = np.asarray(solver.physics.theta)
    terms = _terms(positions, scan_shape)
    coefficients = np.zeros((terms.shape[1], 2))
    fitted = -1
    for _ in range(_ROUNDS):
        start = np.tile(theta, (len(patterns), 1))
        start[:, :2] += terms @ coefficients
        estimate = solver(patterns, start)
        good = estimate.status == Status.OK
        if good.sum() < _FEWEST or good.sum() <= fitted:
            break
        fitted = int(good.sum())
        coefficients = _robust(terms[good], estimate.theta[good, :2] - theta[:2])
        if good.all():
            break
    far = np.abs(terms @ coefficients).max()
    return Descan(coefficients, scan_shape) if far > _EASY else None


def _terms(positions: NDArray[np.int64], scan_shape: tuple[int, int]) -> Array:
    """Monomials of scan positions (..., 2), shape (..., 6)."""
    half = np.maximum((np.array(scan_shape) - 1) / 2, 0.5)
    y, x = np.moveaxis((positions - (np.array(scan_shape) - 1) / 2) / half, -1, 0)
    return np.stack([np.ones_like(y), y, x, y * y, y * x, x * x], -1)


def _robust(terms: Array, values: Array) -> Array:
    """Least squares with outliers left out; a ridge keeps terms at rest of which the positions say nothing."""
    weight = np.ones(len(terms))
    for _ in range(5):
        normal = (terms * weight[:, None]).T @ terms + 1e-3 * np.eye(terms.shape[1])
        result = np.linalg.solve(normal, (terms * weight[:, None]).T @ values)
        miss = np.linalg.norm(values - terms @ result, axis=1)
        weight = 1 / (1 + np.square(miss / (2 * np.median(miss) + 0.05)))
    return np.asarray(result)
