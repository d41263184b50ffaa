"""How well a parameter can be known at all: the Cramér-Rao bound, and how errors pass on to derived quantities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.physics import Parameter, Physics
from parscope.core.separable import Separable

Array = NDArray[np.float64]
# Central differences lose the fewest digits where the step is the cube root of the precision.
_STEP = float(np.finfo(np.float64).eps ** (1 / 3))


def cramer_rao(physics: Physics, theta: Array, noise: float) -> Array:
    """Smallest covariance that any unbiased estimate can have.

    Parameters
    ----------
    physics : Physics
        What makes the signal.
    theta : ndarray, shape (n, k)
        Parameters in the order and units of the physics.
    noise : float
        Standard deviation of each real sample, or of real and imaginary part each, in the unit of the signal; for
        Poisson noise the counts that one unit of the signal stands for, to the power -1/2, [1].

    Returns
    -------
    ndarray, shape (n, k, k)
        Covariance; infinite where the signal does not tell the parameters apart.

    Notes
    -----
    Cramér, Mathematical Methods of Statistics (1946), and Rao, doi:10.1007/978-1-4612-0919-5_16.
    """
    slope = _real(jacobian(physics.render, theta, physics.parameters))
    if physics.noise == "poisson":
        mean = physics.render(theta).reshape(len(theta), -1, 1)
        slope = slope / np.sqrt(np.maximum(mean, np.finfo(np.float64).tiny))
    information = slope.transpose(0, 2, 1) @ slope
    scale = np.sqrt(np.diagonal(information, axis1=1, axis2=2))
    unit = scale[:, :, None] * scale[:, None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        singular = ~(np.linalg.cond(np.nan_to_num(information / unit)) < 1 / np.finfo(np.float64).eps)
        information[singular] = np.eye(theta.shape[1])
        unit[singular] = 1.0
        covariance: Array = np.linalg.inv(information / unit) / unit * noise**2
    covariance[singular] = np.inf
    return covariance


def propagate(physics: Separable, theta: Array, covariance: Array) -> tuple[Array, Array]:
    """Derived quantities and their standard errors, to first order (the delta method).

    Parameters
    ----------
    physics : Separable
        What derives the quantities.
    theta : ndarray, shape (n, k)
        Parameters; NaN where there are none.
    covariance : ndarray, shape (n, k, k)
        Their covariance.

    Returns
    -------
    value : ndarray, shape (n, q)
        In the order and units of ``physics.quantities``.
    std : ndarray, shape (n, q)
        Standard errors, in the same units.
    """
    slope = jacobian(physics.derive, theta, physics.parameters, physics.quantities)
    variance = np.einsum("nqj,njk,nqk->nq", slope, covariance, slope)
    return physics.derive(theta), np.sqrt(np.maximum(variance, 0.0))


def jacobian(
    function: Callable[[Array], NDArray[Any]],
    theta: Array,
    parameters: tuple[Parameter, ...],
    values: tuple[Parameter, ...] = (),
) -> NDArray[Any]:
    """Derivative of a function of the parameters, by central differences.

    Parameters
    ----------
    function : callable
        From (n, k) to (n, ...).
    theta : ndarray, shape (n, k)
        Where.
    parameters : tuple of Parameter
        What the k columns of `theta` are; bounds are not exceeded by more than a millionth of a parameter.
    values : tuple of Parameter, optional
        What the function returns, where some of it is circular.

    Returns
    -------
    ndarray, shape (n, ..., k)
    """
    size = np.sqrt(np.mean(np.square(theta), axis=0)) if len(theta) else np.ones(theta.shape[1])
    slopes = []
    for j, parameter in enumerate(parameters):
        spread = min(abs(parameter.upper - parameter.lower), 1e300)
        floor = size[j] if np.isfinite(size[j]) and size[j] > 0 else min(spread, 1.0)
        step = _STEP * np.maximum(np.abs(theta[:, j]), floor)
        up, down = theta.copy(), theta.copy()
        up[:, j] += step
        down[:, j] -= step
        change = function(up) - function(down)
        for q, value in enumerate(values):
            if value.kind == "circular":
                change[:, q] = np.remainder(change[:, q] + np.pi, 2 * np.pi) - np.pi
        width = up[:, j] - down[:, j]
        slopes.append(change / width.reshape(-1, *[1] * (change.ndim - 1)))
    return np.stack(slopes, axis=-1)


def _real(slope: NDArray[Any]) -> Array:
    """Samples of all axes in one row, real parts before imaginary ones."""
    flat = slope.reshape(len(slope), -1, slope.shape[-1])
    return np.concatenate([flat.real, flat.imag], axis=1) if np.iscomplexobj(flat) else np.asarray(flat, np.float64)
