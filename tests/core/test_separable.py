"""A declaration of columns is enough for signals, bounds and derived quantities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from parscope.core.bound import cramer_rao, jacobian, propagate
from parscope.core.physics import Parameter
from parscope.core.separable import Linear, Separable


@dataclass(frozen=True)
class Decay(Separable):
    """Exponential decay on a level."""

    time: NDArray[np.float64]

    noise = "gaussian"
    nonlinear = (Parameter("rate", "1/s", 0.1, 10.0, "log"),)
    linear = (Linear("height", "V"), Linear("level", "V"))
    quantities = (Parameter("area", "V s"), Parameter("angle", "rad", -np.pi, np.pi, "circular"))

    @property
    def axis(self) -> NDArray[np.float64]:
        return self.time

    def columns(self, xp: Any, x: Any, /, *theta: Any) -> tuple[Any, ...]:
        return xp.exp(-theta[0] * x), 1

    def derive(self, theta: NDArray[np.float64], /) -> NDArray[np.float64]:
        return np.stack([theta[:, 1] / theta[:, 0], np.arctan2(theta[:, 1], -theta[:, 2])], axis=1)


PHYSICS = Decay(np.linspace(0, 3, 30))
THETA = np.array([[1.0, 2.0, 0.5], [3.0, -1.0, 0.0]])


def test_parameters_are_the_searched_ones_then_the_factors() -> None:
    assert [p.name for p in PHYSICS.parameters] == ["rate", "height", "level"]
    assert PHYSICS.signal_shape == (30,)


def test_the_signal_is_the_sum_of_the_columns() -> None:
    expected = [t[1] * np.exp(-t[0] * PHYSICS.time) + t[2] for t in THETA]
    np.testing.assert_allclose(PHYSICS.render(THETA), expected)
    assert PHYSICS.render(THETA.astype(np.float32)).dtype == np.float32


def test_it_renders_under_pytorch_as_under_numpy() -> None:
    torch = pytest.importorskip("torch")
    np.testing.assert_allclose(PHYSICS.render(torch.tensor(THETA)).numpy(), PHYSICS.render(THETA))


def test_the_bound_is_that_of_linear_regression_where_the_model_is_linear() -> None:
    columns = np.stack([np.exp(-PHYSICS.time), np.ones(30)], axis=1)
    known = np.linalg.inv(np.linalg.inv(cramer_rao(PHYSICS, THETA, 0.1)[0])[1:, 1:])
    np.testing.assert_allclose(known, 0.01 * np.linalg.inv(columns.T @ columns), rtol=1e-5)


def test_the_bound_is_infinite_where_parameters_cannot_be_told_apart() -> None:
    assert np.isinf(cramer_rao(PHYSICS, np.array([[1.0, 0.0, 1.0]]), 0.1)).all()


def test_errors_pass_on_to_derived_quantities_also_across_the_cut_of_an_angle() -> None:
    theta = np.array([[2.0, 0.0, 1.0]])
    covariance = np.diag([0.0, 0.01, 0.0])[None]
    value, std = propagate(PHYSICS, theta, covariance)
    assert abs(value[0, 1]) == pytest.approx(np.pi)
    np.testing.assert_allclose(std, [[0.05, 0.1]], rtol=1e-5)


def test_a_derivative_is_that_of_the_function() -> None:
    slope = jacobian(lambda t: t**3, THETA, PHYSICS.parameters)
    np.testing.assert_allclose(np.diagonal(slope, axis1=1, axis2=2), 3 * THETA**2, atol=1e-8)
