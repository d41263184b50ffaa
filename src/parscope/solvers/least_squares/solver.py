"""Least squares: a bank of templates, a search at the bound, and a verdict on each signal."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import ShapeError
from parscope.core.physics import Physics
from parscope.core.separable import Separable
from parscope.core.solver import Estimate, Status
from parscope.solvers.least_squares.bank import Bank, Taken, as_filters, take
from parscope.solvers.least_squares.batched import DeviceBank
from parscope.solvers.least_squares.engine import choose
from parscope.solvers.least_squares.grid import Grid, lay_out, still
from parscope.solvers.least_squares.judge import Verdict, to_units
from parscope.solvers.least_squares.layout import Prior, part_of
from parscope.solvers.least_squares.posterior import Posterior
from parscope.solvers.least_squares.soft import refuse_absent, soft_bounds, start_from_pieces

Array = NDArray[np.float64]

# Share of the energy of a signal that may be lost half-way between two templates of the posterior, whose width at the
# gate is then that of a cell.
_FINE_LOSS = 0.012


class LeastSquares:
    """Parameters, covariance and status of every signal, at the Cramér-Rao bound where there is enough signal.

    A bank of templates finds the start everywhere in the range, and Levenberg-Marquardt's method the best point. Below
    the detection gate the covariance is that of the posterior about the best point, with a flat prior over the range,
    and the status says so: WEAK, or AMBIGUOUS where the posterior has several peaks. These two have values as OK has.
    Soft bounds of the physics take the place of the flat prior.

    Parameters
    ----------
    physics : Physics
        What makes the signals. A `Separable` one is compiled, which is ten times as fast as any other, for which
        PyTorch is needed.
    noise : float, optional
        Standard deviation of each real sample, or of real and imaginary part each, in the `unit` of the signal.
        Default: estimated from what the fit leaves of each signal.
    device : str, optional
        Device of PyTorch that searches, such as ``cuda``; the posterior of weak signals stays on the processor. Answers
        are those of the compiled search to 1/1000 of their standard errors. Do not give ``cpu``: it takes ten times as
        long as the default, which is compiled.

    Raises
    ------
    MissingExtraError
        If the physics is not separable, or a device is given, and PyTorch is not installed.
    OptionError
        If there is no such device.
    ValueError
        If a parameter that is searched has no finite bounds.

    Notes
    -----
    Do not use it for counts so few that their noise is not Gaussian. An interval of a parameter of kind ``log`` is one
    of its logarithm: ``theta * exp(+-1.96 * std / theta)`` for 95 %.

    Examples
    --------
    >>> from parscope.techniques.band_excitation import BandExcitation
    >>> physics = BandExcitation(np.linspace(280e3, 360e3, 80))
    >>> theta = np.array([[322e3, 120.0, 0.0, 1.0]])
    >>> rng = np.random.default_rng(0)
    >>> noisy = physics.render(theta) + rng.normal(size=(1, 80)) + 1j * rng.normal(size=(1, 80))
    >>> estimate = LeastSquares(physics)(noisy)
    >>> estimate.theta[0, :2].round()
    array([3.22001e+05, 1.20000e+02])
    """

    def __init__(self, physics: Physics, noise: float | None = None, device: str | None = None) -> None:
        self.physics = physics
        self.noise = noise
        self.device = device
        self._engine = choose(physics, device)
        self.level = as_filters(still(self._engine.basis, self._engine.moving), np.float64)

    @cached_property
    def bank(self) -> Bank | DeviceBank:
        """Templates from which the search starts."""
        engine = self._engine
        return engine.carried(Bank(engine.basis, self._grid(engine.loss), engine.moving, engine.positive))

    @cached_property
    def posterior(self) -> Posterior:
        """Posterior of weak signals."""
        engine = self._engine
        return Posterior(engine.basis, self._grid(_FINE_LOSS), engine.moving, engine.model.period, engine.positive)

    def _grid(self, loss: float) -> Grid:
        engine = self._engine
        return lay_out(engine.basis, *engine.range, engine.moving, loss)

    def __call__(self, signals: NDArray[Any], /, start: Array | None = None, prior: Prior | None = None) -> Estimate:
        """Estimate the parameters of every signal.

        Parameters
        ----------
        signals : ndarray, shape (n, *signal_shape)
            Measured signals; complex where the physics is.
        start : ndarray, shape (n, k), optional
            Parameters to start from, such as those of a network; factors among them are not used. Default: the best
            template.
        prior : Prior, optional
            Gaussian prior, as `EmpiricalBayes` makes it.

        Returns
        -------
        Estimate
            With `extra`: ``detection``, the explained energy over twice the variance of the noise, and ``noise``, its
            standard deviation; and ``absent``, where the physics is dispensable: whether the background alone explains
            the signal.

        Raises
        ------
        ShapeError
            If the signals are not of the physics' shape, or complex where the physics is real or the reverse.
        """
        engine = self._engine
        self._check(signals)
        flat = signals.reshape(len(signals), engine.samples)
        if not len(flat) or engine.parts * engine.samples <= engine.size:
            return nothing(len(signals), engine.size)
        taken = take(flat, engine.parts, self.level)
        if prior is None and isinstance(self.physics, Separable):
            prior = soft_bounds(self.physics, flat, taken.sound)
        begin = engine.searched(start) if start is not None else self._start(flat, taken, prior)
        verdict = engine.solve(taken, begin, self.noise or 0.0, prior)
        extra: dict[str, NDArray[Any]] = {}
        if isinstance(self.physics, Separable) and self.physics.dispensable:
            samples = engine.parts * engine.samples
            freedom = np.inf if self.noise else samples - engine.size
            extra["absent"] = refuse_absent(verdict, engine.size - self.level.shape[1], samples, freedom)
        weak = np.flatnonzero(verdict.status == Status.WEAK)
        if weak.size:
            self._settle(taken, verdict, weak, prior)
        found, covariance = engine.order(verdict.found, verdict.covariance)
        extra |= {"detection": verdict.detection, "noise": np.sqrt(verdict.variance)}
        return Estimate(found, covariance, verdict.misfit, verdict.status, extra)

    @cached_property
    def _pieces(self) -> list[tuple[slice, LeastSquares]]:
        """Solvers of the pieces that the physics declares."""
        declared = self.physics.pieces if isinstance(self.physics, Separable) else ()
        return [(piece.samples, LeastSquares(piece.physics, device=self.device)) for piece in declared]

    def _start(self, flat: NDArray[Any], taken: Taken, prior: Prior | None) -> Array:
        """Best node of the bank, or of those of the pieces, given the prior of what is searched."""
        if self._pieces:
            return start_from_pieces(self._pieces, flat)
        if prior is None:
            return self.bank.start(taken.unit)
        k = self.bank.nodes.shape[1]
        away = self.bank.nodes - prior.mean[:1, :k]
        favour = -0.5 * np.einsum("tj,jk,tk->t", away, prior.precision[:k, :k], away)
        return self.bank.start(taken.unit, favour, prior.variance / taken.largest**2)

    def rates(self, theta: Array) -> Array:
        """How parameters change with what is searched, shape (n, k): 1, or the parameter itself where it is a log."""
        first = len(self._engine.range[0])
        rate = np.ones_like(theta)
        rate[:, :first] = np.where(self._engine.model.logarithmic, theta[:, :first], 1.0)
        return rate

    def searched(self, theta: Array, covariance: Array) -> tuple[Array, Array]:
        """What is searched, with its covariance.

        Parameters
        ----------
        theta : ndarray, shape (n, k)
            Parameters.
        covariance : ndarray, shape (n, k, k)
            Their covariance.

        Returns
        -------
        value : ndarray, shape (n, j)
            The j parameters that are searched, as logarithms where they are of kind ``log``.
        covariance : ndarray, shape (n, j, j)
            Of these.
        """
        first = len(self._engine.range[0])
        rate = self.rates(theta)[:, :first]
        return self._engine.searched(theta), covariance[:, :first, :first] / (rate[:, :, None] * rate[:, None, :])

    def _check(self, signals: NDArray[Any]) -> None:
        if signals.shape[1:] != self.physics.signal_shape:
            wanted = ", ".join(str(size) for size in self.physics.signal_shape)
            raise ShapeError(f"of shape {signals.shape}, not (n, {wanted})", "signals")
        if np.iscomplexobj(signals) != (self._engine.parts == 2):
            one, other = ("complex", "real") if np.iscomplexobj(signals) else ("real", "complex")
            raise ShapeError(f"{one}, where those of the physics are {other}", "signals")

    def _settle(self, taken: Taken, verdict: Verdict, weak: NDArray[np.int64], prior: Prior | None) -> None:
        """Bring weak signals to the units of the physics, with the covariance of the posterior where no prior is."""
        some = part_of(taken, weak)
        found, variance = verdict.found[weak], verdict.variance[weak]
        if prior is None:
            moments, single = self.posterior(some, variance, self.noise is not None, found)
            verdict.status[weak[~single]] = Status.AMBIGUOUS
        else:
            moments = verdict.covariance[weak] * variance[:, None, None]
        for s in range(len(weak)):
            to_units(self._engine.model, found[s], moments[s], 1.0)
        verdict.found[weak], verdict.covariance[weak] = found, moments


def nothing(n: int, k: int) -> Estimate:
    """NaN for signals that hold fewer numbers than there are parameters."""
    found, covariance, misfit = np.full((n, k), np.nan), np.full((n, k, k), np.nan), np.full(n, np.nan)
    extra = {"detection": np.full(n, np.nan), "noise": np.full(n, np.nan)}
    return Estimate(found, covariance, misfit, np.full(n, Status.BAD_INPUT, np.uint8), extra)
