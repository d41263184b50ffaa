"""A small scan for the emulated detector to look at."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from parscope.live.emulator import Scene


@pytest.fixture(scope="session")
def array() -> NDArray[np.uint8]:
    """A scan of 5 x 6 patterns of 32 x 24 pixels."""
    return np.random.default_rng(3).poisson(4, (5, 6, 32, 24)).astype(np.uint8)


@pytest.fixture(scope="session")
def scene(array: NDArray[np.uint8]) -> Scene:
    """That scan, for a detector."""
    return Scene(array=array)
