"""Zero strain: a region, a lattice, and crystals that are none."""

from __future__ import annotations

import numpy as np
import pytest

from parscope.core.solver import Status
from parscope.techniques.diffraction import reciprocal_map
from parscope.workflows.grains.find import _without_coincidences
from parscope.workflows.strain.reference import choose, strains

LATTICE = np.array([[20.0, 2.0], [-2.0, 20.0]])


def turn(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def test_a_given_lattice_is_zero_strain_for_every_grain() -> None:
    grain = np.array([[0, 0, 1, 1]], np.int16)
    put_in = [0.01, -0.004, 0.002]
    strained = reciprocal_map(*put_in, 0.0)
    bases = np.array([LATTICE, LATTICE[::-1] @ turn(0.4).T @ strained.T])
    maps = {
        "theta": np.tile([64.0, 64.0, 1.0, 0.0, 0.0, 1.0], (1, 4, 1)),
        "covariance": np.tile(1e-8 * np.eye(4), (1, 4, 1, 1)),
        "grain": grain,
    }
    status = np.full((1, 4), Status.OK, np.uint8)
    zero = choose(maps, status, LATTICE, bases)
    values, errors = strains(maps["theta"], maps["covariance"], grain, zero, np.eye(2))
    np.testing.assert_allclose(values[0, 0], 0, atol=1e-12)
    np.testing.assert_allclose(values[0, 3, :3], put_in, atol=1e-9)
    assert (errors > 0).all()
    assert "each grain" in zero.how


def test_a_large_scan_is_worked_through_in_pieces_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    grain = np.zeros((10, 12), np.int16)
    grain[3, 4] = -1
    theta = np.array([64.0, 64.0, 1.0, 0.0, 0.0, 1.0]) + 1e-3 * rng.standard_normal((10, 12, 6))
    maps = {"theta": theta, "covariance": np.tile(1e-6 * np.eye(4), (10, 12, 1, 1)), "grain": grain}
    status = np.where(grain < 0, Status.NO_MODEL, Status.OK).astype(np.uint8)
    whole = choose(maps, status, None, LATTICE[None])
    at_once = strains(theta, maps["covariance"], grain, whole, np.eye(2))
    monkeypatch.setattr("parscope.workflows.strain.reference._AT_ONCE", 7)
    pieces = choose(maps, status, None, LATTICE[None])
    np.testing.assert_array_equal(pieces.region, whole.region)
    for once, pieced in zip(at_once, strains(theta, maps["covariance"], grain, pieces, np.eye(2)), strict=True):
        np.testing.assert_array_equal(pieced, once)
        assert np.isnan(pieced).any(2).tolist() == (grain < 0).tolist()


def test_a_coincidence_lattice_of_two_grains_is_no_crystal() -> None:
    label = np.zeros((20, 20), np.int64)
    label[:, 12:] = 1
    label[9:12, 11:13] = 2
    label[0, 0] = -1
    lattice = np.tile(LATTICE, (20, 20, 1, 1))
    lattice[label == 1] = LATTICE @ turn(0.6).T
    # The cell that indexes both grains is five times smaller.
    lattice[label == 2] = np.array([[0.8, 0.4], [-0.4, 0.8]]) @ LATTICE / 2
    left = _without_coincidences(label, lattice)
    assert set(np.unique(left)) == {-1, 0, 1}
    assert (left[label == 2] == -1).all()
    lattice[label == 2] = 0.8 * LATTICE
    assert set(np.unique(_without_coincidences(label, lattice))) == {-1, 0, 1, 2}
