"""One series on a board: where its numbers, times and fates lie in memory."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from parscope.core.stream import Fate
from parscope.live.kernels.contract import Output

HEAD_BYTES = 17 << 12
"""Bytes of JSON for what is known of a series."""

_FOUND = 3 << 14  # where, among these, begins what was found in its first patterns
_LOST = 1 << 16  # where begins what sinks have lost
HEAD_MOST = _FOUND - 8
"""Most bytes of JSON of a head."""

_ALIGN = 64

STAMPS = ("received", "decoded", "analysed", "decided", "emitted", "exposed", "opened")
"""Times of a position, [ns]: on the clock of this machine, but for the last two, end and beginning of the exposure on
that of the detector; 0 where there is none. Rules decide by the time ``analysed``, when the numbers were there, and
have done so at ``decided``; without rules the two are one. ``emitted`` is when the last message was handed over.

Patterns that are answered together, because many wait, have the times of their last one, so that no answer is said to
be earlier than it was."""

_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True)
class Layout:
    """Sizes of a board, fixed while a session runs.

    Parameters
    ----------
    positions : int
        Most scan positions of a series.
    outputs : tuple of Output
        What is computed of each.
    pattern : tuple of int
        Most detector pixels (q_y, q_x) of the pattern that is shown.
    ring : str
        Name of the ring of messages of the session; empty where there is none.
    deadline : int, default 200 us
        Longest time from the arrival of a pattern to its answer, [ns].
    """

    positions: int
    outputs: tuple[Output, ...]
    pattern: tuple[int, int]
    ring: str = ""
    deadline: int = 200_000

    def as_json(self) -> bytes:
        """Encode it for whoever attaches.

        Returns
        -------
        bytes
        """
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Layout:
        """Decode it.

        Parameters
        ----------
        text : bytes
            As `as_json` made it.

        Returns
        -------
        Layout
        """
        told = json.loads(text)
        outputs = tuple(Output(**one) for one in told.pop("outputs"))
        return cls(outputs=outputs, pattern=tuple(told.pop("pattern")), **told)


class Bank:
    """One series on a board.

    Attributes
    ----------
    values : ndarray of float32, shape (positions, outputs)
        NaN where nothing was computed.
    stamps : ndarray of int64, shape (positions, 7)
        Times, in the order of `STAMPS`, [ns].
    fate : ndarray of uint8, shape (positions,)
        A `Fate` each.
    places : ndarray of int64, shape (positions,)
        Where the message lies in the ring; -1 if it did not come.
    """

    def __init__(self, memory: memoryview, layout: Layout) -> None:
        n, k = layout.positions, len(layout.outputs)
        self.memory = memory
        self.offsets = (HEAD_BYTES, *offsets(n, k))
        self._values = array_in(memory, self.offsets[0], np.float32, (n, k))
        self._stamps = array_in(memory, self.offsets[1], np.int64, (n, len(STAMPS)))
        self._places = array_in(memory, self.offsets[2], np.int64, (n,))
        self._fate = array_in(memory, self.offsets[3], np.uint8, (n,))
        self.clip(n)

    @property
    def fates(self) -> memoryview:
        """The same bytes as `fate`, for a loop that sets them one by one."""
        return self.memory[self.offsets[3] : self.offsets[3] + len(self.fate)]

    def clip(self, positions: int) -> None:
        """Show only as many positions as the series has.

        Parameters
        ----------
        positions : int
            Of the series.
        """
        self.values, self.stamps = self._values[:positions], self._stamps[:positions]
        self.places, self.fate = self._places[:positions], self._fate[:positions]

    @property
    def head(self) -> dict[str, Any]:
        """What is known of the series: number, scan shape, detector."""
        return self._told(0)

    @property
    def found(self) -> dict[str, Any]:
        """What kernels found in the first patterns, by name of the kernel; empty before they did."""
        return self._told(_FOUND)

    def _told(self, at: int) -> dict[str, Any]:
        """A mapping that lies in the memory."""
        (length,) = struct.unpack_from("<q", self.memory, at)
        told: dict[str, Any] = json.loads(bytes(self.memory[at + 8 : at + 8 + length])) if length else {}
        return told

    def tell(self, found: Mapping[str, Any]) -> None:
        """Say what kernels found; what there is no room for is left out.

        Parameters
        ----------
        found : mapping
            By name of the kernel; numbers, texts, arrays, lists and mappings.
        """
        told: dict[str, Any] = {}
        text = b""
        for name, one in found.items():
            longer = json.dumps({**told, name: one}, default=_plain).encode()
            if len(longer) <= _LOST - _FOUND - 8:
                told[name], text = one, longer
        self._put(_FOUND, text)

    @property
    def lost(self) -> list[str]:
        """What sinks have lost of the messages of the series, a sentence each; empty while it is being written."""
        with suppress(ValueError):
            return list(self._told(_LOST).get("sentences", []))
        return []

    def lose(self, sentences: Sequence[str]) -> None:
        """Say what sinks have lost; what there is no room for is left out.

        Parameters
        ----------
        sentences : sequence of str
            One for each of them.
        """
        told: list[str] = []
        text = b""
        for one in sentences:
            longer = json.dumps({"sentences": [*told, one]}).encode()
            if len(longer) <= HEAD_BYTES - _LOST - 8:
                told, text = [*told, one], longer
        self._put(_LOST, text)

    def _put(self, at: int, text: bytes) -> None:
        """Put JSON into the memory; it has no length while it is not whole."""
        struct.pack_into("<q", self.memory, at, 0)
        self.memory[at + 8 : at + 8 + len(text)] = text
        struct.pack_into("<q", self.memory, at, len(text))

    def begin(self, head: bytes, positions: int) -> None:
        """Empty it for a series.

        Parameters
        ----------
        head : bytes
            JSON of at most `HEAD_MOST` bytes, of which `head` tells.
        positions : int
            Of the series.
        """
        self.clip(positions)
        self._put(0, head)
        for at in (_FOUND, _LOST):
            struct.pack_into("<q", self.memory, at, 0)
        self.values.fill(np.nan)
        self.stamps.fill(0)
        self.places.fill(-1)
        self.fate.fill(Fate.WAITING)


def _plain(value: Any) -> Any:
    """What JSON takes in place of NumPy's numbers and arrays."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else str(value)


def offsets(n: int, k: int) -> tuple[int, int, int]:
    """Where stamps, places and fate begin.

    Parameters
    ----------
    n : int
        Scan positions.
    k : int
        Outputs.

    Returns
    -------
    tuple of int
    """
    stamps = HEAD_BYTES + padded(4 * n * k)
    places = stamps + padded(8 * n * len(STAMPS))
    return stamps, places, places + padded(8 * n)


def padded(size: int) -> int:
    """Size rounded up to what processors fetch at once.

    Parameters
    ----------
    size : int
        In bytes.

    Returns
    -------
    int
    """
    return -(-size // _ALIGN) * _ALIGN


def array_in(memory: memoryview, offset: int, dtype: type[_T], shape: tuple[int, ...]) -> NDArray[_T]:
    """Array that lies in the memory.

    Parameters
    ----------
    memory : memoryview
        Shared by several processes.
    offset : int
        First byte.
    dtype : type
        Of a sample.
    shape : tuple of int
        Of the array.

    Returns
    -------
    ndarray, shape `shape`
    """
    count = int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(memory, dtype, count, offset).reshape(shape)
