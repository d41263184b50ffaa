"""Who may talk to the page: browsers that were sent here by nobody else."""

from __future__ import annotations

import secrets
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

# Nothing from elsewhere is loaded, and no other page may frame this one.
_HEADERS = (
    (b"content-security-policy", b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
     b"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)  # fmt: skip


class Guard:
    """Refuses what comes under a foreign name (DNS rebinding) or from the page of another site.

    Parameters
    ----------
    app : callable
        ASGI application behind it.
    hosts : frozenset of str
        ``host:port`` under which the page may be asked for.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts
        self._origins = frozenset(f"{scheme}://{host}" for host in hosts for scheme in ("http", "https"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif not self._welcome(scope):
            await _refuse(scope["type"], send)
        else:
            await self._app(scope, receive, _with_headers(send))

    def _welcome(self, scope: Scope) -> bool:
        """Whether host and origin are ours."""
        given = scope["headers"]
        hosts = [value.decode("latin-1").lower() for name, value in given if name == b"host"]
        origins = [value.decode("latin-1").lower() for name, value in given if name == b"origin"]
        return len(hosts) == 1 and hosts[0] in self._hosts and all(origin in self._origins for origin in origins)


async def _refuse(kind: str, send: Send) -> None:
    """Say no in one line."""
    if kind == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"refused: not asked for under its own address\n"})


def _with_headers(send: Send) -> Send:
    """Add what keeps other sites out to every answer."""

    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
        await send(message)

    return sending


def knows(token: str, authorization: str | None) -> bool:
    """Whether a request carries the token that was printed.

    Parameters
    ----------
    token : str
        As printed.
    authorization : str, optional
        The header of the request.

    Returns
    -------
    bool

    Examples
    --------
    >>> knows("abc", "Bearer abc"), knows("abc", "Bearer abd"), knows("abc", None)
    (True, False, False)
    """
    return secrets.compare_digest((authorization or "").encode(), f"Bearer {token}".encode())
