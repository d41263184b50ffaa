"""A page of Bokeh served to the browser of this machine, and to nobody else."""

from __future__ import annotations

import errno
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
    failed: OSError | None = None
    for candidate in range(_FIRST, _FIRST + _TRIED) if port is None else (port,):
        origins = [f"{host}:{candidate}" for host in (_HOST, "localhost")]
        try:
            return Server({"/": page}, address=_HOST, port=candidate, allow_websocket_origin=origins)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            failed = error
    where = f"--port {port}" if port is not None else f"ports {_FIRST} to {_FIRST + _TRIED - 1}"
    raise OptionError(f"cannot be used ({failed.strerror if failed else 'none'})", where, "choose another with --port")


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
