"""What is prepared when a series begins: its scan shape, its channel, and the analysis of its patterns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import OptionError, ShapeError
from parscope.core.stream import Series
from parscope.live.kernels.contract import Detector, Output
from parscope.live.wire.messages import appendix


class Analysis(Protocol):
    """Computes all that was asked for of one pattern: a plan of kernels."""

    @property
    def outputs(self) -> Sequence[Output]:
        """What it computes, in this order."""

    @property
    def found(self) -> Mapping[str, Mapping[str, Any]]:
        """What it found in the examples, by name of the kernel."""

    def run(self, frame: NDArray[Any], out: NDArray[np.float64]) -> None:
        """Compute it.

        Parameters
        ----------
        frame : ndarray, shape (q_y, q_x)
            One pattern.
        out : ndarray, shape (outputs,)
            Is written.
        """

    def run_many(self, frames: NDArray[Any], out: NDArray[np.float64]) -> None:
        """Compute the same of several patterns, one after the other.

        Parameters
        ----------
        frames : ndarray, shape (n, q_y, q_x)
            Patterns.
        out : ndarray, shape (n, outputs)
            Is written.
        """


@dataclass(frozen=True)
class Analyser:
    """How an analysis is made for the detector of a series.

    Parameters
    ----------
    outputs : tuple of Output
        What it computes, whatever the detector.
    examples : int
        Patterns of the series that it wants to see before; 0 for none.
    make : callable
        Makes it, and compiles it, from the detector and the examples; of any thread.
    """

    outputs: tuple[Output, ...]
    examples: int
    make: Callable[[Detector, NDArray[Any]], Analysis]


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
