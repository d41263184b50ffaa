"""Variance of the counts within a pattern: speckle, as of amorphous or fluctuating specimens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.live.kernels.contract import Detector, Output
from parscope.live.kernels.moments import native, spans_of, void
from parscope.live.kernels.sweep import COMPILE, FIRST, ROW, STOP, Array, Table

# Integers that the squares of a whole row fit into.
_ROW = {"uint8": "uint32", "uint16": "uint64", "int8": "int64", "int16": "int64"}


@nb.njit(**COMPILE)
def spread(frame: NDArray[Any], spans: Table, nodata: NDArray[Any], kind: NDArray[Any], out: Array) -> None:
    """Variance over the usable pixels of one pattern.

    Parameters
    ----------
    frame : ndarray, shape (q_y, q_x)
        Counts.
    spans : ndarray of int32, shape (n, 4)
        Usable pixels: row, first column, column after the last.
    nodata : ndarray of the type of `frame`, shape (2,)
        Value of a pixel that was not read, and 0; twice 0 if there is no such value.
    kind : ndarray, shape (0,)
        Of the type that sums of a row are in.
    out : ndarray of float64, shape (1,)
        Variance, [counts^2]; NaN if no pixel was read.
    """
    part = kind.dtype.type
    total, squares, read = 0.0, 0.0, 0.0
    for n in range(spans.shape[0]):
        row = frame[spans[n, ROW], spans[n, FIRST] : spans[n, STOP]]
        p, q, missing = part(0), part(0), part(0)
        for j in range(row.shape[0]):
            v = part(row[j] if row[j] != nodata[0] else nodata[1])
            missing = part(missing + part(1 if row[j] == nodata[0] else 0))
            p = part(p + v)
            q = part(q + part(v * v))
        total += p
        squares += q
        read += row.shape[0] - (float(missing) if nodata[0] != nodata[1] else 0.0)
    out[0] = np.nan
    if read > 0.0:
        mean = total / read
        out[0] = max(squares / read - mean * mean, 0.0)


@dataclass(frozen=True)
class Variance:
    """Variance of the counts over the pixels of a pattern."""

    name: str = "variance"
    examples: int = 0
    outputs: tuple[Output, ...] = (Output("counts2", "counts^2", "variance of the pattern"),)

    @property
    def function(self) -> Callable[..., None]:
        """What is run; see `spread`."""
        compiled: Callable[..., None] = spread
        return compiled

    def setup(self, detector: Detector, examples: NDArray[Any]) -> tuple[Any, ...]:
        """Prepare the state; see `Kernel.setup`."""
        kind = np.zeros(0, _ROW.get(native(detector).name, "float64"))
        return spans_of(~detector.mask), void(detector), kind
