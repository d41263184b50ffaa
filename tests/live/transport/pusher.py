"""The other end of a stream."""

from __future__ import annotations

import zmq

from parscope.live.transport.handshake import Address


class Pusher:
    """A PUSH socket of ZeroMQ's library."""

    def __init__(self, kind: int = zmq.PUSH, port: int = 0, host: str = "127.0.0.1", **options: int) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(kind)
        for name, value in options.items():
            self.socket.setsockopt(getattr(zmq, name), value)
        self.socket.bind(f"tcp://{host}:{port or '*'}")
        self.address = Address.parse(self.socket.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode())

    def close(self) -> None:
        self.socket.close(0)
        self.context.term()
