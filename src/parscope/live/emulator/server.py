"""The HTTP server of the emulator, in a thread of its own."""

from __future__ import annotations

import socket
import threading
from typing import Any

from parscope.core.errors import MissingExtraError, OptionError
from parscope.live.emulator.dcu import Dcu

_PATIENCE = 10.0


class Server:
    """Serves a detector until it is closed.

    Parameters
    ----------
    dcu : Dcu
        The detector.
    host : str
        Address to listen at.
    port : int
        Port to listen at; 0 for any that is free.

    Raises
    ------
    OptionError
        If it cannot listen there.
    MissingExtraError
        If FastAPI or uvicorn is not installed.
    """

    def __init__(self, dcu: Dcu, host: str, port: int) -> None:
        try:
            import uvicorn

            from parscope.live.emulator.rest import make_app
        except ImportError as error:
            raise MissingExtraError("FastAPI", "live") from error
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
            # Whoever is told the address may call before the thread below has come so far: the call waits in the queue.
            self._socket.listen()
        except OSError as error:
            self._socket.close()
            raise OptionError(f"cannot listen: {error.strerror}", f"{host}:{port}", "choose another port") from error
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            make_app(dcu), log_level="warning", ws="none", lifespan="off", timeout_graceful_shutdown=1
        )
        self._server: Any = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="rest", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.should_exit = True
        self._thread.join(_PATIENCE)
        self._socket.close()
