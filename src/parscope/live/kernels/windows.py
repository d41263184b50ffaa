"""Disks followed from pattern to pattern in compiled loops: centre of mass in windows, lattice through them, strain."""

from __future__ import annotations

import math
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.live.kernels.sweep import COMPILE, Array

Sample = tuple[NDArray[Any], NDArray[Any]]

# Lengths of rows of windows are multiples of this, so that vector instructions leave no remainder.
RUN = 16
# Columns of the table of disks: position relative to the centre, counts in its window, those of the background in it.
Q_Y, Q_X, EXPECTED, BEHIND = range(4)
# And room for what is measured: position, how much it counts (0 if it was not seen), counts and their moments.
AT_Y, AT_X, WEIGHT, COUNTS, MOMENT_Y, MOMENT_X, COLUMNS = range(4, 11)
# What is known of the lattice: where it is expected, the way to strain, how far a disk may be off, the guiding disk.
CENTRE, AFFINE, LEFT, RIGHT, REACH, GUIDE, LENGTH = 0, 2, 6, 10, 14, 15, 16
# A disk must stand out of the noise of its window by so many standard deviations, and be this share of its mean.
_SIGNIFICANT, _DIMMEST = 4.0, 0.1
# Six parameters from disks on no line, with something left over.
FEWEST = 4


@nb.njit(**COMPILE)
def track(
    frame: NDArray[Any],
    disks: Array,
    lattice: Array,
    stencil: NDArray[Any],
    sample: Sample,
    out: Array,
) -> None:
    """Strain of one pattern from the positions of its disks; NaN where too few are seen.

    Parameters
    ----------
    frame, disks, lattice, stencil, sample
        As of `locate`.
    out : ndarray of float64, shape (4,)
        e_xx, e_yy, e_xy [1] and rotation [rad].
    """
    place = np.empty(6)
    locate(frame, disks, lattice, stencil, sample, place)
    ayy, ayx, axy, axx = _times(_four(lattice, LEFT), (place[2], place[3], place[4], place[5]))
    ayy, ayx, axy, axx = _times((ayy, ayx, axy, axx), _four(lattice, RIGHT))
    determinant = ayy * axx - ayx * axy
    # F = A^-T = R (I + e), as parscope.techniques.diffraction.strain has it.
    yy, yx, xy, xx = axx / determinant, -axy / determinant, -ayx / determinant, ayy / determinant
    rotation = math.atan2(yx - xy, xx + yy)
    c, s = math.cos(rotation), math.sin(rotation)
    out[0] = s * yx + c * xx - 1
    out[1] = c * yy - s * xy - 1
    out[2] = 0.5 * ((c * yx - s * xx) + (s * yy + c * xy))
    out[3] = rotation


@nb.njit(**COMPILE)
def locate(
    frame: NDArray[Any],
    disks: Array,
    lattice: Array,
    stencil: NDArray[Any],
    sample: Sample,
    out: Array,
) -> None:
    """Centre and affine map of one pattern from the positions of its disks; NaN where too few are seen.

    Parameters
    ----------
    frame : ndarray, shape (q_y, q_x)
        Counts.
    disks : ndarray, shape (n, 10)
        Position (y, x) relative to the centre [px], mean counts in the window, those of them that are background; and
        room for what is measured.
    lattice : ndarray, shape (16,)
        Expected centre (2) and affine map (4); what is multiplied from the left (4) and right (4) before the strain;
        how far a disk may be from where it is expected [px]; number of the disk that is looked for first.
    stencil : ndarray of the type of `frame`, shape (2 half + 1, 2 length)
        Window: not zero where a pixel belongs to it, in the right half of the columns.
    sample : tuple of ndarray
        Value of a pixel that was not read, and 0, or twice 0 if there is no such value, of the type of `frame`; and no
        number of the type that sums over a window are in.
    out : ndarray of float64, shape (6,)
        centre_y, centre_x [px], A_yy, A_yx, A_xy, A_xx [1].
    """
    out[0], out[1] = lattice[CENTRE], lattice[CENTRE + 1]
    out[2], out[3], out[4], out[5] = _four(lattice, AFFINE)
    _follow_guide(frame, disks, lattice, stencil, sample, out)
    for _ in range(2):
        _look(frame, disks, lattice, stencil, sample, out)
        if not _fit(disks, out):
            out[:] = np.nan
            break


