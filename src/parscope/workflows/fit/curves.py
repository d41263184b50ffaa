"""Spectra beside their fits, with the error of every curve: what a person looks at to believe a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.bound import jacobian
from parscope.core.errors import UnreadableError
from parscope.core.solver import Estimate, Status
from parscope.core.spectra import Spectra
from parscope.solvers.prior import Local
from parscope.workflows.fit.block import Plan, Position

# How many are kept of the spectra that have a value, and of those that have none.
_WORST, _WITHOUT = 6, 3


@dataclass(frozen=True)
class Curves:
    """A few spectra with their fits.

    Parameters
    ----------
    samples : ndarray, shape (n, bins)
        Measured spectra; NaN where the file cannot be read.
    fit : ndarray, shape (n, bins)
        Fits, of the type of the samples; NaN where there is none.
    slope : ndarray, shape (n, bins, k)
        Derivatives of the fits with respect to the parameters.
    estimate : Estimate
        What was fitted.
    """

    samples: NDArray[Any]
    fit: NDArray[Any]
    slope: NDArray[Any]
    estimate: Estimate

    def std(self, turn: NDArray[Any] | complex = 1.0) -> NDArray[np.float64]:
        """Standard error of the real part of the fits times a factor, to first order.

        Parameters
        ----------
        turn : ndarray of shape (n, bins), or complex, default 1
            The factor: -1j for the imaginary part.

        Returns
        -------
        ndarray, shape (n, bins)
            In the unit of the samples times that of the factor.
        """
        slope = (np.broadcast_to(turn, self.fit.shape)[..., None] * self.slope).real
        variance = np.einsum("nbj,njk,nbk->nb", slope, self.estimate.covariance, slope)
        return np.asarray(np.sqrt(np.maximum(variance, 0.0)))


def fit_curves(plan: Plan, signals: NDArray[Any], local: Local | None = None) -> Curves:
    """Fit a few spectra as the job does, and keep the curves.

    Parameters
    ----------
    plan : Plan
        What was decided before the fit.
    signals : ndarray, shape (n, bins)
        Measured spectra.
    local : tuple of ndarray, shape (n, k), optional
        What their neighbours tell of them, see `Plan.told`.

    Returns
    -------
    Curves
    """
    estimate = plan.estimate(signals, local)
    physics = plan.physics
    good = np.isfinite(estimate.theta).all(axis=1)
    theta = estimate.theta[good]
    fit = np.full(signals.shape, np.nan, np.complex128 if physics.complex else np.float64)
    slope = np.full((*signals.shape, estimate.theta.shape[1]), np.nan, fit.dtype)
    if good.any():
        fit[good], slope[good] = physics.render(theta), jacobian(physics.render, theta, physics.parameters)
    return Curves(signals, fit, slope, estimate)


def read_spectra(spectra: Spectra, positions: Sequence[Position]) -> NDArray[Any]:
    """Read single spectra.

    Parameters
    ----------
    spectra : Spectra
        Of any navigation shape.
    positions : sequence of tuple of int
        Indices on the navigation axes.

    Returns
    -------
    ndarray, shape (n, bins)
        NaN where the file cannot be read.
    """
    kind = np.result_type(spectra.data.dtype, np.float32)
    signals = np.full((len(positions), spectra.axis.size), np.nan, kind)
    for n, position in enumerate(positions):
        try:
            signals[n] = spectra.data[position]
        except UnreadableError:
            continue
    return signals


def quantity(spectra: Spectra) -> str:
    """What the samples are, as the file says, such as ``log J``; else ``response``.

    Parameters
    ----------
    spectra : Spectra
        As they were opened.

    Returns
    -------
    str
    """
    return str(spectra.metadata.get("quantity") or "response")


def worst_spectra(plan: Plan, found: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The spectra that the model explains least, and some of those without a value, as variables of a data set.

    Parameters
    ----------
    plan : Plan
        What was fitted.
    found : mapping of ndarray
        From `fit_block`, for all spectra.

    Returns
    -------
    dict
        Samples ``worst_spectrum``, ``worst_fit`` and its standard error ``worst_fit_std`` on (worst, spectral axis),
        complex ones as real (``_re``) and imaginary part (``_im``); position and status of each.
    """
    positions = _choose(plan, found)
    curves = fit_curves(plan, read_spectra(plan.spectra, positions), plan.told(positions))
    axis = plan.spectra.axis
    dimensions = ("worst", axis.name)
    turns = {"_re": 1.0 + 0j, "_im": -1j} if plan.physics.complex else {"": 1.0 + 0j}
    variables: dict[str, Any] = {}
    for part, turn in turns.items():
        drawn = {
            f"worst_spectrum{part}": (turn * curves.samples).real,
            f"worst_fit{part}": (turn * curves.fit).real,
            f"worst_fit{part}_std": curves.std(turn),
        }
        for name, values in drawn.items():
            said = {"units": plan.spectra.unit, "quantity": quantity(plan.spectra)}
            variables[name] = (dimensions, values.astype(np.float32), said)
    at = np.array(positions, np.int64).reshape(-1, len(plan.spectra.navigation_shape))
    for n, navigation in enumerate(plan.spectra.axes[:-1]):
        variables[f"worst_{navigation.name}"] = ("worst", at[:, n], {"long_name": f"index on {navigation.name}"})
    variables["worst_status"] = ("worst", curves.estimate.status)
    return variables


def _choose(plan: Plan, found: Mapping[str, NDArray[Any]]) -> list[Position]:
    """Where the largest misfits are, those that have a value first."""
    misfit = found["misfit"].ravel()
    valued = np.isfinite(found["value"][..., 0]).ravel()
    lost = ~valued & (found["status"].ravel() != Status.UNREADABLE)
    chosen = []
    for candidates, most in ((valued, _WORST), (lost, _WITHOUT)):
        which = np.flatnonzero(candidates)
        # NaN comes last in the order of arguments.
        chosen += which[np.argsort(-misfit[which], kind="stable")[:most]].tolist()
    shape = plan.spectra.navigation_shape
    return [tuple(int(i) for i in np.unravel_index(n, shape)) for n in chosen]
