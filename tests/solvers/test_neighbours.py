"""Neighbours help what is weak, say little at a wall, and tell how much they are to be believed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from parscope.solvers.least_squares import LeastSquares
from parscope.solvers.neighbours import from_neighbours
from parscope.solvers.prior import EmpiricalBayes
from parscope.techniques.band_excitation import BandExcitation

Array = NDArray[np.float64]
SHAPE = (32, 32)
PHYSICS = BandExcitation(np.linspace(280.5e3, 359.5e3, 80))
RIGHT = np.broadcast_to(np.arange(32) >= 17, SHAPE)


def smooth(rng: np.random.Generator) -> Array:
    """A map of mean 0 and variance 1 that varies over a few points."""
    values = ndimage.gaussian_filter(rng.normal(size=SHAPE), 4, mode="wrap")
    return np.asarray(values / values.std())


def measured(noise: float, wall: float, seed: int = 0) -> tuple[Array, Array, Array]:
    """A smooth map with a wall and a little scatter, what is measured of it, and the variance of that."""
    rng = np.random.default_rng(seed)
    truth = 0.5 * smooth(rng) + 0.05 * rng.normal(size=SHAPE) + wall * RIGHT
    truth = (truth - truth.mean()) / truth.std()
    return truth, truth + noise * rng.normal(size=SHAPE), np.full(SHAPE, noise**2)


@pytest.mark.parametrize("noise", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("wall", [0.0, 3.0])
def test_what_is_foreseen_is_as_far_off_as_it_says(noise: float, wall: float) -> None:
    truth, value, variance = measured(noise, wall)
    mean, expected = from_neighbours(value, variance, 2)
    assert 0.92 < np.mean(np.abs(truth - mean) < 1.96 * np.sqrt(expected)) <= 1
    assert np.mean(np.square(truth - mean)) < 0.5


def test_the_point_itself_is_left_out() -> None:
    _, value, variance = measured(0.1, 0.0)
    other = value.copy()
    other[10, 10] = 50.0
    variance[10, 10] = 0.5
    there, here = (from_neighbours(v, variance, 2)[0][10, 10] for v in (value, other))
    assert here == pytest.approx(there, abs=0.2)


def test_at_a_wall_the_neighbours_say_little() -> None:
    _, value, variance = measured(0.1, 3.0)
    expected = from_neighbours(value, variance, 2)[1]
    assert np.median(expected[:, 16:18]) > 5 * np.median(expected[:, 6:10])


def test_what_was_not_measured_tells_nothing() -> None:
    _, value, variance = measured(0.1, 0.0)
    holed, without = value.copy(), variance.copy()
    holed[5, 5], without[5, 5] = np.nan, np.inf
    mean, expected = from_neighbours(holed, without, 2)
    assert np.isfinite(mean).all() and (expected > 0).all()
    mean, expected = from_neighbours(np.full(SHAPE, np.nan), variance, 2)
    assert (mean == 0).all() and (expected == 1).all()


def test_maps_side_by_side_do_not_mix() -> None:
    maps = [measured(0.2, 3.0, seed) for seed in (1, 2)]
    value, variance = (np.stack([m[i] for m in maps], axis=2) for i in (1, 2))
    value[..., 1] *= -1
    mean = from_neighbours(value, variance, 2)[0]
    assert np.corrcoef(mean[..., 0].ravel(), maps[0][0].ravel())[0, 1] > 0.9
    assert np.corrcoef(mean[..., 1].ravel(), -maps[1][0].ravel())[0, 1] > 0.9


def test_noise_has_no_neighbours() -> None:
    value = np.random.default_rng(0).normal(size=SHAPE)
    mean, expected = from_neighbours(value, np.full(SHAPE, 1e-4), 2)
    assert np.abs(mean).max() < 0.3 and np.median(expected) > 0.9


def scan(noise: float) -> tuple[Array, NDArray[np.complex128]]:
    """A film whose resonance varies smoothly, with a wall where it jumps; a domain in it has the other sign."""
    rng = np.random.default_rng(1)
    resonance = 318e3 + 1.5e3 * smooth(rng) + 100 * rng.normal(size=SHAPE) + 5e3 * RIGHT
    quality = 100 * np.exp(0.15 * smooth(rng) + 0.03 * rng.normal(size=SHAPE))
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    sign = np.where(np.hypot(y - 12, x - 10) < 7, -1.0, 1.0)
    size, phase = sign * rng.normal(1, 0.15, SHAPE) / 100, rng.normal(0.5, 0.1, SHAPE)
    theta = np.stack([resonance, quality, size * np.cos(phase), size * np.sin(phase)], -1).reshape(-1, 4)
    return theta, PHYSICS.render(theta) + noise * (rng.normal(size=(1024, 80)) + 1j * rng.normal(size=(1024, 80)))


def test_neighbours_help_more_than_the_scan_and_errors_stay_honest() -> None:
    theta, signals = scan(0.33)
    bayes = EmpiricalBayes(LeastSquares(PHYSICS))
    population = bayes.learn(signals)
    alone = bayes.fit(signals, population)
    told = [
        from_neighbours(value.reshape(SHAPE), variance.reshape(SHAPE), 2)
        for value, variance in zip(*(part.T for part in bayes.alone(alone, population)), strict=True)
    ]
    local = tuple(np.stack([one[i].ravel() for one in told], axis=1) for i in (0, 1))
    helped = bayes.fit(signals, population, (local[0], local[1]))
    before, after = (np.sqrt(np.mean(np.square(e.theta[:, 0] - theta[:, 0]))) for e in (alone, helped))
    assert after < 0.8 * before
    assert 0.92 < np.mean(np.abs(helped.theta - theta)[:, 0] < 1.96 * helped.std[:, 0]) < 0.99
    # The jump is where it was: pixels on either side are not drawn over by more than their errors.
    edge = np.zeros(SHAPE, bool)
    edge[:, 15:19] = True
    drawn = np.where(RIGHT, 1, -1)[edge] * (helped.theta - theta)[edge.ravel(), 0]
    assert abs(np.mean(drawn)) < np.mean(helped.std[edge.ravel(), 0])
    share = helped.extra["prior_share"][:, :2]
    assert np.median(share[:, 1]) > np.median(alone.extra["prior_share"][:, 1])
