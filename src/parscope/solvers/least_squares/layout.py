"""What the compiled functions hand to each other: named groups of arrays, and how numba is to compile."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

# The cache of a function is renewed when its own file changes, not when that of a function it calls does: delete the
# *.nbi files of __pycache__ after an edit.
FAST: dict[str, Any] = {"fastmath": True, "cache": True, "error_model": "numpy", "nogil": True}
# For functions with one caller in the search: a call hands over every field of every array of a group, some two hundred
# numbers, which costs more than short loops over few columns do.
INLINE: dict[str, Any] = {**FAST, "inline": "always"}
# Where NaN must be seen: sums in any order, but no assumption that all numbers are finite.
CAREFUL: dict[str, Any] = {**FAST, "fastmath": {"reassoc", "nsz", "contract"}}

# How a fit ended.
CONVERGED, LOST, SINGULAR = range(3)

# The search, compiled or on a device: its damping, and by how much a step changes it.
FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-3, 1e-9, 1e10
RELAX, TIGHTEN = 0.15, 8.0
# It ends with a step that moves no parameter by more than about 1/3000 of its standard error: near the noise, where
# each step leaves up to half of the way to the next, the end is then still within 1/1000 of it.
CLOSE = 1e-7
# or lowers the squared residual by nothing that double precision resolves.
RESOLVED = 1e-15
# A search that is still on after many steps is in a valley that is flat between kinks, as those of a transition sharper
# than the samples are: of physics with soft bounds it then ends after some steps in a row of which none gained what a
# thirtieth of a standard error does.
MANY, PATIENCE, IDLE = 30, 8, 1e-3
# A parameter searched by its logarithm moves by at most a factor e in one step.
LONGEST = 1.0
MOST_STEPS = 200


Group = TypeVar("Group", bound=tuple[Any, ...])


def part_of(group: Group, part: slice | Integers) -> Group:
    """A named group of arrays that holds a part of the signals only."""
    return type(group)(*(array[part] for array in group))


class Model(NamedTuple):
    """What the kernel knows of the physics.

    ``address`` is that of the compiled columns; ``factor`` and ``parameter`` say which column is differentiated by
    what; ``logarithmic`` which parameters are searched by their logarithm; ``lower`` and ``upper`` are bounds of what
    is searched, infinite where it repeats after a ``period`` from an ``origin``; ``patience`` how many steps in a row
    may gain next to nothing.
    """

    address: int
    axis: Array
    factors: int
    parts: int
    factor: Integers
    parameter: Integers
    logarithmic: NDArray[np.bool_]
    lower: Array
    upper: Array
    period: Array
    origin: Array
    patience: int


class Prior(NamedTuple):
    """A Gaussian prior of what is searched and of the factors.

    ``mean`` (n or 1, p); ``precision`` (n or 1, p, p), zero for none; ``variance`` (n or 1) of the noise, which weighs
    it.
    """

    mean: Array
    precision: Array
    variance: Array

    def of(self, part: slice | Integers) -> Prior:
        """That of a part of the signals."""
        return Prior(*(array if len(array) == 1 else array[part] for array in self))


class Work(NamedTuple):
    """Room for one signal: columns, then the signal, their products, normal equations of the factors and of the search.

    ``variance`` is that of the noise, 0 without a prior.
    """

    columns: Array
    real: Array
    imaginary: Array
    real_signal: Array
    imaginary_signal: Array
    gram: Array
    target: Array
    factors: Array
    cross: Array
    solved: Array
    normal: Array
    slope: Array
    theta: Array
    rate: Array
    inverse: Array
    variance: Array


class Fits(NamedTuple):
    """Of n signals: what was searched, the factors, covariance for unit noise, squared residuals and how it ended."""

    found: Array
    covariance: Array
    residual: Array
    change: Array
    end: NDArray[np.int64]
