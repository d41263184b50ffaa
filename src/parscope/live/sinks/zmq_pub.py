"""ZeroMQ PUB: every decision to all who have subscribed; who is slow loses some, and nobody waits."""

from __future__ import annotations

from typing import Any

from parscope.core.errors import MissingExtraError, OutputError
from parscope.live.sinks.address import host_and_port

_WAITING = 1000  # messages for each subscriber
_LINGER = 200  # milliseconds that the last messages have to leave


class ZmqSink:
    """Publishes at ``zmq://interface:port``; subscribers connect to ``tcp://host:port``.

    Parameters
    ----------
    address : str
        Interface of this machine, by number, and port: ``zmq://127.0.0.1:5556`` for this machine alone,
        ``zmq://0.0.0.0:5556`` for all.

    Raises
    ------
    OptionError
        If it is no such address.
    """

    name = "zmq"

    def __init__(self, address: str) -> None:
        self.address, self.dropped, self.fault = address, 0, ""
        host, port = host_and_port(address)
        self._bind = f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
        self._context: Any = None
        self._socket: Any = None
        self._full: type[Exception] = Exception

    def open(self) -> None:
        """Take the port.

        Raises
        ------
        OutputError
            If it is taken already, or there is no such interface.
        MissingExtraError
            If pyzmq is not installed.
        """
        try:
            import zmq
        except ImportError:
            raise MissingExtraError("pyzmq", "live") from None
        self._context = zmq.Context()
        made = self._context.socket(zmq.PUB)
        made.setsockopt(zmq.SNDHWM, _WAITING)
        made.setsockopt(zmq.LINGER, _LINGER)
        made.setsockopt(zmq.IPV6, "[" in self._bind)
        try:
            made.bind(self._bind)
        except zmq.ZMQError as error:
            made.close()
            self.close()
            raise OutputError(
                f"cannot be opened: {error.strerror}", self.address, "choose another port of this machine"
            ) from None
        self._socket, self._full, self._at_once = made, zmq.ZMQError, zmq.DONTWAIT

    def send(self, message: bytes) -> None:
        """Publish one message.

        Parameters
        ----------
        message : bytes
            A decision.

        Raises
        ------
        OutputError
            If it cannot be published.
        """
        if self._socket is None:
            raise OutputError("is not open", self.address)
        try:
            self._socket.send(message, self._at_once)
        except self._full as error:
            self.dropped += 1
            self.fault = f"was not sent: {error}"
            raise OutputError(self.fault, self.address) from None

    def close(self) -> None:
        """Give the port back; may be called twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._context is not None:
            self._context.term()
            self._context = None
