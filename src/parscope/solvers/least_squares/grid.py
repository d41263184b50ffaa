"""Where a global search looks: nodes over the non-linear parameters, as dense as the Cramér-Rao bound asks for.

Between two nodes a signal loses part of the energy that its best template explains. Lost energy is, to second order,
the squared distance in units of the bound (Owen, doi:10.1103/PhysRevD.53.6749): equal loss is equal spacing in
standard errors, and needs no knowledge of the technique.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from parscope.core.physics import Parameter

Array = NDArray[np.float64]

# Points a bin at which the density along the first parameter, and in all at which that along the others is looked at.
_PER_BIN, _ALONG = 3, 48
# Derivatives of templates are differences over this share of the range of a parameter.
_DIFFERENCE = 1e-4
# More templates than these cost more than the search that they save.
_MOST = 20_000
_COARSER = 1.3
# Values of the other parameters at which the density along one is looked at: the densest counts.
_ELSEWHERE = (0.15, 0.5, 0.85)


class Basis(Protocol):
    """What a search needs to know of a physics: its non-linear parameters and the columns of its factors."""

    @property
    def axis(self) -> Array:
        """Positions of the samples, shape (bins,)."""

    @property
    def nonlinear(self) -> tuple[Parameter, ...]:
        """Parameters that are searched."""

    @property
    def complex(self) -> bool:
        """Whether columns are complex."""

    def basis(self, theta: Any, /) -> tuple[Any, ...]:
        """Columns at parameters, shape (n, k)."""


@dataclass(frozen=True)
class Grid:
    """Nodes (t, k) of what is searched, the volume each stands for, and lost energy per squared distance (t, k)."""

    nodes: Array
    volume: Array
    metric: Array


def lay_out(physics: Basis, lower: Array, upper: Array, moving: NDArray[np.int64], loss: float) -> Grid:
    """Nodes between which a signal loses at most a given share of its energy, along each parameter.

    Parameters
    ----------
    physics : Basis
        Declares the columns.
    lower, upper : ndarray, shape (k,)
        Range of what is searched.
    moving : ndarray, shape (m,)
        Columns that depend on what is searched.
    loss : float
        Largest loss half-way between two nodes, [1].

    Returns
    -------
    Grid
        Coarser than asked for where it would be too large.
    """
    while True:
        grid = _nest(physics, lower, upper, moving, loss)
        if len(grid.nodes) <= _MOST:
            return grid
        loss *= _COARSER


def _nest(physics: Basis, lower: Array, upper: Array, moving: NDArray[np.int64], loss: float) -> Grid:
    """Nodes along the last parameter; at each of them along the one before; and so on."""
    count = len(lower)
    nodes, volume = np.empty((1, 0)), np.ones(1)
    for j in reversed(range(count)):
        rows, volumes = [], []
        for later, size in zip(nodes, volume, strict=True):
            place, width = _along(physics, lower, upper, moving, (j, later, loss))
            rows.append(np.concatenate([place[:, None], np.broadcast_to(later, (len(place), len(later)))], axis=1))
            volumes.append(width * size)
        nodes, volume = np.concatenate(rows), np.concatenate(volumes)
        if len(nodes) > _MOST:
            break
    if nodes.shape[1] < count:
        return Grid(np.zeros((_MOST + 1, count)), np.ones(_MOST + 1), np.ones((_MOST + 1, count)))
    metric = np.empty(nodes.shape)
    for j in range(count):
        metric[:, j] = density(physics, nodes, moving, j, upper[j] - lower[j])
    return Grid(nodes, volume, metric)


def _along(
    physics: Basis, lower: Array, upper: Array, moving: NDArray[np.int64], where: tuple[int, Array, float]
) -> tuple[Array, Array]:
    """Nodes along one parameter, and the length each stands for, given the later parameters."""
    j, later, loss = where
    number = max(_PER_BIN * len(physics.axis), _ALONG) if j == 0 else _ALONG
    edges = np.linspace(lower[j], upper[j], number + 1)
    middle = 0.5 * (edges[1:] + edges[:-1])
    densest = np.zeros(number)
    for share in _ELSEWHERE if j else (0.5,):
        points = np.empty((number, len(lower)))
        points[:, :j] = (lower + share * (upper - lower))[:j]
        points[:, j] = middle
        points[:, j + 1 :] = later
        densest = np.maximum(densest, density(physics, points, moving, j, upper[j] - lower[j]))
    length = np.concatenate([[0.0], np.cumsum(np.sqrt(densest) * np.diff(edges))])
    count = max(int(np.ceil(length[-1] / np.sqrt(4 * loss))), 1)
    if length[-1] == 0:
        length = edges - edges[0]
    bounds = np.interp(np.linspace(0, length[-1], count + 1), length, edges)
    centre = np.interp((np.arange(count) + 0.5) / count * length[-1], length, edges)
    return centre, np.diff(bounds)


def density(physics: Basis, points: Array, moving: NDArray[np.int64], j: int, span: float) -> Array:
    """Energy lost per squared distance along parameter `j`, averaged over the factors.

    Parameters
    ----------
    physics : Basis
        Declares the columns.
    points : ndarray, shape (n, k)
        Where, in terms of what is searched.
    moving : ndarray, shape (m,)
        Columns that depend on what is searched.
    j : int
        Which parameter.
    span : float
        Its range, in the `unit` of what is searched.

    Returns
    -------
    ndarray, shape (n,)
    """
    step = _DIFFERENCE * span
    up, down = points.copy(), points.copy()
    up[:, j] += step / 2
    down[:, j] -= step / 2
    overlap = templates(physics, up, moving).conj().transpose(0, 2, 1) @ templates(physics, down, moving)
    lost = 1 - np.mean(np.sum(np.abs(overlap) ** 2, axis=1), axis=1)
    return np.asarray(np.maximum(lost, 0.0) / step**2)


def parameters(physics: Basis, searched: Array) -> Array:
    """Non-linear parameters from what is searched, which is the logarithm for those of kind ``log``.

    Parameters
    ----------
    physics : Basis
        Declares the parameters.
    searched : ndarray, shape (n, k)
        What is searched.

    Returns
    -------
    ndarray, shape (n, k)
    """
    logarithmic = [p.kind == "log" for p in physics.nonlinear]
    return np.where(logarithmic, np.exp(np.where(logarithmic, searched, 0.0)), searched)


def stack(physics: Basis, searched: Array) -> NDArray[np.number]:
    """Columns of the physics, shape (n, bins, m).

    Parameters
    ----------
    physics : Basis
        Declares the columns.
    searched : ndarray, shape (n, k)
        What is searched.

    Returns
    -------
    ndarray, shape (n, bins, m)
    """
    columns = np.stack(physics.basis(parameters(physics, searched)), axis=-1)
    return columns.astype(np.complex128) if physics.complex else columns


def templates(physics: Basis, searched: Array, moving: NDArray[np.int64]) -> NDArray[np.number]:
    """Orthonormal templates that span the moving columns, less what the constant ones explain.

    Parameters
    ----------
    physics : Basis
        Declares the columns.
    searched : ndarray, shape (n, k)
        What is searched.
    moving : ndarray, shape (m,)
        Columns that depend on it.

    Returns
    -------
    ndarray, shape (n, bins, m)
    """
    columns = stack(physics, searched)
    moved = columns[:, :, moving]
    flat = still(physics, moving)
    if flat.size:
        moved = moved - flat @ (flat.conj().transpose(0, 2, 1) @ moved)
    if len(moving) == 1:
        return np.asarray(moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-300))
    return np.linalg.qr(moved)[0]


def still(physics: Basis, moving: NDArray[np.int64]) -> NDArray[np.number]:
    """Orthonormal templates that span the constant columns, shape (1, bins, m).

    Parameters
    ----------
    physics : Basis
        Declares the columns.
    moving : ndarray, shape (m,)
        Columns that are not constant.

    Returns
    -------
    ndarray, shape (1, bins, m)
    """
    anywhere = np.array([[0.5 * (p.lower + p.upper) for p in physics.nonlinear]])
    columns = np.stack(physics.basis(anywhere), axis=-1)
    return np.linalg.qr(np.delete(columns, moving, axis=2))[0]
