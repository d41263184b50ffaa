"""The scoring of benchmarks, on maps whose errors are put in by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.strain.score import Measured, Truth, boundary_scores, disk_scores, position_rms, score, strain_between
from parscope.techniques.diffraction.lattice import reciprocal_map, strain

BASIS = np.array([[20.0, 4.0], [-5.0, 19.0]])
INDICES = np.array([(h, k) for h in (-1, 0, 1) for k in (-1, 0, 1)])
COUNT = 400


def a_scan(rng: np.random.Generator) -> tuple[Truth, np.ndarray]:
    """A truth whose first quarter is unstrained, and its strain (n, 4)."""
    reference = np.arange(COUNT) < COUNT // 4
    imposed = rng.uniform(-0.01, 0.01, (COUNT, 4)) * ~reference[:, None]
    affine = reciprocal_map(*imposed.T)
    lattice = BASIS @ np.swapaxes(affine, -1, -2)
    return Truth(lattice, 64.0 + rng.normal(0, 0.5, (COUNT, 2)), BASIS, INDICES, reference), imposed


def with_errors(truth: Truth, errors: np.ndarray) -> np.ndarray:
    """Lattices of the truth with strain errors (n, 4) added."""
    affine = reciprocal_map(*(truth.strain + errors).T)
    return BASIS @ np.swapaxes(affine, -1, -2)


def test_strain_between_agrees_with_the_definition_of_the_package() -> None:
    affine = np.array([[1.02, 0.03], [-0.04, 0.97]])
    lattice = (BASIS @ affine.T)[None]
    np.testing.assert_allclose(strain_between(lattice, BASIS)[0], strain(affine), atol=1e-12)


def test_strain_between_does_not_depend_on_the_cell() -> None:
    truth, imposed = a_scan(np.random.default_rng(1))
    change = np.array([[1, 1], [0, -1]])
    np.testing.assert_allclose(strain_between(change @ truth.lattice, change @ BASIS), imposed, atol=1e-12)


@pytest.mark.parametrize("broken", [np.nan, 0.0, np.inf])
def test_strain_between_is_nan_where_there_is_no_lattice(broken: float) -> None:
    assert np.isnan(strain_between(np.full((1, 2, 2), broken), BASIS)).all()


def test_a_perfect_map_scores_nothing_but_zero() -> None:
    truth, _ = a_scan(np.random.default_rng(2))
    scores = score(Measured(truth.lattice, truth.centre), truth)
    assert scores["failures"] == 0
    assert scores["strain_rms"] == pytest.approx(0, abs=1e-12)
    assert scores["position_rms"] == pytest.approx(0, abs=1e-10)


def test_rms_ratio_and_spread_are_those_put_in() -> None:
    rng = np.random.default_rng(3)
    truth, _ = a_scan(rng)
    errors = rng.normal(0, 1, (COUNT, 4)) * [1e-3, 2e-3, 1e-3, 3e-3]
    errors[truth.reference] = 0
    measured = Measured(with_errors(truth, errors), strain_std=np.full((COUNT, 4), 1e-3))
    scores = score(measured, truth, bound=1e-3)
    assert scores["e_yy_rms"] == pytest.approx(np.sqrt(np.mean(errors[:, 1] ** 2)), rel=1e-6)
    assert scores["strain_rms"] == pytest.approx(np.sqrt(np.mean(errors[:, :3] ** 2)), rel=1e-6)
    assert scores["ratio"] == pytest.approx(scores["strain_rms"] / 1e-3)
    assert scores["spread"] == pytest.approx(np.sqrt(np.mean((errors / 1e-3) ** 2)), rel=1e-6)


def test_a_missing_fit_and_an_error_above_two_percent_are_failures_and_not_precision() -> None:
    truth, _ = a_scan(np.random.default_rng(4))
    errors = np.zeros((COUNT, 4))
    errors[-1, 3] = 0.021
    errors[-2, 0] = -0.5
    errors[-3, 2] = 0.019
    lattice = with_errors(truth, errors)
    lattice[200] = np.nan
    scores = score(Measured(lattice), truth)
    assert scores["failures"] == 3 / COUNT
    assert scores["strain_rms"] == pytest.approx(np.sqrt(0.019**2 / (3 * (COUNT - 3))), rel=1e-6)


def test_the_reference_is_the_methods_own() -> None:
    truth, _ = a_scan(np.random.default_rng(5))
    camera_length = np.array([[1.05, 0.0], [0.0, 1.05]])
    scores = score(Measured(truth.lattice @ camera_length), truth)
    assert scores["strain_rms"] == pytest.approx(0, abs=1e-12)


def test_a_method_that_fits_nothing_fails_everywhere() -> None:
    truth, _ = a_scan(np.random.default_rng(6))
    scores = score(Measured(np.full((COUNT, 2, 2), np.nan), np.full((COUNT, 2), np.nan)), truth)
    assert scores["failures"] == 1
    assert np.isnan(scores["strain_rms"])
    assert np.isnan(scores["position_rms"])


def test_position_ignores_cell_origin_and_a_common_displacement() -> None:
    rng = np.random.default_rng(7)
    truth, _ = a_scan(rng)
    change = np.array([[0, 1], [-1, 1]])
    centre = truth.centre - truth.lattice[:, 0] - 0.5 + rng.normal(0, 0.1, (COUNT, 2))
    measured = Measured(change @ truth.lattice, centre)
    assert position_rms(measured, truth, np.ones(COUNT, dtype=bool)) == pytest.approx(0.1, rel=0.05)


def test_position_of_another_lattice_is_nan() -> None:
    truth, _ = a_scan(np.random.default_rng(8))
    measured = Measured(1.5 * truth.lattice, truth.centre)
    assert np.isnan(position_rms(measured, truth, np.ones(COUNT, dtype=bool)))


def test_free_disks_are_matched_once_each() -> None:
    lattice, centre = BASIS[None], np.array([[64.0, 64.0]])
    truth = Truth(lattice, centre, BASIS, INDICES, np.array([True]))
    true = centre[0] + INDICES @ BASIS
    found = np.concatenate([true[:6] + np.array([0.3, -0.4]), true[:1] + 1.0, [[1.0, 1.0]]])
    scores = disk_scores([found], truth)
    assert scores["disk_rms"] == pytest.approx(np.sqrt(0.125))
    assert scores["disk_recall"] == pytest.approx(6 / 9)
    assert scores["false_disks"] == 2


def test_no_disks_at_all() -> None:
    truth = Truth(BASIS[None], np.array([[64.0, 64.0]]), BASIS, INDICES, np.array([True]))
    scores = disk_scores([np.empty((0, 2))], truth)
    assert scores["disk_recall"] == 0
    assert np.isnan(scores["disk_rms"])


def test_boundary_recall_and_precision() -> None:
    truth = np.array([True, True, True, True, False, False])
    flagged = np.array([True, True, True, False, True, False])
    assert boundary_scores(flagged, truth) == (0.75, 0.75)
    assert np.isnan(boundary_scores(flagged, np.zeros(6, dtype=bool))[0])
