"""The physics of a pattern: the same picture in every array library, and slopes a network can follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch

from parscope.techniques.diffraction import Background, DiffractionPattern, Probe


@pytest.fixture
def pattern() -> DiffractionPattern:
    indices = np.array([(h, k) for h in (-1, 0, 1) for k in (-1, 0, 1)])
    basis = np.array([[2.0, 13.0], [-13.5, 1.0]])
    probe = Probe(4.0, 0.7, np.array([[1.01, 0.004], [0.004, 0.99]]))
    amplitude = np.linspace(1.0, 3.0, 9)
    return DiffractionPattern((48, 50), probe, (23.4, 25.1), basis, indices, amplitude, Background(0.4, 9.0, 0.1))


THETA = np.array([[23.4, 25.1, 1.0, 0.0, 0.0, 1.0], [24.0, 24.2, 1.01, 0.01, -0.02, 0.99]])


@pytest.mark.parametrize(("make", "tolerance"), [(torch.asarray, 1e-12), (array_api_strict.asarray, 2e-3)])
def test_every_library_renders_the_same(
    pattern: DiffractionPattern, make: Callable[[Any], Any], tolerance: float
) -> None:
    here, there = pattern.render(THETA), pattern.render(make(THETA))
    assert type(there) is type(make(THETA))
    np.testing.assert_allclose(np.asarray(there), here, atol=tolerance * here.max())


def test_disks_sit_where_the_parameters_say(pattern: DiffractionPattern) -> None:
    alone = np.zeros(9)
    alone[8] = 2.0
    image = pattern.render(THETA, alone)[1] - pattern.render(THETA, np.zeros(9))[1]
    y, x = np.mgrid[:48, :50]
    at = THETA[1, :2] + THETA[1, 2:].reshape(2, 2) @ pattern.reference[8]
    np.testing.assert_allclose([(image * y).sum() / image.sum(), (image * x).sum() / image.sum()], at, atol=0.01)
    assert image.max() == pytest.approx(2.0, rel=1e-3)


def test_the_template_is_the_disk_of_the_picture(pattern: DiffractionPattern) -> None:
    offsets = np.stack(np.mgrid[-8:9, -8:9], -1).reshape(-1, 2).astype(float)
    value, gradient = pattern.template(offsets, 0.7)
    step = 1e-5
    for k, move in enumerate(np.eye(2) * step):
        # Moving the disk by +move is looking from -move.
        change = (pattern.template(offsets - move, 0.7)[0] - pattern.template(offsets + move, 0.7)[0]) / (2 * step)
        np.testing.assert_allclose(gradient[:, k], change, atol=1e-6)
    assert value.max() == pytest.approx(1.0, abs=1e-4)


def test_gradients_are_finite_and_right(pattern: DiffractionPattern) -> None:
    theta = torch.asarray(THETA, dtype=torch.float64).requires_grad_()
    amplitude = torch.asarray(pattern.amplitude).requires_grad_()
    factor = torch.ones(2, dtype=torch.float64, requires_grad=True)
    weight = torch.linspace(0.0, 1.0, 48 * 50, dtype=torch.float64).reshape(48, 50)
    assert torch.autograd.gradcheck(
        lambda *given: (pattern.render(*given) * weight).sum((1, 2)), (theta, amplitude, factor), atol=1e-4
    )
