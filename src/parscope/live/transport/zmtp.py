"""Messages of a PUSH socket read from a plain TCP socket, without the thread of ZeroMQ's library in between.

That thread costs a third of the time from the wire to the answer. What it does besides is done here: several
messages in a packet, a message in several packets, messages of several parts, PING, and connecting again.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import InputError
from parscope.live.transport.handshake import BACK, LOST, Address, connect, introduce
from parscope.live.transport.split import split

_BUFFER = 1 << 21
_LOW = 1 << 18  # room for a read below which the beginning of a message is moved to the front
_KERNEL = 8 << 20  # that the system holds for this socket
_LARGEST = 1 << 30  # of a message: more is damage
_RETRY = 0.5  # s
_FORCE = 33  # SO_RCVBUFFORCE of Linux, which Python does not name
_MORE, _LONG, _COMMAND = 1, 2, 4


class ZmtpPull:
    """PULL socket of one peer.

    Parameters
    ----------
    address : Address
        Of the PUSH socket.
    busy : bool, default False
        Whether to look again and again while waiting, rather than to sleep until the system wakes the thread.

    Attributes
    ----------
    data : ndarray of uint8, shape (m,)
        Where messages lie that `find_run` found.
    more : bool
        Whether the last part has others after it, in the same message.
    reconnects : int
        How often the connection broke and was made again.
    tell : callable
        Is told, in a sentence, that the connection is lost, and that it is there again.
    """

    def __init__(self, address: Address, busy: bool = False) -> None:
        self.address, self._busy = address, busy
        self.more = False
        self.reconnects = 0
        self.tell: Callable[[str], None] = lambda _: None
        self._socket: socket.socket | None = None
        self._poll = select.poll()
        self._retry_at = 0.0
        self._hold(bytearray(_BUFFER))
        split(self.data, 0, 0, np.zeros((1, 2), np.int64))  # compiles it

    def open(self) -> None:
        """Connect.

        Raises
        ------
        InputError
            If the address cannot be reached, or something else than a stream is there.
        """
        made = connect(self.address)
        try:
            introduce(made, self.address)
        except BaseException:
            made.close()
            raise
        _enlarge(made)
        made.setblocking(False)
        self._begin = self._end = 0
        self.more = False
        self._socket = made
        self._poll = select.poll()
        self._poll.register(made, select.POLLIN)

    def receive(self, wait: float) -> memoryview | None:
        """Take the next part of a message.

        Parameters
        ----------
        wait : float
            Longest time to wait, [s].

        Returns
        -------
        memoryview, optional
            Valid until the next call; None if none came in time. A part of which the rest got lost with the
            connection does not come.

        Raises
        ------
        InputError
            If what comes is no ZMTP.
        """
        while True:
            begin = self._begin
            have = self._end - begin
            if have >= 2:
                flags = self._buffer[begin]
                if flags & _LONG:
                    start = begin + 9
                    length = int.from_bytes(self._buffer[begin + 1 : start], "big") if have >= 9 else _LARGEST
                else:
                    start = begin + 2
                    length = self._buffer[begin + 1]
                stop = start + length
                if stop <= self._end:
                    self._begin = stop
                    if flags < _COMMAND:
                        self.more = bool(flags & _MORE)
                        return self._view[start:stop]
                    self._obey(flags, bytes(self._view[start:stop]))
                    continue
                if have >= 9:
                    self._provide(flags, stop - begin)
            if not self._fill(wait):
                return None

    def find_run(self, run: NDArray[np.int64], least: int) -> int:
        """Look at messages of one part of which many are here, without taking them; anything else is for `receive`.

        Parameters
        ----------
        run : ndarray of int64, shape (n, 2)
            Takes where in `data` each begins, and its length; valid until the next call.
        least : int
            With fewer than that here, what the system holds is read too.

        Returns
        -------
        int
            How many there are; at most n.
        """
        if self._socket is None or self.more:
            return 0
        count = int(split(self.data, self._begin, self._end, run))
        if count < least and self._fill(0.0):
            count = int(split(self.data, self._begin, self._end, run))
        return count

    def take_run(self, run: NDArray[np.int64]) -> None:
        """Take messages that `find_run` found.

        Parameters
        ----------
        run : ndarray of int64, shape (n, 2)
            The first ones of them; one at least.
        """
        self._begin = int(run[-1].sum())

    def receive_parts(self, wait: float) -> list[bytes] | None:
        """Take the next message of several parts.

        Parameters
        ----------
        wait : float
            Longest time to wait for its first part, [s].

        Returns
        -------
        list of bytes, optional
            None if none came in time, or not all of it.

        Raises
        ------
        InputError
            If what comes is no ZMTP.
        """
        parts: list[bytes] = []
        before = self.reconnects
        while (part := self.receive(wait if not parts else 1.0)) is not None:
            if self.reconnects != before:
                parts, before = [], self.reconnects
            parts.append(bytes(part))
            if not self.more:
                return parts
        return None

    def close(self) -> None:
        """Disconnect; may be called twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _hold(self, buffer: bytearray) -> None:
        """Read into a buffer from now on."""
        self._buffer, self._view, self._size = buffer, memoryview(buffer), len(buffer)
        self.data: NDArray[np.uint8] = np.frombuffer(buffer, np.uint8)
        self._begin = self._end = 0

    def _provide(self, flags: int, total: int) -> None:
        """Make room for a message that is larger than any before."""
        if flags & ~(_MORE | _LONG | _COMMAND) or total > _LARGEST:
            self.close()
            raise InputError("sends what is no ZeroMQ", str(self.address), "connect again")
        if total > self._size - _LOW:
            rest = self._view[self._begin : self._end]
            larger = bytearray(total + _BUFFER)
            larger[: len(rest)] = rest
            self._hold(larger)
            self._end = len(rest)

    def _fill(self, wait: float) -> bool:
        """Read what is there; False if nothing came in time."""
        if self._socket is None:
            return self._reconnect(wait)
        begin, end = self._begin, self._end
        if begin == end:
            self._begin = self._end = end = 0
        elif self._size - end < _LOW:
            self._buffer[: end - begin] = self._buffer[begin:end]
            self._begin, self._end = 0, end - begin
            end -= begin
        count = self._read(self._socket, self._view[end:], wait)
        if count == 0:
            self.close()
            self.tell(LOST.format(self.address))
            self._retry_at = time.monotonic()
        self._end = end + max(count, 0)
        return count > 0

    def _read(self, source: socket.socket, room: memoryview, wait: float) -> int:
        """Bytes that were read within a time; -1 if there were none, 0 if the other end has left."""
        receive = source.recv_into
        end = 0.0
        while True:
            try:
                return receive(room)
            except BlockingIOError:
                if wait <= 0:
                    return -1
                if not self._busy and not self._poll.poll(wait * 1e3):
                    return -1
                now = time.monotonic()
                end = end or now + wait
                if now > end:
                    return -1
            except OSError:
                return 0

    def _reconnect(self, wait: float) -> bool:
        """Try to connect again from time to time."""
        now = time.monotonic()
        if now >= self._retry_at:
            self._retry_at = now + _RETRY
            with contextlib.suppress(InputError):
                self.open()
                self.reconnects += 1
                self.tell(BACK.format(self.address))
                return True
        time.sleep(min(wait, 0.01))
        return False

    def _obey(self, flags: int, body: bytes) -> None:
        """Answer a command of the other end."""
        if flags & ~(_COMMAND | _LONG):
            self._provide(0xFF, 0)
        if body[:5] == b"\x04PING" and self._socket is not None:
            answer = b"\x04PONG" + body[7:23]
            with contextlib.suppress(OSError):
                self._socket.send(bytes((_COMMAND, len(answer))) + answer)


def _enlarge(made: socket.socket) -> None:
    """Let the system hold more for this socket, as far as it permits."""
    try:
        made.setsockopt(socket.SOL_SOCKET, _FORCE, _KERNEL)
    except OSError:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KERNEL)
