"""Sources: whatever they read, what comes out of them is stream V2."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zmq

from parscope.core.contracts import Source
from parscope.core.errors import InputError, OptionError, UnreadableError
from parscope.core.frames import Frames
from parscope.core.registry import load, names
from parscope.core.stream import Series
from parscope.live.sources.address import Wishes, make_source
from parscope.live.sources.scan import ScanMessages
from parscope.live.transport.handshake import LOST
from parscope.live.wire.encode import end_message, image_message, start_message
from parscope.live.wire.errors import MessageError
from parscope.live.wire.messages import appendix, decode, read_start
from parscope.live.wire.v1 import end_parts, image_parts, start_parts

ADDRESSES = {
    "tcp": "tcp://localhost:31001",
    "v1": "v1://localhost:9999",
    "replay": "replay:x.npy",
    "physics": "physics:",
}


def drained(source: Source | ScanMessages) -> list[bytes]:
    got = []
    try:
        while True:
            message = source.receive(0.01)
            if message is not None:
                got.append(bytes(message))
    except EOFError:
        return got


@pytest.mark.parametrize("name", names("parscope.sources"))
def test_every_source_of_the_registry_keeps_the_contract(name: str) -> None:
    made = load("parscope.sources", name)(ADDRESSES[name], Wishes())
    assert isinstance(made, Source)
    assert made.name == name
    made.close()
    made.close()


def test_a_file_is_replayed_with_mask_and_scan_shape(tmp_path: Path) -> None:
    scan = np.random.default_rng(1).poisson(3, (2, 3, 16, 20)).astype(np.uint16)
    np.save(tmp_path / "scan.npy", scan)
    source = make_source(f"replay:{tmp_path / 'scan.npy'}", Wishes(series=2))
    source.open()
    messages = drained(source)
    source.close()
    assert len(messages) == 2 * 8
    for number, part in enumerate((messages[:8], messages[8:]), 1):
        start = read_start(part[0])
        assert (start.number, start.images, start.shape, start.dtype) == (number, 6, (16, 20), "uint16")
        assert appendix(start)["scan_shape"] == [2, 3]
        images = [decode(message) for message in part[1:-1]]
        assert [image["image_id"] for image in images] == list(range(6))
        assert np.array_equal([image["data"]["threshold_1"] for image in images], scan.reshape(6, 16, 20))
        assert decode(part[-1])["type"] == "end"


class Torn:
    """A scan of which one pattern cannot be read."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __getitem__(self, key: object) -> np.ndarray:
        if key in (1, (1, 2)):
            raise UnreadableError("cannot be read", "scan")
        return self.array[key]


def test_patterns_that_are_not_there_are_holes_of_a_replay() -> None:
    array = np.random.default_rng(1).poisson(4, (2, 3, 8, 8)).astype(np.uint8)
    array[0, 1] = 255
    messages = ScanMessages(replace(Frames.from_array(array), data=Torn(array)), 0.0)
    told = [decode(message) for message in drained(messages)]
    got = {one["image_id"]: one["data"]["threshold_1"] for one in told if one["type"] == "image"}
    assert list(got) == [0, 2, 3, 4]
    assert all(np.array_equal(data, array.reshape(-1, 8, 8)[number]) for number, data in got.items())


def test_a_rate_is_kept(tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", np.zeros((2, 5, 8, 8), np.uint8))
    source = make_source(f"replay:{tmp_path / 'scan.npy'}", Wishes(rate=50))
    source.open()
    before = time.monotonic()
    messages = drained(source)
    assert time.monotonic() - before >= 10 / 50
    last = decode(messages[-2])
    assert last["stop_time"] == [200_000_000, 10**9]
    assert read_start(messages[0]).metadata["frame_time"] == 0.02


def test_physics_needs_no_file() -> None:
    source = make_source("physics:32x48", Wishes(scan=(2, 2)))
    source.open()
    messages = drained(source)
    assert read_start(messages[0]).shape == (32, 48)
    sums = [int(decode(message)["data"]["threshold_1"].sum()) for message in messages[1:-1]]
    assert len(sums) == 4
    assert min(sums) > 5000


def test_a_specimen_of_physics_is_named_before_its_pixels() -> None:
    source = make_source("physics:magnetic,32x48", Wishes(scan=(2, 2)))
    source.open()
    first = decode(drained(source)[1])["data"]["threshold_1"]
    assert first.shape == (32, 48)
    # One disk, whose radius is 0.3 of 1.44 mrad, and nothing else.
    assert 0.9 * 0.3 / 1.44 * 32 < np.sqrt((first > 20).sum() / np.pi) < 1.1 * 0.3 / 1.44 * 32


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("nowhere", "write tcp://HOST:31001"),
        ("http://host:80", "write tcp://HOST:31001"),
        ("tcp://host", "is no address of a stream"),
        ("replay:", "names no file"),
        ("physics:8x8", "has no pattern shape"),
        ("physics:magnetic,8x8", "has no pattern shape"),
        ("physics:128", "has no pattern shape"),
        ("physics:large", "there is no 'large'; choose one of crystal, magnetic"),
    ],
)
def test_what_is_no_address_is_refused(address: str, line: str) -> None:
    with pytest.raises(OptionError, match=line):
        make_source(address)


