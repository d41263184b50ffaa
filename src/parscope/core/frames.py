"""Frames: what every reader returns and every workflow takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.errors import ShapeError


@runtime_checkable
class Sliceable(Protocol):
    """An array that may live on disk: shape, dtype, and slices read when asked for.

    NumPy arrays and memory maps, h5py datasets and Zarr arrays qualify as they are.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of every dimension."""

    @property
    def dtype(self) -> Any:
        """Type of one sample."""

    def __getitem__(self, key: Any, /) -> Any:
        """Read the part that `key` selects; slices and integers on the scan dimensions suffice."""


@dataclass(frozen=True)
class Frames:
    """A scan of diffraction patterns: data, axes, calibration and metadata; reads nothing by itself.

    Parameters
    ----------
    data : Sliceable, shape (scan y, scan x, pattern y, pattern x)
        Counts or intensities, possibly on disk.
    axes : tuple of Axis
        One for each dimension, in the same order: ``y``, ``x``, ``q_y``, ``q_x``.
    metadata : mapping, optional
        All the file says of itself, as the vendor names it.
    source : str, default "memory"
        Where the data came from: a path, or ``memory``.
    mask : ndarray of bool, shape (pattern y, pattern x), optional
        True where a detector pixel is known to be unusable (dead, hot, behind the beam stop).

    Raises
    ------
    ShapeError
        If `data` has not four dimensions, or `axes` or `mask` do not match it.
    """

    data: Sliceable
    axes: tuple[Axis, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    source: str = "memory"
    mask: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        """Check that the parts describe the same array."""
        shape = tuple(self.data.shape)
        if len(shape) != 4:
            raise ShapeError(
                f"has shape {shape}, not (scan y, scan x, pattern y, pattern x)",
                self.source,
                "give a 4D data set, or the scan shape with --scan-shape",
            )
        if tuple(a.size for a in self.axes) != shape:
            raise ShapeError(f"axes {[a.size for a in self.axes]} do not match shape {shape}", self.source)
        if self.mask is not None and self.mask.shape != shape[2:]:
            raise ShapeError(f"mask {self.mask.shape} does not match patterns {shape[2:]}", self.source)

    @property
    def scan_shape(self) -> tuple[int, int]:
        """Number of scan positions, (y, x)."""
        return int(self.data.shape[0]), int(self.data.shape[1])

    @property
    def pattern_shape(self) -> tuple[int, int]:
        """Number of detector pixels, (q_y, q_x)."""
        return int(self.data.shape[2]), int(self.data.shape[3])

    @classmethod
    def from_array(cls, data: Sliceable, source: str = "memory") -> Frames:
        """Wrap an uncalibrated array; all axes count pixels.

        Parameters
        ----------
        data : Sliceable, shape (scan y, scan x, pattern y, pattern x)
            Counts or intensities.
        source : str, default "memory"
            Where they came from.

        Returns
        -------
        Frames

        Raises
        ------
        ShapeError
            If `data` has not four dimensions.

        Examples
        --------
        >>> Frames.from_array(np.zeros((2, 3, 8, 8))).scan_shape
        (2, 3)
        """
        names = ("y", "x", "q_y", "q_x")
        axes = tuple(Axis(n, int(s)) for n, s in zip(names, data.shape, strict=False))
        return cls(data, axes, source=source)
