"""Patterns of a scan that is not a stream, sent as if they came from a detector."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import InputError, UnreadableError
from parscope.core.frames import Frames
from parscope.core.stream import Series
from parscope.live.wire.encode import end_message, image_message, start_message

_TYPES = ("uint8", "uint16", "uint32")
_CHANNEL = "threshold_1"


class ScanMessages:
    """Messages of a scan, at the time when they are due; what cannot be read, or was never recorded, is left out.

    Parameters
    ----------
    frames : Frames
        The scan.
    rate : float
        Patterns per second, [Hz]; 0 for as fast as possible. The times of the exposures are those of the scan, if it
        tells its ``frame_time``.
    series : int, default 1
        How often it is sent.

    Raises
    ------
    InputError
        If its patterns are no counts.
    """

    def __init__(self, frames: Frames, rate: float, series: int = 1) -> None:
        kind = np.dtype(frames.data.dtype).name
        if kind not in _TYPES:
            raise InputError(f"its patterns are {kind}, not counts", frames.source, f"give {' or '.join(_TYPES)}")
        self.frames, self._period, self._series = frames, 1e9 / rate if rate else 0.0, series
        self._exposure = 1e9 * _frame_time(frames) or self._period
        self._messages = self._all()
        self._next: tuple[int, bytes] | None = None

    def _all(self) -> Iterator[tuple[int, bytes]]:
        """Each message, with the time when it is due, since its series began."""
        frames = self.frames
        (rows, columns), dtype = frames.scan_shape, np.dtype(frames.data.dtype).name
        period, exposure = self._period, self._exposure
        for number in range(1, self._series + 1):
            metadata = {"frame_time": exposure / 1e9} if exposure else {}
            series = Series(number, "", rows * columns, frames.pattern_shape, dtype, (_CHANNEL,), frames.mask, metadata)
            self._began = time.monotonic_ns()
            yield 0, start_message(series, {"scan_shape": [rows, columns]})
            image = 0
            for row in range(rows):
                for pattern in self._row(row):
                    times = round(image * exposure), round((image + 1) * exposure)
                    if pattern is not None and not _unrecorded(pattern):
                        yield round((image + 1) * period), image_message(series, image, {_CHANNEL: pattern}, times)
                    image += 1
            yield round(image * period), end_message(series)

    def _row(self, row: int) -> Iterator[NDArray[Any] | None]:
        """Patterns of a row; None for one that cannot be read: it is a hole in the stream."""
        try:
            whole = np.asarray(self.frames.data[row])
        except UnreadableError:
            yield from self._one_by_one(row)
        else:
            yield from whole

    def _one_by_one(self, row: int) -> Iterator[NDArray[Any] | None]:
        """Patterns of a row of which some cannot be read."""
        data = self.frames.data
        for column in range(self.frames.scan_shape[1]):
            try:
                yield np.asarray(data[row, column])
            except UnreadableError:
                yield None

    def receive(self, wait: float) -> memoryview | None:
        """Take the next message; see `parscope.core.contracts.Source.receive`."""
        if self._next is None:
            self._next = next(self._messages, None)
        if self._next is None:
            raise EOFError
        due, message = self._next
        left = (self._began + due - time.monotonic_ns()) / 1e9
        if left > wait:
            time.sleep(max(wait, 0))
            return None
        if left > 0:
            time.sleep(left)
        self._next = None
        return memoryview(message)


def _frame_time(frames: Frames) -> float:
    """Time from one pattern to the next, [s], as the detector that recorded them says; 0 if it does not."""
    told = next((value for name, value in frames.metadata.items() if name.rpartition("/")[2] == "frame_time"), 0.0)
    return float(told) if isinstance(told, int | float) and np.isfinite(told) and told > 0 else 0.0


def _unrecorded(pattern: NDArray[Any]) -> bool:
    """Whether all pixels have the value of one that was not read: so a recording gives back what did not come."""
    top = np.iinfo(pattern.dtype).max
    return bool(pattern[0, 0] == top and pattern[-1, -1] == top and (pattern == top).all())
