"""Kernels over a file: the same functions as on a stream, with the same bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import InputError
from parscope.core.frames import Frames
from parscope.live.kernels.contract import Detector, Kernel
from parscope.live.kernels.moments import native
from parscope.live.kernels.plan import Plan, examples_of

Array = NDArray[np.float64]


def over(
    frames: Frames, kernels: Sequence[str | Kernel] | Plan, progress: Callable[[int, int], None] | None = None
) -> dict[str, Array]:
    """Maps of what kernels compute of every pattern of a scan.

    Parameters
    ----------
    frames : Frames
        The scan.
    kernels : sequence of str or Kernel, or Plan
        What is computed; with a plan its detector and examples, else those of `plan_for`.
    progress : callable, optional
        Called with the rows done and all of them.

    Returns
    -------
    dict of ndarray of float64, shape (scan y, scan x)
        By the names of the plan's outputs; NaN where there is no number.

    Raises
    ------
    OptionError
        If there is no such kernel.
    InputError
        If the patterns are of no use, or a part of the file cannot be read.
    NoLatticeError
        If a kernel finds no lattice in the scan.

    Examples
    --------
    >>> scan = Frames.from_array(np.ones((2, 3, 8, 8), np.uint8))
    >>> over(scan, ["sum"])["sum.counts"].tolist()
    [[64.0, 64.0, 64.0], [64.0, 64.0, 64.0]]
    """
    plan = kernels if isinstance(kernels, Plan) else plan_for(frames, kernels)
    if frames.pattern_shape != plan.detector.shape:
        raise InputError(f"are {frames.pattern_shape}, the plan is for {plan.detector.shape}", "patterns")
    kind = native(plan.detector)
    rows, columns = frames.scan_shape
    values = np.full((rows, columns, len(plan.outputs)), np.nan)
    for y in range(rows):
        row = np.ascontiguousarray(frames.data[y], kind)
        for x in range(columns):
            plan.run(row[x], values[y, x])
        if progress is not None:
            progress(y + 1, rows)
    return {output.name: np.ascontiguousarray(values[..., k]) for k, output in enumerate(plan.outputs)}


def detector_of(frames: Frames, nodata: int | None = None) -> Detector:
    """What a scan says of the detector.

    Parameters
    ----------
    frames : Frames
        The scan.
    nodata : int, optional
        Value of a pixel that was not read, [counts], -1 for none; default the largest of unsigned integers, which is
        what counting detectors write there.

    Returns
    -------
    Detector

    Raises
    ------
    InputError
        If the patterns are not of real numbers.
    """
    mask = np.zeros(frames.pattern_shape, np.bool_) if frames.mask is None else frames.mask.astype(np.bool_)
    kind = np.dtype(frames.data.dtype).newbyteorder("=")
    if kind.kind == "b":
        kind = np.dtype(np.uint8)
    if nodata is None:
        nodata = int(np.iinfo(kind).max) if kind.kind == "u" else -1
    return Detector(frames.pattern_shape, kind.name, mask, nodata, frames.scan_shape)


def plan_for(frames: Frames, kernels: Sequence[str | Kernel], nodata: int | None = None) -> Plan:
    """Plan for a scan, with examples from all over it.

    Parameters
    ----------
    frames : Frames
        The scan.
    kernels : sequence of str or Kernel
        What is computed.
    nodata : int, optional
        As of `detector_of`.

    Returns
    -------
    Plan

    Raises
    ------
    OptionError
        If there is no such kernel.
    InputError
        If the patterns are of no use.
    NoLatticeError
        If a kernel finds no lattice in the scan.
    """
    detector = detector_of(frames, nodata)
    return Plan(kernels, detector, examples_from(frames, examples_of(kernels)).astype(native(detector)))


def examples_from(frames: Frames, count: int) -> NDArray[Any]:
    """Patterns evenly from all over a scan.

    Parameters
    ----------
    frames : Frames
        The scan.
    count : int
        How many; all where there are fewer.

    Returns
    -------
    ndarray, shape (n, q_y, q_x)
    """
    rows, columns = frames.scan_shape
    chosen = np.linspace(0, rows * columns - 1, min(count, rows * columns)).astype(np.int64)
    picked = [np.asarray(frames.data[int(k // columns), int(k % columns)]) for k in chosen]
    return np.stack(picked) if picked else np.zeros((0, *frames.pattern_shape), frames.data.dtype)
