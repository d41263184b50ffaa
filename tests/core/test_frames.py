"""Frames check that data, axes and mask describe the same scan, and read nothing by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from parscope.core import Axis, Frames, Sliceable
from parscope.core.errors import ShapeError


def axes(*sizes: int) -> tuple[Axis, ...]:
    return tuple(Axis(name, size) for name, size in zip(("y", "x", "q_y", "q_x"), sizes, strict=False))


def test_shapes_are_scan_then_pattern_each_y_then_x() -> None:
    frames = Frames.from_array(np.zeros((2, 3, 5, 7)))
    assert frames.scan_shape == (2, 3)
    assert frames.pattern_shape == (5, 7)
    assert [a.name for a in frames.axes] == ["y", "x", "q_y", "q_x"]
    assert frames.source == "memory"


@pytest.mark.parametrize("shape", [(8, 8), (4, 8, 8), (1, 2, 3, 4, 5)])
def test_other_than_four_dimensions_is_refused_with_advice(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="--scan-shape") as caught:
        Frames.from_array(np.zeros(shape), source="scan.npy")
    assert caught.value.where == "scan.npy"


def test_axes_of_other_lengths_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"axes \[2, 3, 5, 6\]"):
        Frames(np.zeros((2, 3, 5, 7)), axes(2, 3, 5, 6))


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(ShapeError, match="mask"):
        Frames(np.zeros((2, 3, 5, 7)), axes(2, 3, 5, 7), mask=np.zeros((7, 5), dtype=bool))


def test_a_mask_of_the_pattern_is_kept() -> None:
    mask = np.eye(5, dtype=bool)
    assert Frames(np.zeros((2, 3, 5, 5)), axes(2, 3, 5, 5), mask=mask).mask is mask


def test_a_data_set_on_disk_stays_there(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        stored = file.create_dataset("patterns", data=np.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4))
        frames = Frames.from_array(stored, source="scan.h5")
        assert frames.data is stored
        assert frames.data[1, 2].sum() == stored[1, 2].sum()


def test_anything_that_slices_qualifies() -> None:
    class Line:
        shape = (1, 2, 3, 3)
        dtype = np.dtype(float)

        def __getitem__(self, key: Any, /) -> Any:
            return np.ones(self.shape)[key]

    assert isinstance(Line(), Sliceable)
    assert not isinstance([[1.0]], Sliceable)
    assert Frames.from_array(Line()).scan_shape == (1, 2)
