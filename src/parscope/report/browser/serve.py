"""A page of Bokeh served to the browser of this machine, and to nobody else."""

from __future__ import annotations

import socket
import webbrowser
from collections.abc import Callable
from typing import Any

from bokeh.server.server import Server

from parscope.core.errors import OptionError

_HOST, _FIRST, _TRIED = "127.0.0.1", 5006, 20


def start(page: Callable[[Any], None], port: int | None = None) -> Any:
    """Start a server.

    Parameters
    ----------
    page : callable
        Fills the document of every person who opens the page.
    port : int, optional
        Where to listen. Default: 5006, or the next one that is free.

    Returns
    -------
    bokeh.server.server.Server
        Listening, but not yet answering; its address is 127.0.0.1 and its ``port``.

    Raises
    ------
    OptionError
        If the port is taken.
    """
    candidates = range(_FIRST, _FIRST + _TRIED) if port is None else (port,)
    free = next((candidate for candidate in candidates if _is_free(candidate)), None)
    if free is None:
        where = f"--port {port}" if port is not None else f"ports {_FIRST} to {_FIRST + _TRIED - 1}"
        raise OptionError("taken, or not for everybody to use", where, "choose another with --port")
    origins = [f"{host}:{free}" for host in (_HOST, "localhost")]
    return Server({"/": page}, address=_HOST, port=free, allow_websocket_origin=origins)


def _is_free(port: int) -> bool:
    """Whether a server can listen there."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((_HOST, port))
        except OSError:
            return False
    return True


def run(server: Any, browse: bool) -> None:
    """Answer until the person stops it.

    Parameters
    ----------
    server : bokeh.server.server.Server
        From `start`.
    browse : bool
        Whether a browser is opened.
    """
    if browse:
        server.io_loop.add_callback(webbrowser.open, f"http://{_HOST}:{server.port}")
    try:
        server.start()
        server.io_loop.start()
    except KeyboardInterrupt:
        server.stop()
