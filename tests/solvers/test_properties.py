"""What least squares owes whatever the technique: order, scale, precision do not matter, and no number is made up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from parscope.core import Estimate, Separable, Status
from parscope.solvers.least_squares import LeastSquares
from parscope.solvers.prior import EmpiricalBayes
from parscope.techniques.band_excitation import BandExcitation
from parscope.techniques.hysteresis import HysteresisLoop
from parscope.techniques.lines import Lines

FREQUENCY = np.linspace(280e3, 359e3, 80)
BIAS = 8 * np.cos(np.linspace(0, 2 * np.pi, 64, endpoint=False))
SHIFT = np.linspace(100, 300, 100)
# The physics, and ranges of the parameters of its signals, for a noise of 1.
TECHNIQUES = {
    "be_sho": (BandExcitation(FREQUENCY), [(310e3, 330e3), (80, 150), (0.1, 0.3), (0.1, 0.3)]),
    "be_loop": (
        HysteresisLoop(BIAS),
        [(-4, -2), (0.8, 1.5), (0.8, 1.5), (2, 4), (0.8, 1.5), (0.8, 1.5), (-50, 0), (80, 90), (-0.5, 0.5)],
    ),
    "lines": (Lines(SHIFT, ((150.0, 250.0),)), [(180, 220), (5, 15), (30, 60), (0, 5), (-3, 3)]),
}
MODES = [(name, prior) for name in TECHNIQUES for prior in (False, True)]
FITTED = (Status.OK, Status.WEAK, Status.AMBIGUOUS)


def signals(name: str, n: int, seed: int = 0) -> NDArray[np.number]:
    """Signals of a technique."""
    (physics, ranges), rng = TECHNIQUES[name], np.random.default_rng(seed)
    clean = physics.render(rng.uniform(*np.transpose(ranges), (n, len(ranges))))
    noise = rng.normal(size=(2, *clean.shape))
    return np.asarray(clean + noise[0] + (1j * noise[1] if physics.complex else 0))


def physics_of(name: str) -> Separable:
    return TECHNIQUES[name][0]


SOLVERS = {name: LeastSquares(physics_of(name)) for name in TECHNIQUES}
POPULATIONS = {name: EmpiricalBayes(SOLVERS[name]).learn(signals(name, 300, 1)) for name in TECHNIQUES}


def fit(name: str, measured: NDArray[np.number], prior: bool) -> Estimate:
    """Estimates with and without a prior."""
    if prior:
        return EmpiricalBayes(SOLVERS[name]).fit(measured, POPULATIONS[name])
    return SOLVERS[name](measured)


def near(one: NDArray[np.float64], other: Estimate, tolerance: float = 1e-3) -> bool:
    """Whether parameters agree to a share of their standard errors."""
    fitted = np.isin(other.status, FITTED)
    return bool(np.max(np.abs(one - other.theta)[fitted] / other.std[fitted]) < tolerance)


@settings(max_examples=10)
@given(st.sampled_from(MODES), st.permutations(range(10)))
def test_the_order_of_a_batch_does_not_matter(mode: tuple[str, bool], order: list[int]) -> None:
    name, prior = mode
    measured = signals(name, 10)
    whole, shuffled = fit(name, measured, prior), fit(name, measured[order], prior)
    np.testing.assert_array_equal(whole.status[order], shuffled.status)
    assert near(whole.theta[order], shuffled, 1e-6)


@settings(max_examples=10)
@given(st.sampled_from(list(TECHNIQUES)), st.floats(-9, 9), st.booleans())
def test_a_scale_passes_through(name: str, power: float, turned: bool) -> None:
    measured, factor = signals(name, 10), 10.0**power * (-1 if turned else 1)
    plain, scaled = fit(name, measured, False), fit(name, measured * factor, False)
    first = len(physics_of(name).nonlinear)
    back = scaled.theta.copy()
    back[:, first:] /= factor
    np.testing.assert_array_equal(plain.status, scaled.status)
    assert near(back, plain)


@pytest.mark.parametrize(("name", "prior"), MODES)
def test_single_precision_gives_the_same(name: str, prior: bool) -> None:
    measured = signals(name, 50)
    single = fit(name, measured.astype(np.complex64 if measured.dtype.kind == "c" else np.float32), prior)
    double = fit(name, measured, prior)
    np.testing.assert_array_equal(single.status, double.status)
    assert near(single.theta, double)


@pytest.mark.parametrize("kind", [">f4", ">f8", "f2", "g", ">i2", "u2"])
def test_signals_of_any_type_of_number_are_fitted(kind: str) -> None:
    measured = (signals("lines", 20) + 40).round().astype(kind)
    expected = fit("lines", measured.astype(np.float64), False)
    np.testing.assert_array_equal(fit("lines", measured, False).theta, expected.theta)


@pytest.mark.parametrize("kind", [">c8", ">c16", "G"])
def test_complex_signals_of_any_type_of_number_are_fitted(kind: str) -> None:
    measured = signals("be_sho", 20).astype(np.complex64)
    expected = fit("be_sho", measured, True)
    assert near(fit("be_sho", measured.astype(kind), True).theta, expected, 1e-6)


def hostile(name: str) -> dict[str, NDArray[np.number]]:
    """Signals from which nothing can be told."""
    good, turn = signals(name, 1, 3)[0], 1j if physics_of(name).complex else 1
    holed, endless = good.copy(), good.copy()
    holed[7], endless[-1] = np.nan, np.inf
    centred = good - good.mean()
    rail = np.quantile(np.abs(centred.real), 0.7)
    return {
        "not a number": np.full_like(good, np.nan),
        "one not a number": holed,
        "one infinite": endless,
        "zero": np.zeros_like(good),
        "constant": np.full_like(good, 3 + turn),
        "too large": good * 1e300,
        "too small": good * 1e-300,
        "saturated": np.clip(centred.real, -rail, rail) + (1j * centred.imag if physics_of(name).complex else 0),
    }


@pytest.mark.parametrize(("name", "prior"), MODES)
def test_what_is_no_signal_is_no_number_and_disturbs_no_other(name: str, prior: bool) -> None:
    bad = hostile(name)
    good = signals(name, len(bad))
    mixed = np.stack([row for pair in zip(bad.values(), good, strict=True) for row in pair])
    estimate, alone = fit(name, mixed, prior), fit(name, good, prior)
    assert dict(zip(bad, estimate.status[::2].tolist(), strict=True)) == dict.fromkeys(bad, Status.BAD_INPUT)
    assert np.isnan(estimate.theta[::2]).all() and np.isnan(estimate.covariance[::2]).all()
    assert np.isnan(estimate.misfit[::2]).all()
    np.testing.assert_array_equal(estimate.status[1::2], alone.status)
    assert near(estimate.theta[1::2], alone, 1e-6)


@settings(max_examples=40)
@given(st.sampled_from(MODES), st.integers(0, 2**32), st.floats(-3, 3), st.sampled_from([0, 1, 3]))
def test_whatever_comes_a_value_has_a_status_that_allows_it(
    mode: tuple[str, bool], seed: int, power: float, kind: int
) -> None:
    name, prior = mode
    rng = np.random.default_rng(seed)
    shape = (4, physics_of(name).axis.size)
    made = 10.0**power * (rng.standard_t(1.5, shape) if kind else np.cumsum(rng.normal(size=shape), axis=1))
    if kind == 3:
        made[rng.random(shape) < 0.5] = 0
    estimate = fit(name, made.astype(complex) if physics_of(name).complex else made, prior)
    known = np.isin(estimate.status, FITTED)
    assert np.isfinite(estimate.theta[known]).all() and np.isfinite(estimate.std[known]).all()
    assert np.isnan(estimate.theta[~known]).all() and np.isnan(estimate.covariance[~known]).all()


@pytest.mark.parametrize("name", TECHNIQUES)
@pytest.mark.parametrize("prior", [False, True])
def test_no_signals_give_no_estimates(name: str, prior: bool) -> None:
    estimate = fit(name, signals(name, 1)[:0], prior)
    assert estimate.theta.shape == (0, len(physics_of(name).parameters))


def rounded(name: str, step: float) -> NDArray[np.number]:
    """Signals as a converter of few bits gives them."""
    measured = signals(name, 40, 2)
    if physics_of(name).complex:
        return np.asarray(step * (np.round(measured.real / step) + 1j * np.round(measured.imag / step)))
    return np.asarray(step * np.round(measured / step))


# The two levels of a loop, three times as coarse as its noise, look as if they were cut off.
@pytest.mark.parametrize(
    ("name", "step"), [(n, s) for n in TECHNIQUES for s in (0.2, 1.0, 3.0) if (n, s) != ("be_loop", 3.0)]
)
def test_few_bits_are_not_taken_for_a_saturated_detector(name: str, step: float) -> None:
    assert (fit(name, rounded(name, step), False).status != Status.BAD_INPUT).all()


def test_few_bits_give_the_truth_within_the_noise_of_rounding() -> None:
    plain, coarse = fit("be_sho", signals("be_sho", 40, 2), False), fit("be_sho", rounded("be_sho", 1.0), False)
    assert (coarse.status == Status.OK).all()
    assert np.max(np.abs(coarse.theta - plain.theta) / plain.std) < 2


def test_zeros_where_nothing_was_measured_are_not_taken_for_a_saturated_detector() -> None:
    counts = np.random.default_rng(0).poisson(0.4, (40, SHIFT.size)) + np.maximum(signals("lines", 40), 0).round()
    counts[:, :20] = counts[:, -20:] = 0
    assert (fit("lines", counts, False).status != Status.BAD_INPUT).all()
    padded = signals("be_sho", 40)
    padded[:, :15] = padded[:, -15:] = 0
    assert (fit("be_sho", padded, False).status != Status.BAD_INPUT).all()


@pytest.mark.parametrize("step", [1e-9, 1.0])
def test_a_converter_at_its_end_is_saturated(step: float) -> None:
    line = signals("lines", 40, 2) * 4
    rail = np.quantile(line, 0.8, axis=1, keepdims=True)
    cut = step * np.round(np.minimum(line, rail) / step)
    assert (fit("lines", cut, False).status == Status.BAD_INPUT).all()
