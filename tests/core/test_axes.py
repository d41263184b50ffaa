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
