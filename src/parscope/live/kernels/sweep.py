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
Room = tuple[NDArray[Any], NDArray[Any]]

COMPILE: dict[str, Any] = {"cache": True, "error_model": "numpy", "nogil": True}
# Columns of the table of spans.
ROW, FIRST, STOP, LINE = range(4)
# Columns of a recipe, one line a number: what it is made of, where it goes, a y + b x + c of the centre of mass, and
# room for a sum.
SOURCE, PLACE, ALONG_Y, ALONG_X, OFFSET, SUM, COLUMNS = range(7)
# Sources: the counts of the line's own region, those of the whole pattern, its centre of mass.
REGION, TOTAL, CENTRE = range(3)
# Line of spans that are left out of the whole pattern.
BAD = -1
# Rows whose sums, weighted by 0 to 15, fit into lanes of twice the width of a sample; and rows taken at once.
_ROWS, _AT_ONCE = 16, 4
# Bytes of a cache line.
_LINE = 64


@nb.njit(**COMPILE)
def measure(
    frame: NDArray[Any],
    spans: Table,
    recipe: Array,
    void: NDArray[Any],
    room: tuple[NDArray[Any], NDArray[Any]],
    out: Array,
) -> None:
    """Total, centre of mass and sums over regions of one pattern, as the recipe asks for them.

    Parameters
    ----------
    frame : ndarray, shape (q_y, q_x)
        Counts.
    spans : ndarray of int32, shape (n, 4)
        Row, first column, column after the last, and line of the recipe, of usable pixels only; and those that are
        left out of the whole pattern. Those of floats end with the whole pattern, in a line of its own.
    recipe : ndarray, shape (k, 7)
        For each number its source, its place in `out` (-1 for none), the factors of y, x and 1 if the source is the
        centre, and room.
    void : ndarray of the type of `frame`, shape (2,)
        Value of a pixel that was not read, and what is counted instead.
    room : tuple of ndarray
        Room for the sums of a few rows, of integers twice as wide as a sample, or none for floats; and for those of
        columns.
    out : ndarray of float64, shape (numbers,)
        The numbers; NaN where no pixel was read, and for the centre of no counts.
    """
    lanes, columns = room
    _fetch(frame, columns)
    _sum_regions(frame, spans, recipe, void, columns)
    total, y, x = 0.0, np.nan, np.nan
    if _whole(recipe):
        if lanes.shape[0] > 0:
            total, y, x = _moments(frame, spans, void, lanes, columns)
        else:
            total, y, x = _float_moments(frame, spans, void, recipe.shape[0] - 1)
    for k in range(recipe.shape[0]):
        place = int(recipe[k, PLACE])
        if place >= 0:
            out[place] = _number(recipe[k], total, y, x)
            if out[place] == 0.0 and recipe[k, SOURCE] != CENTRE and not _any_read(frame, spans, recipe, k, void):
                out[place] = np.nan


@nb.njit(**COMPILE)
def measure_many(
    frames: NDArray[Any],
    spans: Table,
    recipe: Array,
    void: NDArray[Any],
    room: tuple[NDArray[Any], NDArray[Any]],
    out: Array,
) -> None:
    """The same of several patterns one after the other: a call from Python costs as much as a small pattern.

    Parameters
    ----------
    frames : ndarray, shape (n, q_y, q_x)
        Counts.
    spans : ndarray of int32, shape (m, 4)
        As of `measure`; so are the next three.
    recipe : ndarray, shape (k, 7)
        What is asked for.
    void : ndarray of the type of `frames`, shape (2,)
        Value of a pixel that was not read, and what is counted instead.
    room : tuple of ndarray
        Room for sums.
    out : ndarray of float64, shape (n, numbers)
        The numbers.
    """
    for i in range(frames.shape[0]):
        measure(frames[i], spans, recipe, void, room, out[i])


