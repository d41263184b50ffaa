"""An axis is where its samples are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parscope.core import Axis


@given(st.integers(1, 50), st.floats(1e-6, 1e6, allow_subnormal=False), st.floats(-1e6, 1e6, allow_subnormal=False))
def test_values_start_at_the_offset_and_step_by_the_scale(size: int, scale: float, offset: float) -> None:
    values = Axis("x", size, "nm", scale, offset).values
    assert values.shape == (size,)
    assert values[0] == offset
    np.testing.assert_allclose(np.diff(values), scale, rtol=1e-9, atol=1e-9 * max(abs(offset), 1.0))


def test_pixels_are_no_calibration() -> None:
    assert not Axis("q_x", 4).calibrated
    assert Axis("q_x", 4, "1/nm", 0.02).calibrated


@pytest.mark.parametrize(("size", "scale"), [(0, 1.0), (-3, 1.0), (4, 0.0), (4, -1.0), (4, np.inf), (4, np.nan)])
def test_what_no_instrument_produces_is_refused(size: int, scale: float) -> None:
    with pytest.raises(ValueError, match="axis y"):
        Axis("y", size, "nm", scale)


def test_an_axis_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Axis("y", 3).size = 4  # type: ignore[misc]


def test_points_that_follow_no_rule_are_kept_as_they_are() -> None:
    bias = Axis.from_values("bias", [0.0, 5.0, 0.0, -5.0], "V")
    assert bias.values.tolist() == [0.0, 5.0, 0.0, -5.0]
    assert hash(bias) == hash(Axis("bias", 4, "V", points=(0.0, 5.0, 0.0, -5.0)))


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e3), st.integers(1, 200), st.booleans())
def test_an_axis_through_values_gives_these_values(start: float, step: float, size: int, falling: bool) -> None:
    values = start + (-step if falling else step) * np.arange(size)
    axis = Axis.from_values("frequency", values, "Hz")
    assert (axis.points is None) == (not falling or size == 1)
    np.testing.assert_allclose(axis.values, values, rtol=0, atol=2e-6 * step)


@pytest.mark.parametrize("points", [(1.0, 2.0), (1.0, float("nan"), 2.0), (1.0, float("inf"), 2.0)])
def test_points_are_as_many_finite_numbers_as_the_axis_is_long(points: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="not 3 finite numbers"):
        Axis("bias", 3, "V", points=points)
