"""Small matrices in compiled loops: six normal equations, and the four of a window with missing pixels."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from parscope.solvers.lattice.layout import FAST, Array, Normal


@nb.njit(**FAST)
def accumulate(normal: Normal, qy: float, qx: float, w: Array, ey: float, ex: float) -> None:
    """Add one copy at (qy, qx): information `w` (yy, yx, xx) about its displacement (ey, ex); lower triangle only."""
    H, g = normal.H, normal.g
    h0 = w[0] * ey + w[1] * ex
    h1 = w[1] * ey + w[2] * ex
    g[0] += h0
    g[1] += h1
    g[2] += h0 * qy
    g[3] += h0 * qx
    g[4] += h1 * qy
    g[5] += h1 * qx
    H[0, 0] += w[0]
    H[1, 0] += w[1]
    H[1, 1] += w[2]
    _accumulate_mixed(H, qy, qx, w)
    _accumulate_affine(H, qy, qx, w)


@nb.njit(**FAST)
def _accumulate_mixed(H: Array, qy: float, qx: float, w: Array) -> None:
    """Rows of the affine map, columns of the centre."""
    H[2, 0] += w[0] * qy
    H[3, 0] += w[0] * qx
    H[4, 0] += w[1] * qy
    H[5, 0] += w[1] * qx
    H[2, 1] += w[1] * qy
    H[3, 1] += w[1] * qx
    H[4, 1] += w[2] * qy
    H[5, 1] += w[2] * qx


@nb.njit(**FAST)
def _accumulate_affine(H: Array, qy: float, qx: float, w: Array) -> None:
    """Rows and columns of the affine map."""
    yy, yx, xx = qy * qy, qy * qx, qx * qx
    H[2, 2] += w[0] * yy
    H[3, 2] += w[0] * yx
    H[3, 3] += w[0] * xx
    H[4, 2] += w[1] * yy
    H[4, 3] += w[1] * yx
    H[5, 2] += w[1] * yx
    H[5, 3] += w[1] * xx
    H[4, 4] += w[2] * yy
    H[5, 4] += w[2] * yx
    H[5, 5] += w[2] * xx


@nb.njit(**FAST)
def factor(H: Array, L: Array) -> None:
    """Cholesky factor of a 6x6 matrix given by its lower triangle; its diagonal is stored inverted."""
    for i in range(6):
        for j in range(i + 1):
            s = H[i, j]
            for k in range(j):
                s -= L[i, k] * L[j, k]
            if i == j:
                L[i, i] = 1 / math.sqrt(max(s, 1e-30))
            else:
                L[i, j] = s * L[j, j]


@nb.njit(**FAST)
def solve(L: Array, g: Array, d: Array) -> None:
    """Solve L L^T d = g."""
    for i in range(6):
        s = g[i]
        for k in range(i):
            s -= L[i, k] * d[k]
        d[i] = s * L[i, i]
    for r in range(6):
        i = 5 - r
        s = d[i]
        for k in range(i + 1, 6):
            s -= L[k, i] * d[k]
        d[i] = s * L[i, i]


@nb.njit(**FAST)
def invert(normal: Normal) -> None:
    """Inverse of the normal matrix, given by its lower triangle; uses up the right-hand side."""
    factor(normal.H, normal.L)
    for i in range(6):
        normal.g[:] = 0
        normal.g[i] = 1
        solve(normal.L, normal.g, normal.step)
        for j in range(6):
            normal.inverse[j, i] = normal.step[j]


@nb.njit(**FAST)
def invert_four(A: Array, inverse: Array) -> None:
    """Inverse of a 4x4 matrix near the identity, by elimination; uses up `A`."""
    inverse[:] = 0
    for i in range(4):
        inverse[i, i] = 1
    for i in range(4):
        pivot = 1 / A[i, i]
        for k in range(4):
            A[i, k] *= pivot
            inverse[i, k] *= pivot
        for j in range(4):
            share = A[j, i]
            if j != i:
                for k in range(4):
                    A[j, k] -= share * A[i, k]
                    inverse[j, k] -= share * inverse[i, k]


@nb.njit(**FAST)
def strain_variance(c: Array) -> float:
    """Sum of the variances of e_yy, e_xx, e_xy for small strain, from the covariance of the affine map."""
    return float(c[2, 2] + c[5, 5] + 0.25 * (c[3, 3] + c[4, 4] + 2 * c[3, 4]))


@nb.njit(**FAST)
def room() -> Normal:
    """Normal equations of zero."""
    return Normal(np.zeros((6, 6)), np.zeros(6), np.zeros(6), np.zeros((6, 6)), np.zeros((6, 6)))
