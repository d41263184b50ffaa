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
from parscope.live.transport.handshake import BACK, LOST, Address, connect, probe
from parscope.live.transport.split import split
from parscope.live.transport.zmq_pull import ZmqPull
from parscope.live.transport.zmtp import ZmtpPull

from .pusher import Pusher

Pull = type[ZmtpPull] | type[ZmqPull]
BOTH = pytest.mark.parametrize("pull", [ZmtpPull, ZmqPull])


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
    with connect(pusher.address) as greeted:
        # the library deals out to those only who have said what they are, and it tells what it is before
        assert greeted.recv(2)[:1] == b"\x04"
        for _ in range(10):
            pusher.socket.send(b"mine")
        assert [got is not None for got in (first.receive(10) for _ in range(10))] == [True] * 10
    assert not probe(pusher.address)
    pusher.socket.send(b"mine too")
    assert first.receive(10) is not None
    first.close()


@BOTH
def test_a_lost_connection_and_a_new_one_are_told(pull: Pull, pusher: Pusher) -> None:
    receiver, told = pull(pusher.address), list[str]()
    receiver.tell = told.append
    receiver.open()
    pusher.socket.send(b"before")
    assert receiver.receive(10) is not None
    pusher.close()
    for _ in range(1000):
        if told:
            break
        assert receiver.receive(0.02) is None
    again = Pusher(port=pusher.address.port)
    try:
        for _ in range(1000):
            if len(told) > 1:
                break
            assert receiver.receive(0.02) is None
        assert told == [LOST.format(pusher.address), BACK.format(pusher.address)]
    finally:
        receiver.close()
        again.close()


def test_a_silent_connection_is_asked_whether_it_still_is_one(pusher: Pusher) -> None:
    with connect(pusher.address) as made:
        options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE)]
        options += [(socket.IPPROTO_TCP, getattr(socket, f"TCP_KEEP{name}")) for name in ("IDLE", "INTVL", "CNT")]
        assert [made.getsockopt(*option) for option in options] == [1, 5, 2, 3]
    receiver = ZmqPull(pusher.address)
    receiver.open()
    names = ("TCP_KEEPALIVE", "TCP_KEEPALIVE_IDLE", "TCP_KEEPALIVE_INTVL", "TCP_KEEPALIVE_CNT")
    assert [receiver._socket.getsockopt(getattr(zmq, name)) for name in names] == [1, 5, 2, 3]
    receiver.close()


@BOTH
def test_a_stream_at_an_address_of_the_sixth_version(pull: Pull) -> None:
    made = Pusher(IPV6=1, host="[::1]")
    receiver = opened(pull, made.address)
    made.socket.send(b"six")
    got = receiver.receive(10)
    assert got is not None and bytes(got) == b"six"
    receiver.close()
    made.close()


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
@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", "a" * 70, "a\0b"])
def test_a_machine_that_does_not_exist(pull: Pull, host: str) -> None:
    with pytest.raises(InputError, match=r":31001: there is no machine of this name"):
        opened(pull, Address(host, 31001))


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
        (GREETING + b"\x04\x0e\x05ERROR\x07go away", "refuses the connection: go away"),
        (GREETING + b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03PUB", "is a PUB socket"),
        (GREETING + b"\0\x01x", "closed the connection"),
    ],
)
@BOTH
def test_what_the_library_would_wait_for_is_told(
    pull: Pull, impostor: Callable[[bytes, bool], Address], said: bytes, line: str
) -> None:
    with pytest.raises(InputError, match=line):
        opened(pull, impostor(said, False))


@pytest.mark.parametrize("said", [b"\xff" + bytes(8) + b"\x7f\x01\x08" + bytes(60), b"\x01\x00" + bytes(64)])
def test_what_is_too_old_is_for_the_library(impostor: Callable[[bytes, bool], Address], said: bytes) -> None:
    with pytest.raises(InputError, match="older than version 4"):
        opened(ZmtpPull, impostor(said, False))
    assert not probe(impostor(said, False))


@BOTH
def test_a_socket_of_another_kind_is_told(pull: Pull) -> None:
    made = Pusher(zmq.PUB)
    with pytest.raises(InputError, match="is a PUB socket, not the PUSH socket of a stream; check the port"):
        opened(pull, made.address)
    made.close()


def test_one_who_waits_to_be_told_first_is_let_pass(impostor: Callable[[bytes, bool], Address]) -> None:
    assert not probe(impostor(GREETING, False))


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
