"""What the compiled functions hand to each other: named groups of arrays, and how numba is to compile."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Image = NDArray[np.float32]

# The cache of a function is renewed when its own file changes, not when that of a function it calls does: delete the
# *.nbi files of __pycache__ after an edit.
# NumPy's rules for division (no exception on zero) are what lets the compiler use vector instructions.
FAST: dict[str, Any] = {"fastmath": True, "cache": True, "error_model": "numpy", "nogil": True}
# Where NaN must be seen: sums in any order, but no assumption that all numbers are finite.
CAREFUL: dict[str, Any] = {**FAST, "fastmath": {"reassoc", "nsz", "contract"}}

# Empty columns right of a pattern, where the last run of eight of a window may end.
PADDING = 8
# Rows of the filters of a copy: amplitude that the edge sees, displacement times it, level, mean amplitude; and the
# weight of a pixel in the misfit.
EDGE, MOVE_Y, MOVE_X, LEVEL, MEAN, WEIGHT = range(6)


class Lattice(NamedTuple):
    """What the kernel knows of the physics, whatever the filters; and the prior of the parameters."""

    reference: Array
    flagged: NDArray[np.bool_]
    amplitude: Array
    gain: float
    counts: float
    scatter: float
    mask: NDArray[np.bool_]
    masked: bool
    centre: Array
    weight: Array


class Filters(NamedTuple):
    """A bank of filters as the kernel takes it, with the class of each copy and what slopes feign there."""

    edge: float
    half: int
    bins: int
    filters: Image
    shot: Array
    texture: Array
    fisher: Array
    template: Image
    kept: Array
    member: NDArray[np.int32]
    tilt: Array


class Copies(NamedTuple):
    """What the last pass measured at each copy; `information` is zero where the copy could not be measured."""

    amplitude: Array
    mean: Array
    level: Array
    shift: Array
    middle: Array
    information: Array
    bin: NDArray[np.int64]
    window: Image
    five: Array


class Normal(NamedTuple):
    """Normal equations of six parameters, and room to solve them."""

    H: Array
    g: Array
    step: Array
    L: Array
    inverse: Array


class Work(NamedTuple):
    """One pattern while it is fitted: counts, parameters, what was measured, normal equations."""

    frame: Image
    p: Array
    found: Copies
    normal: Normal


class Rule(NamedTuple):
    """When passes of one bank end: after `least` to `most`, once no copy moves by more than `enough` px."""

    least: int
    most: int
    enough: float


class Fits(NamedTuple):
    """Results for n patterns."""

    theta: Array
    covariance: Array
    information: Array
    amplitude: Image
    total: Array
    misfit: Array
    limit: Array
    step: Array
    scale: Array
    spread: Array


class Scores(NamedTuple):
    """Likelihood of n patterns about given parameters."""

    information: Array
    gradient: Array
    amplitude: Array


def no_fits(n: int, copies: int) -> Fits:
    """Results for `n` patterns before the fit: NaN."""

    def empty(*shape: int) -> Array:
        return np.full((n, *shape), np.nan)

    amplitude = np.zeros((n, copies), np.float32)
    return Fits(empty(6), empty(6, 6), np.zeros((n, 6, 6)), amplitude, *(empty() for _ in range(6)))
