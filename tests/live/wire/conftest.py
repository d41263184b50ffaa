"""Series and patterns that the tests of the wire share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from parscope.core.stream import Series

Patterns = Callable[[tuple[int, int], str], NDArray[Any]]


@pytest.fixture(scope="session")
def series() -> Series:
    return Series(3, "01JUNIQUE", 16, (24, 20), "uint16", ("threshold_1", "threshold_2"))


@pytest.fixture(scope="session")
def patterns() -> Patterns:
    """Counts with long runs of zeros, short repeats and noise, as patterns have; the largest value among them."""

    def make(shape: tuple[int, int], dtype: str) -> NDArray[Any]:
        rng = np.random.default_rng(shape[0] * 1000 + shape[1])
        frame = rng.poisson(0.2 + 30 * np.exp(-(np.linspace(-3, 3, shape[1]) ** 2)), shape)
        frame[: shape[0] // 3] = 0
        frame[-1] = np.arange(shape[1]) % 5
        frame = frame.astype(dtype)
        frame[0, 0] = np.iinfo(dtype).max
        return frame

    return make
