"""Scoring of polycrystals: precision inside the grains, and whether their boundaries are told."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.strain.score import (
    Array,
    Flags,
    Measured,
    Truth,
    boundary_scores,
    median,
    statistics,
    strain_between,
)

MIXED = 0.02
"""A pattern belongs to a boundary when a second grain has more than this share of its electrons."""

FEWEST = 10
"""Grains with fewer pure patterns have no reference to speak of and are left out."""


def polycrystal_scores(
    measured: Measured,
    truth: Truth,
    grain: NDArray[np.int64],
    share: Array,
    flagged: Flags,
    bound: float | None = None,
) -> dict[str, float]:
    """Score a polycrystal; every grain has its own reference, its median lattice.

    Parameters
    ----------
    measured : Measured
        Of n patterns; one primitive cell, of any name, in each grain.
    truth : Truth
        Of the first grain in each pattern.
    grain : ndarray of int, shape (n,)
        True grain of every pattern.
    share : ndarray, shape (n,)
        Share of the electrons from a second grain, [1]. Patterns of a share that is neither 0 nor above 2 % count
        neither as interior nor as boundary.
    flagged : ndarray of bool, shape (n,)
        Patterns that the method says are of two lattices or of a boundary.
    bound : float, optional
        Cramér-Rao limit of the strain RMS inside the grains, [1].

    Returns
    -------
    dict of float
        Those of `statistics` for the interiors, and ``boundary_recall``, ``boundary_precision`` [1].
    """
    inside, mixed = share == 0, share > MIXED
    error = np.full((len(share), 4), np.nan)
    scored = np.zeros(len(share), dtype=bool)
    for g in np.unique(grain[inside]):
        here = inside & (grain == g)
        if here.sum() < FEWEST:
            continue
        found, true = measured.lattice[here], truth.lattice[here]
        fitted = np.flatnonzero(np.isfinite(found).all((1, 2)))
        base = int(fitted[0]) if len(fitted) else 0
        error[here] = _relative(found, base) - _relative(true, base)
        scored |= here
    std = None if measured.strain_std is None else measured.strain_std[scored]
    result = statistics(error[scored], std, bound)
    clear = inside | mixed
    recall, precision = boundary_scores(np.asarray(flagged, dtype=bool)[clear], mixed[clear])
    return result | {"boundary_recall": recall, "boundary_precision": precision}


def _relative(lattice: Array, base: int) -> Array:
    """Strain and rotation relative to the median lattice, shape (n, 4).

    The median is taken in units of the lattice at `base`, so that it does not depend on the cell.
    """
    if not np.isfinite(lattice[base]).all():
        return np.full((len(lattice), 4), np.nan)
    units = np.linalg.solve(lattice[base][None], lattice)
    return strain_between(units, median(units))