@nb.njit(**COMPILE)
def _four(values: Array, start: int) -> tuple[float, float, float, float]:
    """A 2x2 matrix."""
    return values[start], values[start + 1], values[start + 2], values[start + 3]


@nb.njit(**COMPILE)
def _times(
    a: tuple[float, float, float, float], b: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
    """Product of 2x2 matrices."""
    return (
        a[0] * b[0] + a[1] * b[2],
        a[0] * b[1] + a[1] * b[3],
        a[2] * b[0] + a[3] * b[2],
        a[2] * b[1] + a[3] * b[3],
    )


@nb.njit(**COMPILE)
def _follow_guide(
    frame: NDArray[Any],
    disks: Array,
    lattice: Array,
    stencil: NDArray[Any],
    sample: Sample,
    at: Array,
) -> None:
    """Move the centre by as much as the brightest disk has moved."""
    n = int(lattice[GUIDE])
    for _ in range(2):
        _window(frame, n, disks, stencil, sample, at)
        counts = disks[n, COUNTS] - disks[n, BEHIND]
        if counts <= _SIGNIFICANT * math.sqrt(disks[n, COUNTS]) or disks[n, COUNTS] <= 0.0:
            return
        y = disks[n, AT_Y] + disks[n, MOMENT_Y] / counts
        x = disks[n, AT_X] + disks[n, MOMENT_X] / counts
        at[0] += y - (at[0] + at[2] * disks[n, Q_Y] + at[3] * disks[n, Q_X])
        at[1] += x - (at[1] + at[4] * disks[n, Q_Y] + at[5] * disks[n, Q_X])
    far = math.hypot(at[0] - lattice[CENTRE], at[1] - lattice[CENTRE + 1])
    if far > 2.0 * lattice[REACH]:
        at[0], at[1] = lattice[CENTRE], lattice[CENTRE + 1]


@nb.njit(**COMPILE)
def _look(
    frame: NDArray[Any],
    disks: Array,
    lattice: Array,
    stencil: NDArray[Any],
    sample: Sample,
    at: Array,
) -> None:
    """Measure every disk where it is expected."""
    seen, expected = 0.0, 0.0
    for n in range(disks.shape[0]):
        _window(frame, n, disks, stencil, sample, at)
        if disks[n, COUNTS] >= 0.0:
            seen += disks[n, COUNTS]
            expected += disks[n, EXPECTED]
    bright = seen / expected if expected > 0.0 else 0.0
    for n in range(disks.shape[0]):
        disks[n, WEIGHT] = 0.0
        behind = bright * disks[n, BEHIND]
        counts = disks[n, COUNTS] - behind
        least = _DIMMEST * (bright * disks[n, EXPECTED] - behind)
        if counts > max(_SIGNIFICANT * math.sqrt(max(disks[n, COUNTS], 0.0)), least) and counts > 0.0:
            # The background of a window is even, and pulls the centre of mass towards its middle.
            y, x = disks[n, MOMENT_Y] / counts, disks[n, MOMENT_X] / counts
            if y * y + x * x <= lattice[REACH] * lattice[REACH]:
                disks[n, AT_Y] += y
                disks[n, AT_X] += x
                disks[n, WEIGHT] = counts * counts / disks[n, COUNTS]


@nb.njit(**COMPILE)
def _window(
    frame: NDArray[Any],
    n: int,
    disks: Array,
    stencil: NDArray[Any],
    sample: Sample,
    at: Array,
) -> None:
    """Counts of a disk's window and their moments about its middle; counts of -1 where not all of it was read."""
    half = stencil.shape[0] // 2
    qy, qx = disks[n, Q_Y], disks[n, Q_X]
    iy = math.floor(at[0] + at[2] * qy + at[3] * qx + 0.5)
    ix = math.floor(at[1] + at[4] * qy + at[5] * qx + 0.5)
    disks[n, AT_Y], disks[n, AT_X] = iy, ix
    disks[n, COUNTS], disks[n, MOMENT_Y], disks[n, MOMENT_X] = -1.0, 0.0, 0.0
    top, left = int(iy) - half, int(ix) - half
    if top < 0 or left < 0 or top + 2 * half >= frame.shape[0] or left + 2 * half >= frame.shape[1]:
        return
    length = stencil.shape[1] // 2
    # The run of pixels must end on the detector: near its edge it begins earlier, and the window is further right.
    start = min(left, frame.shape[1] - length)
    shift = left - start
    total, my, mx = _sum(frame, (top, start), stencil, length - shift, sample)
    if total < 0.0:
        return
    disks[n, COUNTS], disks[n, MOMENT_Y], disks[n, MOMENT_X] = total, my - half * total, mx - (half + shift) * total


@nb.njit(**COMPILE)
def _sum(
    frame: NDArray[Any],
    at: tuple[int, int],
    stencil: NDArray[Any],
    first: int,
    sample: Sample,
) -> tuple[float, float, float]:
    """Counts of the run of rows at `at` in a window whose columns begin at `first`, and counts times row and column.

    Counts are -1 if a pixel was not read.

    What is added up is never stored on the way, so that the compiler need not fear for the pattern.
    """
    void, kind = sample
    nodata, none = void[0], void[1]
    part = kind.dtype.type
    zero = frame.dtype.type(0)
    length = stencil.shape[1] // 2
    total, rows, along, missing = part(0), part(0), part(0), part(0)
    for r in range(stencil.shape[0]):
        row = frame[at[0] + r, at[1] : at[1] + length]
        inside = stencil[r, first : first + length]
        p = part(0)
        for c in range(length):
            v = row[c]
            v = v if inside[c] != zero else zero
            missing = part(missing + part(1 if v == nodata else 0))
            p = part(p + part(v))
            along = part(along + part(part(v) * part(c)))
        total = part(total + p)
        rows = part(rows + part(p * part(r)))
    if nodata != none and missing != part(0):
        return -1.0, 0.0, 0.0
    return float(total), float(rows), float(along)


@nb.njit(**COMPILE)
def _fit(disks: Array, at: Array) -> bool:
    """Weighted least squares of centre and affine map; False where the disks do not tell them."""
    w, wy, wx, yy, yx, xx = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    used = 0
    right = np.zeros((2, 3))
    for n in range(disks.shape[0]):
        weight = disks[n, WEIGHT]
        if weight > 0.0:
            used += 1
            qy, qx = disks[n, Q_Y], disks[n, Q_X]
            w += weight
            wy += weight * qy
            wx += weight * qx
            yy += weight * qy * qy
            yx += weight * qy * qx
            xx += weight * qx * qx
            for i in range(2):
                value = weight * disks[n, AT_Y + i]
                right[i, 0] += value
                right[i, 1] += value * qy
                right[i, 2] += value * qx
    # Inverse of the symmetric 3x3 matrix by its cofactors.
    c00, c01, c02 = yy * xx - yx * yx, wx * yx - wy * xx, wy * yx - wx * yy
    determinant = w * c00 + wy * c01 + wx * c02
    if used < FEWEST or not determinant > 1e-6 * w * yy * xx:
        return False
    c11, c12, c22 = w * xx - wx * wx, wx * wy - w * yx, w * yy - wy * wy
    for i in range(2):
        a, b, c = right[i, 0], right[i, 1], right[i, 2]
        at[i] = (c00 * a + c01 * b + c02 * c) / determinant
        at[2 + 2 * i] = (c01 * a + c11 * b + c12 * c) / determinant
        at[3 + 2 * i] = (c02 * a + c12 * b + c22 * c) / determinant
    return True
