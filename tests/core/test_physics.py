"""Parameters carry their unit and bounds; a physics is complete or it is none."""

from __future__ import annotations

import numpy as np
import pytest

from parscope.core import Constellation, Parameter, Physics


def test_a_parameter_is_free_unless_bounded() -> None:
    free = Parameter("centre_y", "px")
    assert (free.lower, free.upper, free.kind) == (-np.inf, np.inf, "bounded")


@pytest.mark.parametrize(("lower", "upper"), [(1.0, 1.0), (2.0, 1.0), (np.nan, 1.0), (0.0, np.nan)])
def test_an_empty_interval_is_refused(lower: float, upper: float) -> None:
    with pytest.raises(ValueError, match="resonance: bounds"):
        Parameter("resonance", "kHz", lower, upper)


@pytest.mark.parametrize("contract", [Physics, Constellation])
def test_a_physics_without_its_forward_model_cannot_be_made(contract: type) -> None:
    class Incomplete(contract):  # type: ignore[misc]
        @property
        def signal_shape(self) -> tuple[int, ...]:
            return (4,)

    with pytest.raises(TypeError, match="render"):
        Incomplete()
