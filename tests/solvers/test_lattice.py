"""Lattice filters against the truth, the Cramér-Rao bound and everything that befalls real patterns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from parscope.core.solver import Status
from parscope.solvers.lattice import LatticeFilters
from parscope.solvers.lattice.filters import concatenate
from parscope.solvers.lattice.pooling import halo, pool
from parscope.techniques.diffraction import Background
from tests.solvers.crystals import SIDE, about, bias, bound, calibration, counts, crystal, flat, sample


@pytest.mark.parametrize("electrons", [1e3, 1e4, 1e5])
def test_reaches_the_cramer_rao_bound_with_honest_errors(electrons: float) -> None:
    pattern = crystal(electrons=electrons)
    theta, patterns = sample(electrons=electrons)
    estimate = flat().with_lattice(pattern)(patterns)
    assert (estimate.status == Status.OK).all()
    error = (estimate.theta - theta) / np.sqrt(np.diag(bound(pattern)))
    assert np.sqrt(np.mean(error**2)) == pytest.approx(1.0, abs=0.1)
    assert calibration(estimate, theta) == pytest.approx(1.0, abs=0.1)
    assert np.median(estimate.extra["limit_ratio"]) == pytest.approx(1.0, abs=0.06)
    assert np.median(estimate.misfit) == pytest.approx(1.0, abs=0.04)


def test_finds_the_lattice_from_four_pixels_eight_degrees_and_five_percent_away() -> None:
    pattern = crystal()
    moves = []
    for sign in (-1, 1):
        turn = sign * np.deg2rad(8.0)
        rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        for dy, dx, affine in ((4, 0, np.eye(2)), (0, 4, np.eye(2)), (0, 0, rotation), (0, 0, np.diag([1.05, 0.95]))):
            moves.append([*pattern.centre + sign * np.array([dy, dx]), *affine.ravel()])
    theta = np.repeat(np.array(moves), 10, axis=0)
    estimate = flat()(counts(pattern, theta))
    assert (estimate.status == Status.OK).all()
    assert calibration(estimate, theta) < 1.2


def test_every_type_of_number_gives_the_same_bits() -> None:
    _, patterns = sample(12)
    wanted = flat()(patterns.astype(np.float32)).theta
    for dtype in ("uint8", "uint16", "int32", "float64", ">u2", ">f4", "int64"):
        assert (flat()(patterns.astype(dtype)).theta == wanted).all(), dtype
    spaced = np.zeros((12, SIDE, 2 * SIDE), np.uint16)
    spaced[:, :, ::2] = patterns
    assert (flat()(spaced[:, :, ::2]).theta == wanted).all()


def test_bad_patterns_fail_by_name_and_leave_their_neighbours_alone() -> None:
    patterns = sample(20)[1].astype(np.float32)
    clean = flat().rows(patterns[None])
    patterns[3] = 0
    patterns[6, 5, 5] = np.nan
    patterns[9] = -patterns[9]
    patterns[12] = np.random.default_rng(0).exponential(300.0, (SIDE, SIDE))
    patterns[15, 40:60, 40:60] = 6e4
    patterns[18, 0, 0] = np.inf
    estimate = flat().rows(patterns[None])
    expected = {3: Status.WEAK, 6: Status.BAD_INPUT, 9: Status.BAD_INPUT, 18: Status.BAD_INPUT}
    assert {k: Status(estimate.status[k]) for k in expected} == expected
    failed = estimate.status != Status.OK
    assert (np.isnan(estimate.theta).all(1) == failed).all()
    assert (np.isnan(estimate.covariance).all((1, 2)) == failed).all()
    others = np.setdiff1d(np.arange(20), [3, 6, 9, 12, 15, 18])
    assert (np.abs(estimate.theta - clean.theta)[others] < 0.3 * clean.std[others]).all()


def test_a_lattice_out_of_reach_is_no_number() -> None:
    pattern = crystal()
    far = pattern.theta + np.array([0, 0, 0.3, 0, 0, 0.3])
    estimate = flat()(counts(pattern, np.repeat(far[None], 8, 0)))
    assert (estimate.status != Status.OK).all() or np.nanmin(estimate.misfit) > 1.2


def test_a_dozen_electrons_are_too_few() -> None:
    pattern = crystal(electrons=12.0)
    assert (flat().with_lattice(pattern)(counts(pattern, about(pattern, 20))).status == Status.WEAK).mean() > 0.5


def test_warm_rows_agree_with_cold_fits() -> None:
    _, patterns = sample(200)
    cold, warm = flat()(patterns), flat().rows(patterns.reshape(10, 20, SIDE, SIDE))
    assert (np.abs(cold.theta - warm.theta) < 0.35 * cold.std).all()
    again = flat().rows(patterns.reshape(10, 20, SIDE, SIDE), start=cold.theta.reshape(10, 20, 6))
    assert (np.abs(cold.theta - again.theta) < 0.35 * cold.std).all()


@pytest.mark.parametrize("kind", ["hot", "dead", "beam stop", "saturated direct beam"])
def test_masked_pixels_cost_precision_and_nothing_else(kind: str) -> None:
    pattern = crystal()
    mask = np.zeros(pattern.shape, np.bool_)
    y, x = np.indices(pattern.shape) - pattern.centre[0]
    if kind in ("hot", "dead"):
        mask[np.random.default_rng(5).random(pattern.shape) < 0.03] = True
    elif kind == "beam stop":
        mask |= (np.abs(y) < 9) & (x < 9)
    else:
        mask |= np.hypot(y, x) < 3.5
    theta, patterns = sample()
    unmasked = flat()(patterns)
    patterns[:, mask] = 0 if kind in ("dead", "beam stop") else 65535
    estimate = flat().with_lattice(replace(pattern, mask=mask))(patterns)
    assert (estimate.status == Status.OK).all()
    assert bias(estimate, theta) < 4.0
    assert 0.85 < calibration(estimate, theta) < 1.15
    assert np.median(estimate.std[:, 2:]) >= 0.99 * np.median(unmasked.std[:, 2:])


@pytest.mark.parametrize(("radius", "spacing"), [(6.0, 9.6), (6.0, 12.0), (1.2, 12.0)])
def test_overlapping_disks_and_small_spots_are_measured_without_bias(radius: float, spacing: float) -> None:
    pattern = crystal(radius, spacing)
    theta = about(pattern, 250, shift=0.5, strain=0.005)
    estimate = LatticeFilters(pattern)(counts(pattern, theta))
    assert (estimate.status == Status.OK).all()
    assert bias(estimate, theta) < 4.0
    # Where disks touch, the same electrons move both, which standard errors of independent disks do not know.
    assert 0.85 < calibration(estimate, theta) < 1.25


def test_counts_of_an_analogue_detector_have_the_variance_of_their_gain() -> None:
    pattern = crystal()
    theta, patterns = sample()
    signal = 3.7 * patterns.astype(np.float32)
    background = Background(3.7 * pattern.background.level, pattern.background.width)
    analogue = replace(pattern, gain=3.7, amplitude=3.7 * pattern.amplitude, background=background)
    estimate = LatticeFilters(analogue)(signal)
    assert calibration(estimate, theta) == pytest.approx(1.0, abs=0.1)
    assert np.median(estimate.misfit) == pytest.approx(1.0, abs=0.04)
    assert np.median(estimate.extra["electrons"]) == pytest.approx(1e4, rel=0.02)


@pytest.mark.parametrize("factor", [0.2, 5.0])
def test_patterns_much_brighter_or_dimmer_than_the_mean_are_not_biased(factor: float) -> None:
    theta, patterns = sample(electrons=1e4 * factor)
    estimate = flat()(patterns)
    assert bias(estimate, theta) < 4.0
    assert calibration(estimate, theta) == pytest.approx(1.0, abs=0.1)


def test_disks_that_leave_the_detector_are_left_out() -> None:
    pattern = crystal()
    theta = about(pattern, 200) + np.array([2.5, -2.5, 0.02, 0, 0, 0.02])
    estimate = flat()(counts(pattern, theta))
    assert bias(estimate, theta) < 4.0
    assert calibration(estimate, theta) == pytest.approx(1.0, abs=0.12)


def test_patterns_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="do not match"):
        flat()(np.zeros((2, 8, 8)))


def test_amplitudes_are_measured_without_fitting() -> None:
    pattern = crystal()
    theta, patterns = sample()
    amplitude = flat().measure(patterns, theta)
    assert np.nanmean(amplitude, axis=0) == pytest.approx(pattern.amplitude, rel=0.03)
    outside = theta[:2] + np.array([SIDE, 0, 0, 0, 0, 0])
    assert np.isnan(flat().measure(patterns[:2], outside)).all()
    unknown = np.full(6, np.nan)
    assert np.isnan(flat().measure(patterns[:2], unknown)).all()


def test_other_orientations_share_the_filters_and_the_precision() -> None:
    pattern = crystal(turn=38.0)
    theta = about(pattern, 300)
    patterns = counts(pattern, theta)
    shared, own = flat().with_lattice(pattern), LatticeFilters(pattern)
    assert shared._fine.filters is flat()._fine.filters
    ours, theirs = shared(patterns), own(patterns)
    assert calibration(ours, theta) == pytest.approx(1.0, abs=0.1)
    assert np.std(ours.theta - theta, axis=0) == pytest.approx(np.std(theirs.theta - theta, axis=0), rel=0.05)
    crowded = crystal(6.0, 9.6)
    assert "_fine" not in LatticeFilters(crowded).with_lattice(crystal(6.0, 9.6, turn=38.0)).__dict__


def scan(electrons: float, step: float, shape: tuple[int, int] = (16, 20)) -> tuple[LatticeFilters, Any, Any]:
    """Solver, patterns and truth of a scan that is strained by `step` in its right half."""
    pattern = crystal(electrons=electrons)
    theta = np.tile(pattern.theta, (*shape, 1))
    theta[:, shape[1] // 2 :, 2] += step
    half = shape[1] // 2
    left, right = pattern.render(theta[0, [0, -1]])
    mean = np.concatenate([np.tile(left, (shape[0], half, 1, 1)), np.tile(right, (shape[0], half, 1, 1))], axis=1)
    return flat().with_lattice(pattern), np.random.default_rng(2).poisson(mean).astype(np.uint16), theta


@pytest.mark.parametrize("size", [3, 5])
def test_pooling_makes_use_of_a_hundred_electrons(size: int) -> None:
    solver, patterns, theta = scan(100.0, 0.0)
    estimate = pool(solver, patterns, size)
    error = (estimate.theta - theta.reshape(-1, 6))[:, 2:]
    assert (estimate.status == Status.OK).all()
    assert np.sqrt(np.mean(error**2)) < (8e-3 if size == 3 else 6e-3)
    assert 0.8 < calibration(estimate, theta.reshape(-1, 6)) < 1.2
    alone = solver.rows(patterns)
    assert np.sqrt(np.mean(error**2)) < 0.6 * np.sqrt(np.nanmean((alone.theta - theta.reshape(-1, 6))[:, 2:] ** 2))


def test_pooling_keeps_a_step_that_can_be_seen() -> None:
    solver, patterns, theta = scan(1e4, 0.02)
    found = pool(solver, patterns, 3).theta.reshape(theta.shape)[..., 2]
    assert np.abs(found - theta[..., 2]).max() < 5e-3
    assert np.abs(np.mean(found - theta[..., 2], axis=0)).max() < 1e-3


def test_positions_of_different_labels_share_nothing() -> None:
    solver, patterns, theta = scan(300.0, 0.02)
    labels = np.zeros(theta.shape[:2], np.int16)
    labels[:, 10:] = 1
    patterns[3, 4] = 0
    whole = pool(solver, patterns, 3, labels)
    left = pool(solver, patterns[:, :10], 3)
    ours = whole.theta.reshape(theta.shape)[:, :10].reshape(-1, 6)
    assert np.nanmax(np.abs(ours - left.theta)) < 1e-9
    assert whole.status[3 * 20 + 4] == Status.WEAK
    with pytest.raises(ValueError, match="not 3 or 5"):
        pool(solver, patterns, 4)


@pytest.mark.parametrize("size", [3, 5])
def test_blocks_with_their_halo_give_what_the_whole_scan_gives(size: int) -> None:
    solver, patterns, theta = scan(300.0, 0.02, (26, 6))
    around = halo(size)
    whole = pool(solver, patterns, size).theta.reshape(theta.shape)
    block = pool(solver, patterns[: 13 + around], size).theta.reshape(-1, *theta.shape[1:])
    assert (block[:13] == whole[:13]).all()


def test_estimates_of_consecutive_signals_are_joined() -> None:
    _, patterns = sample(6)
    joined = concatenate([flat()(patterns[:2]), flat()(patterns[2:])])
    assert (joined.theta == flat()(patterns).theta).all()
    assert joined.extra["amplitude"].shape == (6, len(crystal().amplitude))
