"""Messages of a PUSH socket through ZeroMQ's library: its own thread empties the connection, whatever happens here."""

from __future__ import annotations

from typing import Any

from parscope.core.errors import InputError, MissingExtraError
from parscope.live.transport.handshake import Address, connect

_QUEUE = 20_000  # messages that the library holds
_KERNEL = 8 << 20


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


class ZmqPull:
    """PULL socket of ZeroMQ's library; it connects again by itself.

    Parameters
    ----------
    address : Address
        Of the PUSH socket.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
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
        try:
            connect(self.address).close()
        except InputError as error:
            if "older" not in error.what:  # which the library speaks
                raise
        self._context = zmq.Context(io_threads=1)
        self._socket = self._context.socket(zmq.PULL)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVBUF, _KERNEL)
        self._socket.set_hwm(_QUEUE)
        self._socket.connect(str(self.address))
        self._again, self._now = zmq.Again, zmq.NOBLOCK

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
            return memoryview(self._socket.recv(self._now))
        except self._again:
            if not wait or not self._socket.poll(wait * 1e3):
                return None
        return memoryview(self._socket.recv())

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
        if not self._socket.poll(wait * 1e3):
            return None
        parts: list[bytes] = self._socket.recv_multipart()
        return parts

    def close(self) -> None:
        """Disconnect; may be called twice."""
        if self._socket is not None:
            self._socket.close()
            self._context.term()
            self._socket = None
