"""Least squares reaches the bound, says how far it is to be trusted, and answers anything with a status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from parscope.core import Parameter, Physics, Status
from parscope.core.bound import cramer_rao
from parscope.core.errors import ShapeError
from parscope.core.separable import Linear, Separable
from parscope.solvers.least_squares import LeastSquares
from parscope.techniques.band_excitation import BandExcitation

FREQUENCY = np.linspace(280.5e3, 359.5e3, 80)
PHYSICS = BandExcitation(FREQUENCY)
SOLVER = LeastSquares(PHYSICS, noise=1.0)
BLIND = LeastSquares(PHYSICS)


def spectra(n: int, peak: float, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """Parameters and noisy spectra whose peaks are `peak` times the noise, give or take."""
    rng = np.random.default_rng(seed)
    resonance = rng.uniform(304e3, 336e3, n)
    quality = np.exp(rng.uniform(np.log(30), np.log(300), n))
    size, phase = peak * np.exp(rng.uniform(-0.35, 0.35, n)) / quality, rng.uniform(-np.pi, np.pi, n)
    theta = np.stack([resonance, quality, size * np.cos(phase), size * np.sin(phase)], axis=1)
    return theta, PHYSICS.render(theta) + rng.normal(size=(n, 80)) + 1j * rng.normal(size=(n, 80))


@pytest.mark.parametrize("peak", [100.0, 30.0, 10.0])
def test_errors_are_those_of_the_bound_and_nothing_fails(peak: float) -> None:
    theta, signals = spectra(4000, peak)
    estimate = SOLVER(signals)
    bound = np.sqrt(np.diagonal(cramer_rao(PHYSICS, theta, 1.0), axis1=1, axis2=2))
    efficiency = 1.4826 * np.median(np.abs(estimate.theta - theta) / bound, axis=0)
    assert np.isfinite(estimate.theta).all()
    assert efficiency.max() < 1.08
    assert np.mean(estimate.misfit) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("noise", [1.0, None])
@pytest.mark.parametrize("peak", [100.0, 10.0, 5.0, 3.0, 2.0])
def test_intervals_hold_what_they_promise(peak: float, noise: float | None) -> None:
    theta, signals = spectra(3000, peak, seed=7)
    estimate = LeastSquares(PHYSICS, noise)(signals)
    error = np.abs(estimate.theta - theta)[:, 0] / estimate.std[:, 0]
    quality = estimate.theta[:, 1]
    ratio = np.abs(np.log(quality / theta[:, 1])) * quality / estimate.std[:, 1]
    for distance in (error, ratio):
        assert 0.92 < np.mean(distance[np.isfinite(distance)] < 1.96) < 0.98


def test_weak_signals_say_so() -> None:
    status = SOLVER(spectra(300, 2.0)[1]).status
    assert set(np.unique(status)) <= {Status.OK, Status.WEAK, Status.AMBIGUOUS, Status.NO_MODEL, Status.AT_BOUND}
    assert np.mean(np.isin(status, [Status.WEAK, Status.AMBIGUOUS])) > 0.8


@pytest.mark.parametrize("background", [False, True])
def test_without_noise_the_parameters_come_back(background: bool) -> None:
    physics = BandExcitation(FREQUENCY, background=background)
    theta = np.array([[313e3, 80.0, 0.01, -0.02, 0.3, 0.1]])[:, : 6 if background else 4]
    estimate = LeastSquares(physics)(physics.render(theta))
    np.testing.assert_allclose(estimate.theta, theta, rtol=1e-5)
    assert estimate.status[0] == Status.OK


@given(st.floats(-9, 9), st.floats(-np.pi, np.pi))
def test_scale_and_phase_pass_through(power: float, phase: float) -> None:
    signals = spectra(8, 20.0)[1]
    solver, factor = BLIND, 10.0**power * np.exp(1j * phase)
    plain, turned = solver(signals), solver(signals * factor)
    np.testing.assert_array_equal(plain.status, turned.status)
    np.testing.assert_allclose(turned.theta[:, :2], plain.theta[:, :2], rtol=1e-5)
    factors = (plain.theta[:, 2] + 1j * plain.theta[:, 3]) * factor
    np.testing.assert_allclose(turned.theta[:, 2] + 1j * turned.theta[:, 3], factors, rtol=1e-4)


def hostile() -> dict[str, NDArray[np.complex128]]:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=80) + 1j * rng.normal(size=80)
    holed = noise.copy()
    holed[17] = np.nan
    return {
        "not a number": np.full(80, np.nan + 0j),
        "one not a number": holed,
        "infinite": np.full(80, np.inf + 0j),
        "zero": np.zeros(80, complex),
        "constant": np.full(80, 3 + 1j),
        "saturated": np.clip(noise.real, -0.5, 0.5) + 1j * noise.imag,
        "too large": noise * 1e300,
        "too small": noise * 1e-300,
    }


@pytest.mark.parametrize("name", hostile())
@pytest.mark.parametrize("noise", [1.0, None])
def test_what_is_no_signal_is_no_number(name: str, noise: float | None) -> None:
    estimate = LeastSquares(PHYSICS, noise)(np.stack([hostile()[name], spectra(1, 50.0)[1][0]]))
    assert estimate.status.tolist() == [Status.BAD_INPUT, Status.OK]
    assert np.isnan(estimate.theta[0]).all() and np.isfinite(estimate.theta[1]).all()
    assert np.isnan(estimate.covariance[0]).all() and np.isnan(estimate.misfit[0])


def test_a_ramp_leaves_the_range_or_the_model() -> None:
    estimate = LeastSquares(PHYSICS)(np.linspace(0, 1, 80)[None] + 0j)
    assert estimate.status[0] in (Status.AT_BOUND, Status.NO_MODEL) and np.isnan(estimate.theta).all()


@pytest.mark.parametrize("bins", [1, 2])
def test_fewer_numbers_than_parameters_are_no_signal(bins: int) -> None:
    estimate = LeastSquares(BandExcitation(FREQUENCY[:bins]))(np.ones((3, bins), complex))
    assert (estimate.status == Status.BAD_INPUT).all() and np.isnan(estimate.theta).all()


@pytest.mark.parametrize("signals", [np.zeros((2, 79), complex), np.zeros(80, complex), np.zeros((2, 80))])
def test_signals_of_another_kind_are_refused(signals: NDArray[Any]) -> None:
    with pytest.raises(ShapeError, match="signals"):
        SOLVER(signals)


@pytest.mark.parametrize("noise", [0.0, -1.0, np.nan, np.inf])
def test_a_noise_that_is_none_is_refused(noise: float) -> None:
    with pytest.raises(ValueError, match=r"noise: .* is not positive"):
        LeastSquares(PHYSICS, noise)


def test_a_start_may_be_given() -> None:
    theta, signals = spectra(50, 30.0)
    np.testing.assert_allclose(SOLVER(signals, start=theta).theta, SOLVER(signals).theta, rtol=1e-4)


@dataclass(frozen=True)
class Line(Separable):
    """A Gaussian line on a slope: real, with two columns that are constant."""

    x: NDArray[np.float64]

    noise = "gaussian"
    nonlinear = (Parameter("position", "nm", -4.0, 4.0), Parameter("width", "nm", 0.2, 3.0, "log"))
    linear = (Linear("height", "V"), Linear("level", "V"), Linear("slope", "V/nm"))

    @property
    def axis(self) -> NDArray[np.float64]:
        return self.x

    def columns(self, xp: Any, x: Any, /, *theta: Any) -> tuple[Any, ...]:
        return xp.exp(-(((x - theta[0]) / theta[1]) ** 2)), 1, x


def test_one_file_is_all_that_another_technique_takes() -> None:
    physics = Line(np.linspace(-5, 5, 60))
    rng = np.random.default_rng(3)
    theta = np.column_stack(
        [rng.uniform(-3, 3, 2000), rng.uniform(0.4, 1.5, 2000), np.tile([1.0, 0.2, 0.1], (2000, 1))]
    )
    estimate = LeastSquares(physics)(physics.render(theta) + rng.normal(0, 0.05, (2000, 60)))
    bound = np.sqrt(np.diagonal(cramer_rao(physics, theta, 0.05), axis1=1, axis2=2))
    assert (1.4826 * np.median(np.abs(estimate.theta - theta) / bound, axis=0)).max() < 1.1
    assert (estimate.status == Status.OK).all()


@dataclass(frozen=True)
class Rendered(Physics):
    """The oscillator as somebody writes it who knows nothing of factors."""

    frequency: NDArray[np.float64]

    noise = "complex gaussian"
    parameters = (
        Parameter("amplitude", "V", 0.0),
        Parameter("resonance", "Hz", 280.5e3, 359.5e3),
        Parameter("quality", "1", 4.0, 1280.0, "log"),
        Parameter("phase", "rad", -np.pi, np.pi, "circular"),
    )

    @property
    def signal_shape(self) -> tuple[int, ...]:
        return self.frequency.shape

    def render(self, theta: Any, /) -> Any:
        xp = pytest.importorskip("array_api_compat").array_namespace(theta)
        x, (a, f0, q, phi) = xp.asarray(self.frequency), (theta[:, j, None] for j in range(4))
        return a * (xp.cos(phi) + 1j * xp.sin(phi)) * f0**2 / ((x - f0) * (x + f0) - 1j * (x * f0 / q))


def test_a_technique_that_only_renders_gets_the_same_answers() -> None:
    pytest.importorskip("torch")
    signals = spectra(200, 20.0)[1]
    generic, compiled = LeastSquares(Rendered(FREQUENCY), noise=1.0)(signals), SOLVER(signals)
    assert (generic.status == compiled.status).all()
    assert np.max(np.abs(generic.theta[:, 1:3] - compiled.theta[:, :2]) / compiled.std[:, :2]) < 1e-3
    np.testing.assert_allclose(generic.std[:, 1:3], compiled.std[:, :2], rtol=1e-3)
    np.testing.assert_allclose(generic.theta[:, 0], np.hypot(*compiled.theta[:, 2:].T), rtol=1e-3)
