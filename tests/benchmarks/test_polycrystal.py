"""Scoring of polycrystals: cells of any name, grains of any rotation, boundaries told or not."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.strain.polycrystal import polycrystal_scores, same_cell
from benchmarks.strain.score import Measured, Truth
from parscope.techniques.diffraction.lattice import reciprocal_map

BASIS = np.array([[24.0, 0.0], [12.0, 20.784609690826528]])
SIXTY = np.array([[0, 1], [-1, 1]])


def grains(strains: np.ndarray) -> Truth:
    """A truth with one pattern a strain (n, 4); the first ten are the reference."""
    lattice = BASIS @ np.swapaxes(reciprocal_map(*strains.T), -1, -2)
    count = len(strains)
    return Truth(lattice, np.full((count, 2), 64.0), BASIS, np.array([[0, 0], [1, 0]]), np.arange(count) < 10)


def strains(count: int) -> np.ndarray:
    values = np.random.default_rng(0).uniform(-0.01, 0.01, (count, 4))
    values[:, 3] *= 45
    values[:10] = 0
    return values


def test_another_name_of_the_same_cell_is_no_error() -> None:
    truth = grains(strains(50))
    renamed = truth.lattice.copy()
    renamed[20:] = SIXTY @ SIXTY @ renamed[20:]
    np.testing.assert_allclose(same_cell(renamed, truth.lattice), truth.lattice, atol=1e-9)
    scores = polycrystal_scores(Measured(renamed), truth, np.zeros(50), np.zeros(50, dtype=bool))
    assert scores["failures"] == 0
    assert scores["strain_rms"] == pytest.approx(0, abs=1e-12)


def test_another_lattice_and_no_lattice_are_failures() -> None:
    truth = grains(strains(50))
    wrong = truth.lattice.copy()
    wrong[-1] *= 1.5
    wrong[-2] = np.nan
    wrong[-3] = 0.0
    scores = polycrystal_scores(Measured(wrong), truth, np.zeros(50), np.zeros(50, dtype=bool))
    assert scores["failures"] == 3 / 50


def test_boundaries_do_not_count_as_interior_and_slight_mixtures_as_neither() -> None:
    truth = grains(strains(50))
    share = np.zeros(50)
    share[20:30], share[30:40] = 0.3, 0.01
    lattice = truth.lattice.copy()
    lattice[20:40] = np.nan
    flagged = np.zeros(50, dtype=bool)
    flagged[22:42] = True
    scores = polycrystal_scores(Measured(lattice), truth, share, flagged, bound=1.0)
    assert scores["failures"] == 0
    assert scores["ratio"] == pytest.approx(0, abs=1e-9)
    assert scores["boundary_recall"] == 0.8
    assert scores["boundary_precision"] == 0.8
