"""Ring of messages as they came, compressed: one process writes, any number read, each at its own pace.

A record is four 8-byte integers (bytes of the record, number of the message, time of arrival, bytes of the message)
and the message. Positions count bytes since the beginning of time; modulo the size they are places in the ring.
A reader that must miss nothing (the recorder) is never overtaken: the writer is told that there is no room. Others
are, and are told so.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from parscope.core.errors import OutputError
from parscope.live.pipeline.memory import Segment
from parscope.live.pipeline.ring_layout import (
    CLOSED,
    COUNT,
    FREE,
    HEAD,
    LAST,
    LOSSLESS,
    MAGIC,
    PAD,
    RECORD,
    RESERVED,
    SIZE,
    START,
    cells_of,
    slots,
)
from parscope.live.pipeline.ring_reader import Reader as Reader
from parscope.live.pipeline.runs import Bytes, Table, room, store

SMALLEST = 1 << 16
"""Bytes of the smallest ring."""


class Ring:
    """The writer's end; of the two ends of a session, the one that made it deletes it.

    Parameters
    ----------
    memory : Segment
        As `create` makes it.

    Attributes
    ----------
    name : str
        By which readers find it.
    stalls : int
        How often a message found no room, because a reader that must miss nothing had not read yet.
    high_water : int
        Most bytes that such a reader has been behind.
    holds : callable
        Tells the position of the oldest message that the writer itself will read again; -1 if there is none.

    Raises
    ------
    InputError
        If the memory is no ring.

    Examples
    --------
    >>> ring = Ring.create(1 << 16)
    >>> reader = Reader(ring.name)
    >>> _ = ring.put(b"message", 5)
    >>> bytes(reader.take()), reader.received
    (b'message', 5)
    >>> reader.close(); ring.close()
    """

    def __init__(self, memory: Segment) -> None:
        self._memory, self.name = memory, memory.name
        self._cell = cells_of(memory)
        self._data = memory.buffer[START:]
        self._bytes: Bytes = np.frombuffer(self._data, np.uint8)
        self.size = self._cell[SIZE]
        self._head, self._number = self._cell[HEAD], self._cell[COUNT]
        self._floor = self._head
        self.stalls = self.high_water = 0
        self._stalled = False
        self.holds: Callable[[], int] = lambda: -1

    @classmethod
    def create(cls, size: int) -> Ring:
        """Make an empty ring.

        Parameters
        ----------
        size : int
            Bytes for messages, `SMALLEST` at least.

        Returns
        -------
        Ring

        Raises
        ------
        OutputError
            If there is not enough memory.
        """
        size = max(size, SMALLEST) & -8
        memory = Segment.create(START + size)
        cell = cells_of(memory)
        cell[SIZE], cell[0] = size, MAGIC
        return cls(memory)

    @classmethod
    def attach(cls, name: str) -> Ring:
        """Write to a ring that another process made; there is one writer at a time.

        Parameters
        ----------
        name : str
            Of the ring.

        Returns
        -------
        Ring

        Raises
        ------
        InputError
            If there is no such ring.
        """
        return cls(Segment(name))

    def put(self, message: bytes | memoryview, received: int) -> int:
        """Append a message, without waiting.

        Parameters
        ----------
        message : bytes or memoryview
            As it came.
        received : int
            When it came, on the clock of this machine, [ns].

        Returns
        -------
        int
            Its position, by which `Reader.at` finds it; -1 if there is no room for it now.

        Raises
        ------
        OutputError
            If it is larger than half of the ring.
        """
        length = len(message)
        need = 32 + ((length + 7) & -8)
        head, size = self._head, self.size
        place = head % size
        left = size - place
        if left < need:
            if need * 2 > size:
                raise OutputError(f"a message of {length} bytes is too large for it", "buffer", "make it larger")
            if not self._room(head + left + need):
                return -1
            self._fill_up(place, left)
            head, place = head + left, 0
        end = head + need
        if end - self._floor > size and not self._room(end):
            return -1
        cell = self._cell
        cell[RESERVED] = end  # what lies a whole ring before is lost from now on; only then it is written over
        RECORD.pack_into(self._data, place, need, self._number, received, length)
        self._data[place + 32 : place + 32 + length] = message
        self._number += 1
        cell[LAST] = head
        self._head = cell[HEAD] = end
        cell[COUNT] = self._number
        return head

    def put_run(self, data: Bytes, run: Table, received: int) -> int:
        """Append several messages, as many as find room before the end of the memory, without waiting.

        Parameters
        ----------
        data : ndarray of uint8, shape (k,)
            Holds the messages.
        run : ndarray of int64, shape (n, 2)
            Where in `data` each begins, and its length.
        received : int
            When they came, [ns].

        Returns
        -------
        int
            How many there are now, from the first one on; `put` is for the next one.
        """
        head, size = self._head, self.size
        place = head % size
        left = size - place
        count, total = room(run, min(left, self._floor + size - head))
        if count < len(run) and total < left:
            self._room(head)  # the readers may have read on since
            count, total = room(run, min(left, self._floor + size - head))
        if not count:
            return 0
        cell = self._cell
        cell[RESERVED] = head + total
        last = store(self._bytes, (place, self._number, received), data, run[:count])
        self._number += count
        cell[LAST] = head + last - place
        self._head = cell[HEAD] = head + total
        cell[COUNT] = self._number
        return int(count)

    def fits(self, length: int) -> bool:
        """Whether there is room for a message, wherever in the ring it will lie.

        Parameters
        ----------
        length : int
            Of the message.

        Returns
        -------
        bool
        """
        end = self._head + 2 * (40 + length)
        return end - self._floor <= self.size or self._room(end)

    def _fill_up(self, place: int, left: int) -> None:
        """Skip the rest of the ring."""
        self._cell[RESERVED] = self._head + left
        if left >= RECORD.size:
            RECORD.pack_into(self._data, place, left, PAD, 0, 0)

    def _room(self, end: int) -> bool:
        """Whether the lossless readers leave room up to a position; looks where they are."""
        cell = self._cell
        behind = [cell[slot + 1] for slot in slots() if cell[slot] == LOSSLESS]
        held = self.holds()
        self._floor = min((*behind, held) if held >= 0 else behind, default=self._head)
        self.high_water = max(self.high_water, self._head - self._floor)
        fits = end - self._floor <= self.size
        if not fits and not self._stalled:
            self.stalls += 1
        self._stalled = not fits
        return fits

    def look(self) -> int:
        """See how far the readers are that must miss nothing.

        Returns
        -------
        int
            Most bytes that one of them has been behind, so far.
        """
        self._room(self._head)
        return self.high_water

    def evict(self, process: int) -> None:
        """Wait no more for the readers of a process that has died; of any process.

        Parameters
        ----------
        process : int
            Its number.
        """
        for slot in slots():
            if self._cell[slot] != FREE and self._cell[slot + 2] == process:
                self._cell[slot] = FREE

    def finish(self) -> None:
        """Tell the readers that nothing will come any more."""
        self._cell[CLOSED] = 1

    def close(self) -> None:
        """Finish, and delete the memory as soon as the readers let it go; may be called twice."""
        if len(self._cell):
            self.finish()
        self._cell = memoryview(b"")
        self._data = memoryview(b"")
        self._bytes = np.zeros(0, np.uint8)
        self._memory.close()
