"""Least squares: a bank of templates, a search at the bound, and a verdict on each signal."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import ShapeError
from parscope.core.physics import Physics
from parscope.core.separable import Separable
from parscope.core.solver import GATE, Estimate, Status
from parscope.solvers.least_squares.bank import Bank, Taken, take
from parscope.solvers.least_squares.batched import DeviceBank
from parscope.solvers.least_squares.engine import bank_of, choose, grid_of, level_of
from parscope.solvers.least_squares.judge import Verdict, settle
from parscope.solvers.least_squares.layout import Prior, part_of
from parscope.solvers.least_squares.pieces import Apart, Together, of_pieces
from parscope.solvers.least_squares.posterior import Posterior
from parscope.solvers.least_squares.soft import refuse_absent, soft_bounds

Array = NDArray[np.float64]

# Share of the energy of a signal that may be lost half-way between two templates of the posterior, whose width at the
# gate is then that of a cell.
_FINE_LOSS = 0.012
_LEVELS = 4


class LeastSquares:
    """Parameters, covariance and status of every signal, at the Cramér-Rao bound where there is enough signal.

    A bank of templates finds the start everywhere in the range, and Levenberg-Marquardt's method the best point. Below
    the detection gate the covariance is that of the posterior about the best point, with a flat prior over the range,
    and the status says so: WEAK, or AMBIGUOUS where the posterior has several peaks. These two have values as OK has.
    Of physics with soft bounds or with pieces, for which no grid is fine enough, weak signals keep the covariance of
    the best point, which soft bounds hold.

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
        are those of the compiled search to 1/1000 of their standard errors. Physics with soft bounds has flat valleys,
        in which either search ends somewhere: nine loops in ten within 1/30 of their standard errors. Do not give
        ``cpu``: it takes ten times as long as the default, which is compiled.

    Raises
    ------
    MissingExtraError
        If the physics is not separable, or a device is given, and PyTorch is not installed.
    OptionError
        If there is no such device.
    ValueError
        If a parameter that is searched has no finite bounds, or the noise is not positive.

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
        if noise is not None and not 0 < noise < np.inf:
            raise ValueError(f"noise: {noise:g} is not positive")
        self.physics = physics
        self.noise = noise
        self.device = device
        self._engine = choose(physics, device)
        self.level = level_of(self._engine)

    @cached_property
    def bank(self) -> Bank | DeviceBank:
        """Templates from which the search starts, where signals are multiplied by them."""
        return self._engine.carried(self._templates)

    @cached_property
    def _templates(self) -> Bank:
        return bank_of(self._engine)

    @cached_property
    def posteriors(self) -> tuple[Posterior, ...]:
        """Posterior of weak signals, on a grid for each level of weakness: halved energy, half as many nodes."""
        return tuple(self._posterior(level) for level in range(_LEVELS))

    def _posterior(self, level: int) -> Posterior:
        engine = self._engine
        coarse = self._templates if level == 0 and not engine.positive else None
        grid = grid_of(engine, _FINE_LOSS * 2**level)
        return Posterior(engine.basis, grid, engine.moving, engine.model.period, coarse, engine.positive)

    def __call__(
        self,
        signals: NDArray[Any],
        /,
        start: Array | None = None,
        prior: Prior | None = None,
        posterior: bool = True,
    ) -> Estimate:
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
        posterior : bool, default True
            Whether weak signals get the errors of the posterior; else those of the curvature at the best point, which
            are too small, for a third of the work.

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
        engine = self._engine
        check_signals(signals, self.physics.signal_shape, engine.parts == 2)
        flat = _compilable(signals).reshape(len(signals), engine.samples)
        if not len(flat) or engine.parts * engine.samples <= engine.size:
            return nothing(len(signals), engine.size)
        taken = take(flat, engine.parts, self.level)
        informed = prior is not None
        if prior is None and isinstance(self.physics, Separable):
            prior = soft_bounds(self.physics, flat, taken.sound)
        begin = engine.searched(start) if start is not None else self._start(taken, prior)
        verdict = engine.solve(taken, begin, self.noise or 0.0, prior)
        if isinstance(self.physics, Separable) and self.physics.dispensable:
            samples = engine.parts * engine.samples
            freedom = np.inf if self.noise else samples - engine.size
            refuse_absent(verdict, engine.size - self.level.shape[1], samples, freedom)
        weak = np.flatnonzero(verdict.status == Status.WEAK)
        if weak.size:
            # Pieces are declared where no grid over all parameters is fine enough.
            if posterior and self._pieces is None and (informed or prior is None):
                self._spread(taken, verdict, weak, prior)
            settle(engine.model, verdict, weak)
        found, covariance = engine.order(verdict.found, verdict.covariance)
        extra = {"detection": verdict.detection, "noise": np.sqrt(verdict.variance)}
        return Estimate(found, covariance, verdict.misfit, verdict.status, extra)

    def prepare(self) -> None:
        """Make what calls share and threads must not make twice."""
        _ = self._pieces or self.bank

    @cached_property
    def _pieces(self) -> Together | Apart | None:
        """Starts from the pieces that the physics declares."""
        return of_pieces(self.physics) if isinstance(self.physics, Separable) else None

    def _start(self, taken: Taken, prior: Prior | None) -> Array:
        """Best node of the bank, or of the pieces, given the prior of what is searched."""
        if self._pieces:
            return self._pieces.start(taken.rows, prior)
        if prior is None:
            return self.bank.start(taken.unit)
        return self.bank.start(taken.unit, prior._replace(variance=prior.variance / taken.largest**2))

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

    def _spread(self, taken: Taken, verdict: Verdict, weak: NDArray[np.int64], prior: Prior | None) -> None:
        """Give weak signals the covariance of the posterior, for unit noise as that of the fit is."""
        strength = np.maximum(verdict.detection[weak], GATE / 2**_LEVELS)
        level = np.clip(np.floor(np.log2(GATE / strength)), 0, _LEVELS - 1).astype(int)
        for which in np.unique(level):
            some = weak[level == which]
            variance = verdict.variance[some]
            own = None if prior is None else prior.of(some)
            moments, single = self.posteriors[which](
                part_of(taken, some), variance, self.noise is not None, verdict.found[some], own
            )
            verdict.covariance[some] = moments / variance[:, None, None]
            verdict.status[some[~single]] = Status.AMBIGUOUS


