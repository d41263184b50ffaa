"""One pass over a pattern in compiled loops: counts, centre of mass and any number of virtual detectors together.

Integers are summed exactly, whatever the order. What makes it fast is that the sums of a few rows fit into integers of
twice the width of a sample, of which a processor adds dozens at a time.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Table = NDArray[np.int32]

COMPILE: dict[str, Any] = {"cache": True, "error_model": "numpy", "nogil": True}
# Columns of the table of spans.
ROW, FIRST, STOP, REGION = range(4)
# Columns of a recipe: what a number is made of, where it goes, and a y + b x + c of the centre of mass.
SOURCE, PLACE, ALONG_Y, ALONG_X, OFFSET = range(5)
# Sources that are not the number of a region.
TOTAL, CENTRE = -1, -2
# Rows whose sums, weighted by 0 to 15, fit into lanes of twice the width of a sample; and rows taken at once.
_ROWS, _AT_ONCE = 16, 4


@nb.njit(**COMPILE)
def measure(
    frame: NDArray[Any],
    spans: Table,
    bad: Table,
    recipe: Array,
    void: NDArray[Any],
    lanes: NDArray[Any],
    columns: NDArray[Any],
    sums: NDArray[Any],
    out: Array,
) -> None:
    """Total, centre of mass and sums over regions of one pattern, as the recipe asks for them.

    Parameters
    ----------
    frame : ndarray, shape (q_y, q_x)
        Counts.
    spans : ndarray of int32, shape (n, 4)
        Row, first column, column after the last, and region, of usable pixels only.
    bad : ndarray of int32, shape (m, 2)
        Pixels (y, x) that are left out of the total.
    recipe : ndarray, shape (k, 5)
        For each number its source, its place in `out`, and the factors of y, x and 1 if the source is the centre.
    void : ndarray of the type of `frame`, shape (2,)
        Value of a pixel that was not read, and what is counted instead.
    lanes : ndarray, shape (2, q_x) or (0, q_x)
        Room for sums of a few rows, of integers twice as wide as a sample; none for floats.
    columns : ndarray, shape (q_x,)
        Room for sums of columns.
    sums : ndarray, shape (regions,)
        Room for sums of regions; the last one of floats is the whole pattern.
    out : ndarray of float64
        The numbers; NaN where no pixel was read, and for the centre of no counts.
    """
    _sum_regions(frame, spans, void, columns, sums)
    total, y, x = 0.0, np.nan, np.nan
    if recipe[:, SOURCE].min() < 0:
        if lanes.shape[0] > 0:
            total, y, x = _moments(frame, bad, void, lanes, columns)
        else:
            total, y, x = _float_moments(frame, spans, void, sums)
    for k in range(recipe.shape[0]):
        source = int(recipe[k, SOURCE])
        if source == CENTRE:
            value = recipe[k, ALONG_Y] * y + recipe[k, ALONG_X] * x + recipe[k, OFFSET]
        elif source == TOTAL:
            value = total if total != 0.0 or _any_read(frame, bad, void) else np.nan
        else:
            value = float(sums[source])
            if value == 0.0 and not _any_read_of(frame, spans, source, void):
                value = np.nan
        out[int(recipe[k, PLACE])] = value


@nb.njit(**COMPILE)
def _sum_regions(
    frame: NDArray[Any], spans: Table, void: NDArray[Any], columns: NDArray[Any], sums: NDArray[Any]
) -> None:
    """Sum over every region."""
    part = columns.dtype.type
    nodata, instead = void[0], void[1]
    sums[:] = 0
    for n in range(spans.shape[0]):
        row = frame[spans[n, ROW], spans[n, FIRST] : spans[n, STOP]]
        p = part(0)
        for j in range(row.shape[0]):
            v = row[j]
            p = part(p + part(v if v != nodata else instead))
        sums[spans[n, REGION]] += p


@nb.njit(**COMPILE)
def _moments(
    frame: NDArray[Any], bad: Table, void: NDArray[Any], lanes: NDArray[Any], columns: NDArray[Any]
) -> tuple[float, float, float]:
    """Counts and their centre (y, x), of integers."""
    nodata, instead = void[0], void[1]
    rows = _fold(frame, void, lanes, columns)
    total = np.int64(0)
    along = np.int64(0)
    for j in range(columns.shape[0]):
        total += np.int64(columns[j])
        along += np.int64(columns[j]) * j
    for n in range(bad.shape[0]):
        r, c = bad[n, 0], bad[n, 1]
        v = frame[r, c]
        count = np.int64(v if v != nodata else instead)
        total -= count
        rows -= r * count
        along -= c * count
    if total == 0:
        return 0.0, np.nan, np.nan
    return float(total), rows / total, along / total


@nb.njit(**COMPILE)
def _fold(frame: NDArray[Any], void: NDArray[Any], lanes: NDArray[Any], columns: NDArray[Any]) -> int:
    """Sum of every column, and the sum of counts times their row.

    Rows are taken from the last of a block to the first: what is added to `later` before each of them weights every
    row by its number within the block, without a multiplication.
    """
    nodata, instead = void[0], void[1]
    sofar, later = lanes[0], lanes[1]
    columns[:] = 0
    result = np.int64(0)
    for first in range(0, frame.shape[0], _ROWS):
        lanes[:] = 0
        r = min(first + _ROWS, frame.shape[0])
        while r - _AT_ONCE >= first:
            r -= _AT_ONCE
            _add_four(frame, r, void, lanes)
        while r > first:
            r -= 1
            for j in range(frame.shape[1]):
                v = frame[r, j]
                later[j] += sofar[j]
                sofar[j] += v if v != nodata else instead
        counts = np.int64(0)
        for j in range(frame.shape[1]):
            counts += np.int64(sofar[j])
            result += np.int64(later[j])
        for j in range(frame.shape[1]):
            columns[j] += sofar[j]
        result += first * counts
    return result


@nb.njit(**COMPILE)
def _add_four(frame: NDArray[Any], r: int, void: NDArray[Any], lanes: NDArray[Any]) -> None:
    """Four rows at once, so that the lanes are loaded and stored a quarter as often."""
    lane = lanes.dtype.type
    nodata, instead = void[0], void[1]
    sofar, later = lanes[0], lanes[1]
    r0, r1, r2, r3 = frame[r], frame[r + 1], frame[r + 2], frame[r + 3]
    for j in range(frame.shape[1]):
        s = sofar[j]
        m = lane(later[j] + s)
        s = lane(s + (r3[j] if r3[j] != nodata else instead))
        m = lane(m + s)
        s = lane(s + (r2[j] if r2[j] != nodata else instead))
        m = lane(m + s)
        s = lane(s + (r1[j] if r1[j] != nodata else instead))
        m = lane(m + s)
        s = lane(s + (r0[j] if r0[j] != nodata else instead))
        sofar[j] = s
        later[j] = m


@nb.njit(**COMPILE)
def _float_moments(
    frame: NDArray[Any], spans: Table, void: NDArray[Any], sums: NDArray[Any]
) -> tuple[float, float, float]:
    """Sum and centre (y, x) of the last region, of floats."""
    nodata, instead = void[0], void[1]
    whole = sums.shape[0] - 1
    total, rows, along = 0.0, 0.0, 0.0
    for n in range(spans.shape[0]):
        if spans[n, REGION] == whole:
            p = 0.0
            for j in range(spans[n, FIRST], spans[n, STOP]):
                v = frame[spans[n, ROW], j]
                v = v if v != nodata else instead
                p += v
                along += v * j
            total += p
            rows += spans[n, ROW] * p
    if total == 0.0:
        return 0.0, np.nan, np.nan
    return total, rows / total, along / total


@nb.njit(**COMPILE)
def _any_read(frame: NDArray[Any], bad: Table, void: NDArray[Any]) -> bool:
    """Whether any usable pixel was read."""
    read = 0
    for r in range(frame.shape[0]):
        for c in range(frame.shape[1]):
            read += frame[r, c] != void[0] or void[0] == void[1]
    for n in range(bad.shape[0]):
        read -= frame[bad[n, 0], bad[n, 1]] != void[0] or void[0] == void[1]
    return read > 0


@nb.njit(**COMPILE)
def _any_read_of(frame: NDArray[Any], spans: Table, region: int, void: NDArray[Any]) -> bool:
    """Whether any usable pixel of a region was read."""
    for n in range(spans.shape[0]):
        if spans[n, REGION] == region:
            for j in range(spans[n, FIRST], spans[n, STOP]):
                if frame[spans[n, ROW], j] != void[0] or void[0] == void[1]:
                    return True
    return False
