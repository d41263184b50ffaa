"""What every writer is given, and what it is: a place that takes scan rows until it is finished or abandoned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.errors import OutputError
from parscope.core.frames import Frames
from parscope.io._meta import plain_axes


@dataclass(frozen=True)
class Layout:
    """What a scan will look like, before its patterns exist.

    Parameters
    ----------
    axes : tuple of Axis
        ``y``, ``x``, ``q_y``, ``q_x``.
    dtype : dtype
        Of a sample.
    metadata : mapping, optional
        Written where the format has a place for it.
    mask : ndarray of bool, shape (pattern y, pattern x), optional
        True where a pixel is unusable; written where the format has a place for it.

    Examples
    --------
    >>> Layout.plain((2, 3, 8, 8), "uint16").shape
    (2, 3, 8, 8)
    """

    axes: tuple[Axis, ...]
    dtype: np.dtype[Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    mask: NDArray[np.bool_] | None = None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(scan y, scan x, pattern y, pattern x)."""
        y, x, q_y, q_x = (axis.size for axis in self.axes)
        return y, x, q_y, q_x

    @classmethod
    def of(cls, frames: Frames) -> Layout:
        """Layout of a scan that exists.

        Parameters
        ----------
        frames : Frames
            The scan.

        Returns
        -------
        Layout
        """
        return cls(frames.axes, np.dtype(frames.data.dtype), frames.metadata, frames.mask)

    @classmethod
    def plain(cls, shape: tuple[int, int, int, int], dtype: str) -> Layout:
        """Layout without calibration.

        Parameters
        ----------
        shape : tuple of int
            (scan y, scan x, pattern y, pattern x).
        dtype : str
            NumPy name of the sample type.

        Returns
        -------
        Layout
        """
        return cls(plain_axes(shape), np.dtype(dtype))


class Sink(ABC):
    """Writes one scan into an empty folder of its own.

    Parameters
    ----------
    folder : Path
        Where its files go; they are moved to their place when it is finished.
    name : str
        Of the file that is opened later.
    layout : Layout
        Shape, type and calibration of the whole.

    Raises
    ------
    OutputError
        If the format has no place for such data.
    """

    def __init__(self, folder: Path, name: str, layout: Layout) -> None:
        self.folder, self.name, self.layout = folder, name, layout
        self.check()

    @classmethod
    def names(cls, name: str) -> tuple[str, ...]:
        """Files that are known beforehand to come into being, the one to open last.

        Parameters
        ----------
        name : str
            That a person gave.

        Returns
        -------
        tuple of str
        """
        return (name,)

    def check(self) -> None:  # noqa: B027 most formats take everything
        """Refuse what the format has no place for, before any file is made."""

    def room(self, block: NDArray[Any]) -> int:
        """Bytes that a block may take on the disk.

        Parameters
        ----------
        block : ndarray, shape (rows, scan x, pattern y, pattern x)
            About to be written.

        Returns
        -------
        int
        """
        return int(block.nbytes)

    @abstractmethod
    def append(self, block: NDArray[Any], row: int) -> None:
        """Write scan rows from `row` on."""

    @abstractmethod
    def finish(self) -> None:
        """Complete the files."""

    @abstractmethod
    def abandon(self) -> None:
        """Let go of the files; they are deleted."""

    def demand(self, allowed: Iterable[str], shape: tuple[int, int] | None = None) -> None:
        """Refuse samples or patterns for which the format has no place.

        Parameters
        ----------
        allowed : iterable of str
            NumPy names of sample types.
        shape : tuple of int, optional
            The only pattern shape.

        Raises
        ------
        OutputError
            If they do not fit.
        """
        if np.dtype(self.layout.dtype).name not in allowed:
            raise OutputError(
                f"the format holds {' or '.join(allowed)}, not {self.layout.dtype}", self.name, "choose another format"
            )
        if shape is not None and self.layout.shape[2:] != shape:
            raise OutputError(
                f"the format holds patterns of {shape}, not {self.layout.shape[2:]}", self.name, "choose another format"
            )
