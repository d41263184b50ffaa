"""Spectra say what they are, and refuse parts that do not belong together."""

from __future__ import annotations

import numpy as np
import pytest

from parscope.core.axes import Axis
from parscope.core.errors import ShapeError
from parscope.core.spectra import Spectra


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ((4,), ()),
        ((3, 4), ("position",)),
        ((2, 3, 4), ("y", "x")),
        ((2, 3, 5, 4), ("y", "x", "step_1")),
        ((2, 3, 5, 6, 4), ("y", "x", "step_1", "step_2")),
    ],
)
def test_an_array_of_any_rank_becomes_spectra(shape: tuple[int, ...], names: tuple[str, ...]) -> None:
    spectra = Spectra.from_array(np.zeros(shape, complex), [1.0, 2.0, 4.0, 3.0], "bias", "V")
    assert spectra.navigation_shape == shape[:-1]
    assert tuple(axis.name for axis in spectra.axes[:-1]) == names
    assert spectra.axis.points == (1.0, 2.0, 4.0, 3.0)
    assert (spectra.axis.name, spectra.axis.unit, spectra.source) == ("bias", "V", "memory")


@pytest.mark.parametrize("values", [[1.0, 2.0], [1.0, np.nan, 3.0], [[1.0, 2.0, 3.0]], []])
def test_an_axis_that_does_not_fit_is_refused(values: list[float]) -> None:
    with pytest.raises(ShapeError, match=r"axes|axis"):
        Spectra.from_array(np.zeros((5, 3)), values)


@pytest.mark.parametrize("shape", [(), (0, 3), (3, 0)])
def test_an_array_without_spectra_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="no spectra"):
        Spectra.from_array(np.zeros(shape), np.arange(3.0))
    with pytest.raises(ShapeError, match="no spectra"):
        Spectra(np.zeros(shape), tuple(Axis("x", max(1, n)) for n in shape))


def test_axes_that_do_not_match_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\[2, 3\] do not match shape \(3, 2\)"):
        Spectra(np.zeros((3, 2)), (Axis("x", 2), Axis("frequency", 3, "Hz")))
