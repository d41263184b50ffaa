"""Both ways to take messages of a PUSH socket, against ZeroMQ's library and against what is no ZeroMQ."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import zmq

from parscope.core.errors import InputError, OptionError
from parscope.live.transport.handshake import Address
from parscope.live.transport.split import split
from parscope.live.transport.zmq_pull import ZmqPull
from parscope.live.transport.zmtp import ZmtpPull

Pull = type[ZmtpPull] | type[ZmqPull]
BOTH = pytest.mark.parametrize("pull", [ZmtpPull, ZmqPull])


class Pusher:
    """A PUSH socket of ZeroMQ's library."""

    def __init__(self, kind: int = zmq.PUSH, port: int = 0, **options: int) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(kind)
        for name, value in options.items():
            self.socket.setsockopt(getattr(zmq, name), value)
        self.socket.bind(f"tcp://127.0.0.1:{port or '*'}")
        self.address = Address.parse(self.socket.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode())

    def close(self) -> None:
        self.socket.close(0)
        self.context.term()


@pytest.fixture
def pusher() -> Iterator[Pusher]:
    made = Pusher()
    yield made
    made.close()


@pytest.fixture
def impostor() -> Iterator[Callable[[bytes, bool], Address]]:
    """Something that listens, says what it is told to, and may hang up."""
    servers: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def listen(said: bytes, leave: bool) -> Address:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def serve() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(ConnectionError):
                connection.sendall(said)
                if leave:
                    connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return Address("127.0.0.1", server.getsockname()[1])

    yield listen
    for thread in threads:
        thread.join()
    for server in servers:
        server.close()


def opened(pull: Pull, address: Address) -> ZmtpPull | ZmqPull:
    made = pull(address)
    made.open()
    return made


@BOTH
def test_messages_come_whole_and_in_order(pull: Pull, pusher: Pusher) -> None:
    sizes = [0, 1, 255, 256, 70_000, 5_000_000, 3]
    receiver = opened(pull, pusher.address)
    for number, size in enumerate(sizes):
        pusher.socket.send(bytes([number]) * size)
    for number, size in enumerate(sizes):
        got = receiver.receive(10)
        assert got is not None and (len(got), bytes(got[-1:])) == (size, bytes([number]) if size else b"")
    assert receiver.receive(0) is None
    assert receiver.receive(0.01) is None
    receiver.close()
    receiver.close()


@BOTH
def test_many_small_messages_in_one_packet(pull: Pull, pusher: Pusher) -> None:
    receiver = opened(pull, pusher.address)
    for number in range(3000):
        pusher.socket.send(number.to_bytes(4) * 100)
    for number in range(3000):
        got = receiver.receive(10)
        assert got is not None and bytes(got) == number.to_bytes(4) * 100
    receiver.close()


@BOTH
def test_parts_of_a_message_stay_together(pull: Pull, pusher: Pusher) -> None:
    receiver = opened(pull, pusher.address)
    pusher.socket.send_multipart([b"one", b"", b"x" * 100_000])
    pusher.socket.send_multipart([b"alone"])
    assert receiver.receive_parts(10) == [b"one", b"", b"x" * 100_000]
    assert receiver.receive_parts(10) == [b"alone"]
    assert receiver.receive_parts(0.01) is None
    receiver.close()


@BOTH
def test_the_stream_goes_on_after_the_detector_was_restarted(pull: Pull, pusher: Pusher) -> None:
    receiver = opened(pull, pusher.address)
    pusher.socket.send(b"before")
    got = receiver.receive(10)
    assert got is not None and bytes(got) == b"before"
    pusher.close()
    assert receiver.receive(0.05) is None
    again = Pusher(port=pusher.address.port)
    try:
        again.socket.setsockopt(zmq.SNDTIMEO, 20)
        for _ in range(1000):
            with contextlib.suppress(zmq.Again):  # nobody has connected again yet
                again.socket.send(b"after")
            if (got := receiver.receive(0.02)) is not None:
                break
        assert got is not None and bytes(got) == b"after"
    finally:
        receiver.close()
        again.close()


def test_looking_first_takes_no_message_away(pusher: Pusher) -> None:
    first = opened(ZmtpPull, pusher.address)
    second = ZmqPull(pusher.address)
    second.open()
    second.close()
    for _ in range(10):
        pusher.socket.send(b"mine")
    assert [got is not None for got in (first.receive(10) for _ in range(10))] == [True] * 10
    first.close()


def test_a_ping_is_answered() -> None:
    pusher = Pusher(HEARTBEAT_IVL=50, HEARTBEAT_TIMEOUT=400, HEARTBEAT_TTL=1000)
    receiver = opened(ZmtpPull, pusher.address)
    end = time.monotonic() + 1.2  # three times the patience of the other end
    while time.monotonic() < end:
        assert receiver.receive(0.02) is None
    pusher.socket.send(b"still here")
    got = receiver.receive(10)
    assert got is not None and bytes(got) == b"still here"
    assert receiver.reconnects == 0
    receiver.close()
    pusher.close()


@BOTH
def test_a_port_where_nothing_listens(pull: Pull) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = Address("127.0.0.1", server.getsockname()[1])
    with pytest.raises(InputError, match="nothing listens there"):
        opened(pull, address)


