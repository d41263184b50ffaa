"""What the two processes of the emulator tell each other: the order for a series, and the report of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Timing:
    """When the images of a series are taken.

    Parameters
    ----------
    mode : {"ints", "inte", "exts", "exte"}
        How it is triggered.
    images, triggers : int
        Images of a trigger, and triggers of the series.
    frame_ns : int
        From one image to the next after one trigger; 0 for as fast as possible, [ns].
    count_ns : int
        Time that an image counts, [ns].
    pulse_ns : int
        From one external pulse to the next; 0 for as fast as possible, -1 if pulses are given by hand, [ns].
    """

    mode: str
    images: int
    triggers: int
    frame_ns: int
    count_ns: int
    pulse_ns: int

    @property
    def total(self) -> int:
        """Images of the series."""
        return self.images * self.triggers

    @property
    def waits(self) -> bool:
        """Whether each trigger is waited for: a command, or a pulse by hand."""
        return self.mode.startswith("int") or self.pulse_ns < 0

    @property
    def burst(self) -> int:
        """Images that follow one trigger which is waited for."""
        if not self.waits:
            return self.total
        return 1 if self.mode == "exte" else self.images

    def due(self, image: NDArray[np.int64]) -> NDArray[np.int64]:
        """When images start, after the trigger of their burst.

        Parameters
        ----------
        image : ndarray of int, shape (n,)
            Numbers within the burst.

        Returns
        -------
        ndarray of int, shape (n,)
            Times, [ns]; 0 for all of them if they come as fast as possible.

        Examples
        --------
        Lines of three images of 10 ns, each line on the next pulse of a clock of 40 ns:

        >>> Timing("exts", 3, 2, 10, 9, 40).due(np.arange(6)).tolist()
        [0, 10, 20, 40, 50, 60]
        """
        if self.waits:
            return image * self.frame_ns
        if self.mode == "exte":
            return image * self.pulse_ns
        line = self.images * self.frame_ns
        pulse = self.pulse_ns or line
        return image // self.images * (-(-line // pulse) * pulse if pulse else 0) + image % self.images * self.frame_ns


@dataclass(frozen=True)
class Imaging:
    """What the images of a series look like.

    Parameters
    ----------
    bits : int
        Depth, [bit]: 8, 16 or 32.
    merge : bool
        Whether 2 x 2 pixels are one.
    compression : {"bslz4", "lz4", "none"}
        How they are compressed.
    channels : tuple of str
        ``threshold_1``, ``threshold_2``, ``difference``.
    masked : str, default "nodata"
        What an unusable pixel becomes: ``nodata``, ``zero``, or ``kept``.
    """

    bits: int
    merge: bool
    compression: str
    channels: tuple[str, ...]
    masked: str = "nodata"


@dataclass(frozen=True)
class Filing:
    """Which files are written of a series.

    Parameters
    ----------
    folder : str
        Where.
    name : str
        Before ``_master.h5``.
    per_file : int
        Images of a data file; 0 for all in the master.
    first : int
        Number of the first image.
    """

    folder: str
    name: str
    per_file: int
    first: int


@dataclass(frozen=True)
class Job:
    """The order for a series.

    Parameters
    ----------
    series : int
        Its number.
    unique : str
        Its name among all series.
    timing : Timing
        When its images are taken.
    imaging : Imaging
        What they look like.
    version : {0, 1, 2}
        Of the stream; 0 sends nothing.
    header : mapping
        All that its start says, named as by the interface, with ``header_detail`` and the appendices.
    filing : Filing, optional
        Files to write.
    """

    series: int
    unique: str
    timing: Timing
    imaging: Imaging
    version: int
    header: Mapping[str, Any] = field(default_factory=dict)
    filing: Filing | None = None


@dataclass(frozen=True)
class Report:
    """What became of a series.

    Parameters
    ----------
    series : int
        Its number.
    images : int
        Images taken.
    sent : int
        Messages of images that were sent, duplicates and stale ones among them.
    seconds : float
        From the first to the last of them, waiting for triggers included, [s].
    faults : mapping of str to tuple of int
        Numbers of the images with each fault, in the order in which they were drawn or sent; ``overflow`` are those
        that nobody took in time. The start and end of the series have the number -1.
    late : int, default 0
        Images sent more than 50 microseconds after their time, because this machine was busy.
    files : tuple of str
        Names of the files written.
    began_ns : int, default 0
        When the first image was sent, on the monotonic clock of this machine; 0 if none was, [ns].
    """

    series: int
    images: int
    sent: int
    seconds: float
    faults: Mapping[str, tuple[int, ...]]
    late: int = 0
    files: tuple[str, ...] = ()
    began_ns: int = 0

    @property
    def rate(self) -> float:
        """Messages of images per second, [1/s]."""
        return self.sent / self.seconds if self.seconds > 0 else 0.0
