"""The page, served to the browsers of this machine."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from types import TracebackType

from parscope.core.errors import MissingExtraError, OptionError
from parscope.serve.live.app import make_app
from parscope.serve.live.hub import PERIOD, Hub

try:
    import uvicorn
except ImportError as error:
    raise MissingExtraError("uvicorn", "live") from error

_HOST, _FIRST, _TRIED = "127.0.0.1", 8400, 20
_FAREWELL = 3.0  # s that pages may take to hear of the end


class PageServer:
    """Serves the page; as a context, in a thread beside whatever else goes on, until the session ends.

    Parameters
    ----------
    hub : Hub
        What is shown.
    port : int, optional
        Where to listen; 0 takes any. Default: 8400, or the next one that is free.
    host : str
        Address to listen on. Any other than the default lets other machines watch, without encryption.
    token : str, optional
        Without it nobody gives commands. Default: a new one.

    Raises
    ------
    OptionError
        If the port is taken, or not for everybody to use.
    """

    def __init__(self, hub: Hub, port: int | None = None, host: str = _HOST, token: str | None = None) -> None:
        self.token = token or secrets.token_urlsafe(16)
        self._hub, self._socket = hub, _listen(host, port)
        self.port = int(self._socket.getsockname()[1])
        names = {host, "127.0.0.1", "localhost"} if host == _HOST else {host, socket.gethostname().lower()}
        app = make_app(hub, self.token, frozenset(f"{name}:{self.port}" for name in names))
        settings = uvicorn.Config(
            lambda: app, factory=True, log_level="error", access_log=False, server_header=False,
            ws_per_message_deflate=False, ws="websockets-sansio", timeout_graceful_shutdown=1, ws_max_size=1 << 16,
            lifespan="off", interface="asgi3", proxy_headers=False,
        )  # fmt: skip
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(target=self.run, name="live page", daemon=True)
        self._summing = threading.Thread(target=self._sum, name="drawn detectors", daemon=True)
        self.url = f"http://{host}:{self.port}/#token={self.token}"

    def run(self) -> None:
        """Answer until `stop` is called or the person interrupts."""
        self._server.run(sockets=[self._socket])

    def _sum(self) -> None:
        """Sum over drawn detectors also while no page is open: before patterns leave the buffer."""
        while not self._server.should_exit:
            if self._hub.drawing:
                with self._hub.lock:
                    self._hub.tick()
            time.sleep(PERIOD)

    def stop(self) -> None:
        """Answer no more; may be called from any thread, and twice."""
        self._server.should_exit = True
        for thread in (self._thread, self._summing):
            if thread.is_alive():
                thread.join()
        self._socket.close()

    def __enter__(self) -> PageServer:
        """Answer from now on."""
        self._thread.start()
        self._summing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Tell the pages that the session has ended, and answer no more."""
        self._hub.end()
        until = time.monotonic() + _FAREWELL
        while self._hub.watching and time.monotonic() < until:
            time.sleep(PERIOD)
        self.stop()


def _listen(host: str, port: int | None) -> socket.socket:
    """Take a port."""
    for candidate in range(_FIRST, _FIRST + _TRIED) if port is None else (port,):
        taken = socket.socket()
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((host, candidate))
            taken.listen(64)
        except OSError:
            taken.close()
        else:
            return taken
    where = f"--port {port}" if port is not None else f"ports {_FIRST} to {_FIRST + _TRIED - 1}"
    raise OptionError("taken, or not for everybody to use", where, "choose another with --port")
