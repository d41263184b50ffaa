"""Board of results: one place in memory for the numbers, times and fate of every scan position, seen by all.

The frame loop writes, pages and savers read. There are two banks: while a series fills one, the series before stays
readable in the other. A reader looks at `Board.generation` before and after it copies; if it moved on by two, what
was copied is of another series.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import InputError, ShapeError
from parscope.live.kernels.contract import Output
from parscope.live.pipeline.bank import HEAD_MOST, Layout, array_in, offsets, padded
from parscope.live.pipeline.bank import STAMPS as STAMPS
from parscope.live.pipeline.bank import Bank as Bank
from parscope.live.pipeline.memory import Segment, folder, names

_MAGIC = 0x70617273_626F6172
_PAGE = 4096

COUNTERS = (
    "received",
    "answered",
    "skipped",
    "lost",
    "duplicate",
    "late",
    "stale",
    "damaged",
    "foreign",
    "missed",
    "ring_high_water",
    "stalls",
    "recorded",
    "series",
    "finished",
    "filled",
)
"""Names of the counters: of messages since the session began, but for bytes (``ring_high_water``) and series."""

_BEAT, _GENERATION, _PLACE, _STOP, _ARMED, _HALTED = 8, 9, 10, 11, 12, 13  # cells of the first page
_COUNTER_CELLS = 32


class Board:
    """Results of a running session in memory; `create` makes one, `attach` finds it from another process.

    Attributes
    ----------
    layout : Layout
        Its sizes.
    counters : mapping of int
        Numbers by the names of `COUNTERS`; live.
    pattern : ndarray, shape (q_y, q_x), uint32
        A recent pattern, at most 30 a second; `place` says of which position.

    Examples
    --------
    >>> board = Board.create(6, (Output("com.x", "px", "centre of mass"),), (8, 8))
    >>> bank = board.begin({"series": 1}, (2, 3))
    >>> bank.values[4] = 1.5
    >>> other = Board.attach(board.name)
    >>> other.map("com.x")[1].tolist(), other.bank.head["series"]
    ([nan, 1.5, nan], 1)
    >>> other.close(); board.close()
    """

    def __init__(self, memory: Segment) -> None:
        self._memory, self.name = memory, memory.name
        self.cells = memory.buffer[:_PAGE].cast("q")
        if self.cells[0] != _MAGIC:
            raise InputError("is no board of results", self.name, "take its name from a running session")
        (length,) = struct.unpack_from("<q", memory.buffer, _PAGE)
        self.layout = Layout.from_json(bytes(memory.buffer[_PAGE + 8 : _PAGE + 8 + length]))
        start, bank, _ = _sizes(self.layout)
        self._banks = [Bank(memory.buffer[start + i * bank : start + (i + 1) * bank], self.layout) for i in (0, 1)]
        self.counters = Counters(self.cells)
        rows, columns = self.layout.pattern
        self._pattern = array_in(memory.buffer, start + 2 * bank, np.uint32, (rows * columns + 2,))

    @classmethod
    def create(
        cls,
        positions: int,
        outputs: Sequence[Output],
        pattern: tuple[int, int],
        ring: str = "",
        deadline: int = 200_000,
    ) -> Board:
        """Make an empty board.

        Parameters
        ----------
        positions : int
            Most scan positions of a series.
        outputs : sequence of Output
            What is computed of each.
        pattern : tuple of int
            Most detector pixels (q_y, q_x).
        ring : str, optional
            Name of the ring of messages of the session, for whoever attaches.
        deadline : int, default 200 us
            Longest time from the arrival of a pattern to its answer, [ns]; for whoever attaches.

        Returns
        -------
        Board

        Raises
        ------
        OutputError
            If there is not enough memory.
        """
        layout = Layout(positions, tuple(outputs), pattern, ring, deadline)
        memory = Segment.create(_sizes(layout)[2])
        text = layout.as_json()
        memory.buffer[_PAGE + 8 : _PAGE + 8 + len(text)] = text
        struct.pack_into("<q", memory.buffer, _PAGE, len(text))
        struct.pack_into("<q", memory.buffer, 0, _MAGIC)
        return cls(memory)

    @classmethod
    def attach(cls, name: str) -> Board:
        """Find the board of a running session.

        Parameters
        ----------
        name : str
            As the session tells it.

        Returns
        -------
        Board

        Raises
        ------
        InputError
            If there is no such board.
        """
        return cls(Segment(name))

    @staticmethod
    def running() -> list[str]:
        """Boards of all sessions that run on this machine.

        Returns
        -------
        list of str
            Their names.
        """
        return [name for name in names() if _is_board(name)]

    @property
    def there(self) -> bool:
        """Whether the session that made it still runs."""
        return self.name in names()

    @property
    def generation(self) -> int:
        """Series that have begun; the bank of the newest is `bank`."""
        return self.cells[_GENERATION]

    @property
    def bank(self) -> Bank:
        """The series that is measured, or the last one."""
        return self.of(self.generation)

    def of(self, generation: int) -> Bank:
        """Bank of a series.

        Parameters
        ----------
        generation : int
            `generation` or `generation` - 1.

        Returns
        -------
        Bank
        """
        bank = self._banks[generation % 2]
        positions = int(np.prod(bank.head.get("scan_shape", (0,)), dtype=np.int64))
        if len(bank.fate) != positions:
            bank.clip(positions)
        return bank

    def begin(self, head: Mapping[str, Any], scan_shape: tuple[int, int]) -> Bank:
        """Make room for a series.

        Parameters
        ----------
        head : mapping
            What is known of it; plain numbers, texts, lists and mappings. ``scan_shape`` and ``counted``, the counters
            at this moment, come to it.
        scan_shape : tuple of int
            Scan positions (y, x).

        Returns
        -------
        Bank

        Raises
        ------
        ShapeError
            If it has more positions than the board.
        """
        positions = scan_shape[0] * scan_shape[1]
        if positions > self.layout.positions:
            raise ShapeError(
                f"a scan of {scan_shape[0]} x {scan_shape[1]} does not fit {self.layout.positions} positions",
                "--scan",
                "give the shape of the largest scan",
            )
        always = {"scan_shape": scan_shape, "counted": dict(self.counters)}
        text = json.dumps({**head, **always}).encode()
        if len(text) > HEAD_MOST:
            text = json.dumps({"series": head.get("series"), **always}).encode()
        bank = self._banks[(self.generation + 1) % 2]
        bank.begin(text, positions)
        self.cells[_PLACE] = 0  # before anybody can take the last pattern for one of this series
        self.cells[_GENERATION] += 1
        return bank

    def map(self, name: str) -> NDArray[np.float32]:
        """Map of one output of the series that is measured.

        Parameters
        ----------
        name : str
            Of the output.

        Returns
        -------
        ndarray of float32, shape (y, x)
            A copy; NaN where nothing was computed.

        Raises
        ------
        InputError
            If nothing of that name is computed.
        """
        names = [one.name for one in self.layout.outputs]
        if name not in names:
            raise InputError(f"{name!r} is not computed", self.name, f"choose one of {', '.join(names)}")
        bank = self.bank
        made: NDArray[np.float32] = bank.values[:, names.index(name)].reshape(bank.head["scan_shape"]).copy()
        return made

    def show(self, pattern: NDArray[Any], place: int) -> None:
        """Let everybody see a pattern.

        Parameters
        ----------
        pattern : ndarray, shape (q_y, q_x)
            Counts; larger ones than the board has room for are not shown.
        place : int
            Scan position it belongs to.
        """
        if pattern.size + 2 <= len(self._pattern):
            self.cells[_PLACE] = -1
            self._pattern[:2] = pattern.shape
            np.copyto(self._pattern[2 : 2 + pattern.size].reshape(pattern.shape), pattern, casting="same_kind")
            self.cells[_PLACE] = place + 1

    @property
    def place(self) -> int:
        """Scan position of `pattern`; -1 while there is none, or another is being written."""
        return self.cells[_PLACE] - 1

    @property
    def pattern(self) -> NDArray[np.uint32]:
        """A recent pattern."""
        rows, columns = (int(n) for n in self._pattern[:2])
        return self._pattern[2 : 2 + rows * columns].reshape(rows, columns)

    def beat(self, now: int) -> None:
        """Say that the frame loop lives.

        Parameters
        ----------
        now : int
            On the clock of this machine, [ns].
        """
        self.cells[_BEAT] = now

    @property
    def beaten(self) -> int:
        """When the frame loop last said that it lives, [ns]; 0 before it runs."""
        return self.cells[_BEAT]

    def stop(self) -> None:
        """Ask the frame loop to end."""
        self.cells[_STOP] = 1

    @property
    def stopping(self) -> bool:
        """Whether the frame loop has been asked to end."""
        return bool(self.cells[_STOP])

    def say(self, *, armed: bool, halted: bool) -> None:
        """Say what a person has asked the frame loop for.

        Parameters
        ----------
        armed : bool
            Whether rules act.
        halted : bool
            Whether patterns are passed over until the analysis is started again.
        """
        self.cells[_ARMED], self.cells[_HALTED] = armed, halted

    @property
    def armed(self) -> bool:
        """Whether rules act; a loop that has died leaves it as it was."""
        return bool(self.cells[_ARMED])

    @property
    def halted(self) -> bool:
        """Whether patterns are passed over until the analysis is started again."""
        return bool(self.cells[_HALTED])

    def close(self) -> None:
        """Let go of it; whoever made it deletes it. May be called twice."""
        self._memory.close()


class Counters(Mapping[str, int]):
    """Live numbers by name.

    Parameters
    ----------
    cells : memoryview of int64
        First page of a board.
    """

    def __init__(self, cells: memoryview) -> None:
        self._cells = cells

    def __getitem__(self, name: str) -> int:
        """Value now."""
        value: int = self._cells[cell_of(name)]
        return value

    def __iter__(self) -> Any:
        return iter(COUNTERS)

    def __len__(self) -> int:
        return len(COUNTERS)


def cell_of(name: str) -> int:
    """Cell of a counter among `Board.cells`, for the loop that counts.

    Parameters
    ----------
    name : str
        One of `COUNTERS`.

    Returns
    -------
    int

    Raises
    ------
    KeyError
        If there is no such counter.
    """
    try:
        return _COUNTER_CELLS + COUNTERS.index(name)
    except ValueError:
        raise KeyError(name) from None


def _is_board(name: str) -> bool:
    """Whether memory begins as a board does; false for what has gone meanwhile."""
    try:
        with (folder() / name).open("rb") as file:
            return file.read(8) == struct.pack("<q", _MAGIC)
    except OSError:
        return False


def _sizes(layout: Layout) -> tuple[int, int, int]:
    """Where the first bank begins, bytes of a bank, bytes of all."""
    start = _PAGE + padded(8 + len(layout.as_json()))
    bank = offsets(layout.positions, len(layout.outputs))[2] + padded(layout.positions)
    rows, columns = layout.pattern
    return start, bank, start + 2 * bank + 4 * (rows * columns + 2)
