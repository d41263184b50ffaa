"""Ring of messages as they came, compressed: one process writes, any number read, each at its own pace.

A record is four 8-byte integers (bytes of the record, number of the message, time of arrival, bytes of the message)
and the message. Positions count bytes since the beginning of time; modulo the size they are places in the ring.
A reader that must miss nothing (the recorder) is never overtaken: the writer is told that there is no room. Others
are, and are told so.
"""

from __future__ import annotations

import os
import struct

from parscope.core.errors import InputError, OutputError
from parscope.live.pipeline.memory import Segment

_MAGIC = 0x70617273_72696E67
_START = 4096  # of the data
_READERS = 8
_STRIDE = 3  # cells of a reader: what it is, where it is, which process it is in
_SIZE, _HEAD, _RESERVED, _COUNT, _CLOSED, _LAST, _SLOTS = 1, 2, 3, 4, 5, 6, 16
_FREE, _LOSSY, _LOSSLESS = 0, 1, 2
_RECORD = struct.Struct("<4q")
_PAD = -1  # number of a record that only fills the rest of the ring

SMALLEST = 1 << 16
"""Bytes of the smallest ring."""


def _slots() -> range:
    """First cell of each reader."""
    return range(_SLOTS, _SLOTS + _STRIDE * _READERS, _STRIDE)


def _cells(memory: Segment) -> memoryview:
    """First page of the memory as integers; refuses memory that is no ring, unless it is new."""
    cell = memory.buffer[:_START].cast("q")
    if cell[0] not in (0, _MAGIC):
        raise InputError("is no ring of messages", memory.name, "take its name from a running session")
    return cell


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
        self._cell = _cells(memory)
        self._data = memory.buffer[_START:]
        self.size = self._cell[_SIZE]
        self._head, self._number = self._cell[_HEAD], self._cell[_COUNT]
        self._floor = self._head
        self.stalls = self.high_water = 0
        self._stalled = False

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
        memory = Segment.create(_START + size)
        cell = _cells(memory)
        cell[_SIZE], cell[0] = size, _MAGIC
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
        cell[_RESERVED] = end  # what lies a whole ring before is lost from now on; only then it is written over
        _RECORD.pack_into(self._data, place, need, self._number, received, length)
        self._data[place + 32 : place + 32 + length] = message
        self._number += 1
        cell[_LAST] = head
        self._head = cell[_HEAD] = end
        cell[_COUNT] = self._number
        return head

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
        self._cell[_RESERVED] = self._head + left
        if left >= _RECORD.size:
            _RECORD.pack_into(self._data, place, left, _PAD, 0, 0)

    def _room(self, end: int) -> bool:
        """Whether the lossless readers leave room up to a position; looks where they are."""
        cell = self._cell
        behind = [cell[slot + 1] for slot in _slots() if cell[slot] == _LOSSLESS]
        self._floor = min(behind, default=self._head)
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
        for slot in _slots():
            if self._cell[slot] != _FREE and self._cell[slot + 2] == process:
                self._cell[slot] = _FREE

    def finish(self) -> None:
        """Tell the readers that nothing will come any more."""
        self._cell[_CLOSED] = 1

    def close(self) -> None:
        """Finish, and delete the memory as soon as the readers let it go; may be called twice."""
        if len(self._cell):
            self.finish()
        self._cell = memoryview(b"")
        self._data = memoryview(b"")
        self._memory.close()


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

    Raises
    ------
    InputError
        If there is no such ring.
    OutputError
        If it has as many readers as it can have.
    """

    def __init__(self, name: str, *, lossless: bool = False) -> None:
        self._memory = Segment(name)
        self._cell = _cells(self._memory)
        self._data = self._memory.buffer[_START:]
        self._size = self._cell[_SIZE]
        self._slot = self._claim(_LOSSLESS if lossless else _LOSSY)
        self._next = self.position = self._cell[self._slot + 1]
        self.overtaken = self.received = 0
        self.number = self._cell[_COUNT] - 1

    def _claim(self, kind: int) -> int:
        """Take a free slot, and stand at the end of what is written."""
        for slot in _slots():
            if self._cell[slot] == _FREE:
                self._cell[slot + 1], self._cell[slot + 2] = self._cell[_HEAD], os.getpid()
                self._cell[slot] = kind
                return slot
        raise OutputError(f"has {_READERS} readers already", self._memory.name, "close one of them")

    @property
    def waiting(self) -> bool:
        """Whether there is a message after the last one."""
        return bool(self._cell[_HEAD] > self._next)

    @property
    def finished(self) -> bool:
        """Whether all is read, and nothing will come any more."""
        return bool(self._cell[_CLOSED]) and not self.waiting

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
        if cell[_HEAD] <= at:
            return None
        if cell[_RESERVED] - at > self._size:
            at = cell[_LAST]  # where records begin before the newest is not known any more
        place = at % self._size
        need, number, received, length = self._record(place)
        if number == _PAD:
            self._next = at + need
            return self.take()
        if cell[_RESERVED] - at > self._size:  # written over while its head was read
            self._next = cell[_LAST]
            return self.take()
        self.overtaken += number - self.number - 1
        self.position, self.number, self.received = at, number, received
        self._next = at + need
        return self._data[place + 32 : place + 32 + length]

    def skip(self) -> None:
        """Go to the end of what is written, without counting as overtaken what lies before."""
        self._next = self._cell[self._slot + 1] = self._cell[_HEAD]
        self.number = self._cell[_COUNT] - 1

    def _record(self, place: int) -> tuple[int, int, int, int]:
        """Head of a record; a filling at the end of the ring may be shorter than that."""
        left = self._size - place
        if left >= _RECORD.size:
            need, number, received, length = _RECORD.unpack_from(self._data, place)
            return need, number, received, length
        return left, _PAD, 0, 0

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
        if self._cell[_HEAD] <= at:
            return b""
        place = at % self._size
        need, number, _, length = self._record(place)
        if number == _PAD:
            place = (at + need) % self._size
            _, _, _, length = self._record(place)
        return bytes(self._data[place + 32 : place + 32 + min(size, length)])

    def intact(self) -> bool:
        """Whether the last message has not been written over since.

        Returns
        -------
        bool
        """
        return bool(self._cell[_RESERVED] - self.position <= self._size)

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
        if position < 0 or not 0 <= self._cell[_RESERVED] - position <= self._size:
            return None
        place = position % self._size
        _, number, _, length = self._record(place)
        copy = bytes(self._data[place + 32 : place + 32 + length])
        lost = number == _PAD or self._cell[_RESERVED] - position > self._size
        return None if lost else copy

    def close(self) -> None:
        """Leave; the writer waits for this reader no more. May be called twice."""
        if len(self._cell):
            self._cell[self._slot] = _FREE
        self._cell = memoryview(b"")
        self._data = memoryview(b"")
        self._memory.close()
