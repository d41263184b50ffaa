"""Contrast inside the disks: found where there is some, and what errors it leaves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from parscope.core.physics import Contrast
from parscope.solvers.lattice import LatticeFilters, waves
from parscope.solvers.lattice.contrast import calibrate, find_power
from parscope.solvers.lattice.evidence import evidence
from parscope.techniques.diffraction import DiffractionPattern
from tests.solvers.crystals import SIDE, about, calibration, counts, crystal, flat


def fringed(pattern: DiffractionPattern, theta: Any) -> Any:
    """Patterns whose disks carry fringes that wander from pattern to pattern."""
    random = np.random.default_rng(3)
    mean = pattern.render(theta)
    y, x = np.indices(pattern.shape)
    for s in range(len(theta)):
        wave = random.normal(size=2) * 0.25
        mean[s] *= 1 + 0.5 * np.cos(wave[0] * y + wave[1] * x + random.uniform(0, 2 * np.pi))
    return np.random.default_rng(4).poisson(mean).astype(np.uint16)


def test_contrast_is_found_where_there_is_some_and_only_there() -> None:
    pattern = crystal(electrons=3e4)
    theta = about(pattern, 200)
    solver = flat().with_lattice(pattern)
    assert calibrate(solver, counts(pattern, theta)).physics.contrast.depth <= 0.1
    patterns = fringed(pattern, theta)
    prepared = calibrate(solver, patterns)
    assert prepared.physics.contrast.depth > 0.15
    before, after = solver(patterns).theta - theta, prepared(patterns)
    assert np.std(after.theta - theta) < np.std(before)
    assert prepared.with_contrast(replace(prepared.physics.contrast, scatter=2.0))._fine is prepared._fine


def test_errors_under_the_contrast_found_are_those_that_are_claimed() -> None:
    pattern = crystal(electrons=3e4)
    theta = about(pattern, 200)
    patterns = fringed(pattern, theta)
    after = calibrate(flat().with_lattice(pattern), patterns)(patterns)
    assert 0.8 < calibration(after, theta) < 1.2


def test_power_of_fringes_is_found_at_their_wavelength() -> None:
    pattern = crystal(electrons=1e5)
    theta = about(pattern, 200)
    random = np.random.default_rng(5)
    between = pattern.render(theta, np.zeros_like(pattern.amplitude))
    mean = pattern.render(theta) - between
    y, x = np.indices(pattern.shape)
    wavenumber = 2 * np.pi * Contrast.periods[2] / pattern.probe.radius
    for image in mean:
        angle, phase = random.uniform(0, 2 * np.pi, 2)
        image *= 1 + 0.3 * np.cos(wavenumber * (np.cos(angle) * y + np.sin(angle) * x) + phase)
    patterns = random.poisson(mean + between).astype(np.uint16)
    power = calibrate(flat().with_lattice(pattern), patterns).physics.contrast.power
    assert np.argmax(power) == 2
    # The mean over a disk counts as its amplitude, hence a little less than the variance of the wave.
    assert 0.7 < sum(power) / (0.3**2 / 2) < 1.1


def test_masked_windows_say_nothing_of_the_contrast() -> None:
    pattern = replace(crystal(), mask=np.ones((SIDE, SIDE), np.bool_))
    solver = LatticeFilters(crystal())
    patterns = counts(crystal(), about(crystal(), 8))
    assert find_power([(solver, patterns)]) is not None
    estimate = solver(patterns)
    assert len(evidence(pattern, patterns, estimate.theta).count) == 0
    assert len(evidence(pattern, patterns, estimate.theta, changing=True).count) == 0


def test_functions_on_a_disk_hold_waves_of_every_length() -> None:
    random = np.random.default_rng(6)
    angle, radius = random.uniform(0, 2 * np.pi, 300), 1.2 * np.sqrt(random.uniform(0, 1, 300))
    at = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)
    values = waves.functions(at)
    for periods, covariance in zip(Contrast.periods, waves.covariances(), strict=True):
        wave = np.cos(2 * np.pi * periods * (0.6 * at[:, 0] + 0.8 * at[:, 1]) + 1.0)
        rest = wave - values @ np.linalg.lstsq(values, wave, rcond=None)[0]
        assert np.std(rest) < 0.03
        inside = values[radius < 1.0]
        about_mean = inside - inside.mean(0)
        spread = np.einsum("ni,ij,nj->n", about_mean, covariance, about_mean)
        assert np.mean(spread) == pytest.approx(1.0, abs=0.1)


def test_too_few_disks_to_scatter_leave_the_solver_as_it_is() -> None:
    few = replace(crystal(), indices=crystal().indices[:3], amplitude=crystal().amplitude[:3])
    solver = LatticeFilters(few)
    assert calibrate(solver, counts(few, about(few, 4))) is solver
    empty = np.zeros((4, SIDE, SIDE), np.uint16)
    assert calibrate(flat(), empty).physics.contrast == Contrast()
