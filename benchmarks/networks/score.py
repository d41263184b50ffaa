"""Mean absolute errors of strain maps of polycrystals, as published, and of interiors and boundaries apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.networks.published_cycle import COMPONENTS
from benchmarks.strain.polycrystal import MIXED
from benchmarks.strain.score import Array, Truth, median, strain_between

REACH = 2


def matched(lattice: Array, truth: Array) -> Array:
    """Lattices (n, 2, 2) in the cell that is nearest to the true one: equal lattices have many names."""
    order = np.arange(-REACH, REACH + 1)
    cells = np.stack(np.meshgrid(order, order, order, order, indexing="ij"), -1).reshape(-1, 2, 2)
    cells = cells[np.abs(np.abs(np.linalg.det(cells)) - 1) < 1e-6]
    result = np.full_like(truth, np.nan)
    for k in np.flatnonzero(np.isfinite(lattice).all((1, 2))):
        every = cells @ lattice[k]
        result[k] = every[np.square(every - truth[k]).sum((1, 2)).argmin()]
    return result


def errors(lattice: Array, truth: Truth) -> Array:
    """Errors of e_xx, e_yy, e_xy [1] and rotation [deg], shape (n, 4), the reference region being zero in both."""
    own = matched(lattice, truth.lattice)
    error = strain_between(own, median(own[truth.reference])) - truth.strain
    return error * np.array([1.0, 1.0, 1.0, 180 / np.pi])


def scores(error: Array, share: NDArray[np.float64]) -> dict[str, float]:
    """Mean absolute errors where there is a value, and the parts without one.

    Parameters
    ----------
    error : ndarray, shape (n, 4)
        As from `errors`.
    share : ndarray, shape (n,)
        Share of a second grain, [1].

    Returns
    -------
    dict of float
        ``e_xx_all``, ``e_xx_interior``, ``e_xx_boundary``, ...; ``missing_all``, ..., all in [1] but for the rotation.
    """
    found = {}
    fitted = np.isfinite(error).all(1)
    for place, here in {"all": share >= 0, "interior": share == 0, "boundary": share > MIXED}.items():
        seen = here & fitted
        found[f"missing_{place}"] = float(1 - seen.sum() / max(here.sum(), 1))
        for k, part in enumerate(COMPONENTS):
            found[f"{part}_{place}"] = float(np.abs(error[seen, k]).mean()) if seen.any() else float("nan")
    return found
