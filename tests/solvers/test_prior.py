"""A prior learnt from the scan helps weak signals, leaves strong ones alone, and tells its share."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from parscope.core.solver import Status
from parscope.solvers.least_squares import LeastSquares
from parscope.solvers.prior import EmpiricalBayes
from parscope.techniques.band_excitation import BandExcitation

PHYSICS = BandExcitation(np.linspace(280.5e3, 359.5e3, 80))


def scan(noise: float, n: int = 600) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """A film with domains of two signs: Q of 100 and a resonance of 320 kHz, both spread little."""
    rng = np.random.default_rng(1)
    size = rng.choice([-1.0, 1.0], n) * rng.normal(1, 0.15, n) / 100
    phase = rng.normal(0.5, 0.1, n)
    theta = np.stack(
        [rng.normal(320e3, 800, n), 100 * np.exp(rng.normal(0, 0.1, n)), size * np.cos(phase), size * np.sin(phase)], 1
    )
    return theta, PHYSICS.render(theta) + noise * (rng.normal(size=(n, 80)) + 1j * rng.normal(size=(n, 80)))


def test_weak_signals_gain_in_every_parameter() -> None:
    theta, signals = scan(0.4)
    plain = LeastSquares(PHYSICS)(signals)
    estimate = EmpiricalBayes(LeastSquares(PHYSICS))(signals)
    before, after = (np.nanmedian(np.abs(e.theta - theta), axis=0) for e in (plain, estimate))
    assert (after < before).all()
    assert after[1] < 0.5 * before[1]
    share = estimate.extra["prior_share"]
    assert np.nanmedian(share[:, 1]) > 0.5
    assert np.nanmin(share) > -1e-6 and np.nanmax(share) < 1 + 1e-6


def test_strong_signals_are_left_alone() -> None:
    _, signals = scan(0.005)
    plain = LeastSquares(PHYSICS)(signals)
    estimate = EmpiricalBayes(LeastSquares(PHYSICS))(signals)
    assert np.nanmax(np.abs(estimate.theta - plain.theta) / plain.std) < 0.5
    assert np.nanmax(estimate.extra["prior_share"]) < 0.05


def test_the_distribution_is_that_of_the_scan_not_of_its_noise() -> None:
    _, signals = scan(0.15)
    population = EmpiricalBayes(LeastSquares(PHYSICS)).learn(signals)
    assert population is not None
    assert population.mean[0] == pytest.approx(320e3, abs=200)
    assert population.std[0] == pytest.approx(800, rel=0.15)
    assert np.exp(population.mean[1]) == pytest.approx(100, rel=0.05)
    assert population.two_signs


def test_nothing_to_learn_from_is_no_prior() -> None:
    estimate = EmpiricalBayes(LeastSquares(PHYSICS))(np.full((5, 80), np.nan + 0j))
    assert np.isnan(estimate.theta).all() and not estimate.extra["prior_share"].any()


def test_signals_that_are_all_the_same_are_no_distribution() -> None:
    bayes = EmpiricalBayes(LeastSquares(PHYSICS))
    signals = np.repeat(scan(0.0, 1)[1], 8, axis=0)
    assert bayes.learn(signals) is None
    np.testing.assert_array_equal(bayes(signals).theta, LeastSquares(PHYSICS)(signals).theta)


def test_quality_below_the_noise_is_not_taken_for_narrow_lines() -> None:
    theta, signals = scan(0.8, 1000)
    population = EmpiricalBayes(LeastSquares(PHYSICS)).learn(signals)
    assert population is not None
    assert np.exp(population.mean[1]) == pytest.approx(np.median(theta[:, 1]), rel=0.1)


def test_signals_without_noise_are_left_alone() -> None:
    theta, signals = scan(0.0)
    estimate = EmpiricalBayes(LeastSquares(PHYSICS))(signals)
    np.testing.assert_allclose(estimate.theta, theta, rtol=1e-6)


def test_below_the_gate_intervals_hold_what_they_promise_under_a_prior_too() -> None:
    theta, signals = scan(0.6, 1500)
    estimate = EmpiricalBayes(LeastSquares(PHYSICS))(signals)
    assert np.mean(estimate.status == Status.OK) < 0.1
    error = np.abs(estimate.theta - theta)[:, 0] / estimate.std[:, 0]
    quality = estimate.theta[:, 1]
    ratio = np.abs(np.log(quality / theta[:, 1])) * quality / estimate.std[:, 1]
    assert 0.92 < np.mean(error < 1.96) < 0.98
    # The spread of the quality over the scan is learnt too wide where it is far below the noise.
    assert np.mean(ratio < 1.96) > 0.92