def _compilable(signals: NDArray[Any]) -> NDArray[Any]:
    """Signals as they are, or in double precision where files have another byte order or precision than numba knows."""
    if signals.dtype.isnative and signals.dtype.char in np.typecodes["AllInteger"] + "fdFD":
        return signals
    return signals.astype(np.complex128 if np.iscomplexobj(signals) else np.float64)


def check_signals(signals: NDArray[Any], shape: tuple[int, ...], complex_: bool) -> None:
    """Refuse signals that are not those of a physics.

    Parameters
    ----------
    signals : ndarray, shape (n, *shape)
        Measured signals.
    shape : tuple of int
        Of one signal of the physics.
    complex_ : bool
        Whether its signals are complex.

    Raises
    ------
    ShapeError
        If they are of another shape, or complex where the physics is real or the reverse.
    """
    if signals.shape[1:] != shape:
        wanted = ", ".join(str(size) for size in shape)
        raise ShapeError(f"of shape {signals.shape}, not (n, {wanted})", "signals")
    if np.iscomplexobj(signals) != complex_:
        one, other = ("real", "complex") if complex_ else ("complex", "real")
        raise ShapeError(f"{one}, where those of the physics are {other}", "signals")


def nothing(n: int, k: int) -> Estimate:
    """NaN for signals of which nothing is known: too few numbers for the parameters, or not yet."""
    found, covariance, misfit = np.full((n, k), np.nan), np.full((n, k, k), np.nan), np.full(n, np.nan)
    extra = {"detection": np.full(n, np.nan), "noise": np.full(n, np.nan)}
    return Estimate(found, covariance, misfit, np.full(n, Status.BAD_INPUT, np.uint8), extra)
