"""One file makes a technique: lines are simulated, bounded and fitted from their declaration."""

from __future__ import annotations

import numpy as np
import pytest

from parscope.core.bound import cramer_rao
from parscope.core.solver import Status
from parscope.solvers.least_squares import LeastSquares
from parscope.techniques.lines import Lines

POSITION = np.linspace(480, 560, 200)


def test_the_width_is_the_full_one_at_half_height() -> None:
    physics = Lines(np.array([515.0, 520.0, 525.0]), ((515, 526),))
    np.testing.assert_allclose(physics.render(np.array([[520.0, 10.0, 4.0, 1.0, 0.0]]))[0], [3.0, 5.0, 3.0])


def test_two_lines_are_found_at_the_bound() -> None:
    physics = Lines(POSITION, ((500, 510), (515, 526)))
    theta = np.array([[506.0, 5.0, 521.0, 4.0, 2.0, 3.0, 1.0, 0.5]])
    rng = np.random.default_rng(0)
    signals = np.repeat(physics.render(theta), 400, axis=0) + rng.normal(0, 0.1, (400, 200))
    estimate = LeastSquares(physics)(signals)
    assert (estimate.status == Status.OK).all()
    bound = np.sqrt(np.diagonal(cramer_rao(physics, theta, 0.1)[0]))
    spread = np.std(estimate.theta - theta, axis=0) / bound
    assert (np.abs(spread - 1) < 0.15).all()
    assert np.abs(np.mean(estimate.theta - theta, axis=0) / bound).max() < 0.25


@pytest.mark.parametrize(("position", "ranges"), [([2.0, 1.0], ((1.0, 2.0),)), ([1.0, 2.0], ())])
def test_what_cannot_be_fitted_is_refused(position: list[float], ranges: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match=r"position|ranges"):
        Lines(np.array(position), ranges)
