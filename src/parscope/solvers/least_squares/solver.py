"""Least squares for separable physics: a bank of templates, a compiled search, and a verdict on each signal."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import ShapeError
from parscope.core.separable import Separable
from parscope.core.solver import Estimate, Status
from parscope.solvers.least_squares.bank import Bank, Taken, as_filters, take
from parscope.solvers.least_squares.generate import generate
from parscope.solvers.least_squares.grid import Grid, lay_out, still
from parscope.solvers.least_squares.judge import Verdict, solve, to_units
from parscope.solvers.least_squares.layout import Model, Prior
from parscope.solvers.least_squares.posterior import Posterior

Array = NDArray[np.float64]

# Share of the energy of a signal that may be lost half-way between two templates: for the start of a search, and for a
# posterior, whose width at the gate is then that of a cell.
_LOSS, _FINE_LOSS = 0.08, 0.012


class LeastSquares:
    """Parameters, covariance and status of every signal, at the Cramér-Rao bound where there is enough signal.

    A bank of templates finds the start everywhere in the range, and Levenberg-Marquardt's method the best point.
    Below the detection gate, the mean and covariance of the posterior are given instead, with a flat prior over the
    range, and the status says so: WEAK, or AMBIGUOUS where it has several peaks.

    Parameters
    ----------
    physics : Separable
        What makes the signals.
    noise : float, optional
        Standard deviation of each real sample, or of real and imaginary part each, in the unit of the signal. Default:
        estimated from what the fit leaves of each signal.

    Notes
    -----
    Do not use it for counts so few that their noise is not Gaussian.

    Examples
    --------
    >>> from parscope.techniques.band_excitation import BandExcitation
    >>> physics = BandExcitation(np.linspace(280e3, 360e3, 80))
    >>> theta = np.array([[322e3, 120.0, 0.0, 1.0]])
    >>> rng = np.random.default_rng(0)
    >>> noisy = physics.render(theta) + rng.normal(size=(1, 80)) + 1j * rng.normal(size=(1, 80))
    >>> estimate = LeastSquares(physics)(noisy)
    >>> estimate.theta[0, :2].round()
    array([3.22e+05, 1.19e+02])
    """

    def __init__(self, physics: Separable, noise: float | None = None) -> None:
        self.physics = physics
        self.noise = noise
        self._columns = generate(physics)
        logarithmic = np.array([p.kind == "log" for p in physics.nonlinear])
        bounds = np.array([(p.lower, p.upper) for p in physics.nonlinear])
        bounds[logarithmic] = np.log(bounds[logarithmic])
        self._model = Model(
            self._columns.address,
            np.array(physics.axis, np.float64),
            len(physics.linear),
            2 if physics.complex else 1,
            self._columns.factor,
            self._columns.parameter,
            logarithmic,
            np.ascontiguousarray(bounds[:, 0]),
            np.ascontiguousarray(bounds[:, 1]),
        )
        self._size = size = len(physics.parameters)
        self._level = as_filters(still(physics, np.unique(self._columns.factor)), np.float64)
        self._no_prior = Prior(np.zeros((1, size)), np.zeros((size, size)), np.zeros(1))
        self._freedom = self._model.parts * len(physics.axis) - size

    @cached_property
    def bank(self) -> Bank:
        """Templates from which the search starts."""
        return Bank(self.physics, self._grid(_LOSS), np.unique(self._model.factor))

    @cached_property
    def posterior(self) -> Posterior:
        """Posterior of weak signals."""
        return Posterior(self.physics, self._grid(_FINE_LOSS), np.unique(self._model.factor))

    def _grid(self, loss: float) -> Grid:
        model = self._model
        return lay_out(self.physics, model.lower, model.upper, np.unique(model.factor), loss)

    def __call__(self, signals: NDArray[Any], /, start: Array | None = None) -> Estimate:
        """Estimate the parameters of every signal.

        Parameters
        ----------
        signals : ndarray, shape (n, bins)
            Measured signals; complex where the physics is.
        start : ndarray, shape (n, k), optional
            Parameters to start from, such as those of a network; the factors among them are not used. Default: the
            best template.

        Returns
        -------
        Estimate
            With `extra`: ``detection``, the explained energy over twice the variance of the noise, and ``noise``, its
            standard deviation.

        Raises
        ------
        ShapeError
            If the signals are not of the physics' shape, or complex where the physics is real or the reverse.
        """
        self._check(signals)
        if self._freedom < 1:
            return nothing(len(signals), self._size, Status.BAD_INPUT)
        taken = take(signals, self._model.parts, self._level)
        begin = self.bank.start(taken.unit) if start is None else self._searched(start)
        verdict = solve(self._model, taken, begin, self.noise or 0.0, self._no_prior)
        weak = np.flatnonzero(verdict.status == Status.WEAK)
        if weak.size:
            self._widen(taken, verdict, weak)
        extra = {"detection": verdict.detection, "noise": np.sqrt(verdict.variance)}
        return Estimate(verdict.found, verdict.covariance, verdict.misfit, verdict.status, extra)

    def _widen(self, taken: Taken, verdict: Verdict, weak: NDArray[np.int64]) -> None:
        """Replace the covariance of weak signals by that of the posterior, in place."""
        some = Taken(*(array[weak] for array in taken))
        found = verdict.found[weak]
        moments, single = self.posterior(some, verdict.variance[weak], self.noise is not None, found)
        for s in range(len(weak)):
            to_units(self._model, found[s], moments[s], 1.0)
        verdict.found[weak], verdict.covariance[weak] = found, moments
        verdict.status[weak[~single]] = Status.AMBIGUOUS

    def _check(self, signals: NDArray[Any]) -> None:
        if signals.ndim != 2 or signals.shape[1:] != self.physics.signal_shape:
            raise ShapeError(f"of shape {signals.shape}, not (n, {self.physics.signal_shape[0]})", "signals")
        if np.iscomplexobj(signals) != self.physics.complex:
            kinds = ("real", "complex")
            raise ShapeError(
                f"{kinds[np.iscomplexobj(signals)]}, where the physics is {kinds[self.physics.complex]}", "signals"
            )

    def _searched(self, theta: Array) -> Array:
        """What is searched, inside its bounds."""
        first = theta[:, : len(self._model.lower)]
        with np.errstate(invalid="ignore", divide="ignore"):
            searched = np.where(self._model.logarithmic, np.log(first), first)
        middle = 0.5 * (self._model.lower + self._model.upper)
        return np.ascontiguousarray(
            np.clip(np.where(np.isfinite(searched), searched, middle), self._model.lower, self._model.upper)
        )


def nothing(n: int, k: int, status: Status) -> Estimate:
    """NaN for every signal, for one reason."""
    found, covariance, misfit = np.full((n, k), np.nan), np.full((n, k, k), np.nan), np.full(n, np.nan)
    extra = {"detection": np.full(n, np.nan), "noise": np.full(n, np.nan)}
    return Estimate(found, covariance, misfit, np.full(n, status, np.uint8), extra)