@nb.njit(**COMPILE)
def _fetch(frame: NDArray[Any], columns: NDArray[Any]) -> None:
    """Touch every cache line of a pattern in order, so that one that lies in memory comes at the rate of a stream.

    Regions, and rows taken four at once, jump; a pattern that was just decompressed costs a quarter microsecond.
    """
    part = columns.dtype.type
    step = np.uintp(_LINE // frame.itemsize)
    touched = part(0)
    for row in range(frame.shape[0]):
        r, c = np.uintp(row), np.uintp(0)
        while c < np.uintp(frame.shape[1]):
            touched = part(touched + part(frame[r, c]))
            c += step
    # What is touched must be of use, lest the compiler leave it out: the room is cleared later.
    columns[0] = touched


@nb.njit(**COMPILE)
def _whole(recipe: Array) -> bool:
    """Whether anything of the whole pattern is wanted."""
    wanted = 0
    for k in range(recipe.shape[0]):
        wanted += recipe[k, SOURCE] != REGION
    return wanted > 0


@nb.njit(**COMPILE)
def _number(line: Array, total: float, y: float, x: float) -> float:
    """What a line of the recipe asks for."""
    if line[SOURCE] == CENTRE:
        return float(line[ALONG_Y] * y + line[ALONG_X] * x + line[OFFSET])
    return float(line[SUM]) if line[SOURCE] == REGION else total


@nb.njit(**COMPILE)
def _sum_regions(frame: NDArray[Any], spans: Table, recipe: Array, void: NDArray[Any], columns: NDArray[Any]) -> None:
    """Sum over every region; a float of 64 bits holds sums of 2^21 pixels of 32 bits exactly."""
    part = columns.dtype.type
    nodata, instead = void[0], void[1]
    recipe[:, SUM] = 0.0
    for n in range(spans.shape[0]):
        if spans[n, LINE] != BAD:
            # Without a sign, so that no index counts from the end.
            r, first, stop = np.uintp(spans[n, ROW]), np.uintp(spans[n, FIRST]), np.uintp(spans[n, STOP])
            p = part(0)
            for c in range(first, stop):
                v = frame[r, c]
                p = part(p + part(v if v != nodata else instead))
            recipe[spans[n, LINE], SUM] += p


@nb.njit(**COMPILE)
def _moments(
    frame: NDArray[Any], spans: Table, void: NDArray[Any], lanes: NDArray[Any], columns: NDArray[Any]
) -> tuple[float, float, float]:
    """Counts and their centre (y, x), of integers."""
    nodata, instead = void[0], void[1]
    rows = _fold(frame, void, lanes, columns)
    total = np.int64(0)
    along = np.int64(0)
    for j in range(columns.shape[0]):
        total += np.int64(columns[j])
        along += np.int64(columns[j]) * j
    for n in range(spans.shape[0]):
        if spans[n, LINE] == BAD:
            r = spans[n, ROW]
            for c in range(spans[n, FIRST], spans[n, STOP]):
                v = frame[r, c]
                count = np.int64(v if v != nodata else instead)
                total -= count
                rows -= r * count
                along -= c * count
    if total == 0:
        return 0.0, np.nan, np.nan
    return float(total), rows / total, along / total


@nb.njit(**COMPILE)
def _fold(frame: NDArray[Any], void: NDArray[Any], lanes: NDArray[Any], columns: NDArray[Any]) -> np.int64:
    """Sum of every column, and the sum of counts times their row.

    What is added to `sofar` is added to `later` before each row that follows: that weights every row by its number
    from the end of the block, without a multiplication.
    """
    nodata, instead = void[0], void[1]
    sofar, later = lanes[0], lanes[1]
    columns[:] = 0
    result = np.int64(0)
    for first in range(0, frame.shape[0], _ROWS):
        lanes[:] = 0
        r, stop = first, min(first + _ROWS, frame.shape[0])
        while r + _AT_ONCE <= stop:
            _add_four(frame, r, void, lanes)
            r += _AT_ONCE
        while r < stop:
            for j in range(frame.shape[1]):
                v = frame[r, j]
                later[j] += sofar[j]
                sofar[j] += v if v != nodata else instead
            r += 1
        counts, after = np.int64(0), np.int64(0)
        for j in range(frame.shape[1]):
            counts += np.int64(sofar[j])
            after += np.int64(later[j])
        for j in range(frame.shape[1]):
            columns[j] += sofar[j]
        result += (stop - 1) * counts - after
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
        s = lane(s + (r0[j] if r0[j] != nodata else instead))
        m = lane(m + s)
        s = lane(s + (r1[j] if r1[j] != nodata else instead))
        m = lane(m + s)
        s = lane(s + (r2[j] if r2[j] != nodata else instead))
        m = lane(m + s)
        s = lane(s + (r3[j] if r3[j] != nodata else instead))
        sofar[j] = s
        later[j] = m


@nb.njit(**COMPILE)
def _float_moments(frame: NDArray[Any], spans: Table, void: NDArray[Any], line: int) -> tuple[float, float, float]:
    """Sum and centre (y, x) of the region of a line, of floats."""
    nodata, instead = void[0], void[1]
    total, rows, along = 0.0, 0.0, 0.0
    for n in range(spans.shape[0]):
        if spans[n, LINE] == line:
            p = 0.0
            for j in range(spans[n, FIRST], spans[n, STOP]):
                v = float(frame[spans[n, ROW], j])
                v = v if v != nodata else instead
                p += v
                along += v * j
            total += p
            rows += spans[n, ROW] * p
    if total == 0.0:
        return 0.0, np.nan, np.nan
    return total, rows / total, along / total


@nb.njit(**COMPILE)
def _any_read(frame: NDArray[Any], spans: Table, recipe: Array, k: int, void: NDArray[Any]) -> bool:
    """Whether any usable pixel was read, of the region of a line or of the whole pattern; asked for dark ones only."""
    all_read = void[0] == void[1]
    read = 0
    whole = recipe[k, SOURCE] == TOTAL
    if whole:
        for r in range(frame.shape[0]):
            for c in range(frame.shape[1]):
                read += all_read or frame[r, c] != void[0]
    for n in range(spans.shape[0]):
        if spans[n, LINE] == (BAD if whole else k):
            for c in range(spans[n, FIRST], spans[n, STOP]):
                one = 1 if all_read or frame[spans[n, ROW], c] != void[0] else 0
                read += -one if whole else one
    return read > 0