def test_a_file_without_counts_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", np.zeros((2, 2, 8, 8), np.float32))
    with pytest.raises(InputError, match="patterns are float32, not counts"):
        make_source(f"replay:{tmp_path / 'scan.npy'}").open()


@pytest.mark.parametrize("low_latency", [False, True])
@pytest.mark.parametrize(
    ("said", "line"),
    [
        ([b'{"htype": "dheader-1.0", "series": 1}', b"{}"], "speaks stream V1 here"),
        ([b"hello"], "no message of stream V2"),
    ],
)
def test_another_stream_on_the_port_is_told(low_latency: bool, said: list[bytes], line: str) -> None:
    context = zmq.Context()
    push = context.socket(zmq.PUSH)
    port = push.bind_to_random_port("tcp://127.0.0.1")
    source = make_source(f"tcp://127.0.0.1:{port}", Wishes(low_latency=low_latency))
    source.open()
    push.send_multipart(said)
    with pytest.raises(InputError, match=line):
        source.receive(10)
    source.close()
    push.close(0)
    context.term()


@pytest.mark.parametrize("low_latency", [False, True])
def test_a_detector_s_messages_come_as_they_are(low_latency: bool) -> None:
    series = Series(3, "a", 2, (8, 8), "uint8", ("threshold_1",))
    sent = [start_message(series)]
    sent += [image_message(series, n, {"threshold_1": np.full((8, 8), n, np.uint8)}) for n in range(2)]
    sent.append(end_message(series))
    context = zmq.Context()
    push = context.socket(zmq.PUSH)
    port = push.bind_to_random_port("tcp://127.0.0.1")
    source = make_source(f"tcp://127.0.0.1:{port}", Wishes(low_latency=low_latency))
    source.open()
    for message in sent:
        push.send(message)
    assert [bytes(source.receive(10) or b"") for _ in sent] == sent
    source.close()
    push.close(0)
    context.term()


@pytest.mark.parametrize("low_latency", [False, True])
def test_stream_v1_comes_out_as_v2(low_latency: bool) -> None:
    series = Series(3, "", 2, (8, 8), "uint16", ("threshold_1",))
    patterns = np.random.default_rng(1).poisson(4, (2, 8, 8)).astype(np.uint16)
    context = zmq.Context()
    push = context.socket(zmq.PUSH)
    port = push.bind_to_random_port("tcp://127.0.0.1")
    source = make_source(f"v1://127.0.0.1:{port}", Wishes(low_latency=low_latency))
    source.open()
    push.send_multipart(start_parts(series))
    for number, one in enumerate(patterns):
        push.send_multipart(image_parts(series, number, one))
    push.send_multipart([b'{"htype": "dimage-1.0", "series": 3}', b"cut"])
    push.send_multipart(end_parts(series))
    got = [bytes(source.receive(10) or b"") for _ in range(5)]
    source.close()
    push.close(0)
    context.term()
    assert read_start(got[0]).shape == (8, 8)
    images = [decode(message) for message in got[1:3]]
    assert np.array_equal([one["data"]["threshold_1"] for one in images], patterns)
    with pytest.raises(MessageError):
        decode(got[3])
    assert decode(got[4])["type"] == "end"


def test_stream_v2_on_the_port_of_v1_is_told() -> None:
    context = zmq.Context()
    push = context.socket(zmq.PUSH)
    port = push.bind_to_random_port("tcp://127.0.0.1")
    source = make_source(f"v1://127.0.0.1:{port}", Wishes())
    source.open()
    push.send(end_message(Series(3, "a", 2, (8, 8), "uint8", ("threshold_1",))))
    with pytest.raises(InputError, match="speaks stream V2 here; leave out --v1"):
        source.receive(10)
    source.close()
    push.close(0)
    context.term()


@pytest.mark.parametrize("low_latency", [False, True])
@pytest.mark.parametrize("scheme", ["tcp", "v1"])
def test_a_source_tells_of_its_connection(scheme: str, low_latency: bool) -> None:
    context, told = zmq.Context(), list[str]()
    push = context.socket(zmq.PUSH)
    port = push.bind_to_random_port("tcp://127.0.0.1")
    source = make_source(f"{scheme}://127.0.0.1:{port}", Wishes(low_latency=low_latency), told.append)
    source.open()
    end = time.monotonic() + 30
    while not told and time.monotonic() < end:
        if not push.closed and push.poll(0, zmq.POLLOUT):  # it is connected
            push.close(0)
        source.receive(0.02)
    assert told == [LOST.format(f"tcp://127.0.0.1:{port}")]
    source.close()
    context.term()


def test_a_source_without_a_connection_is_told_nothing() -> None:
    make_source("physics:", Wishes(), tell=list[str]().append).close()
