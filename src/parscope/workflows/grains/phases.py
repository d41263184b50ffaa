"""Phases: crystals whose lattices differ in more than turn and strain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from parscope.techniques.diffraction.lattice import strain, turned

Array = NDArray[np.float64]

ANOTHER = 0.1
"""Strain beyond which a lattice is one of another phase, [1]."""


def strained(lattices: Array, basis: Array) -> Array:
    """Largest component of the strain of lattices relative to one, whatever their turn and cell.

    Parameters
    ----------
    lattices : ndarray, shape (n, 2, 2)
        Rows g1, g2, [px]; NaN where there is none.
    basis : ndarray, shape (2, 2)
        The lattice that they are compared with.

    Returns
    -------
    ndarray, shape (n,)
        [1]; NaN where there is no lattice.
    """
    result = np.full(len(lattices), np.nan)
    for n in np.flatnonzero(np.isfinite(lattices).all((1, 2))):
        between = turned(lattices[n], basis).T @ np.linalg.inv(basis.T)
        result[n] = np.abs(strain(between)[:3]).max()
    return result


def phases_of(lattices: Sequence[Array]) -> NDArray[np.int64]:
    """Phase of each of several crystals.

    Parameters
    ----------
    lattices : sequence of ndarray, shape (2, 2)
        Rows g1, g2 of the crystals, [px].

    Returns
    -------
    ndarray of int, shape (n,)
        From 0, in the order in which the phases are met.

    Examples
    --------
    >>> square = np.array([[0.0, 20.0], [20.0, 0.0]])
    >>> phases_of([square, np.array([[0.0, 20.0], [17.3, 10.0]]), 1.01 * square]).tolist()
    [0, 1, 0]
    """
    first: list[Array] = []
    numbers = []
    for lattice in lattices:
        known = [n for n, basis in enumerate(first) if strained(lattice[None], basis)[0] < ANOTHER]
        numbers.append(known[0] if known else len(first))
        first += [] if known else [lattice]
    return np.array(numbers, np.int64)
