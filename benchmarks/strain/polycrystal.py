"""Scoring of polycrystals: precision inside the grains, and whether their boundaries are told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.strain.score import Array, Flags, Measured, Truth, boundary_scores, score

MIXED = 0.02
"""A pattern belongs to a boundary when a second grain has more than this share of its electrons."""


def polycrystal_scores(
    measured: Measured, truth: Truth, share: Array, flagged: Flags, bound: float | None = None
) -> dict[str, float]:
    """Score a polycrystal.

    Parameters
    ----------
    measured : Measured
        Of n patterns; any primitive cell in each grain.
    truth : Truth
        Of the first grain in each pattern; its reference is the interior of the grain that is not strained.
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
        Those of `score` for the interiors, and ``boundary_recall``, ``boundary_precision`` [1].
    """
    inside, mixed = share == 0, share > MIXED
    lattice = same_cell(measured.lattice, truth.lattice)
    result = score(_part(replace(measured, lattice=lattice), inside), _truth_part(truth, inside), bound)
    clear = inside | mixed
    recall, precision = boundary_scores(np.asarray(flagged, dtype=bool)[clear], mixed[clear])
    return result | {"boundary_recall": recall, "boundary_precision": precision}


def same_cell(lattice: Array, true: Array) -> Array:
    """Express every lattice in the cell of the truth: another cell of the same lattice is no error, but a name.

    Parameters
    ----------
    lattice, true : ndarray, shape (n, 2, 2)
        Rows g1, g2 of every pattern, [px].

    Returns
    -------
    ndarray, shape (n, 2, 2)
        NaN where the lattice is not the true one, to a quarter of a lattice vector.
    """
    result = np.full(lattice.shape, np.nan)
    usable = np.isfinite(lattice).all((1, 2))
    usable[usable] = np.abs(np.linalg.det(lattice[usable])) > 1e-9
    change = true[usable] @ np.linalg.inv(lattice[usable])
    whole = np.rint(change)
    whole[np.abs(change - whole).max((1, 2)) > 0.25] = np.nan
    result[usable] = whole @ lattice[usable]
    return result


def _part(measured: Measured, chosen: Flags) -> Measured:
    """The chosen patterns of a result; positions are not scored where every grain has its own indices."""
    std = None if measured.strain_std is None else measured.strain_std[chosen]
    return Measured(measured.lattice[chosen], None, std)


def _truth_part(truth: Truth, chosen: Flags) -> Truth:
    """The chosen patterns of a truth."""
    return replace(
        truth,
        lattice=truth.lattice[chosen],
        centre=truth.centre[chosen],
        reference=truth.reference[chosen],
    )
