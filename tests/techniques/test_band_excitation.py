"""The harmonic oscillator keeps its conventions, and its precision in float32."""

from __future__ import annotations

import numpy as np
import pytest

from parscope.core.bound import cramer_rao, propagate
from parscope.techniques.band_excitation import BandExcitation

FREQUENCY = np.linspace(280e3, 360e3, 81)
THETA = np.array([[320e3, 100.0, 0.02 * np.cos(0.7), 0.02 * np.sin(0.7)]])


def test_at_resonance_the_modulus_is_amplitude_times_quality_and_the_phase_leads_by_a_quarter() -> None:
    peak = BandExcitation(FREQUENCY).render(THETA)[0, 40]
    assert abs(peak) == pytest.approx(0.02 * 100)
    assert np.angle(peak) == pytest.approx(0.7 + np.pi / 2)


def test_amplitude_and_phase_are_derived() -> None:
    np.testing.assert_allclose(BandExcitation(FREQUENCY).derive(THETA), [[0.02, 0.7]])


def test_far_below_resonance_the_phase_is_turned_by_half_a_turn() -> None:
    low = BandExcitation(np.array([1.0, 2.0])).render(THETA)[0, 0]
    assert np.angle(low * np.exp(-0.7j)) == pytest.approx(np.pi, abs=1e-4) or np.angle(
        low * np.exp(-0.7j)
    ) == pytest.approx(-np.pi, abs=1e-4)


def test_single_precision_is_enough() -> None:
    physics = BandExcitation(FREQUENCY)
    double = physics.render(THETA)
    single = physics.render(THETA.astype(np.float32))
    assert single.dtype == np.complex64
    assert np.abs(single - double).max() < 2e-5 * np.abs(double).max()


def test_a_background_is_added() -> None:
    physics = BandExcitation(FREQUENCY, background=True)
    with_level = physics.render(np.concatenate([THETA, [[1.0, -2.0]]], axis=1))
    np.testing.assert_allclose(with_level - BandExcitation(FREQUENCY).render(THETA), 1 - 2j)


def test_the_bound_is_that_of_a_narrow_line_in_a_wide_band() -> None:
    frequency = np.linspace(200e3, 440e3, 961)
    width = 320e3 / 100 / np.diff(frequency)[0]
    short = np.sqrt(4 / (np.pi * width)) * 0.1 / 2.0
    physics = BandExcitation(frequency)
    covariance = cramer_rao(physics, THETA, 0.1)
    std = np.sqrt(np.diagonal(covariance[0]))
    assert std[0] == pytest.approx(320e3 / 200 * np.sqrt(2) * short, rel=0.03)
    assert std[1] == pytest.approx(100 * np.sqrt(2) * short, rel=0.03)
    np.testing.assert_allclose(propagate(physics, THETA, covariance)[1], [[0.02 * short, short]], rtol=0.03)


@pytest.mark.parametrize("frequency", [[[1.0, 2.0]], [2.0, 1.0], [0.0, 1.0], [1.0, np.nan]])
def test_frequencies_that_no_instrument_sends_are_refused(frequency: list[float]) -> None:
    with pytest.raises(ValueError, match="frequency"):
        BandExcitation(np.array(frequency))
