"""Shared memory: the last decision, where any program on this machine can look without being told, in C too.

Layout of ``/dev/shm/NAME`` (for C: ``shm_open("/NAME", O_RDONLY)``), 1088 bytes in the byte order of the machine:

| offset | type | what it is |
| --- | --- | --- |
| 0 | char[8] | ``PARSCOPE`` |
| 8 | u32 | version of this layout: 1 |
| 12 | u32 | room for a message, [bytes]: 1024 |
| 16 | u64 | sequence: odd while a message is being written; half of it is the number of messages so far |
| 24 | u64 | when it was written, CLOCK_MONOTONIC, [ns] |
| 32 | u32 | length of the message, [bytes] |
| 36 | u32 | CRC-32 of the message (as of zlib) |
| 64 | char[] | the message: JSON, not ended by a zero |

To read: take the sequence; if it is odd, begin again; copy length, CRC and message; take the sequence once more; if it
has changed, begin again. On processors that reorder writes (not x86) check the CRC too. A reader that looks more seldom
than messages come sees by the sequence how many it has missed. A message of no length says that there was none yet
since the program that writes was started; each start after a program that died counts as one, too.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import re
import struct
import time
import zlib
from pathlib import Path

from parscope.core.errors import OptionError, OutputError

CAPACITY = 1024
"""Bytes of the longest message, [1]."""

SIZE = 64 + CAPACITY
"""Bytes of the whole, [1]."""

# How long a writer that was halted in the middle of a message is waited for, [s].
_PATIENCE = 2.0
_FOLDER = Path("/dev/shm")  # where POSIX shared memory is on Linux
_MAGIC = b"PARSCOPE"
_HEAD = struct.Struct("=8sII")
_STATE = struct.Struct("=QII")  # when, length and CRC, at 24
_SEQUENCE = 2  # index of the sequence, in words of 8 bytes


class SharedMemorySink:
    """Keeps the last message in the shared memory ``shm://name``.

    Parameters
    ----------
    address : str
        With a name of letters, digits, ``_``, ``-`` and ``.``.

    Raises
    ------
    OptionError
        If it is no such address.
    """

    name = "shm"

    def __init__(self, address: str) -> None:
        self.address, self.dropped, self.fault = address, 0, ""
        found = re.fullmatch(r"shm://([A-Za-z0-9_-][A-Za-z0-9_.-]{0,99})/?", address)
        if found is None:
            raise OptionError("is no address of this kind", address, "write it as shm://name")
        self.path = _FOLDER / found[1]
        self._map: mmap.mmap | None = None

    def open(self) -> None:
        """Make the shared memory; what a run that died has left under the name is taken over, with an empty message.

        Raises
        ------
        OutputError
            If something else, or a run that lives, has the name, or if there is no shared memory.
        """
        try:
            file = self._locked()
            try:
                self._take(file)
                self._map = mmap.mmap(file, SIZE)  # it keeps the file open, and with that the lock
            finally:
                os.close(file)
        except BlockingIOError:
            raise OutputError(
                "is written by another program", self.address, "choose another name, or end that"
            ) from None
        except OSError as error:
            raise OutputError(f"cannot be made: {error.strerror}", self.address, "choose another name") from None
        self._words = memoryview(self._map).cast("Q")
        self._map[: _HEAD.size] = _HEAD.pack(_MAGIC, 1, CAPACITY)
        before: int = self._words[_SEQUENCE]
        self._count = before // 2 * 2  # a writer that died may have left it odd, for which readers would wait for ever
        if before:
            self._put(self._map, b"")

    def send(self, message: bytes) -> None:
        """Write one message over the one before.

        Parameters
        ----------
        message : bytes
            A decision.

        Raises
        ------
        OutputError
            If it is too long, or the sink not open.
        """
        if self._map is None:
            raise OutputError("is not open", self.address)
        length = len(message)
        if length > CAPACITY:
            self.dropped += 1
            self.fault = f"the message has {length} bytes, of {CAPACITY} at most"
            raise OutputError(self.fault, self.address)
        self._put(self._map, message)

    def _put(self, memory: mmap.mmap, message: bytes) -> None:
        """Write it so that readers see all of it or nothing."""
        length = len(message)
        self._words[_SEQUENCE] = self._count + 1
        _STATE.pack_into(memory, 24, time.monotonic_ns(), length, zlib.crc32(message))
        memory[64 : 64 + length] = message
        self._count += 2
        self._words[_SEQUENCE] = self._count

    def close(self) -> None:
        """Take the name away; who has it open still sees the last message. May be called twice."""
        if self._map is not None:
            self.path.unlink(missing_ok=True)  # before the lock goes, so that nobody takes over what is about to vanish
            self._words.release()
            self._map.close()
            self._map = None

    def _locked(self) -> int:
        """The file under this name, for us alone."""
        while True:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_there(file):
                    return file
            except BaseException:
                os.close(file)
                raise
            os.close(file)  # whoever had it has taken it away in between

    def _is_there(self, file: int) -> bool:
        """Whether the name still is that of the open file."""
        try:
            return os.path.samestat(os.fstat(file), self.path.lstat())
        except FileNotFoundError:
            return False

    def _take(self, file: int) -> None:
        """Refuse what is not ours; make it as long as it has to be."""
        size = os.fstat(file).st_size
        if size not in (0, SIZE) or (size == SIZE and os.pread(file, len(_MAGIC), 0) != _MAGIC):
            raise OutputError("is used by something else", self.address, "choose another name")
        os.ftruncate(file, SIZE)


def read_last(name: str) -> tuple[int, bytes]:
    """Read the last message, as any other program would.

    Parameters
    ----------
    name : str
        As in ``shm://name``.

    Returns
    -------
    int
        Number of messages so far.
    bytes
        The last of them; empty if there was none.

    Raises
    ------
    OutputError
        If there is no such shared memory, or a writer that died has left it half written.
    """
    try:
        whole = (_FOLDER / name).open("rb")
    except OSError as error:
        raise OutputError(f"cannot be read: {error.strerror}", f"shm://{name}") from None
    with whole, mmap.mmap(whole.fileno(), SIZE, access=mmap.ACCESS_READ) as memory:
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            (sequence,) = struct.unpack_from("=Q", memory, 16)
            _, length, crc = _STATE.unpack_from(memory, 24)
            message = memory[64 : 64 + min(length, CAPACITY)]
            same = struct.unpack_from("=Q", memory, 16) == (sequence,)
            if same and sequence % 2 == 0 and zlib.crc32(message) == crc:
                return sequence // 2, message
            time.sleep(1e-4)
    raise OutputError("is half written", f"shm://{name}", "the program that wrote it has died: start it again")
