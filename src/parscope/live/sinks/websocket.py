"""WebSocket: every decision to all programs and pages that are connected, as text."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import Any

from parscope.core.errors import MissingExtraError, OutputError
from parscope.live.sinks.address import host_and_port
from parscope.live.sinks.backlog import Backlog

_PATIENCE = 10.0  # seconds for the server to begin

# Pages of this machine, and programs, which name no origin; a page from elsewhere must not read along.
_OWN = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?")


class WebSocketSink:
    """Serves ``ws://interface:port``: who connects is sent all decisions from then on.

    Parameters
    ----------
    address : str
        Interface of this machine and port; port 0 takes a free one, which `port` names.

    Raises
    ------
    OptionError
        If it is no such address.
    """

    name = "ws"

    def __init__(self, address: str) -> None:
        self.address = address
        self._host, self.port = host_and_port(address)
        self._backlog: Backlog | None = None
        self._dropped = 0
        self._started: threading.Event = threading.Event()
        self._failure: OSError | None = None

    @property
    def dropped(self) -> int:
        """Messages that found the queue full."""
        return self._dropped + (self._backlog.dropped if self._backlog else 0)

    def open(self) -> None:
        """Begin to serve.

        Raises
        ------
        OutputError
            If the port is taken already, or there is no such interface.
        MissingExtraError
            If websockets is not installed.
        """
        try:
            from websockets.asyncio import server
        except ImportError:
            raise MissingExtraError("websockets", "live") from None
        self._started.clear()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(server)), name="parscope-websocket", daemon=True
        )
        self._thread.start()
        if not self._started.wait(_PATIENCE) or self._failure is not None:
            told = self._failure.strerror if self._failure else "it does not begin"
            raise OutputError(f"cannot be opened: {told}", self.address, "choose another port of this machine")
        self._backlog = Backlog(self._push, self.address)
        self._backlog.start()

    def send(self, message: bytes) -> None:
        """Put one message into the queue.

        Parameters
        ----------
        message : bytes
            A decision.

        Raises
        ------
        OutputError
            If the queue is full.
        """
        if self._backlog is None:
            raise OutputError("is not open", self.address)
        self._backlog.put(message)

    def close(self) -> None:
        """Send what waits, and close all connections; may be called twice."""
        if self._backlog is not None:
            self._backlog.stop()
            self._dropped += self._backlog.dropped
            self._backlog = None
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join()

    async def _serve(self, server: Any) -> None:
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

    def _push(self, message: bytes) -> None:
        """Hand a message to the thread that serves."""
        self._loop.call_soon_threadsafe(self._broadcast, message.decode())

    def _broadcast(self, text: str) -> None:
        self._tell(self._server.connections, text)


async def _stay(connection: Any) -> None:
    """Listen to nothing that a client says, until it goes."""
    async for _ in connection:
        pass
