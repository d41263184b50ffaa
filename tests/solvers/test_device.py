"""The search on a device of PyTorch gives the answers of the compiled one; here the device is the processor."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from parscope.core import Estimate, Separable, Status
from parscope.core.errors import OptionError
from parscope.solvers.least_squares import LeastSquares
from parscope.solvers.prior import EmpiricalBayes
from parscope.techniques.band_excitation import BandExcitation
from parscope.techniques.hysteresis import HysteresisLoop
from parscope.techniques.lines import Lines

torch = pytest.importorskip("torch")
RNG = np.random.default_rng(5)
FREQUENCY = np.linspace(280e3, 359e3, 80)
BIAS = 8 * np.cos(np.linspace(0, 2 * np.pi, 64, endpoint=False))
LINES = Lines(np.linspace(100, 300, 120), ((120.0, 160.0), (200.0, 260.0)))
# The physics, and ranges of the parameters of its signals.
TECHNIQUES = {
    "be_sho": (BandExcitation(FREQUENCY), [(310e3, 330e3), (60, 200), (-0.3, 0.3), (0.1, 0.3)]),
    "background": (
        BandExcitation(FREQUENCY, background=True),
        [(310e3, 330e3), (60, 200), (-0.3, 0.3), (0.1, 0.3), (3, 4), (-1, 1)],
    ),
    "be_loop": (
        HysteresisLoop(BIAS),
        [(-4, -1), (0.5, 2), (0.5, 2), (1, 4), (0.5, 2), (0.5, 2), (-10, 10), (15, 20), (-0.5, 0.5)],
    ),
    "lines": (LINES, [(130, 150), (3, 10), (210, 250), (3, 10), (10, 30), (10, 30), (0, 5), (-3, 3)]),
}


def signals(name: str, n: int = 300) -> tuple[Separable, NDArray[np.number]]:
    """A physics and signals of it with a noise of 1."""
    physics, ranges = TECHNIQUES[name]
    clean = physics.render(RNG.uniform(*np.transpose(ranges), (n, len(ranges))))
    noise = RNG.normal(size=(2, *clean.shape))
    return physics, clean + noise[0] + (1j * noise[1] if physics.complex else 0)


def same(one: Estimate, other: Estimate) -> None:
    """Answers to a thousandth of their standard errors."""
    np.testing.assert_array_equal(one.status, other.status)
    fine = (other.status == Status.OK) & (one.status == Status.OK)
    assert fine.mean() > 0.5
    assert np.isfinite(one.theta[one.status == Status.OK]).all()
    assert np.isnan(one.theta[~np.isin(one.status, [Status.OK, Status.WEAK, Status.AMBIGUOUS])]).all()
    assert np.max(np.abs(one.theta - other.theta)[fine] / other.std[fine]) < 1e-3
    unit = other.std[fine, :, None] * other.std[fine, None, :]
    np.testing.assert_allclose(one.covariance[fine] / unit, other.covariance[fine] / unit, atol=1e-3)
    np.testing.assert_allclose(one.misfit[fine], other.misfit[fine], rtol=1e-3)


@pytest.mark.parametrize("noise", [1.0, None])
@pytest.mark.parametrize("name", ["be_sho", "background", "lines"])
def test_a_device_gives_the_answers_of_the_compiled_search(name: str, noise: float | None) -> None:
    physics, measured = signals(name)
    measured[3] = np.nan
    same(LeastSquares(physics, noise, device="cpu")(measured), LeastSquares(physics, noise)(measured))


@pytest.mark.parametrize("sharp", [False, True])
def test_loops_end_in_the_same_valleys_there(sharp: bool) -> None:
    physics, ranges = TECHNIQUES["be_loop"]
    theta = RNG.uniform(*np.transpose(ranges), (300, len(ranges)))
    if sharp:
        theta[:, [1, 2, 4, 5]] = np.exp(RNG.normal(np.log(0.5), 1.0, (300, 4)))
    measured = physics.render(theta) + RNG.normal(size=(300, 64))
    there, here = LeastSquares(physics, device="cpu")(measured), LeastSquares(physics)(measured)
    assert np.mean(there.status == here.status) > 0.99
    fine = (here.status == Status.OK) & (there.status == Status.OK)
    apart = np.max(np.abs(there.theta - here.theta)[fine] / here.std[fine], axis=1)
    assert np.median(apart) < 0.02
    assert np.quantile(apart, 0.9) < 0.1
    np.testing.assert_allclose(there.misfit[fine], here.misfit[fine], rtol=0.05)


def test_a_prior_is_the_same_there() -> None:
    physics, measured = signals("background")
    there, here = EmpiricalBayes(LeastSquares(physics, device="cpu")), EmpiricalBayes(LeastSquares(physics))
    population = here.learn(measured)
    assert population is not None
    same(there.fit(measured, population), here.fit(measured, population))


def test_no_signals_give_no_estimates_there() -> None:
    assert LeastSquares(BandExcitation(FREQUENCY), device="cpu")(np.empty((0, 80), complex)).theta.shape == (0, 4)


@pytest.mark.parametrize("name", TECHNIQUES)
def test_columns_are_made_where_the_parameters_are(name: str) -> None:
    physics, ranges = TECHNIQUES[name]
    elsewhere = torch.zeros(3, len(ranges), dtype=torch.float64, device="meta")
    assert {column.device.type for column in physics.basis(elsewhere)} == {"meta"}


@pytest.mark.parametrize("name", ["nowhere", "cuda:99", "meta:x"])
def test_a_device_that_is_not_there_is_said_in_one_line(name: str) -> None:
    with pytest.raises(OptionError, match=f"device '{name}': cannot be used") as told:
        LeastSquares(BandExcitation(FREQUENCY), device=name)
    assert "\n" not in str(told.value)
