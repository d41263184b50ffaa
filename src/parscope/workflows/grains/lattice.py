"""Lattices of crystals compared: the same lattice in another cell or slightly deformed, or another one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parscope.techniques.diffraction.lattice import strain

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Change:
    """What turns one lattice into another.

    Parameters
    ----------
    affine : ndarray, shape (..., 2, 2)
        Map of the first lattice onto the second, (y, x) order.
    rotation : ndarray, shape (...)
        Rotation of the crystal, [rad].
    stretch : ndarray, shape (...)
        Largest component of the strain, [1]; infinite where the two are no deformations of each other.
    """

    affine: Array
    rotation: Array
    stretch: Array

    def within(self, rotation: float, stretch: float) -> Flags:
        """Whether the rotation [rad] and the strain [1] are smaller than these."""
        return np.asarray((np.abs(self.rotation) < rotation) & (self.stretch < stretch))


def change(first: Array, second: Array) -> Change:
    """Smallest deformation of one lattice into another, whatever cells they are written in.

    Parameters
    ----------
    first, second : ndarray, shape (..., 2, 2)
        Rows g1, g2, [px]; NaN where there is none.

    Returns
    -------
    Change

    Examples
    --------
    >>> same = change(np.array([[0.0, 10.0], [10.0, 0.0]]), np.array([[10.0, 10.1], [10.0, 0.0]]))
    >>> float(same.stretch.round(3)), abs(float(same.rotation.round(3)))
    (0.01, 0.0)
    """
    first, second = np.broadcast_arrays(first, second)
    known = np.asarray(np.isfinite(first).all((-1, -2)) & np.isfinite(second).all((-1, -2)))
    a, b = (np.where(known[..., None, None], v, np.eye(2)) for v in (first, second))
    whole = np.rint(b @ np.linalg.inv(a))
    known = np.asarray(known & (np.abs(np.abs(np.linalg.det(whole)) - 1) < 0.5))
    whole = np.where(known[..., None, None], whole, np.eye(2))
    affine = np.swapaxes(np.linalg.inv(whole @ a) @ b, -1, -2)
    deformation = strain(affine)
    stretch = np.nan_to_num(np.abs(deformation[..., :3]).max(-1), nan=np.inf)
    return Change(affine, np.asarray(np.nan_to_num(deformation[..., 3])), np.where(known, stretch, np.inf))


def related(first: Array, second: Array) -> bool:
    """Whether the second lattice may be made of reflections of the first one: its own, or those of a larger cell.

    Parameters
    ----------
    first, second : ndarray, shape (2, 2)
        Rows g1, g2, [px].

    Returns
    -------
    bool

    Examples
    --------
    >>> related(np.array([[0.0, 10.0], [10.0, 0.0]]), np.array([[5.0, 5.0], [5.0, -5.0]]))
    True
    """
    numbers = second @ np.linalg.inv(first)
    return any(bool(np.abs(m * numbers - np.rint(m * numbers)).max() < 0.05 * m) for m in (1, 2, 3))
