"""Integrated centre of mass: the map whose slopes are the deflections; of whole maps, not of single patterns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from parscope.core.errors import ShapeError
from parscope.live.kernels.contract import Output

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Rounds in which what is unknown about holes is taken from the last answer; it is known to a thousandth after a few.
_ROUNDS = 12


def icom(com_y: Array, com_x: Array, mask: Mask | None = None) -> Array:
    """Map whose slopes fit the measured deflections best: phase contrast that reads like an image.

    The rows scanned so far are integrated together by least squares, without the assumption that the map repeats beyond
    its edges. About a hundredth of a second for 256 x 256 positions without holes, so that it can be done again
    ten times a second while a scan runs.

    Parameters
    ----------
    com_y, com_x : ndarray, shape (y, x)
        Deflection in the axes of the scan, [px] or [mrad]; NaN where it is not known yet, or never will be.
    mask : ndarray of bool, shape (y, x), optional
        True where the deflection is not to be used.

    Returns
    -------
    ndarray, shape (y, x)
        [px or mrad, times scan steps]; of mean 0, NaN where no deflection was given. Of positions without a connection
        only the mean slope joins them.

    Raises
    ------
    ShapeError
        If the arrays do not fit together.

    Examples
    --------
    >>> y, x = np.mgrid[:4, :5].astype(float)
    >>> image = icom(np.full((4, 5), 2.0), np.full((4, 5), 1.0))
    >>> bool(np.allclose(image, 2 * (y - 1.5) + (x - 2)))
    True
    """
    known = _known(com_y, com_x, mask)
    result = np.full(known.shape, np.nan)
    rows, columns = np.flatnonzero(known.any(1)), np.flatnonzero(known.any(0))
    if len(rows):
        part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        image = _integrated(com_y[part], com_x[part], known[part])
        here = known[part]
        result[part] = np.where(here, image - image[here].mean(), np.nan)
    return result


def integrated(kernel: str, com_y: Array, com_x: Array) -> Array:
    """Integral of what a kernel gave: of a centre of mass without its plane, which deflections do not have.

    Parameters
    ----------
    kernel : str
        ``dpc`` or ``com``.
    com_y, com_x : ndarray, shape (y, x)
        As of `icom`.

    Returns
    -------
    ndarray, shape (y, x)
        As of `icom`.

    Raises
    ------
    ShapeError
        If the arrays do not fit together.
    """
    return icom(*(without_plane(com_y, com_x) if kernel == "com" else (com_y, com_x)))


def pair_of(outputs: Sequence[Output]) -> tuple[str, int, int] | None:
    """Where the deflections (y, x) are among the outputs.

    Parameters
    ----------
    outputs : sequence of Output
        What is computed of a pattern.

    Returns
    -------
    tuple, optional
        Name of the kernel, the first of ``dpc`` and ``com``, and the columns of y and x; None if there are none.
    """
    at = {output.name: column for column, output in enumerate(outputs)}
    for name in ("dpc", "com"):
        if f"{name}.y" in at and f"{name}.x" in at:
            return name, at[f"{name}.y"], at[f"{name}.x"]
    return None


def without_plane(com_y: Array, com_x: Array, mask: Mask | None = None) -> tuple[Array, Array]:
    """Deflections without the plane that imperfect descan adds to them.

    Parameters
    ----------
    com_y, com_x : ndarray, shape (y, x)
        Deflection or centre of mass, [px] or [mrad]; NaN where it is not known.
    mask : ndarray of bool, shape (y, x), optional
        True where the specimen deflects, so that the plane is found from vacuum alone; default nowhere.

    Returns
    -------
    com_y, com_x : ndarray, shape (y, x)
        Less the plane of least squares each; less the mean where there are too few positions for a plane.

    Raises
    ------
    ShapeError
        If the arrays do not fit together.
    """
    known = _known(com_y, com_x, mask)
    y, x = np.nonzero(known)
    if not len(y):
        return com_y.copy(), com_x.copy()
    design = np.column_stack([np.ones(len(y)), y, x])
    if np.linalg.matrix_rank(design) < 3:
        design = design[:, :1]
    plane = np.linalg.lstsq(design, np.column_stack([com_y[known], com_x[known]]), rcond=None)[0]
    rows, columns = np.indices(known.shape)
    terms = np.stack([np.ones(known.shape), rows, columns], -1)[..., : len(plane)]
    return com_y - terms @ plane[:, 0], com_x - terms @ plane[:, 1]


def _known(com_y: Array, com_x: Array, mask: Mask | None) -> Mask:
    """Where a deflection is given."""
    if com_y.ndim != 2 or com_x.shape != com_y.shape or (mask is not None and mask.shape != com_y.shape):
        shapes = [com_y.shape, com_x.shape] + ([] if mask is None else [mask.shape])
        raise ShapeError(f"have the shapes {', '.join(map(str, shapes))}", "maps of the deflection", "give maps alike")
    known: Mask = np.isfinite(com_y) & np.isfinite(com_x)
    return known if mask is None else known & ~mask


def _integrated(com_y: Array, com_x: Array, known: Mask) -> Array:
    """Least squares over steps between neighbours; steps at holes as the answer before has them."""
    step_y, sure_y = _steps(com_y, known)
    turned_x, turned_sure = _steps(com_x.T, known.T)
    step_x, sure_x = turned_x.T, turned_sure.T
    image = _poisson(step_y, step_x)
    if not (sure_y.all() and sure_x.all()):
        for _ in range(_ROUNDS):
            step_y = np.where(sure_y, step_y, np.diff(image, axis=0))
            step_x = np.where(sure_x, step_x, np.diff(image, axis=1))
            image = _poisson(step_y, step_x)
    return image


def _steps(com: Array, known: Mask) -> tuple[Array, Mask]:
    """Steps from row to row, and where both rows are known; elsewhere the mean step, as a beginning."""
    sure = known[1:] & known[:-1]
    filled = np.where(known, com, 0.0)
    step = 0.5 * (filled[1:] + filled[:-1])
    return np.where(sure, step, step[sure].mean() if sure.any() else 0.0), sure


def _poisson(step_y: Array, step_x: Array) -> Array:
    """Map of mean 0 whose steps between neighbours are nearest to the given ones, in the cosine transform exact."""
    rows, columns = step_x.shape[0], step_y.shape[1]
    sources = -np.diff(np.pad(step_y, ((1, 1), (0, 0))), axis=0) - np.diff(np.pad(step_x, ((0, 0), (1, 1))), axis=1)
    values = [2 - 2 * np.cos(np.pi * np.arange(n) / n) for n in (rows, columns)]
    scale = values[0][:, None] + values[1]
    scale[0, 0] = 1.0
    spectrum = fft.dctn(sources, norm="ortho") / scale
    spectrum[0, 0] = 0.0
    return np.asarray(fft.idctn(spectrum, norm="ortho"))