@BOTH
def test_a_machine_that_does_not_exist(pull: Pull) -> None:
    with pytest.raises(InputError, match=r"nowhere\.invalid:31001: there is no machine of this name"):
        opened(pull, Address("nowhere.invalid", 31001))


@BOTH
@pytest.mark.parametrize(
    ("said", "leave", "line"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n" + bytes(100), False, "does not speak ZeroMQ"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", True, "does not speak ZeroMQ"),
        (b"", True, "does not speak ZeroMQ"),
        (
            b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"CURVE".ljust(20, b"\0") + bytes(32),
            False,
            "wants the CURVE security",
        ),
    ],
)
def test_what_is_no_stream_is_refused(
    pull: Pull, impostor: Callable[[bytes, bool], Address], said: bytes, leave: bool, line: str
) -> None:
    with pytest.raises(InputError, match=line):
        opened(pull, impostor(said, leave))


GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (b"\xff" + bytes(8) + b"\x7f\x01\x08" + bytes(60), "older than version 4"),
        (b"\x01\x00" + bytes(64), "older than version 4"),
        (GREETING + b"\x04\x0e\x05ERROR\x07go away", "refuses the connection: go away"),
        (GREETING + b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03PUB", "is a PUB socket"),
        (GREETING + b"\0\x01x", "closed the connection"),
    ],
)
def test_what_the_library_would_wait_for_is_told(
    impostor: Callable[[bytes, bool], Address], said: bytes, line: str
) -> None:
    with pytest.raises(InputError, match=line):
        opened(ZmtpPull, impostor(said, False))


READY = GREETING + b"\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04PUSH"


@pytest.mark.parametrize("said", [b"\x02" + b"\xff" * 8, b"\xf2" + bytes(20), b"\xf4\x01x" + bytes(20)])
def test_damage_on_the_wire_is_refused(impostor: Callable[[bytes, bool], Address], said: bytes) -> None:
    receiver = opened(ZmtpPull, impostor(READY + said, False))
    with pytest.raises(InputError, match="sends what is no ZeroMQ"):
        receiver.receive(10)


def test_a_message_that_breaks_off_does_not_come(impostor: Callable[[bytes, bool], Address]) -> None:
    receiver = opened(ZmtpPull, impostor(READY + b"\0\x05whole\0\x63half", True))
    got = receiver.receive(10)
    assert got is not None and bytes(got) == b"whole"
    assert receiver.receive(0.05) is None
    receiver.close()


@pytest.mark.parametrize(
    "text", ["host:31001", "tcp://host", "tcp://:31001", "tcp://host:0", "tcp://host:x", "udp://h:1"]
)
def test_an_address_is_written_in_one_way(text: str) -> None:
    with pytest.raises(OptionError, match="is no address of a stream"):
        Address.parse(text)


def test_an_address_of_the_sixth_version() -> None:
    assert str(Address.parse("tcp://[::1]:9999")) == "tcp://[::1]:9999"


def test_many_at_once_are_what_they_are_one_by_one(pusher: Pusher) -> None:
    sent = [bytes([n % 251]) * (n * 37 % 600) for n in range(500)]
    sent[77:77] = [b"x" * 300_000]
    pull = ZmtpPull(pusher.address)
    pull.open()
    for n, one in enumerate(sent):
        pusher.socket.send(one)
        if n == 250:
            pusher.socket.send_multipart([b"two", b"parts"])
    run, got, most = np.zeros((64, 2), np.int64), [], 0
    while len(got) < len(sent) + 2:
        count = pull.find_run(run, 4)
        assert count == 0 or (pull.find_run(run, 0) == count)
        most = max(most, count)
        taken = count // 2 + 1 if count > 1 else 0
        if taken:
            got += [pull.data[start : start + length].tobytes() for start, length in run[:taken].tolist()]
            pull.take_run(run[:taken])
        elif (one := pull.receive(5.0)) is not None:
            got.append(bytes(one))
    assert got == [*sent[:251], b"two", b"parts", *sent[251:]]
    assert most > 4
    assert pull.find_run(run, 4) == 0
    pull.close()
    assert pull.find_run(run, 4) == 0


@pytest.mark.parametrize(
    ("frames", "count"),
    [
        (b"\0\1a\0\0" + b"\2" + struct.pack(">Q", 2) + b"bc", 3),
        (b"\0\1a\1\1b\0\1c", 1),
        (b"\0\1a\4\1b", 1),
        (b"\0\1a\0\2b", 1),
        (b"\0\1a\2" + struct.pack(">Q", 2**63) + b"b" * 20, 1),
        (b"\0\1a\2" + b"\xff" * 8 + b"b" * 20, 1),
        (b"\0\1a\2\0\0", 1),
        (b"\0", 0),
    ],
)
def test_what_is_split(frames: bytes, count: int) -> None:
    run = np.zeros((9, 2), np.int64)
    assert split(np.frombuffer(bytearray(frames), np.uint8), 0, len(frames), run) == count
    assert [frames[a : a + n] for a, n in run[:count].tolist()] == [b"a", b"", b"bc"][:count]
