"""Reading from the ring of messages: any number of processes, each at its own pace."""

from __future__ import annotations

import os

import numpy as np

from parscope.core.errors import OutputError
from parscope.live.pipeline.memory import Segment, lives
from parscope.live.pipeline.ring_layout import (
    CLOSED,
    COUNT,
    FREE,
    HEAD,
    LAST,
    LOSSLESS,
    LOSSY,
    PAD,
    READERS,
    RECORD,
    RESERVED,
    SIZE,
    START,
    cells_of,
    slots,
)
from parscope.live.pipeline.runs import Bytes, Table, find


class Reader:
    """One reader's end.

    Parameters
    ----------
    name : str
        Of the ring.
    lossless : bool, default False
        Whether the writer has to wait for this reader.

    Attributes
    ----------
    overtaken : int
        Messages that were written over before this reader came to them.
    received : int
        When the last message came, [ns].
    number, position : int
        Of the last message.
    bytes : ndarray of uint8, shape (m,)
        Memory of the ring.

    Raises
    ------
    InputError
        If there is no such ring.
    OutputError
        If it has as many readers as it can have.
    """

    def __init__(self, name: str, *, lossless: bool = False) -> None:
        self._memory = Segment(name)
        self._cell = cells_of(self._memory)
        self._data = self._memory.buffer[START:]
        self.bytes: Bytes = np.frombuffer(self._data, np.uint8)
        self._words = self.bytes[: len(self.bytes) & -8].view(np.int64)
        self._size = self._cell[SIZE]
        self._slot = self._claim(LOSSLESS if lossless else LOSSY)
        self._next = self.position = self._cell[self._slot + 1]
        self.overtaken = self.received = 0
        self.number = self._cell[COUNT] - 1

    def _claim(self, kind: int) -> int:
        """Take a slot that is free, or whose reader died, and stand at the end of what is written."""
        for slot in slots():
            if self._cell[slot] == FREE or not lives(self._cell[slot + 2]):
                self._cell[slot + 1], self._cell[slot + 2] = self._cell[HEAD], os.getpid()
                self._cell[slot] = kind
                return slot
        raise OutputError(f"has {READERS} readers already", self._memory.name, "close one of them")

    @property
    def next(self) -> int:
        """Position after the last message."""
        return self._next

    @property
    def behind(self) -> int:
        """Messages after the last one, for a reader that is not overtaken."""
        return self._cell[COUNT] - 1 - self.number

    @property
    def memory(self) -> memoryview:
        """The same as `bytes`."""
        return self._data

    @property
    def waiting(self) -> bool:
        """Whether there is a message after the last one."""
        return bool(self._cell[HEAD] > self._next)

    @property
    def finished(self) -> bool:
        """Whether all is read, and nothing will come any more."""
        return bool(self._cell[CLOSED]) and not self.waiting

    def take(self) -> memoryview | None:
        """Read the next message, and give the last one back.

        Returns
        -------
        memoryview, optional
            The message where it lies, until the next call; None if there is none. A reader that can be overtaken asks
            `intact` when it has used it.
        """
        cell, at = self._cell, self._next
        cell[self._slot + 1] = at
        if cell[HEAD] <= at:
            return None
        if cell[RESERVED] - at > self._size:
            at = cell[LAST]  # where records begin before the newest is not known any more
        place = at % self._size
        need, number, received, length = self._record(place)
        if number == PAD:
            self._next = at + need
            return self.take()
        if cell[RESERVED] - at > self._size:  # written over while its head was read
            self._next = cell[LAST]
            return self.take()
        self.overtaken += number - self.number - 1
        self.position, self.number, self.received = at, number, received
        self._next = at + need
        return self._data[place + 32 : place + 32 + length]

    def find_run(self, run: Table, told: Table) -> int:
        """Look at the messages that come next, as far as they lie one behind the other, without taking them.

        Only for a reader that is not overtaken.

        Parameters
        ----------
        run : ndarray of int64, shape (n, 2)
            Takes where in `bytes` each begins, and its length.
        told : ndarray of int64, shape (n, 3)
            Takes where each record begins and ends, from where the first one does, and when it came, [ns].

        Returns
        -------
        int
            How many there are; at most n.
        """
        at = self._next
        place = at % self._size
        stop = min(place + self._cell[HEAD] - at, self._size)
        return int(find(self._words, place, stop, run, told))

    def take_run(self, count: int, length: int) -> None:
        """Take messages that `find_run` found, and give them back.

        Parameters
        ----------
        count : int
            How many.
        length : int
            Bytes of their records.
        """
        self._next = self._cell[self._slot + 1] = self._next + length
        self.number += count

    def skip(self) -> None:
        """Go to the end of what is written, without counting as overtaken what lies before."""
        self._next = self._cell[self._slot + 1] = self._cell[HEAD]
        self.number = self._cell[COUNT] - 1

    def _record(self, place: int) -> tuple[int, int, int, int]:
        """Head of a record; a filling at the end of the ring may be shorter than that."""
        left = self._size - place
        if left >= RECORD.size:
            need, number, received, length = RECORD.unpack_from(self._data, place)
            return need, number, received, length
        return left, PAD, 0, 0

    def peek(self, size: int) -> bytes:
        """Look at the beginning of the next message, without taking it.

        Parameters
        ----------
        size : int
            Bytes wanted.

        Returns
        -------
        bytes
            Empty if there is no next message.
        """
        at = self._next
        if self._cell[HEAD] <= at:
            return b""
        place = at % self._size
        need, number, _, length = self._record(place)
        if number == PAD:
            place = (at + need) % self._size
            _, _, _, length = self._record(place)
        return bytes(self._data[place + 32 : place + 32 + min(size, length)])

    def intact(self) -> bool:
        """Whether the last message has not been written over since.

        Returns
        -------
        bool
        """
        return bool(self._cell[RESERVED] - self.position <= self._size)

    def has(self, position: int) -> bool:
        """Whether a message that was there before has not been written over.

        Parameters
        ----------
        position : int
            As `Ring.put` gave it; -1 is none.

        Returns
        -------
        bool
        """
        return position >= 0 and bool(0 <= self._cell[RESERVED] - position <= self._size)

    def at(self, position: int) -> bytes | None:
        """Read again a message that was there before.

        Parameters
        ----------
        position : int
            As `Ring.put` gave it; -1 finds nothing.

        Returns
        -------
        bytes, optional
            A copy; None if it has been written over.
        """
        if not self.has(position):
            return None
        place = position % self._size
        _, number, _, length = self._record(place)
        copy = bytes(self._data[place + 32 : place + 32 + length])
        lost = number == PAD or self._cell[RESERVED] - position > self._size
        return None if lost else copy

    def close(self) -> None:
        """Leave; the writer waits for this reader no more. May be called twice."""
        if len(self._cell):
            self._cell[self._slot] = FREE
        self._cell = memoryview(b"")
        self._data = memoryview(b"")
        self.bytes = self.bytes[:0]
        self._words = self._words[:0]
        self._memory.close()
