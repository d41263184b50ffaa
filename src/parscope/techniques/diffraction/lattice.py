"""Geometry of deformed lattices: from the affine map of a diffraction pattern to strain and rotation."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

AFFINE = ("centre_y", "centre_x", "A_yy", "A_yx", "A_xy", "A_xx")
STRAIN = ("e_xx", "e_yy", "e_xy", "rotation")


def reciprocal_map(e_xx: ArrayLike, e_yy: ArrayLike, e_xy: ArrayLike, rotation: ArrayLike) -> Array:
    """Affine map of the reciprocal lattice for a given strain: A = F^-T with F = R (I + e).

    Parameters
    ----------
    e_xx, e_yy, e_xy : array, shape (...)
        Strain, [1].
    rotation : array, shape (...)
        Rotation of the crystal, [rad], positive from +x towards +y.

    Returns
    -------
    ndarray, shape (..., 2, 2)
        In (y, x) order: ``q = A @ q_reference``.
    """
    xx, yy, xy, angle = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (e_xx, e_yy, e_xy, rotation)))
    c, s = np.cos(angle), np.sin(angle)
    turn = np.stack([np.stack([c, s], -1), np.stack([-s, c], -1)], -2)
    stretch = np.stack([np.stack([1 + yy, xy], -1), np.stack([xy, 1 + xx], -1)], -2)
    result: Array = np.swapaxes(np.linalg.inv(turn @ stretch), -1, -2)
    return result


def strain(affine: Array) -> Array:
    """Strain and rotation of the crystal from the affine map of its reciprocal lattice.

    The deformation gradient F = A^-T is split into F = R (I + e): the strain is that of the unrotated crystal,
    in the axes of the detector.

    Parameters
    ----------
    affine : ndarray, shape (..., 2, 2)
        Map of the reference reciprocal lattice to the measured one, (y, x) order.

    Returns
    -------
    ndarray, shape (..., 4)
        e_xx, e_yy, e_xy [1] and rotation [rad], positive from +x towards +y; NaN where the map is.

    Examples
    --------
    >>> strain(reciprocal_map(0.01, 0.0, 0.002, 0.05)).round(6).tolist()
    [0.01, 0.0, 0.002, 0.05]
    """
    gradient = _inverse_transpose(np.asarray(affine, dtype=np.float64))
    yy, yx, xy, xx = gradient[..., 0, 0], gradient[..., 0, 1], gradient[..., 1, 0], gradient[..., 1, 1]
    rotation = np.arctan2(yx - xy, xx + yy)
    c, s = np.cos(rotation), np.sin(rotation)
    e_yy = c * yy - s * xy - 1
    e_xx = s * yx + c * xx - 1
    e_xy = 0.5 * ((c * yx - s * xx) + (s * yy + c * xy))
    return np.stack([e_xx, e_yy, e_xy, rotation], -1)


def strain_jacobian(affine: Array, step: float = 1e-6) -> Array:
    """Derivative of strain and rotation with respect to the affine map, by central differences.

    Parameters
    ----------
    affine : ndarray, shape (..., 2, 2)
        Map of the reference reciprocal lattice to the measured one, (y, x) order.
    step : float, default 1e-6
        Step of the differences, [1].

    Returns
    -------
    ndarray, shape (..., 4, 4)
        Rows e_xx, e_yy, e_xy, rotation; columns A_yy, A_yx, A_xy, A_xx.
    """
    columns = []
    for k in range(4):
        move = np.zeros((2, 2))
        move[divmod(k, 2)] = step
        columns.append((strain(affine + move) - strain(affine - move)) / (2 * step))
    return np.stack(columns, -1)


def turned(lattice: Array, basis: Array) -> Array:
    """A lattice turned onto another, without deforming it, in the cell that the other is described in.

    Parameters
    ----------
    lattice : ndarray, shape (2, 2)
        Rows g1, g2 of the lattice to turn, (y, x) order, [px].
    basis : ndarray, shape (2, 2)
        Rows g1, g2 of the lattice to turn it onto, [px].

    Returns
    -------
    ndarray, shape (2, 2)
        Rows that correspond to those of `basis`, [px]: of all cells of `lattice` with indices up to 2 the one that is
        least strained against it.

    Examples
    --------
    >>> square = np.array([[20.0, 0.0], [0.0, 20.0]])
    >>> np.abs(turned(square, np.array([[0.0, -20.2], [20.2, 0.0]]))).round(6).tolist()
    [[0.0, 20.0], [20.0, 0.0]]
    """
    order = np.arange(-2, 3)
    cells = np.stack(np.meshgrid(order, order, order, order, indexing="ij"), -1).reshape(-1, 2, 2)
    cells = cells[np.abs(np.abs(np.linalg.det(cells)) - 1) < 1e-6]
    rows = cells @ lattice
    rows = rows[np.linalg.det(rows) * np.linalg.det(basis) > 0]
    change = strain(basis.T @ np.linalg.inv(np.swapaxes(rows, -1, -2)))
    best = int(np.argmin(np.square(change[:, :3]).sum(1)))
    nothing = np.zeros(1)
    turn = reciprocal_map(nothing, nothing, nothing, change[best : best + 1, 3])[0]
    result: Array = rows[best] @ turn.T
    return result


def _inverse_transpose(a: Array) -> Array:
    """Inverse transpose of 2x2 matrices; NaN, not an exception, where there is none."""
    yy, yx, xy, xx = a[..., 0, 0], a[..., 0, 1], a[..., 1, 0], a[..., 1, 1]
    determinant = yy * xx - yx * xy
    determinant = np.where(np.abs(determinant) > 1e-12, determinant, np.nan)
    inverse: Array = np.stack([np.stack([xx, -xy], -1), np.stack([-yx, yy], -1)], -2) / determinant[..., None, None]
    return inverse
