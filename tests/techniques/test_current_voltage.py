"""A technique without anything to search: a line through logarithms of a current, in closed form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parscope.core.bound import cramer_rao, propagate
from parscope.core.physics import Parameter, Physics
from parscope.core.solver import Status
from parscope.core.spectra import Spectra
from parscope.solvers.least_squares import LeastSquares
from parscope.techniques.current_voltage import CurrentVoltage
from parscope.workflows.fit import map_spectra

ROOT_FIELD = np.linspace(8600, 11200, 53)
PHYSICS = CurrentVoltage(ROOT_FIELD)
TRUTH = np.array([[2.3, 7.4e-4]])


class Rendered(Physics):
    """The same line, of which nothing but `render` is known."""

    noise = "gaussian"
    parameters = (Parameter("intercept", "1"), Parameter("slope", "1"))
    signal_shape = (53,)

    def render(self, theta: Any, /) -> Any:
        return PHYSICS.render(theta)


def lines(noise: float, n: int = 400) -> np.ndarray:
    return PHYSICS.render(TRUTH) + np.random.default_rng(0).normal(0, noise, (n, 53))


@pytest.mark.parametrize("noise", [0.06, 5.0, 200.0])
def test_a_line_is_that_of_linear_algebra_at_the_bound_however_weak(noise: float) -> None:
    signals = lines(noise)
    estimate = LeastSquares(PHYSICS)(signals)
    known = np.linalg.lstsq(np.stack([np.ones(53), ROOT_FIELD], 1), signals.T, rcond=None)[0].T
    assert (estimate.status == Status.OK).all()
    assert np.abs((estimate.theta - known) / estimate.std).max() < 1e-6
    bound = np.sqrt(np.diagonal(cramer_rao(PHYSICS, TRUTH, noise)[0]))
    assert (np.abs(np.std(estimate.theta, axis=0) / bound - 1) < 0.1).all()
    assert (np.abs(np.median(estimate.std, axis=0) / bound - 1) < 0.05).all()


def test_a_line_of_which_only_the_signal_is_known_is_the_same() -> None:
    signals = lines(0.06)
    one, other = LeastSquares(PHYSICS)(signals), LeastSquares(Rendered())(signals)
    np.testing.assert_array_equal(other.status, one.status)
    assert np.abs((other.theta - one.theta) / one.std).max() < 1e-3


def test_permittivity_and_barrier_are_those_of_an_image_charge() -> None:
    """Against the formula in SI units."""
    e, k, epsilon_0, h, m = 1.602176634e-19, 1.380649e-23, 8.8541878128e-12, 6.62607015e-34, 9.1093837e-31
    permittivity, barrier, temperature = 6.25, 0.8, 350.0
    slope = np.sqrt(e**3 / (4 * np.pi * epsilon_0 * permittivity)) / (k * temperature)
    richardson = 4 * np.pi * m * k**2 * e / h**3
    intercept = np.log(richardson * temperature**2) - barrier * e / (k * temperature)
    derived = CurrentVoltage(ROOT_FIELD, temperature).derive(np.array([[intercept, slope]]))
    np.testing.assert_allclose(derived, [[permittivity, barrier]], rtol=1e-5)


def test_errors_of_permittivity_are_those_of_repetition() -> None:
    estimate = LeastSquares(PHYSICS)(lines(0.06))
    value, std = propagate(PHYSICS, estimate.theta, estimate.covariance)
    assert (np.abs(np.std(value, axis=0) / np.median(std, axis=0) - 1) < 0.1).all()


def test_a_current_that_falls_has_no_permittivity() -> None:
    assert np.isnan(PHYSICS.derive(np.array([[2.3, -1e-4]]))[0, 0])


@pytest.mark.parametrize(("root", "temperature"), [([1.0, 1.0], 300.0), ([-1.0, 1.0], 300.0), ([1.0, 2.0], 0.0)])
def test_what_no_instrument_measures_is_refused(root: list[float], temperature: float) -> None:
    with pytest.raises(ValueError, match=r"root_field|temperature"):
        CurrentVoltage(np.array(root), temperature)


def test_a_prior_helps_here_too() -> None:
    signals = lines(5.0).reshape(20, 20, 53)
    spectra = Spectra.from_array(signals, ROOT_FIELD, "root_field", "(V/m)^0.5")
    plain, helped = (map_spectra(spectra, "current-voltage", prior=prior) for prior in (None, "scan"))
    assert float(helped["slope"].std()) < 0.8 * float(plain["slope"].std())


def test_the_measured_map_is_of_lines_and_the_errors_of_two_curves_that_are_cut_off_stand_out(
    sample_files: Path,
) -> None:
    maps = map_spectra(sample_files / "spectroscopy" / "bfo_iv_final.hf5", "current-voltage")
    assert (maps["status"] == Status.OK).all()
    assert set(np.argsort(maps["barrier_std"].values.ravel())[-2:].tolist()) == {742, 1385}
    assert 3.8 < float(maps["permittivity"].median()) < 4.2
    assert 0.59 < float(maps["barrier"].median()) < 0.62
    assert maps["permittivity"].attrs["units"] == "1"
