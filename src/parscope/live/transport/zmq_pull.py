"""Messages of a PUSH socket through ZeroMQ's library: its own thread empties the connection, whatever happens here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from parscope.core.errors import MissingExtraError
from parscope.live.transport.handshake import BACK, KEEPALIVE, LOST, Address, probe

_QUEUE = 20_000  # messages that the library holds
_KERNEL = 8 << 20
_LOOK = 0.1  # s between two looks at what became of the connection


def library() -> Any:
    """Import pyzmq.

    Returns
    -------
    module

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import zmq
    except ImportError:
        raise MissingExtraError("pyzmq", "live") from None
    return zmq


def keep_alive(socket: Any, sixth: bool) -> None:
    """Have a socket notice that the other end is gone, and speak the sixth version of IP where that is wanted.

    Parameters
    ----------
    socket : zmq.Socket
        Not connected yet.
    sixth : bool
        Whether names stand for addresses of the sixth version.
    """
    zmq = library()
    socket.setsockopt(zmq.IPV6, sixth)
    for option, value in KEEPALIVE.items():
        socket.setsockopt(getattr(zmq, option), value)


class Watch:
    """Sees what becomes of the connection of a socket, which the library mends without a word.

    Parameters
    ----------
    socket : zmq.Socket
        Not connected yet.
    address : Address
        Of the other end.
    """

    def __init__(self, socket: Any, address: Address) -> None:
        zmq = library()
        self._address, self._lost = address, zmq.EVENT_DISCONNECTED
        self._socket = socket
        self._events = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        self._known = self._here = False
        self._look_at = 0.0

    def look(self, tell: Callable[[str], None]) -> None:
        """Tell of what has happened, if it is time for a look.

        Parameters
        ----------
        tell : callable
            Is told a sentence.
        """
        now = time.monotonic()
        if now < self._look_at:
            return
        from zmq.utils.monitor import recv_monitor_message

        self._look_at = now + _LOOK
        while self._events.poll(0):
            here = recv_monitor_message(self._events)["event"] != self._lost
            if here != self._here and self._known:
                tell((BACK if here else LOST).format(self._address))
            self._known, self._here = self._known or here, here

    def close(self) -> None:
        """Look no more."""
        self._socket.disable_monitor()
        self._events.close(0)


class ZmqPull:
    """PULL socket of ZeroMQ's library; it connects again by itself.

    Parameters
    ----------
    address : Address
        Of the PUSH socket.

    Attributes
    ----------
    tell : callable
        Is told, in a sentence, that the connection is lost, and that it is there again.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.tell: Callable[[str], None] = lambda _: None
        self._socket: Any = None
        self._context: Any = None

    def open(self) -> None:
        """Connect; the library would wait for ever for what is not there, so somebody looks first.

        Raises
        ------
        InputError
            If the address cannot be reached, or something else than ZeroMQ is there.
        MissingExtraError
            If pyzmq is not installed.
        """
        zmq = library()
        sixth = probe(self.address)
        self._context = zmq.Context(io_threads=1)
        self._socket = self._context.socket(zmq.PULL)
        self._socket.setsockopt(zmq.LINGER, 0)
        keep_alive(self._socket, sixth)
        self._socket.setsockopt(zmq.RCVBUF, _KERNEL)
        self._socket.set_hwm(_QUEUE)
        self._watch = Watch(self._socket, self.address)
        self._socket.connect(str(self.address))
        self._again, self._now, self._timeout = zmq.Again, int(zmq.NOBLOCK), zmq.RCVTIMEO
        self._patience = 0

    def receive(self, wait: float) -> memoryview | None:
        """Take the next message, or part of one.

        Parameters
        ----------
        wait : float
            Longest time to wait, [s].

        Returns
        -------
        memoryview, optional
            None if none came in time.
        """
        try:
            return memoryview(self._socket.recv(self._within(wait)))
        except self._again:
            self._watch.look(self.tell)
            return None

    def receive_parts(self, wait: float) -> list[bytes] | None:
        """Take the next message of several parts.

        Parameters
        ----------
        wait : float
            Longest time to wait, [s].

        Returns
        -------
        list of bytes, optional
            None if none came in time.
        """
        try:
            parts: list[bytes] = self._socket.recv_multipart(self._within(wait))
        except self._again:
            self._watch.look(self.tell)
            return None
        return parts

    def _within(self, wait: float) -> int:
        """Have the next `recv` wait so long; its flags.

        The library wakes up once for that, and twice where it is asked first whether there is a message.
        """
        patience = int(1e3 * wait)
        if not patience:
            return self._now
        if patience != self._patience:
            self._socket.setsockopt(self._timeout, patience)
            self._patience = patience
        return 0

    def close(self) -> None:
        """Disconnect; may be called twice."""
        if self._socket is not None:
            self._watch.close()
            self._socket.close()
            self._context.term()
            self._socket = None
