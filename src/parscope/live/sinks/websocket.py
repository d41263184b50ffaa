"""WebSocket: every decision to all programs and pages that are connected, as text."""

from __future__ import annotations

import asyncio
import re
import threading
from contextlib import suppress
from types import ModuleType
from typing import Any

from parscope.core.errors import MissingExtraError, OutputError
from parscope.live.sinks.address import host_and_port
from parscope.live.sinks.queued import QueuedSink

_PATIENCE = 10.0  # seconds for the server to begin

_WAITING = 1 << 20  # bytes that wait for a client at most: a thousand messages

# Pages of this machine, and programs, which name no origin; a page from elsewhere must not read along.
_OWN = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?")


class WebSocketSink(QueuedSink):
    """Serves ``ws://interface:port``: who connects is sent all decisions from then on.

    A client that does not read, so that a thousand messages wait for it, is disconnected; that counts as one dropped.

    Parameters
    ----------
    address : str
        Interface of this machine and port; port 0 takes a free one, which `port` names once it is open.

    Raises
    ------
    OptionError
        If it is no such address.
    """

    name = "ws"

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self._host, self.port = host_and_port(address)
        self._started = threading.Event()
        self._failure: OSError | None = None
        self._gone = 0  # counted by the thread of the server

    @property
    def dropped(self) -> int:
        """Messages that found the queue full or could not be delivered, and clients that did not read."""
        return super().dropped + self._gone

    def _begin(self) -> None:
        try:
            from websockets.asyncio import server
        except ImportError:
            raise MissingExtraError("websockets", "live") from None
        self._started.clear()
        self._failure = None
        self._host_thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(server)), name="parscope-websocket", daemon=True
        )
        self._host_thread.start()
        if not self._started.wait(_PATIENCE) or self._failure is not None:
            told = getattr(self._failure, "strerror", "it does not begin")
            raise OutputError(f"cannot be opened: {told}", self.address, "choose another port of this machine")

    def _deliver(self, message: bytes) -> None:
        self._loop.call_soon_threadsafe(self._broadcast, message.decode())

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._host_thread.join()

    async def _serve(self, server: ModuleType) -> None:
        """Serve until `close`."""
        self._loop, self._ended, self._tell = asyncio.get_running_loop(), asyncio.Event(), server.broadcast
        try:
            self._server = await server.serve(_stay, self._host, self.port, origins=[None, _OWN])
        except OSError as error:
            self._failure = error
            self._started.set()
            return
        async with self._server:
            self.port = next(iter(self._server.sockets)).getsockname()[1]
            self._started.set()
            await self._ended.wait()

    def _broadcast(self, text: str) -> None:
        """Send to all; who does not take what it was sent is let go of, since nobody says how long it would wait."""
        ready = []
        for one in self._server.connections:
            if one.transport.get_write_buffer_size() <= _WAITING:
                ready.append(one)
                continue
            self._gone += 1
            self.fault = f"a client at {one.remote_address[0]} did not read and was disconnected"
            one.transport.abort()
        self._tell(ready, text)


async def _stay(connection: Any) -> None:
    """Listen to nothing that a client says, until it goes, in whatever way."""
    from websockets.exceptions import ConnectionClosed

    with suppress(ConnectionClosed):
        async for _ in connection:
            pass
