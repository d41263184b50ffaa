"""Ways to search: compiled, for columns that are declared; and by PyTorch, for any `render`, or on its devices."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from parscope.core.physics import Parameter, Physics
from parscope.core.separable import Separable
from parscope.solvers.least_squares.bank import Bank, Taken, as_filters
from parscope.solvers.least_squares.batched import Batched, DeviceBank
from parscope.solvers.least_squares.generate import generate
from parscope.solvers.least_squares.grid import Basis, Grid, lay_out, parameters, still
from parscope.solvers.least_squares.judge import Verdict, judge, solve
from parscope.solvers.least_squares.layout import MOST_STEPS, PATIENCE, Model, Prior
from parscope.solvers.least_squares.probed import Probed
from parscope.solvers.least_squares.traced import Device, Projected, Rendered

Array = NDArray[np.float64]


class Engine(Protocol):
    """What a search offers to the rest of least squares."""

    basis: Basis
    loss: float
    """Share of the energy of a signal that may be lost half-way between two templates from which a search starts."""
    model: Model
    moving: NDArray[np.int64]
    positive: bool
    range: tuple[Array, Array]
    parts: int
    samples: int
    size: int

    def searched(self, theta: Array) -> Array:
        """What is searched, from parameters; both of shape (n, k)."""

    def solve(self, taken: Taken, begin: Array, noise: float, prior: Prior | None) -> Verdict:
        """Fit and judge signals from `begin`, shape (n, k)."""

    def order(self, found: Array, covariance: Array) -> tuple[Array, Array]:
        """Parameters and covariance in the order of the physics."""

    def carried(self, bank: Bank) -> Bank | DeviceBank:
        """The bank where signals are multiplied by it."""


class Compiled:
    """The compiled search for a separable physics."""

    loss = 0.08
    positive = False

    def __init__(self, physics: Separable) -> None:
        self.basis: Basis = physics
        self._columns = generate(physics)
        self.range, logarithmic = limits(physics.nonlinear)
        self.parts, self.samples, self.size = 2 if physics.complex else 1, len(physics.axis), len(physics.parameters)
        # Where nothing is searched, all columns explain the signal.
        self.moving = np.unique(self._columns.factor) if physics.nonlinear else np.arange(len(physics.linear))
        self.model = model(physics.nonlinear, self.range, logarithmic)._replace(
            address=self._columns.address,
            axis=np.array(physics.axis, np.float64),
            factors=len(physics.linear),
            parts=self.parts,
            factor=self._columns.factor,
            parameter=self._columns.parameter,
            patience=PATIENCE if physics.usual else MOST_STEPS,
        )
        self._no_prior = _no_prior(self.size)

    def searched(self, theta: Array) -> Array:
        """What is searched, from parameters; both of shape (n, k)."""
        return inside(theta[:, : len(self.range[0])], self.range, self.model.logarithmic)

    def solve(self, taken: Taken, begin: Array, noise: float, prior: Prior | None) -> Verdict:
        """Fit and judge signals from `begin`, shape (n, k)."""
        verdict: Verdict = solve(self.model, taken, begin, noise, prior or self._no_prior)
        return verdict

    def order(self, found: Array, covariance: Array) -> tuple[Array, Array]:
        """Parameters and covariance in the order of the physics, which is that of the search."""
        return found, covariance

    def carried(self, bank: Bank) -> Bank | DeviceBank:
        """The bank as it is."""
        return bank


class OnDevice(Compiled):
    """The same search for a separable physics, for many signals at once on a device of PyTorch."""

    def __init__(self, physics: Separable, device: str) -> None:
        super().__init__(physics)
        self._device = Device(device)
        problem = Projected(physics, self.model.logarithmic, self._device)
        bounds = self.model.lower, self.model.upper
        self._search = Batched(problem, *bounds, self.model.logarithmic, self.model.patience)

    def solve(self, taken: Taken, begin: Array, noise: float, prior: Prior | None) -> Verdict:
        """Fit and judge signals from `begin`, shape (n, k)."""
        verdict: Verdict = judge(self.model, taken, self._search(taken.rows, begin, prior or self._no_prior), noise)
        return verdict

    def carried(self, bank: Bank) -> Bank | DeviceBank:
        """The bank on the device."""
        return DeviceBank(bank, self._device)


class Generic:
    """The search by PyTorch for a physics of which only `render` is known."""

    # Phases are searched too, where no complex factor takes them up: fewer templates for each parameter.
    loss = 0.16

    def __init__(self, physics: Physics, device: str = "cpu") -> None:
        basis = Probed(physics)
        self.basis: Basis = basis
        self.range, logarithmic = limits(basis.nonlinear)
        self.size = len(physics.parameters)
        self.parts = 2 if physics.noise == "complex gaussian" else 1
        self.samples = len(basis.axis) // self.parts
        self.moving = np.arange(basis.factors)
        self.positive = basis.factors == 1 and all(physics.parameters[j].lower >= 0 for j in basis.scaling)
        self.model = model(basis.nonlinear, self.range, logarithmic)
        self._probed = basis
        self._order = np.argsort([*basis.shaping, *basis.scaling])
        scales = tuple(physics.parameters[j] for j in basis.scaling)
        (low, high), self._logarithmic = limits((*basis.nonlinear, *scales))
        whole = model((*basis.nonlinear, *scales), (low, high), self._logarithmic)
        at = self._order
        self._device = Device(device)
        problem = Rendered(physics, whole.logarithmic[at], self._device)
        self._search = Batched(problem, whole.lower[at], whole.upper[at], whole.logarithmic[at])

    def searched(self, theta: Array) -> Array:
        """What is searched, from parameters; both of shape (n, k)."""
        return inside(theta[:, self._probed.shaping], self.range, self.model.logarithmic)

    def solve(self, taken: Taken, begin: Array, noise: float, prior: Prior | None) -> Verdict:
        """Fit and judge signals from `begin`, shape (n, k)."""
        if prior is not None:
            raise NotImplementedError("a prior is used with separable physics only")
        fits = self._search(taken.rows, self._whole(taken.rows, begin)[:, self._order], _no_prior(self.size))
        back = np.argsort(self._order)
        ordered = fits._replace(
            found=np.ascontiguousarray(fits.found[:, back]),
            covariance=np.ascontiguousarray(fits.covariance[:, back][:, :, back]),
        )
        verdict: Verdict = judge(self.model, taken, ordered, noise)
        return verdict

    def order(self, found: Array, covariance: Array) -> tuple[Array, Array]:
        """Parameters and covariance in the order of the physics."""
        at = self._order
        return found[:, at], covariance[:, at][:, :, at]

    def carried(self, bank: Bank) -> Bank | DeviceBank:
        """The bank on the device; on the processor as it is."""
        return bank if self._device.place.type == "cpu" else DeviceBank(bank, self._device)

    def _whole(self, rows: Array, begin: Array) -> Array:
        """What is searched first, with the factors that fit best there."""
        if not self._probed.scaling:
            return begin
        columns = np.stack(self._probed.basis(parameters(self._probed, begin)), axis=1)
        gram = columns @ columns.transpose(0, 2, 1)
        size = np.sqrt(np.diagonal(gram, axis1=1, axis2=2))
        unit = gram / (size[:, :, None] * size[:, None, :]) + 1e-12 * np.eye(gram.shape[1])
        target = np.einsum("nmi,ni->nm", columns, rows) / size
        return np.concatenate([begin, np.linalg.solve(unit, target[:, :, None])[:, :, 0] / size], axis=1)


def choose(physics: Physics, device: str | None) -> Engine:
    """The search for a physics.

    Parameters
    ----------
    physics : Physics
        What is inverted.
    device : str, optional
        Of PyTorch.

    Returns
    -------
    Engine
    """
    if not isinstance(physics, Separable):
        return Generic(physics, device or "cpu")
    return Compiled(physics) if device is None else OnDevice(physics, device)


def _no_prior(size: int) -> Prior:
    """A prior that says nothing."""
    return Prior(np.zeros((1, size)), np.zeros((1, size, size)), np.zeros(1))


def grid_of(engine: Engine, loss: float) -> Grid:
    """Nodes over all that an engine searches, between which a signal loses at most a share of its energy."""
    return lay_out(engine.basis, *engine.range, engine.moving, loss)


def bank_of(engine: Engine) -> Bank:
    """Templates from which the search of an engine starts."""
    return Bank(engine.basis, grid_of(engine, engine.loss), engine.moving, engine.positive)


def level_of(engine: Engine) -> Array:
    """Projection on the columns that nothing searched changes, as `take` wants it."""
    level: Array = as_filters(still(engine.basis, engine.moving), np.float64)
    return level


def limits(parameters: tuple[Parameter, ...]) -> tuple[tuple[Array, Array], NDArray[np.bool_]]:
    """Bounds of what is searched, and which parameters are searched by their logarithm."""
    logarithmic = np.array([p.kind == "log" for p in parameters], np.bool_)
    bounds = np.array([(p.lower, p.upper) for p in parameters], np.float64).reshape(-1, 2)
    bounds[logarithmic] = np.log(bounds[logarithmic])
    return (np.ascontiguousarray(bounds[:, 0]), np.ascontiguousarray(bounds[:, 1])), logarithmic


def model(parameters: tuple[Parameter, ...], bounds: tuple[Array, Array], logarithmic: NDArray[np.bool_]) -> Model:
    """What the verdict needs to know of the parameters that are searched; no columns."""
    low, high = bounds
    circular = np.array([p.kind == "circular" for p in parameters], np.bool_)
    none = np.zeros(0, np.int64)
    return Model(
        address=0,
        axis=np.zeros(0),
        factors=0,
        parts=1,
        factor=none,
        parameter=none,
        logarithmic=logarithmic,
        lower=np.where(circular, -np.inf, low),
        upper=np.where(circular, np.inf, high),
        period=np.where(circular, high - low, 0.0),
        origin=np.where(circular, low, 0.0),
        patience=MOST_STEPS,
    )


def inside(theta: Array, bounds: tuple[Array, Array], logarithmic: NDArray[np.bool_]) -> Array:
    """What is searched, from parameters; the middle of the range where there are none."""
    low, high = bounds
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(logarithmic, np.log(theta), theta)
    return np.ascontiguousarray(np.clip(np.where(np.isfinite(value), value, 0.5 * (low + high)), low, high))
