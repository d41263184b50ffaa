"""What a detector says of a series of patterns, and what became of each: the nouns of a live stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Series:
    """One series of patterns, as the message at its start announces it.

    Parameters
    ----------
    number : int
        Number that the detector gives it, as it stands in every message of the series.
    unique : str
        Its name among all series of all detectors; empty where the stream has none.
    images : int
        Patterns that were asked for, one per scan position.
    shape : tuple of int
        Detector pixels (q_y, q_x).
    dtype : str
        NumPy name of the sample type: ``uint8``, ``uint16`` or ``uint32``.
    channels : tuple of str
        Names of the channels, one pattern each in every message.
    mask : ndarray of bool, shape (q_y, q_x), optional
        True where a detector pixel is known to be unusable; of all channels together.
    metadata : mapping, optional
        All that the message says, as the vendor names it; numbers, text, lists and mappings only.

    Examples
    --------
    >>> Series(1, "", 16, (4, 4), "uint8", ("threshold_1",)).nodata
    255
    """

    number: int
    unique: str
    images: int
    shape: tuple[int, int]
    dtype: str
    channels: tuple[str, ...]
    mask: NDArray[np.bool_] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def nodata(self) -> int:
        """Value of a pixel that was not read: the largest of the sample type, never a count."""
        return int(np.iinfo(self.dtype).max)


class Fate(IntEnum):
    """What became of the pattern of a scan position; the sentence a person reads is `Fate.sentence`."""

    WAITING = 0
    ANSWERED = 1
    SKIPPED = 2
    LOST = 3
    DAMAGED = 4
    FILLED = 5

    @property
    def sentence(self) -> str:
        """One sentence for a report."""
        return _SENTENCES[self]


_SENTENCES = {
    Fate.WAITING: "not measured yet",
    Fate.ANSWERED: "analysed",
    Fate.SKIPPED: "came, and was passed over because the analysis was behind, or had been stopped",
    Fate.LOST: "never came: a hole in the numbers of the images",
    Fate.DAMAGED: "came damaged and was not analysed",
    Fate.FILLED: "passed over by the rules, and analysed afterwards for the maps",
}
