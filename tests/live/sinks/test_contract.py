"""What all sinks promise, and what UDP and ZeroMQ do beyond it, over real sockets."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator

import pytest
import zmq

from parscope.core import registry
from parscope.core.errors import MissingExtraError, OptionError, OutputError
from parscope.live.sinks.address import host_and_port, make_sink
from parscope.testing import check_sink

MESSAGE = json.dumps({"rule": "hot", "action": "act", "series": 1, "position": 2, "values": {"a": 1}}).encode()


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def address(scheme: str) -> str:
    named = {"shm": f"shm://parscope-test-{os.getpid()}", "pva": f"pva://PARSCOPE:TEST:{os.getpid()}"}
    return named.get(scheme, f"{scheme}://127.0.0.1:{free_port()}")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Webhooks to this machine only, and EPICS on it only."""
    monkeypatch.setenv("PARSCOPE_WEBHOOKS", "127.0.0.1")
    told = {"INTF_ADDR_LIST": "127.0.0.1", "SERVER_PORT": "0", "BEACON_ADDR_LIST": "", "AUTO_BEACON_ADDR_LIST": "NO"}
    for name, value in told.items():
        monkeypatch.setenv(f"EPICS_PVAS_{name}", value)
    monkeypatch.setenv("EPICS_PVAS_BROADCAST_PORT", str(free_port()))


@pytest.mark.parametrize("scheme", registry.names("parscope.sinks"))
def test_every_sink_keeps_the_contract(scheme: str) -> None:
    made = make_sink(address(scheme))
    assert made.name == scheme
    check_sink(made)


class Deaf:
    """Takes what it is given even if it is closed."""

    name, dropped, fault = "deaf", 0, ""

    def open(self) -> None:
        """Nothing."""

    def send(self, message: bytes) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def test_a_sink_that_does_not_keep_it_is_told() -> None:
    with pytest.raises(AssertionError, match="a sink that is not open raises OutputError"):
        check_sink(Deaf())
    named = Deaf()
    named.name = "Deaf sink"
    with pytest.raises(AssertionError, match="its name is a word in lower case"):
        check_sink(named)


@pytest.mark.parametrize(
    ("module", "scheme", "extra"),
    [("zmq", "zmq", "live"), ("websockets.asyncio", "ws", "live"), ("p4p.nt", "pva", "epics")],
)
def test_a_library_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, module: str, scheme: str, extra: str
) -> None:
    made = make_sink(address(scheme))
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'parscope\[{extra}\]'"):
        made.open()
    made.close()


@pytest.mark.parametrize(
    "wrong",
    [
        "udp://", "udp://host", "udp://host:port", "udp://host:99999", "udp://me@host:1", "udp://host:1/path",
        "udp://host:1?x", "udp://[::1:1", "shm://", "shm://../passwd", "shm://a/b", "zmq://host", "ws://host",
        "pva://", "pva://A B", "ftp://host:1", "http://other.example/", "udp", "",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(wrong: str) -> None:
    with pytest.raises(OptionError) as raised:
        make_sink(wrong)
    assert "\n" not in str(raised.value)


def test_a_host_may_be_a_number_of_six() -> None:
    assert host_and_port("zmq://[::1]:5556") == ("::1", 5556)


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.settimeout(10)
        yield made


def test_a_datagram_is_one_message(peer: socket.socket) -> None:
    sink = make_sink(f"udp://localhost:{peer.getsockname()[1]}")
    sink.open()
    sink.send(MESSAGE)
    sink.send(b"{}")
    assert (peer.recv(2000), peer.recv(2000)) == (MESSAGE, b"{}")
    sink.close()
    assert sink.dropped == 0


def test_a_peer_that_begins_to_listen_later_gets_the_next_datagram() -> None:
    port = free_port()
    sink = make_sink(f"udp://127.0.0.1:{port}")
    sink.open()
    sink.send(b"nobody hears this")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", port))
        peer.settimeout(10)
        sink.send(MESSAGE)
        assert peer.recv(2000) == MESSAGE
    assert (sink.dropped, sink.fault) == (1, "nobody listens")
    sink.close()


def test_what_the_system_does_not_take_is_dropped_and_told(peer: socket.socket) -> None:
    sink = make_sink(f"udp://127.0.0.1:{peer.getsockname()[1]}")
    sink.open()
    with pytest.raises(OutputError, match="was not sent: Message too long"):
        sink.send(bytes(70_000))
    assert sink.dropped == 1
    sink.close()


def test_who_subscribes_gets_decisions() -> None:
    port = free_port()
    sink = make_sink(f"zmq://127.0.0.1:{port}")
    sink.open()
    context = zmq.Context()
    subscriber = context.socket(zmq.SUB)
    subscriber.subscribe(b"")
    subscriber.connect(f"tcp://127.0.0.1:{port}")
    for _ in range(1000):  # until the subscription has arrived
        sink.send(MESSAGE)
        if subscriber.poll(10):
            break
    assert subscriber.recv() == MESSAGE
    subscriber.close(0)
    context.term()
    sink.close()


def test_nobody_waits_for_who_is_slow() -> None:
    port = free_port()
    sink = make_sink(f"zmq://127.0.0.1:{port}")
    sink.open()
    context = zmq.Context()
    subscriber = context.socket(zmq.SUB)
    subscriber.setsockopt(zmq.RCVHWM, 1)
    subscriber.subscribe(b"")
    subscriber.connect(f"tcp://127.0.0.1:{port}")
    while not subscriber.poll(10):
        sink.send(MESSAGE)
    for _ in range(20_000):  # far more than fits into any queue on the way
        sink.send(MESSAGE)
    subscriber.close(0)
    context.term()
    sink.close()


@pytest.mark.parametrize("scheme", ["zmq", "ws"])
def test_a_port_that_is_taken_is_told(scheme: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        sink = make_sink(f"{scheme}://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(OutputError, match=r"cannot be opened: .*ddress already in use.*; choose another port"):
            sink.open()
        sink.close()
