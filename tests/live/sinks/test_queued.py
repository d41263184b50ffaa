"""Sinks with a queue: WebSocket, webhook and EPICS, each with a real client."""

from __future__ import annotations

import json
import queue
import socket
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from parscope.core.errors import OptionError, OutputError
from parscope.live.sinks import queued
from parscope.live.sinks.address import make_sink
from parscope.live.sinks.pva import PvaSink
from parscope.live.sinks.queued import QueuedSink
from parscope.live.sinks.websocket import WebSocketSink

TOLD = {"rule": "hot", "action": "act", "series": 3, "position": 9, "values": {"com.y": 0.5, "com.x": None}}
MESSAGE = json.dumps(TOLD).encode()


class Held(QueuedSink):
    """Delivers nothing until it may; then fails for what says so."""

    name = "held"

    def __init__(self) -> None:
        super().__init__("held://here")
        self.may, self.delivered = threading.Event(), list[bytes]()

    def _begin(self) -> None:
        self.delivered.clear()

    def _deliver(self, message: bytes) -> None:
        self.may.wait()
        if message == b"bad":
            raise OutputError("is bad", "held://here")
        if message == b"odd":
            raise ZeroDivisionError("nobody\nforesaw it")
        self.delivered.append(message)

    def _end(self) -> None:
        self.may.clear()


def test_a_full_queue_refuses_and_keeps_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queued, "LONGEST", 3)
    sink = Held()
    sink.open()
    sink.send(b"0")
    while sink._waiting:  # until the thread has taken it and is held by it
        threading.Event().wait(0.001)
    for number in (1, 2, 3):
        sink.send(b"%d" % number)
    for _ in range(2):
        with pytest.raises(OutputError, match="held://here: 3 messages wait already"):
            sink.send(b"too many")
    sink.may.set()
    sink.close()
    assert sink.delivered == [b"0", b"1", b"2", b"3"]
    assert sink.dropped == 2


def test_what_cannot_be_delivered_is_counted_and_the_rest_is_delivered() -> None:
    sink = Held()
    sink.may.set()
    sink.open()
    for message in (b"a", b"bad", b"b"):
        sink.send(message)
    sink.close()
    assert sink.delivered == [b"a", b"b"]
    assert (sink.dropped, sink.fault) == (1, "held://here: is bad")


def test_what_nobody_foresaw_does_not_end_the_delivery() -> None:
    sink = Held()
    sink.may.set()
    sink.open()
    for message in (b"odd", b"b"):
        sink.send(message)
    sink.close()
    assert sink.delivered == [b"b"]
    assert (sink.dropped, sink.fault) == (1, "ZeroDivisionError: nobody foresaw it")


def test_closing_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queued, "_GRACE", 0.05)
    sink = Held()
    monkeypatch.setattr(sink, "_end", lambda: None)
    sink.open()
    thread = sink._thread
    for _ in range(3):
        sink.send(b"a")
    sink.close()
    dropped = sink.dropped
    sink.may.set()
    assert thread is not None
    thread.join()
    assert dropped + len(sink.delivered) == 3
    assert dropped >= 2


@pytest.fixture
def server() -> Iterator[WebSocketSink]:
    made = WebSocketSink("ws://127.0.0.1:0")
    made.open()
    yield made
    made.close()


def test_all_who_are_connected_are_told(server: WebSocketSink) -> None:
    url = f"ws://127.0.0.1:{server.port}"
    with connect(url) as one, connect(url, origin="http://localhost:8765") as other:  # type: ignore[arg-type]
        server.send(MESSAGE)
        assert [json.loads(client.recv(timeout=10)) for client in (one, other)] == [TOLD, TOLD]
        one.send("what a client says is not listened to")
        server.send(b"{}")
        assert [client.recv(timeout=10) for client in (one, other)] == ["{}", "{}"]
        server.close()
    assert server.dropped == 0


GREETING = (
    b"GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def test_a_client_that_does_not_read_is_let_go_of_and_the_others_are_told(
    server: WebSocketSink, caplog: pytest.LogCaptureFixture
) -> None:
    message = b"x" * 200_000
    with (
        socket.create_connection(("127.0.0.1", server.port)) as deaf,
        connect(f"ws://127.0.0.1:{server.port}", max_size=None) as keen,
    ):
        deaf.sendall(GREETING)
        assert deaf.recv(12) == b"HTTP/1.1 101"
        for _ in range(200):  # far more than fits into any buffer on the way
            server.send(message)
            assert keen.recv(timeout=10) == message.decode()
            if server.dropped:
                break
        assert (server.dropped, server.fault) == (1, "a client at 127.0.0.1 did not read and was disconnected")
        server.send(b"{}")
        assert keen.recv(timeout=10) == "{}"
    server.close()
    assert not caplog.records


def test_a_page_from_elsewhere_cannot_read_along(server: WebSocketSink) -> None:
    for origin in ("https://other.example", "http://127.0.0.1.other.example", "null"):
        with pytest.raises(InvalidStatus, match="403"), connect(f"ws://127.0.0.1:{server.port}", origin=origin):  # type: ignore[arg-type]
            pass


def test_an_allowed_host_is_told(listener: Any) -> None:
    sink = make_sink(listener.url)
    sink.open()
    sink.send(MESSAGE)
    sink.send(MESSAGE)
    sink.close()
    assert listener.told == [TOLD, TOLD]
    assert sink.dropped == 0


def test_a_host_that_does_not_take_it_is_counted(listener: Any) -> None:
    listener.status = 500
    sink: Any = make_sink(listener.url)
    sink.open()
    sink.send(MESSAGE)
    sink.close()
    assert (sink.dropped, sink.fault) == (1, "127.0.0.1: answered 500 Internal Server Error")


def test_a_host_that_is_not_on_the_list_has_no_sink(listener: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARSCOPE_WEBHOOKS", "other.example")
    with pytest.raises(OptionError, match="is not on the list of hosts"):
        make_sink(listener.url)


def test_a_client_of_epics_monitors_decisions(monkeypatch: pytest.MonkeyPatch) -> None:
    from p4p.client.thread import Context

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    told = {"INTF_ADDR_LIST": "127.0.0.1", "SERVER_PORT": "0", "BROADCAST_PORT": port, "AUTO_BEACON_ADDR_LIST": "NO"}
    for name, value in told.items():
        monkeypatch.setenv(f"EPICS_PVAS_{name}", value)
    sink = PvaSink("pva://PARSCOPE:TEST:DECISION")
    sink.open()
    found: queue.Queue[Any] = queue.Queue()
    conf = {"ADDR_LIST": "127.0.0.1", "AUTO_ADDR_LIST": "NO", "BROADCAST_PORT": port}
    with Context("pva", conf={f"EPICS_PVA_{name}": value for name, value in conf.items()}, useenv=False) as context:
        with context.monitor("PARSCOPE:TEST:DECISION", found.put):
            assert found.get(timeout=20).raw["value"] == ""
            sink.send(MESSAGE)
            value = found.get(timeout=20).raw
        with pytest.raises(Exception, match=r"(?i)put not supported|not support"):
            context.put("PARSCOPE:TEST:DECISION", "what a client writes", timeout=20)
    assert json.loads(value["value"]) == TOLD
    assert (value["rule"], value["action"], value["series"], value["position"]) == ("hot", "act", 3, 9)
    assert value["names"] == ["com.y", "com.x"]
    np.testing.assert_array_equal(value["numbers"], [0.5, np.nan])
    assert value["timeStamp"]["secondsPastEpoch"] > 1_600_000_000
    sink.close()
    assert sink.dropped == 0
