"""What listens to the emulated detector: a PULL socket that keeps every message."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import zmq

from parscope.live.emulator import Emulator
from parscope.live.wire.errors import MessageError
from parscope.live.wire.messages import decode
from parscope.live.wire.scan import scan

PATIENCE = 60_000


@dataclass
class Client:
    """Keeps what comes from a stream, in a thread of its own."""

    address: str
    parts: list[list[bytes]] = field(default_factory=list)
    stopped: bool = False

    def listen(self) -> None:
        """Receive until told to stop."""
        with zmq.Context() as context, context.socket(zmq.PULL) as socket:
            socket.set(zmq.LINGER, 0)
            socket.set(zmq.RCVHWM, 0)
            socket.connect(self.address)
            while not self.stopped:
                if socket.poll(20):
                    self.parts.append(socket.recv_multipart())

    def messages(self) -> list[dict[str, Any]]:
        """Messages of stream V2 but images whose pixels are damaged, which have no data."""
        return [read(parts[0]) for parts in self.parts]

    def await_messages(self, number: int) -> None:
        """Wait until so many have come."""
        pause = threading.Event()
        for _ in range(PATIENCE // 5):
            if len(self.parts) >= number:
                return
            pause.wait(0.005)
        raise TimeoutError(f"{len(self.parts)} messages, not {number}")


def read(message: bytes) -> dict[str, Any]:
    """All that is in a message, or that its pixels are damaged."""
    try:
        return decode(message)
    except MessageError:
        head = scan(message)
        assert head is not None
        return {"type": "image", "image_id": head.image, "series_id": head.series, "damaged": True}


@contextmanager
def listening(address: str) -> Iterator[Client]:
    """A client while the block runs."""
    client = Client(address)
    thread = threading.Thread(target=client.listen)
    thread.start()
    try:
        yield client
    finally:
        client.stopped = True
        thread.join()


@contextmanager
def watched(emulator: Emulator, legacy: bool = False) -> Iterator[tuple[Emulator, Client]]:
    """An emulator with a client that is connected."""
    with emulator, listening(emulator.stream_v1 if legacy else emulator.stream) as client:
        emulator.wait_for_clients(1)
        yield emulator, client


def series(client: Client, number: int) -> list[dict[str, Any]]:
    """Messages that name a series."""
    return [message for message in client.messages() if message["series_id"] == number]
