"""The lattice behind a set of points: all cells that differences of points suggest, judged by their likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parscope.techniques.diffraction.setup.moments import Array

STRONGEST = 22
VECTORS = 12
SURE = 60.0


@dataclass(frozen=True)
class Cell:
    """A lattice through points.

    Parameters
    ----------
    origin : ndarray, shape (2,)
        One lattice point (y, x), [px].
    basis : ndarray, shape (2, 2)
        Rows g1, g2, reduced and in canonical order, [px].
    evidence : float
        Log-likelihood over points strewn at random, [nats].
    """

    origin: Array
    basis: Array
    evidence: float


def find_cell(points: Array, weights: Array, tolerance: float, shortest: float) -> Cell | None:
    """Find the primitive lattice that explains points best.

    Every cell spanned by two frequent difference vectors is fitted to the points and judged: a point on the lattice
    earns the logarithm of how much better it is predicted than at random, and the positions of the lattice that
    stay empty cost what it takes to say which ones are filled. So cells too large miss points, cells too small
    predict too many empty positions, and weak or absent reflections are tolerated.

    Parameters
    ----------
    points : ndarray, shape (n, 2)
        Positions, strongest first, [px].
    weights : ndarray, shape (n,)
        Confidence in each point, 0 to 1.
    tolerance : float
        Standard deviation of the positions, [px].
    shortest : float
        Shortest lattice vector allowed, [px].

    Returns
    -------
    Cell or None
        None where no two independent vectors repeat.
    """
    if len(points) < 3:
        return None
    vectors = _frequent_vectors(points[:STRONGEST], weights[:STRONGEST], tolerance, shortest)
    if len(vectors) < 2:
        return None
    first, second = np.triu_indices(len(vectors), 1)
    bases = reduced(np.stack([vectors[first], vectors[second]], axis=1))
    area = np.abs(np.linalg.det(bases))
    longest = np.sqrt((bases**2).sum(axis=2)).max(axis=1)
    shortest_side = np.sqrt((bases**2).sum(axis=2)).min(axis=1)
    bases = _distinct(bases[(area > 0.4 * longest * shortest_side) & (shortest_side >= shortest)], tolerance)
    if len(bases) == 0:
        return None
    best: Cell | None = None
    for origin in points[:2]:
        origins, fitted, evidence = _judged(points, weights, origin, bases, tolerance)
        n = int(np.argmax(evidence))
        if best is None or evidence[n] > best.evidence + 1e-6:
            best = Cell(origins[n], fitted[n], float(evidence[n]))
        if best.evidence > SURE:
            break
    if best is None:
        return None
    return Cell(best.origin, canonical(best.basis), best.evidence)


def _distinct(bases: Array, tolerance: float) -> Array:
    """One of each set of reduced bases that agree but for sign and noise."""
    signed = np.concatenate([bases[:, 0], bases[:, 1]], axis=1)
    flip = np.where(signed[:, [0]] < 0, -1.0, 1.0), np.where(signed[:, [2]] < 0, -1.0, 1.0)
    rounded = np.concatenate([signed[:, :2] * flip[0], signed[:, 2:] * flip[1]], axis=1) / (2 * tolerance)
    _, first = np.unique(np.rint(rounded), axis=0, return_index=True)
    return np.asarray(bases[np.sort(first)])


def reduced(bases: Array) -> Array:
    """Shortest basis of each lattice (Lagrange-Gauss reduction), shape (n, 2, 2), rows by length."""
    bases = bases.copy()
    for _ in range(12):
        length = (bases**2).sum(axis=2)
        swap = length[:, 0] > length[:, 1]
        bases[swap] = bases[swap][:, ::-1]
        length = (bases**2).sum(axis=2)
        times = np.rint((bases[:, 0] * bases[:, 1]).sum(axis=1) / np.maximum(length[:, 0], 1e-12))
        if not times.any():
            break
        bases[:, 1] -= times[:, None] * bases[:, 0]
    return bases


def canonical(basis: Array) -> Array:
    """The one basis, of the many of a lattice, that is named g1, g2.

    g1 is the shortest vector (of those equal within 3 %, the one closest to +x); g2 the next that is independent,
    turned from +x towards +y with respect to g1, by 60 to 120 degrees; at 60 and 120 degrees alike, the one at 60.

    Parameters
    ----------
    basis : ndarray, shape (2, 2)
        Rows, order (y, x), [px].

    Returns
    -------
    ndarray, shape (2, 2)
    """
    a, b = reduced(basis[None])[0]
    if a @ b < 0:
        b = -b
    vectors = np.array([a, b, b - a, a + b])
    length = np.sqrt((vectors**2).sum(axis=1))
    near = vectors[length <= 1.03 * length.min()]
    near = np.concatenate([near, -near])
    first = near[np.argmin(np.abs(np.arctan2(near[:, 0], near[:, 1]) + 1e-6))]
    rest = np.concatenate([vectors, -vectors])
    turn = first[1] * rest[:, 0] - first[0] * rest[:, 1]
    rest = rest[turn > 0.5 * np.abs(np.linalg.det(basis))]
    size = np.sqrt((rest**2).sum(axis=1))
    rest = rest[size <= 1.03 * size.min()]
    second = rest[np.argmax(rest @ first)]
    return np.asarray(np.stack([first, second]), dtype=np.float64)


def _frequent_vectors(points: Array, weights: Array, tolerance: float, shortest: float) -> Array:
    """Differences of points that occur most often, averaged over their occurrences."""
    first, second = np.triu_indices(len(points), 1)
    vectors = points[second] - points[first]
    vectors = np.where((vectors[:, :1] < 0) | ((vectors[:, :1] == 0) & (vectors[:, 1:] < 0)), -vectors, vectors)
    weight = weights[first] * weights[second]
    long_enough = (vectors**2).sum(axis=1) >= shortest**2
    vectors, weight = vectors[long_enough], weight[long_enough]
    if len(vectors) == 0:
        return np.asarray(vectors, dtype=np.float64)
    y, x = vectors[:, 0], vectors[:, 1]
    near = (y[:, None] - y) ** 2 + (x[:, None] - x) ** 2 < (2.5 * tolerance) ** 2
    votes = near @ weight
    chosen: list[NDArray[np.float64]] = []
    alive = np.ones(len(vectors), dtype=bool)
    while len(chosen) < VECTORS and alive.any():
        n = int(np.argmax(np.where(alive, votes, -1.0)))
        group = near[n]
        chosen.append(np.average(vectors[group], axis=0, weights=weight[group] + 1e-9))
        alive &= ~group
    return np.array(chosen)


def _judged(points: Array, weights: Array, origin: Array, bases: Array, tolerance: float) -> tuple[Array, Array, Array]:
    """Fit each basis to the points, near ones first, and return origins, bases and evidence."""
    origins = np.repeat(origin[None], len(bases), axis=0)
    for reach in (1.6, 3.2, np.inf, np.inf):
        numbers, miss = _indexed(points, origins, bases)
        near = (np.abs(numbers) <= reach).all(axis=2)
        use = weights * near * (miss < (3 * tolerance) ** 2)
        origins, bases = _refitted(points, numbers, use, origins, bases)
    numbers, miss = _indexed(points, origins, bases)
    on = weights * (miss < (3 * tolerance) ** 2)
    filled = on.sum(axis=1)
    region = _region(points, weights)
    # the positions of the lattice within the region the points span
    expected = np.maximum(region / np.maximum(np.abs(np.linalg.det(bases)), 1.0), filled + 0.5)
    share = np.clip(filled / expected, 1e-3, 0.999)
    choice = -expected * (share * np.log(share) + (1 - share) * np.log(1 - share))
    gain = filled * np.log(region / (2 * np.pi * tolerance**2)) - (on * miss).sum(axis=1) / (2 * tolerance**2)
    parameters = 3 * np.log(max(region, 2.0))
    return origins, bases, gain - choice - parameters


def _region(points: Array, weights: Array) -> float:
    """Area of the circle about the centre of the points that holds nearly all of them, [px^2]."""
    middle = np.average(points, axis=0, weights=weights + 1e-9)
    distance = np.sqrt(((points - middle) ** 2).sum(axis=1))
    return float(np.pi * (np.quantile(distance, 0.95) + 1) ** 2)


def _indexed(points: Array, origins: Array, bases: Array) -> tuple[Array, Array]:
    """Nearest lattice numbers of every point for every basis and the squared distance from them, [px^2]."""
    inverse = np.linalg.inv(bases)
    fraction = (points[None] - origins[:, None]) @ inverse
    numbers = np.rint(fraction)
    miss: Array = np.square((fraction - numbers) @ bases).sum(axis=2)
    return numbers, miss


def _refitted(points: Array, numbers: Array, use: Array, origins: Array, bases: Array) -> tuple[Array, Array]:
    """Weighted least squares of origin and basis; a weak prior keeps what the points do not determine."""
    design = np.concatenate([np.ones((*numbers.shape[:2], 1)), numbers], axis=2)
    previous = np.concatenate([origins[:, None], bases], axis=1)
    weighted = design * use[..., None]
    normal = np.swapaxes(weighted, 1, 2) @ design + 1e-3 * np.eye(3)
    right = np.swapaxes(weighted, 1, 2) @ np.broadcast_to(points, (len(bases), *points.shape)) + 1e-3 * previous
    solution = np.linalg.solve(normal, right)
    return solution[:, 0], solution[:, 1:]
