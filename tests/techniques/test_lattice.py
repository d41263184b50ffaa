"""Strain from affine maps, and lattices turned onto each other."""

from __future__ import annotations

import numpy as np
import pytest

from parscope.techniques.diffraction import reciprocal_map, strain, strain_jacobian, turned

FIELDS = np.random.default_rng(3).normal(0, 0.03, (50, 4))


def test_strain_inverts_the_map() -> None:
    np.testing.assert_allclose(strain(reciprocal_map(*FIELDS.T)), FIELDS, atol=1e-14)


def test_no_lattice_is_no_number() -> None:
    assert np.isnan(strain(np.zeros((2, 2)))).all()


def test_the_jacobian_is_the_slope() -> None:
    affine = reciprocal_map(*FIELDS.T)
    move = np.random.default_rng(4).normal(0, 1e-5, affine.shape)
    change = strain(affine + move) - strain(affine)
    predicted = np.einsum("nij,nj->ni", strain_jacobian(affine), move.reshape(-1, 4))
    np.testing.assert_allclose(change, predicted, atol=5e-9)


@pytest.mark.parametrize("angle", [0.0, 0.3, 1.2, 2.9, -2.0])
@pytest.mark.parametrize("cell", [[[1, 0], [0, 1]], [[0, 1], [-1, 0]], [[1, 1], [0, 1]], [[1, 0], [0, -1]]])
def test_a_turned_lattice_keeps_its_shape_and_finds_the_other(angle: float, cell: list[list[int]]) -> None:
    lattice = np.array([[21.0, 1.0], [-4.0, 25.0]])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    strained = reciprocal_map(0.01, -0.005, 0.003, 0.0)
    basis = np.array(cell) @ lattice @ turn.T @ strained.T
    found = turned(lattice, basis)
    change = strain(basis.T @ np.linalg.inv(found.T))
    np.testing.assert_allclose(change, [0.01, -0.005, 0.003, 0.0], atol=1e-9)
    assert abs(np.linalg.det(found)) == pytest.approx(abs(np.linalg.det(lattice)))
