"""Weighted least squares of disks on a lattice to one pattern, all that shapes them free at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import expm
from scipy.special import ndtr

from parscope.core.errors import NoLatticeError
from parscope.techniques.diffraction.setup.moments import Array
from parscope.techniques.diffraction.setup.pixels import Mask

# centre y, x; g1 y, x; g2 y, x; radius; edge; spread; stretch along y; stretch along the diagonal; floor
GEOMETRY = (0, 1, 2, 3, 4, 5)
CENTRE, RADIUS, EDGE, SPREAD, STRETCH, FLOOR = (0, 1), 6, 7, 8, (9, 10), 11
SHARED = 12
SMALLEST_EDGE = 0.15
LIKELY_CONTRAST = 0.3


@dataclass(frozen=True)
class Disks:
    """Disks of one probe on a lattice, as the mean pattern of a scan shows them.

    Parameters
    ----------
    shared : ndarray, shape (12,)
        Centre, g1, g2 (y, x each), radius, edge, [px]; square of the relative spread of the lattice over the scan,
        which softens outer disks, [1]; two logarithmic stretches of the detector, [1]; floor, [counts].
    indices : ndarray of int, shape (n, 2)
        Miller indices.
    amplitude : ndarray, shape (n,)
        Counts per pixel inside.
    uneven : ndarray, shape (n, m), optional
        Counts per pixel that vary inside, where the fit allowed them: coefficients of the polynomials of the position
        in radii, 2 for a ramp, 5 with the squares, 9 with the cubes.
    """

    shared: Array
    indices: NDArray[np.int64]
    amplitude: Array
    uneven: Array | None = None

    @property
    def centre(self) -> Array:
        """Pattern centre (y, x), [px]."""
        return np.asarray(self.shared[0:2], dtype=np.float64)

    @property
    def basis(self) -> Array:
        """Rows g1, g2, [px]."""
        return self.shared[2:6].reshape(2, 2)

    @property
    def distortion(self) -> Array:
        """Symmetric matrix of determinant 1 from ideal to detector positions."""
        a, b = self.shared[list(STRETCH)]
        return np.asarray(expm(np.array([[a, b], [b, -a]])), dtype=np.float64)

    @property
    def positions(self) -> Array:
        """Disk centres, shape (n, 2), [px]."""
        return np.asarray(self.centre + self.indices @ self.basis, dtype=np.float64)

    def edges(self) -> Array:
        """Edge of each disk, softened with its distance from the centre, [px]."""
        q2 = np.sum((self.indices @ self.basis) ** 2, axis=1)
        return np.asarray(np.sqrt(self.shared[EDGE] ** 2 + self.shared[SPREAD] * q2), dtype=np.float64)


def disks(
    centre: Array, basis: Array, indices: NDArray[np.int64], radius: float, edge: float, spread: float = 0.0
) -> Disks:
    """Round disks of unknown amplitude (0) at given places."""
    shared = np.array([*centre, *np.ravel(basis), radius, edge, spread, 0.0, 0.0, 0.0])
    return Disks(shared, np.asarray(indices, dtype=np.int64), np.zeros(len(indices)))


@dataclass(frozen=True)
class Fit:
    """Result of `fit_disks`: the disks, the standard errors of `shared` and the mean squared weighted residual."""

    disks: Disks
    std: Array
    amplitude_std: Array
    misfit: float


def fit_disks(image: Array, variance: Array, valid: Mask, start: Disks, free: tuple[int, ...], steps: int = 8) -> Fit:
    """Fit amplitudes, contrast inside if the start has it, and `free` shared numbers to a pattern less its background.

    Parameters
    ----------
    image : ndarray, shape (q_y, q_x)
        Pattern less its background, [counts].
    variance : ndarray, shape (q_y, q_x)
        Of `image`, [counts^2].
    valid : ndarray of bool, shape (q_y, q_x)
        Pixels to use.
    start : Disks
        Start; shared numbers not in `free` stay.
    free : tuple of int
        Positions in `Disks.shared` to fit.
    steps : int, default 8
        Most Gauss-Newton steps.

    Returns
    -------
    Fit

    Raises
    ------
    NoLatticeError
        If no valid pixel lies under the disks.
    """
    box, corner = _box(start, image.shape)
    image, variance, valid = image[box], variance[box], valid[box]
    current = _linear(image, variance, valid, _displaced(start, -corner))
    for _ in range(steps):
        normal, right, _ = _normal(image, variance, valid, current)
        move = _solve(normal, right, free)
        current, size = _moved(current, move)
        if size < 2e-3:
            break
    normal, right, misfit = _normal(image, variance, valid, current)
    keep = [*free, *range(SHARED, len(right))]
    inverse = np.linalg.pinv(_regular(normal[np.ix_(keep, keep)]))
    std = np.full(len(right), np.nan)
    std[keep] = np.sqrt(np.clip(np.diag(inverse), 0, None) * max(misfit, 1.0))
    return Fit(_displaced(current, corner), std[:SHARED], std[SHARED : SHARED + len(start.indices)], misfit)


def render(model: Disks, shape: tuple[int, ...]) -> Array:
    """Expected counts of the disks and their floor, shape `shape`."""
    result = np.full(shape[0] * shape[1], model.shared[FLOOR])
    for n, (pixels, value, _, inside) in enumerate(_windows(model, shape)):
        result[pixels] += model.amplitude[n] * value
        if model.uneven is not None:
            result[pixels] += inside @ model.uneven[n]
    return result.reshape(shape)


def _box(model: Disks, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], Array]:
    """Part of the detector that the disks reach, and its corner (y, x), [px]."""
    reach = 1.05 * model.shared[RADIUS] + 4 * model.edges().max() + 8
    low = np.maximum(np.floor(model.positions.min(axis=0) - reach), 0).astype(int)
    high = np.minimum(np.ceil(model.positions.max(axis=0) + reach).astype(int) + 1, shape)
    return (slice(low[0], high[0]), slice(low[1], high[1])), low.astype(np.float64)


def _displaced(model: Disks, by: Array) -> Disks:
    """The same disks with the origin moved."""
    shared = model.shared.copy()
    shared[:2] += by
    return replace(model, shared=shared)


def _linear(image: Array, variance: Array, valid: Mask, start: Disks) -> Disks:
    """Amplitudes alone, geometry held."""
    empty = replace(start, amplitude=np.zeros(len(start.indices)), uneven=None)
    normal, right, _ = _normal(image, variance, valid, empty)
    part = normal[SHARED:, SHARED:]
    amplitude = np.linalg.solve(_regular(part), right[SHARED:])
    return replace(start, amplitude=np.maximum(amplitude, 0.0))


def _regular(normal: Array) -> Array:
    """Normal matrix with a ridge far below its diagonal, so that what the data say nothing of stays put."""
    diagonal = np.diag(normal)
    return np.asarray(normal + np.diag(np.where(diagonal > 0, 1e-9 * diagonal, 1.0)))


def _solve(normal: Array, right: Array, free: tuple[int, ...]) -> Array:
    """Step of the free numbers and all amplitudes."""
    keep = [*free, *range(SHARED, len(right))]
    move = np.zeros(len(right))
    move[keep] = np.linalg.solve(_regular(normal[np.ix_(keep, keep)]), right[keep])
    return move


def _moved(model: Disks, move: Array) -> tuple[Disks, float]:
    """Model after a step, shortened to where the linearisation holds; and the size of the step, [px]."""
    reach = np.max(np.abs(model.indices), initial=1)
    size = max(
        float(np.abs(move[list(CENTRE)]).max()), float(np.abs(move[2:6]).max() * reach), float(np.abs(move[6:8]).max())
    )
    limit = 1.2 * model.shared[EDGE] + 0.3
    factor = min(1.0, limit / size) if size > 0 else 1.0
    shared = model.shared + factor * move[:SHARED]
    shared[RADIUS] = max(shared[RADIUS], 0.3)
    shared[EDGE] = np.clip(shared[EDGE], SMALLEST_EDGE, max(3.0, 0.5 * shared[RADIUS]))
    shared[SPREAD] = np.clip(shared[SPREAD], 0.0, 0.05**2)
    count = len(model.indices)
    amplitude = np.maximum(model.amplitude + factor * move[SHARED : SHARED + count], 0.0)
    uneven = None
    if model.uneven is not None:
        uneven = model.uneven + factor * move[SHARED + count :].reshape(model.uneven.shape)
        uneven = np.clip(uneven, -amplitude[:, None], amplitude[:, None])
    return Disks(shared, model.indices, amplitude, uneven), factor * size


def _windows(model: Disks, shape: tuple[int, ...]) -> list[tuple[NDArray[np.int64], Array, Array, Array]]:
    """For each disk: its pixels (flat), the template there, its derivatives by the 12 shared numbers, its contrast."""
    inverse = np.asarray(np.linalg.inv(model.distortion), dtype=np.float64)
    edges, positions = model.edges(), model.positions
    offsets = model.indices @ model.basis
    result = []
    for n in range(len(model.indices)):
        half = int(np.ceil(model.shared[RADIUS] * 1.05 + 3.5 * edges[n] + 1))
        middle = np.rint(positions[n]).astype(int)
        y = np.arange(max(middle[0] - half, 0), min(middle[0] + half + 1, shape[0]))
        x = np.arange(max(middle[1] - half, 0), min(middle[1] + half + 1, shape[1]))
        pixels = (y[:, None] * shape[1] + x[None, :]).ravel()
        grid = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 2) - positions[n]
        value, slopes = _template(grid @ inverse.T, inverse, model.shared, float(edges[n]))
        shared = np.zeros((len(pixels), SHARED))
        shared[:, 0:2] = slopes[:, 0:2]
        shared[:, 2:4] = model.indices[n, 0] * slopes[:, 0:2]
        shared[:, 4:6] = model.indices[n, 1] * slopes[:, 0:2]
        shared[:, RADIUS] = slopes[:, 2]
        shared[:, EDGE] = slopes[:, 3] * model.shared[EDGE] / edges[n]
        shared[:, SPREAD] = slopes[:, 3] * float(offsets[n] @ offsets[n]) / (2 * edges[n])
        shared[:, list(STRETCH)] = slopes[:, 4:6]
        inside = np.zeros((len(pixels), 0))
        if model.uneven is not None:
            inside = _powers(grid / model.shared[RADIUS], model.uneven.shape[1]) * value[:, None]
        result.append((pixels, value, shared, inside))
    return result


def _powers(u: Array, count: int) -> Array:
    """The first `count` products of the coordinates `u` (n, 2), in order of their degree, less the constant."""
    y, x = u.T
    return np.stack([y, x, y * y, y * x, x * x, y**3, y * y * x, y * x * x, x**3][:count], axis=1)


def _template(u: Array, inverse: Array, shared: Array, edge: float) -> tuple[Array, Array]:
    """Disk and its derivatives by position y, x, radius, edge and the two stretches, at undistorted offsets `u`."""
    r = np.sqrt(np.sum(u * u, axis=1)) + 1e-9
    s = (r - shared[RADIUS]) / edge
    bell = np.exp(-0.5 * s * s) / np.sqrt(2 * np.pi) / edge
    along = (bell / r)[:, None]
    stretch = np.stack([u[:, 0] ** 2 - u[:, 1] ** 2, 2 * u[:, 0] * u[:, 1]], axis=1)
    slopes = np.concatenate([along * (u @ inverse), bell[:, None], (bell * s)[:, None], along * stretch], axis=1)
    return ndtr(-s), slopes


def _normal(image: Array, variance: Array, valid: Mask, model: Disks) -> tuple[Array, Array, float]:
    """Normal matrix, right-hand side and misfit over the pixels under the disks, shared numbers first."""
    windows = _windows(model, image.shape)
    used = np.zeros(image.size, dtype=bool)
    shared, expected = np.zeros((image.size, SHARED)), np.full(image.size, model.shared[FLOOR])
    for n, (pixels, value, slopes, inside) in enumerate(windows):
        used[pixels] = True
        expected[pixels] += model.amplitude[n] * value
        if model.uneven is not None:
            expected[pixels] += inside @ model.uneven[n]
        shared[pixels] += model.amplitude[n] * slopes
    used &= valid.ravel()
    if not used.any():
        raise NoLatticeError("have no usable pixel under the disks", "patterns", "check the mask")
    shared[:, FLOOR] = 1.0
    weight = used / variance.ravel()
    columns = _columns(windows, image.size)
    weighted = columns.multiply(weight[:, None]).tocsc()
    residual = np.where(used, image.ravel() - expected, 0.0)
    cross = (weighted.T @ shared).T
    normal = np.block([[shared.T @ (shared * weight[:, None]), cross], [cross.T, (columns.T @ weighted).toarray()]])
    right = np.concatenate([shared.T @ (weight * residual), weighted.T @ residual])
    if model.uneven is not None:
        part = slice(SHARED + len(model.indices), None)
        likely = np.maximum(LIKELY_CONTRAST * model.amplitude, 1e-12 + 1e-3 * model.amplitude.max())
        prior = np.repeat(likely**-2.0, model.uneven.shape[1])
        normal[part, part] += np.diag(prior)
        right[part] -= prior * model.uneven.ravel()
    misfit = float((weight * residual**2).sum() / max(int(used.sum()), 1))
    return normal, right, misfit


def _columns(windows: list[tuple[NDArray[np.int64], Array, Array, Array]], size: int) -> Any:
    """Sparse columns of the linear numbers: every template, then the contrast inside each if wanted."""
    extra = [(w[0], column) for w in windows for column in w[3].T]
    pixels = [w[0] for w in windows] + [e[0] for e in extra]
    values = [w[1] for w in windows] + [e[1] for e in extra]
    ends = np.cumsum([0, *(len(p) for p in pixels)])
    return sparse.csc_matrix((np.concatenate(values), np.concatenate(pixels), ends), shape=(size, len(pixels)))
