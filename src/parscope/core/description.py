"""What a file says about itself: its kind, all of its metadata, and something to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.axes import Axis


@dataclass(frozen=True)
class Signal:
    """One array in a file, without its numbers.

    Parameters
    ----------
    name : str
        As the file has it, or the name of the channel.
    shape : tuple of int
        Lengths, [1], slowest axis first.
    dtype : str
        NumPy's name of the sample type.
    unit : str
        Unit of the samples; ``1`` where the file names none.
    axes : tuple of Axis
        One for each dimension; those of pixels where the file has no calibration.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    unit: str = "1"
    axes: tuple[Axis, ...] = ()


@dataclass(frozen=True)
class Preview:
    """Numbers for one small picture: an image, or curves over a common axis.

    Parameters
    ----------
    data : ndarray, shape (y, x) or (k,)
        An image, or one curve; at most a few hundred samples along each axis.
    title : str
        What it shows: the name of a channel, ``mean diffraction pattern``, ``virtual bright field``.
    unit : str
        Unit of the samples.
    axes : tuple of Axis
        One for each dimension.
    """

    data: NDArray[Any]
    title: str = ""
    unit: str = "1"
    axes: tuple[Axis, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        if np.ndim(self.data) not in (1, 2):
            raise ValueError(f"a preview has one or two dimensions, not {np.ndim(self.data)}")


@dataclass(frozen=True)
class Description:
    """What one acquisition says about itself; what a catalog keeps of it.

    Parameters
    ----------
    kind : str
        ``image``, ``image stack``, ``volume``, ``diffraction pattern``, ``4D-STEM``, ``spectrum``, ``spectrum image``,
        ``spectroscopy``, ``scanning probe image``, ``events``, ``table``, ``document`` ...
    reader : str
        Name of the describer.
    library : str
        What read the file, with its version: ``tifffile 2024.1``, ``parscope 0.1.0``.
    vendor : mapping
        All metadata in the file, as nested mappings under the very keys that the file has: numbers with every bit, NaN
        and infinities kept, nothing renamed, nothing dropped. Long arrays of numbers may be kept as they are.
    signals : tuple of Signal
        Arrays in the file.
    acquired : str
        When, as ISO 8601 (``2019-05-03T10:21:05``, with offset where the file has it); empty where it is not told.
    common : mapping
        The few quantities whose meaning is certain, under names shared by all formats: ``beam.voltage``,
        ``beam.convergence_angle``, ``camera_length``, ``magnification``, ``instrument.name``, ``instrument.vendor``,
        ``detector.name``, ``exposure``, ``operator``, ``sample.name``, nested, quantities as
        ``{"value": 200.0, "units": "kV"}``.
    previews : tuple of Preview
        The most telling first.
    parts : tuple of Path
        Other files of the same acquisition (``.emi`` of a ``.ser``, data files of an HDF5 master).
    warnings : tuple of str
        What could not be read, or was not followed, one sentence each.
    """

    kind: str
    reader: str
    library: str
    vendor: Mapping[str, Any] = field(default_factory=dict)
    signals: tuple[Signal, ...] = ()
    acquired: str = ""
    common: Mapping[str, Any] = field(default_factory=dict)
    previews: tuple[Preview, ...] = ()
    parts: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()
