"""What is prepared when a series begins: its scan shape, its channel, and the analysis of its patterns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from parscope.core.errors import OptionError, ShapeError
from parscope.core.stream import Series
from parscope.live.kernels.contract import Detector, Kernel, Output
from parscope.live.kernels.parts import outputs_of
from parscope.live.pipeline.apart import Apart
from parscope.live.wire.messages import appendix


@dataclass(frozen=True)
class Analyser:
    """What is computed of every pattern, whatever the detector.

    Parameters
    ----------
    kernels : tuple of Kernel
        Each of another name.
    apart : Apart, optional
        By which another process is asked to set kernels up. Default: threads of this one do it.
    """

    kernels: tuple[Kernel, ...]
    apart: Apart | None = None

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The numbers, in this order."""
        return outputs_of(self.kernels)

    @property
    def examples(self) -> int:
        """Patterns of the series that a kernel wants to see before, at most; 0 for none."""
        return max(kernel.examples for kernel in self.kernels)


def scan_shape_of(series: Series, given: tuple[int, int] | None) -> tuple[int, int]:
    """Scan shape of a series.

    Parameters
    ----------
    series : Series
        As the detector announces it.
    given : tuple of int, optional
        By a person; else the detector's ``header_appendix`` is asked for ``scan_shape``.

    Returns
    -------
    tuple of int

    Raises
    ------
    OptionError
        If nobody knows it.
    ShapeError
        If it is that of another number of images.
    """
    shape = given or _shape(appendix(series).get("scan_shape"))
    if shape is None:
        root = math.isqrt(series.images)
        like = f"{root}x{root}" if root * root == series.images else f"1x{series.images}"
        raise OptionError(
            f"the detector does not tell the shape of its scan of {series.images} positions",
            "--scan",
            f"give it: {like}",
        )
    if shape[0] * shape[1] != series.images:
        raise ShapeError(
            f"{shape[0]} x {shape[1]} are {shape[0] * shape[1]} positions, series {series.number} has {series.images}",
            "--scan",
            "give the shape of this scan",
        )
    return shape


def _shape(told: Any) -> tuple[int, int] | None:
    """Two lengths, if somebody set them."""
    if isinstance(told, Sequence) and len(told) == 2 and all(isinstance(n, int) and n > 0 for n in told):
        return told[0], told[1]
    return None


def channel_of(series: Series, wanted: str | None) -> int:
    """Which channel is analysed.

    Parameters
    ----------
    series : Series
        As the detector announces it.
    wanted : str, optional
        Name of a channel. Default: the first.

    Returns
    -------
    int

    Raises
    ------
    OptionError
        If there is no such channel.
    """
    if wanted is None:
        return 0
    if wanted not in series.channels:
        raise OptionError(f"there is no {wanted!r}", "--channel", f"choose one of {', '.join(series.channels)}")
    return series.channels.index(wanted)


def detector_of(series: Series, scan_shape: tuple[int, int]) -> Detector:
    """What kernels may know of the patterns.

    Parameters
    ----------
    series : Series
        As the detector announces it.
    scan_shape : tuple of int
        Scan positions (y, x).

    Returns
    -------
    Detector
    """
    mask = np.zeros(series.shape, np.bool_) if series.mask is None else series.mask
    return Detector(series.shape, series.dtype, mask, series.nodata, scan_shape)


def same_patterns(one: Detector | None, other: Detector) -> bool:
    """Whether an analysis made for one detector serves for another.

    Parameters
    ----------
    one, other : Detector
        Of two series; None if there was none.

    Returns
    -------
    bool
    """
    return (
        one is not None
        and (one.shape, one.dtype, one.nodata, one.scan_shape)
        == (other.shape, other.dtype, other.nodata, other.scan_shape)
        and bool(np.array_equal(one.mask, other.mask))
    )


def head_of(series: Series, channel: int) -> Mapping[str, Any]:
    """What readers of the board are told of a series.

    Parameters
    ----------
    series : Series
        As the detector announces it.
    channel : int
        That is analysed.

    Returns
    -------
    mapping
    """
    return {
        "series": series.number,
        "unique": series.unique,
        "pattern_shape": series.shape,
        "dtype": series.dtype,
        "channel": series.channels[channel],
        "channels": series.channels,
        "metadata": dict(series.metadata),
    }
