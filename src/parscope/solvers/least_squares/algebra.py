"""Small symmetric matrices in compiled loops, by Cholesky's method."""

from __future__ import annotations

import math

import numba as nb

from parscope.solvers.least_squares.layout import FAST, Array

# A pivot that loses more than this share of its diagonal is rounding.
_RANK = 1e-13


@nb.njit(**FAST)
def factorise(matrix: Array, size: int) -> bool:
    """Replace the lower triangle of the first `size` rows by the Cholesky factor; False where it has none."""
    for i in range(size):
        for j in range(i + 1):
            total = matrix[i, j]
            floor = _RANK * total
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            if i != j:
                matrix[i, j] = total / matrix[j, j]
            elif total > floor:
                matrix[i, i] = math.sqrt(total)
            else:
                return False
    return True


@nb.njit(**FAST)
def substitute(factor: Array, vector: Array, size: int) -> None:
    """Solve in place for a vector, given the Cholesky factor."""
    for i in range(size):
        total = vector[i]
        for k in range(i):
            total -= factor[i, k] * vector[k]
        vector[i] = total / factor[i, i]
    for i in range(size - 1, -1, -1):
        total = vector[i]
        for k in range(i + 1, size):
            total -= factor[k, i] * vector[k]
        vector[i] = total / factor[i, i]


@nb.njit(**FAST)
def invert(factor: Array, inverse: Array, size: int) -> None:
    """Inverse of a matrix given its Cholesky factor."""
    for j in range(size):
        for i in range(size):
            inverse[j, i] = 1.0 if i == j else 0.0
        substitute(factor, inverse[j], size)
