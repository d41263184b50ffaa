"""The server of the page: who may ask, who may command, and what is sent."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import websockets
from websockets.asyncio.client import connect

from parscope.core.errors import OptionError
from parscope.serve.live.hub import Hub
from parscope.serve.live.messages import Kind, unpack
from parscope.serve.live.module import module
from parscope.serve.live.server import PageServer
from tests.serve.scene import Desk, Scene, scene

Served = tuple[Scene, Desk, PageServer]


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    desk = Desk()
    with scene() as shown, PageServer(Hub(shown.board, desk), port=0) as server:
        shown.begin()
        yield shown, desk, server


def ask(server: PageServer, path: str, method: str = "GET", **given: Any) -> httpx.Response:
    return httpx.request(method, f"http://127.0.0.1:{server.port}{path}", **given)


def test_the_page_needs_nothing_from_elsewhere(served: Served) -> None:
    server = served[2]
    page, program, looks = (ask(server, path) for path in ("/", "/live.js", "/live.css"))
    assert [answer.status_code for answer in (page, program, looks)] == [200] * 3
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert program.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    everything = page.text + program.text + looks.text
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", everything) == []
    assert "import " not in re.sub(r"//.*|/\*.*?\*/", "", module())


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/../contract.py", "/static/live.css", "/control/arm"])
def test_nothing_else_is_served(served: Served, path: str) -> None:
    assert ask(served[2], path).status_code in (404, 405)


@pytest.mark.parametrize(
    "headers",
    [{"host": "evil.example"}, {"host": "127.0.0.1:1"}, {"origin": "http://evil.example"}, {"origin": "null"},
     {"origin": "http://127.0.0.1:1"}],
)  # fmt: skip
def test_foreign_hosts_and_origins_are_refused(served: Served, headers: dict[str, str]) -> None:
    _, desk, server = served
    token = {"authorization": f"Bearer {server.token}"}
    for path, method in (("/", "GET"), ("/control/arm", "POST")):
        answer = ask(server, path, method, headers=headers | token)
        assert answer.status_code == 403
        assert answer.text == "refused: not asked for under its own address\n"
    assert not desk.armed


def test_a_socket_from_a_foreign_page_is_refused(served: Served) -> None:
    address = f"ws://127.0.0.1:{served[2].port}/stream"

    async def tried() -> int:
        with pytest.raises(websockets.InvalidStatus) as caught:
            await connect(address, origin=websockets.Origin("http://evil.example"))
        return caught.value.response.status_code

    assert asyncio.run(tried()) == 403


def test_commands_need_the_token(served: Served) -> None:
    desk, server = served[1], served[2]
    for headers in ({}, {"authorization": "Bearer x"}, {"authorization": f"Basic {server.token}"}):
        answer = ask(server, "/control/arm", "POST", headers=headers)
        assert answer.status_code == 403
        assert answer.json() == {"fault": "open the page with the whole address that was printed"}
    assert not desk.armed
    assert server.url == f"http://127.0.0.1:{server.port}/#token={server.token}"


def test_commands_are_answered_with_a_sentence(served: Served) -> None:
    _, desk, server = served
    token = {"authorization": f"Bearer {server.token}"}
    for verb, sentence in (("arm", "Armed."), ("disarm", "Disarmed."), ("stop", "Stopped; the recording goes on.")):
        answer = ask(server, f"/control/{verb}", "POST", headers=token)
        assert (answer.status_code, answer.json()) == (200, {"told": sentence})
    assert not desk.armed and not desk.running
    huge = [{"name": "vd1", "y": 1, "x": 1, "inner": 0, "outer": 0}]
    answer = ask(server, "/control/masks", "POST", headers=token, json=huge)
    assert (answer.status_code, answer.json()["fault"]) == (
        409,
        "vd1: has no area; draw it with an outer radius above the inner one",
    )
    assert ask(server, "/control/masks", "POST", headers=token, content=b"{").json() == {"fault": "command: no JSON"}
    long = ask(server, "/control/masks", "POST", headers=token, content=b" " * 70_000)
    assert long.json() == {"fault": "command: too long"}
    assert ask(server, "/control/explode", "POST", headers=token).status_code == 409


def test_the_socket_tells_what_is_new_and_answers(served: Served) -> None:
    shown, _, server = served

    async def watched() -> list[tuple[Kind, dict[str, Any], bytes]]:
        async with connect(f"ws://127.0.0.1:{server.port}/stream", max_size=None) as talk:
            told = [unpack(bytes(await talk.recv()))]
            shown.lines(0, 2)
            await talk.send("nonsense")
            await talk.send(json.dumps({"pattern": "last"}))
            while {kind for kind, _, _ in told} != set(Kind):
                told.append(unpack(bytes(await talk.recv())))
        return told

    told = asyncio.run(watched())
    assert told[0][0] == Kind.HELLO and told[0][1]["scan"] == [48, 64] and told[0][1]["step_nm"] == [2.0, 2.0]
    assert next(text["rows"] for kind, text, _ in told if kind == Kind.LINES) in ([0, 1], [0])


def test_the_end_is_told_before_the_server_goes() -> None:
    async def watched(server: PageServer) -> tuple[dict[str, Any], int | None]:
        async with connect(f"ws://127.0.0.1:{server.port}/stream", max_size=None) as talk:
            await talk.recv()
            await asyncio.to_thread(server.__exit__, None, None, None)
            told = [unpack(bytes(message)) async for message in talk]  # until it is closed, and not by a fault
            return [text for kind, text, _ in told if kind == Kind.STATE][-1], talk.close_code

    with scene() as shown:
        server = PageServer(Hub(shown.board, Desk()), port=0)
        server.__enter__()
        last, code = asyncio.run(watched(server))
    assert last["ended"] is True and code == 1000


def test_a_port_that_is_taken_is_refused_in_one_line() -> None:
    with scene() as shown, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OptionError) as caught:
            PageServer(Hub(shown.board), port=port)
        assert str(caught.value) == f"--port {port}: taken, or not for everybody to use; choose another with --port"
