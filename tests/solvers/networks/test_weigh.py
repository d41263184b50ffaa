"""Answers of a network, weighed by the physics: as the posterior over a fine grid, and left alone where that fails."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import iv

from parscope.solvers.networks.spectra.decoder import Decoder
from parscope.solvers.networks.spectra.inlet import Inlet
from parscope.solvers.networks.spectra.weigh import Strengths, Weigher
from parscope.techniques.band_excitation import BandExcitation
from parscope.techniques.hysteresis import HysteresisLoop

PHYSICS = BandExcitation(np.linspace(280e3, 319e3, 40), resonance_range=(290e3, 310e3), quality_range=(30.0, 300.0))
INLET, DECODER = Inlet(PHYSICS), Decoder(PHYSICS)
NOTHING = np.full((1, 2), 0.5), np.sqrt(1 / 12) * np.eye(2)[None]


def draw(snr: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Resonances, as shares of their range, and spectra with noise of standard deviation 1."""
    rng = np.random.default_rng(3)
    share, quality = rng.uniform(0, 1, count), np.exp(rng.uniform(np.log(30), np.log(300), count))
    factor = snr / quality * np.exp(1j * rng.uniform(-np.pi, np.pi, count))
    theta = np.stack([290e3 + 20e3 * share, quality, factor.real, factor.imag], axis=1)
    return share, PHYSICS.render(theta) + rng.normal(size=(count, 40, 2)).view(complex)[..., 0]


def told(count: int) -> tuple[np.ndarray, np.ndarray]:
    """What a network says that knows nothing."""
    return np.repeat(NOTHING[0], count, 0), np.repeat(NOTHING[1], count, 0)


def posterior_mean(signals: np.ndarray) -> np.ndarray:
    """Mean of the resonances, as shares of their range, on a fine grid, for one who knows that the noise is 1."""
    axis = np.meshgrid(np.linspace(290e3, 310e3, 161), np.geomspace(30, 300, 20), indexing="ij")
    grid = np.stack([one.ravel() for one in axis], axis=1)
    column = PHYSICS.basis(grid)[0]
    length = np.linalg.norm(column, axis=1)
    size = np.abs(signals @ (column / length[:, None]).conj().T)
    weakest = np.log(10**-0.5 * length / np.abs(column).max(axis=1))
    power = Strengths(2)(size, np.broadcast_to(weakest, size.shape)) + 0.5 * size**2
    weight = np.exp(power - power.max(axis=1, keepdims=True))
    mean: np.ndarray = (weight @ grid[:, 0] / weight.sum(axis=1) - 290e3) / 20e3
    return mean


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("weakest", [0.05, 0.4, 2.0])
@pytest.mark.parametrize("best", [0.0, 1.5, 4.0, 12.0, 60.0])
def test_strengths_together_are_the_integral_over_all_of_them(parts: int, weakest: float, best: float) -> None:
    def density(x: float) -> float:
        turned = iv(0, x * best) if parts == 2 else np.cosh(x * best)
        return float(np.exp(-0.5 * (x**2 + best**2)) * turned / x)

    found = Strengths(parts)(np.array([best]), np.log([weakest]))[0]
    if best > 30:  # beyond the table; the integral over the narrow peak is known there
        expected = -2 * np.log(best) if parts == 2 else np.log(np.sqrt(np.pi / 2) / best)
        assert found == pytest.approx(expected, abs=0.01)
    else:
        expected = np.log(quad(density, weakest, 40, limit=200, points=[max(best, weakest)])[0])
        assert found == pytest.approx(expected, abs=0.06)


def test_weak_spectra_have_the_mean_of_the_posterior_and_intervals_that_hold_it() -> None:
    weigher = Weigher(INLET, DECODER)
    share, signals = draw(3.0, 600)
    unit, axes = weigher(signals, *told(600))
    std = np.sqrt(np.square(axes).sum(axis=2))[:, 0]
    assert 0.92 < np.mean(np.abs(unit[:, 0] - share) < 1.96 * std) < 0.99
    # Nearly as for one who knows the noise, which 40 samples do not tell well.
    expected = posterior_mean(signals)
    assert np.sqrt(np.mean(np.square(unit[:, 0] - expected))) < 0.45 * np.std(expected - share)
    assert np.sqrt(np.mean(np.square(unit[:, 0] - share))) < 1.15 * np.sqrt(np.mean(np.square(expected - share)))


@pytest.mark.parametrize("unit_of_signal", [1.0, 1e-3])
def test_a_noise_that_is_known_gives_the_posterior_of_one_who_knows_it(unit_of_signal: float) -> None:
    weigher = Weigher(INLET, DECODER)
    share, signals = draw(3.0, 300)
    known = np.full(300, unit_of_signal)
    unit, axes = weigher(unit_of_signal * signals, *told(300), known)
    wide = weigher(unit_of_signal * signals, *told(300))[1]
    expected = posterior_mean(signals)
    std = np.sqrt(np.square(axes).sum(axis=2))[:, 0]
    assert 0.92 < np.mean(np.abs(unit[:, 0] - share) < 1.96 * std) < 0.99
    assert np.median(np.abs(unit[:, 0] - expected) / std) < 0.03
    assert np.sqrt(np.mean(np.square(unit[:, 0] - expected))) < 0.1 * np.sqrt(np.mean(np.square(std)))
    assert np.mean(std) < np.mean(np.sqrt(np.square(wide).sum(axis=2))[:, 0])


def test_a_spectrum_of_another_noise_is_not_told_that_of_the_others() -> None:
    weigher = Weigher(INLET, DECODER)
    _, signals = draw(3.0, 60)
    signals[::2] *= 5
    found, alone = weigher(signals, *told(60), np.ones(60)), weigher(signals, *told(60))
    for known, unknown in zip(found, alone, strict=True):
        np.testing.assert_allclose(known[::2], unknown[::2], rtol=1e-9)
        assert (known[1::2] != unknown[1::2]).any(axis=tuple(range(1, known.ndim))).all()


def test_noise_alone_is_anywhere() -> None:
    unit, axes = Weigher(INLET, DECODER)(draw(0.0, 200)[1], *told(200))
    assert np.median(np.sqrt(np.square(axes).sum(axis=2))[:, 0]) > 0.2
    assert abs(unit[:, 0].mean() - 0.5) < 0.05


def test_a_spectrum_of_nothing_but_level_is_anywhere() -> None:
    unit, axes = Weigher(INLET, DECODER)(np.zeros((2, 40), complex), *told(2))
    np.testing.assert_allclose(unit[:, 0], 0.5, atol=0.05)
    assert np.isfinite(axes).all()


def test_what_no_place_is_near_enough_to_stays_as_it_was_told() -> None:
    _, signals = draw(1e6, 5)
    unit, axes = told(5)
    wrong = unit + 0.3, 1e-3 * axes
    found = Weigher(INLET, DECODER)(signals, *wrong)
    np.testing.assert_array_equal(found[0], wrong[0])
    np.testing.assert_array_equal(found[1], wrong[1])


def test_it_is_for_physics_of_one_column_that_moves_and_flat_bounds() -> None:
    assert Weigher.suits(INLET, DECODER)
    soft = HysteresisLoop(8 * np.cos(np.linspace(0, 2 * np.pi, 64, endpoint=False)))
    assert soft.usual
    assert not Weigher.suits(Inlet(soft), Decoder(soft))
