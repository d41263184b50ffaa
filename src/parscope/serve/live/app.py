"""Routes of the page: itself, the stream of its messages, and commands."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from parscope.core.errors import MissingExtraError, ParscopeError
from parscope.serve.live.feed import Feed, command
from parscope.serve.live.hub import PERIOD, Hub
from parscope.serve.live.module import module, page, style

try:
    from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
    from fastapi.responses import JSONResponse, Response
except ImportError as error:
    raise MissingExtraError("fastapi", "live") from error

from parscope.serve.live.guard import Guard, knows

_LONGEST = 1 << 16


def make_app(hub: Hub, token: str, hosts: frozenset[str]) -> Any:
    """Make the application.

    Parameters
    ----------
    hub : Hub
        What is shown.
    token : str
        Without it nobody gives commands.
    hosts : frozenset of str
        ``host:port`` under which it may be asked for.

    Returns
    -------
    callable
        ASGI application.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    texts = {"/": (page, "text/html"), "/live.js": (module, "text/javascript"), "/live.css": (style, "text/css")}
    for path, (text, kind) in texts.items():
        app.add_api_route(path, _text_route(text, kind))

    @app.websocket("/stream")
    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        hub.watching += 1
        try:
            await _talk(socket, Feed(hub))
        finally:
            hub.watching -= 1

    @app.post("/control/{verb}")
    async def control(verb: str, request: Request) -> JSONResponse:
        if not knows(token, request.headers.get("authorization")):
            return JSONResponse({"fault": "open the page with the whole address that was printed"}, 403)
        try:
            body = await _body(request)
            return JSONResponse({"told": await asyncio.to_thread(command, hub, verb, body)})
        except ParscopeError as error:
            return JSONResponse({"fault": str(error)}, 409)

    return Guard(app, hosts)


def _text_route(text: Any, kind: str) -> Any:
    """A route that answers with a text."""

    async def route() -> Response:
        return Response(text(), media_type=kind)

    return route


async def _body(request: Request) -> Any:
    """What a command comes with: JSON, or nothing."""
    raw = await request.body()
    if len(raw) > _LONGEST:
        raise ParscopeError("too long", "command")
    try:
        return await request.json() if raw else None
    except ValueError as error:
        raise ParscopeError("no JSON", "command") from error


async def _talk(socket: WebSocket, feed: Feed) -> None:
    """Tell and hear, until either is over."""
    tasks = [asyncio.create_task(_tell(socket, feed)), asyncio.create_task(_hear(socket, feed))]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        with suppress(WebSocketDisconnect):
            task.result()


async def _tell(socket: WebSocket, feed: Feed) -> None:
    """Send what is new until the session ends; one who reads slowly gets less often, and then all at once."""
    while not feed.over:
        for message in await asyncio.to_thread(feed.news):
            await socket.send_bytes(message)
        await asyncio.sleep(PERIOD)
    await socket.close()


async def _hear(socket: WebSocket, feed: Feed) -> None:
    """Answer questions until the page is closed."""
    try:
        while True:
            text = await socket.receive_text()
            if len(text) <= _LONGEST:
                for message in await asyncio.to_thread(feed.answer, text):
                    await socket.send_bytes(message)
    except (WebSocketDisconnect, KeyError):
        return
