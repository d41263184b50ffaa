"""Spots of the base patterns: where they are, and the lattice they are on."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from parscope.solvers.networks.cycle.warp import coordinates

Array = NDArray[np.float64]

# A spot has at least this part of the brightest one's height.
_FAINTEST = 0.2
# Where spots would be of which a base has fewer than another, [half sides]: outside of all patterns.
_NOWHERE = 10.0


def spots(bases: Tensor, mask: Tensor, radius: float) -> Tensor:
    """Centres of mass of the spots of bases.

    Parameters
    ----------
    bases : Tensor, shape (classes, 1, side, side)
        From the decoder.
    mask : Tensor, shape (1, 1, side, side)
        1 where spots are looked for, 0 elsewhere.
    radius : float
        Of a spot, [px].

    Returns
    -------
    Tensor, shape (classes, spots, 2)
        (x, y) from the centre, [half sides]; far outside where a base has fewer.
    """
    with torch.no_grad():
        reach = max(1, round(radius))
        smooth = functional.avg_pool2d(bases, 2 * reach + 1, 1, reach)
        smooth = (smooth - smooth.amin((2, 3), keepdim=True)) * mask
        highest = functional.max_pool2d(smooth, 2 * reach + 1, 1, reach) == smooth
        peak = highest & (smooth > _FAINTEST * smooth.amax((2, 3), keepdim=True))
        found = [_centres(base[0], places[0], radius) for base, places in zip(bases, peak, strict=True)]
    most = max(1, *(len(centres) for centres in found))
    padded = [functional.pad(centres, (0, 0, 0, most - len(centres)), value=_NOWHERE) for centres in found]
    return torch.stack(padded)


def _centres(base: Tensor, peaks: Tensor, radius: float) -> Tensor:
    """Centres of mass about peaks, one after the other, above the lowest pixel within the window."""
    grid = coordinates(base)
    reach, found = 1.5 * radius * 2 / base.shape[-1], []
    for centre in grid[peaks]:
        for _ in range(3):
            window = torch.linalg.norm(grid - centre, dim=2) < reach
            weight = base[window] - base[window].min()
            centre = (weight[:, None] * grid[window]).sum(0) / weight.sum().clamp(min=1e-12)
        found.append(centre)
    return torch.stack(found) if found else grid.new_empty((0, 2))


def lattice_of(centres: Array, reference: Array) -> tuple[Array, Array]:
    """Centre and affine map for which spots lie on a lattice, at any orientation.

    Parameters
    ----------
    centres : ndarray, shape (n, 2)
        Spots, (y, x), [px].
    reference : ndarray, shape (m, 2)
        Positions of the reference lattice relative to its centre, (y, x), [px].

    Returns
    -------
    centre : ndarray, shape (2,)
        (y, x), [px]; NaN where there is no such lattice.
    affine : ndarray, shape (2, 2)
        Map of the reference; NaN likewise.
    """
    spacing = np.sort(np.linalg.norm(reference, axis=1))[1]
    angles = np.deg2rad(np.arange(-180, 180))[np.argsort(np.abs(np.arange(-180, 180)), kind="stable")]
    maps = np.array([[[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]] for a in angles])
    far = [_nearest(centres, reference @ turn.T)[1] if len(centres) else np.zeros(0) for turn in maps]
    costs = np.array([np.minimum(distance, spacing / 4).sum() for distance in far])
    centre, affine = np.zeros(2), maps[int(np.argmin(costs.round(6)))]
    for _ in range(5):
        which, distance = _nearest(centres, centre + reference @ affine.T) if len(centres) else (np.zeros(0, int), [])
        near = np.asarray(distance) < spacing / 4
        design = np.concatenate([np.ones((near.sum(), 1)), reference[which[near]]], 1)
        if np.linalg.matrix_rank(design) < 3 or near.sum() < 5:
            return np.full(2, np.nan), np.full((2, 2), np.nan)
        fitted = np.linalg.lstsq(design, centres[near], rcond=None)[0]
        centre, affine = fitted[0], fitted[1:].T
    return centre, affine


def reduced(affine: Array, reference: Array) -> Array:
    """Of the maps onto the same lattice those nearest to none at all.

    Parameters
    ----------
    affine : ndarray, shape (n, 2, 2)
        Maps, (y, x) order.
    reference : ndarray, shape (m, 2)
        Positions of the lattice relative to its centre, (y, x), [px].

    Returns
    -------
    ndarray, shape (n, 2, 2)
    """
    shortest = reference[np.argsort(np.linalg.norm(reference, axis=1))][1:]
    first = shortest[0]
    turn = np.abs(first[0] * shortest[:, 1] - first[1] * shortest[:, 0])
    second = shortest[np.argmax(turn > 0.1 * first @ first)]
    basis = np.stack([first, second])
    order = np.arange(-1, 2)
    cells = np.stack(np.meshgrid(order, order, order, order, indexing="ij"), -1).reshape(-1, 2, 2)
    cells = cells[np.isclose(np.linalg.det(cells), 1)]
    every = affine[:, None] @ basis.T @ np.swapaxes(cells, 1, 2) @ np.linalg.inv(basis.T)
    best = np.square(every - np.eye(2)).sum((2, 3)).argmin(1)
    result: Array = every[np.arange(len(affine)), best]
    return result


def _nearest(points: Array, lattice: Array) -> tuple[NDArray[np.intp], Array]:
    """Nearest lattice point of each point, and its distance [px]."""
    distance = np.linalg.norm(points[:, None] - lattice, axis=2)
    return distance.argmin(1), distance.min(1)
