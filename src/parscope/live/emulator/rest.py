"""The interface SIMPLON 1.8.0 of a detector over HTTP: addresses, answers and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.concurrency import run_in_threadpool

from parscope.core.errors import OptionError
from parscope.live.emulator.dcu import Dcu

VERSION = "1.8.0"


def make_app(dcu: Dcu) -> FastAPI:
    """Serve a detector.

    Parameters
    ----------
    dcu : Dcu
        The detector.

    Returns
    -------
    FastAPI
        For an ASGI server.
    """
    app = FastAPI(title="SIMPLON, emulated by parscope", openapi_url=None)

    @app.api_route("/{module}/api/{path:path}", methods=["GET", "PUT"])
    async def task(module: str, path: str, request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(_answer, dcu, request.method, module, path.strip("/"), body)

    @app.api_route("/data/{name}", methods=["GET", "DELETE"])
    def file(name: str, request: Request) -> Response:
        if name not in dcu.machine.files:
            return _unknown(name)
        path = Path(dcu.machine.folder, name)
        if request.method == "GET":
            return FileResponse(path)
        path.unlink(missing_ok=True)
        dcu.machine.files.remove(name)
        return Response(status_code=204)

    return app


def _answer(dcu: Dcu, method: str, module: str, path: str, body: bytes) -> Response:
    """Answer one request; what is unknown is 404, what is not possible 400, each with one line of text."""
    version, _, rest = path.partition("/")
    if module not in dcu.modules.parameters or version not in ("version", VERSION):
        return _unknown(f"{module}/api/{path}")
    if version == "version":
        return JSONResponse({"value": VERSION, "value_type": "string"})
    task, _, name = rest.partition("/")
    try:
        if method == "GET":
            return JSONResponse(_read(dcu, module, task, name))
        return _put(dcu, module, task, name, body)
    except KeyError:
        return _unknown(rest)
    except (OptionError, TimeoutError) as error:
        return PlainTextResponse(f"error during request: {error}", 400)


def _read(dcu: Dcu, module: str, task: str, name: str) -> Any:
    """What a GET gives."""
    if (module, task, name) == ("filewriter", "files", ""):
        return list(dcu.machine.files)
    if name in ("", "keys"):
        return dcu.names(module, task)
    return dcu.read(module, task, name)


def _put(dcu: Dcu, module: str, task: str, name: str, body: bytes) -> Response:
    """What a PUT does and gives."""
    value = _value(body, name)
    if task == "config":
        if value is None:
            raise OptionError("there is no value", name, 'send JSON as {"value": 1}')
        return JSONResponse(dcu.write(module, name, value))
    if task != "command":
        raise KeyError(task)
    answer = dcu.command(module, name, value)
    return Response(status_code=200) if answer is None else JSONResponse(answer)


def _value(body: bytes, name: str) -> Any:
    """The value that a client sent, None if it sent none."""
    if not body.strip():
        return None
    try:
        sent = json.loads(body)
    except ValueError:
        raise OptionError("the body is no JSON", name, 'send JSON as {"value": 1}') from None
    return sent.get("value") if isinstance(sent, dict) else None


def _unknown(path: str) -> Response:
    """Nothing is at this address."""
    return PlainTextResponse(f'error during request: path error: unknown path: "{path}"', 404)
