"""A PUSH socket without ZeroMQ's library: what is sent is on its way when the call returns, no thread passes it on."""

from __future__ import annotations

import socket
import struct
from typing import Any

_LONG = struct.Struct(">BQ")
_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
_READY = b"\x05READY\x0bSocket-Type\x00\x00\x00\x04PUSH"


class PlainPush:
    """Sends to one client, which it waits for.

    Parameters
    ----------
    buffer : int
        That the system holds for what was not received yet, [bytes].
    """

    def __init__(self, buffer: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        self._buffer = buffer
        self._client: socket.socket | None = None
        self.port = int(self._listener.getsockname()[1])

    def accept(self) -> None:
        """Wait for the client, and agree with it on ZMTP 3.0."""
        client, _ = self._listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._buffer)
        client.sendall(_GREETING)
        _exactly(client, len(_GREETING))
        client.sendall(bytes([4, len(_READY)]) + _READY)
        _exactly(client, _exactly(client, 2)[1])
        self._client = client

    def send(self, message: bytes | bytearray, _: int = 0) -> None:
        """Send a message of one part; waits where the client does not receive."""
        client: Any = self._client
        client.sendall(b"".join((_LONG.pack(2, len(message)), message)))

    def close(self, _: int = 0) -> None:
        """Close, when the client has."""
        if self._client is not None:
            self._client.recv(1)
            self._client.close()
        self._listener.close()


def _exactly(client: socket.socket, count: int) -> bytes:
    """As many bytes as were asked for."""
    got = b""
    while len(got) < count:
        more = client.recv(count - len(got))
        if not more:
            raise ConnectionError("the client has left")
        got += more
    return got
