"""The scanner says of a message what the library for CBOR says, refuses what is malformed, and never reads too far."""

from __future__ import annotations

from typing import Any

import cbor2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.live.guard import Guarded
from parscope.core.stream import Series
from parscope.live.wire.encode import end_message, image_message, start_message
from parscope.live.wire.errors import MessageError
from parscope.live.wire.scan import SAMPLES, Head, Scanner, scan

TAG = cbor2.CBORTag


def image(**changed: Any) -> dict[str, Any]:
    """A message as a detector sends it, with some fields replaced, or left out if they are None."""
    fields: dict[str, Any] = {
        "type": "image",
        "series_id": 7,
        "series_unique_id": "01J",
        "image_id": 42,
        "real_time": [100, 10**9],
        "series_date": TAG(0, "2026-01-01T00:00:00.000000000Z"),
        "start_time": [4200, 10**9],
        "stop_time": [4300, 10**9],
        "user_data": "anything",
        "data": {"threshold_1": channel()},
    }
    return {key: value for key, value in (fields | changed).items() if value is not None}


def channel(order: int = 40, shape: Any = (2, 3), samples: int = 64, data: Any = b"123456") -> Any:
    return TAG(order, [list(shape), TAG(samples, data)])


def scanned(content: Any) -> Head:
    return scan(cbor2.dumps(content))


def test_what_a_detector_sends() -> None:
    message = cbor2.dumps(image())
    head = scan(message)
    assert (head.kind, head.series, head.image, head.start_ns, head.stop_ns) == ("image", 7, 42, 4200, 4300)
    assert head.sent_ns == -1
    (payload,) = head.channels
    assert (payload.name, payload.shape, payload.dtype, payload.algorithm) == ("threshold_1", (2, 3), "uint8", "none")
    assert message[payload.offset : payload.offset + payload.length] == b"123456"
    assert not payload.by_columns


@pytest.mark.parametrize("algorithm", ["bslz4", "lz4", "bszstd", "trpx", "something-new"])
def test_compressed_samples(algorithm) -> None:
    message = cbor2.dumps(image(data={"a": channel(samples=69, data=TAG(56500, [algorithm, 2, b"packed"]))}))
    (payload,) = scan(message).channels
    assert (payload.algorithm, payload.element, payload.stored) == (algorithm, 2, "<u2")
    assert message[payload.offset : payload.offset + payload.length] == b"packed"


@pytest.mark.parametrize("tag", sorted(SAMPLES))
def test_types_of_samples(tag) -> None:
    (payload,) = scanned(image(data={"a": channel(samples=tag)})).channels
    assert np.dtype(payload.stored) == np.dtype(SAMPLES[tag])
    assert payload.dtype == np.dtype(SAMPLES[tag]).name


def test_big_endian_and_by_columns_are_told() -> None:
    (payload,) = scanned(image(data={"a": channel(1040, (4, 9), 65)})).channels
    assert (payload.stored, payload.by_columns, payload.shape, payload.dtype) == (">u2", True, (4, 9), "uint16")


def test_several_channels_in_their_order() -> None:
    channels = {f"threshold_{i}": channel(shape=(i, 3), data=bytes(i)) for i in (3, 1, 2)}
    message = cbor2.dumps(image(data=channels))
    found = scan(message).channels
    assert [(p.name, p.shape[0], p.length) for p in found] == [
        ("threshold_3", 3, 3),
        ("threshold_1", 1, 1),
        ("threshold_2", 2, 2),
    ]


def test_one_scanner_for_messages_that_differ() -> None:
    scanner = Scanner()
    contents = [
        image(),
        image(image_id=43, data={"a": channel(data=TAG(56500, ["lz4", 0, b"x" * 300])), "b": channel()}),
        {"type": "end", "series_id": 7},
        image(image_id=44, data={"a": channel(data=TAG(56500, ["lz4", 0, b"x"])), "b": channel(data=b"")}),
        image(image_id=45, data={"b": channel(shape=(3, 2)), "a": channel()}),
        image(image_id=46),
    ]
    for content in contents * 2:
        message = cbor2.dumps(content)
        assert scanner.scan(message) == scan(message)


def test_after_a_fault_nothing_of_it_is_left() -> None:
    scanner = Scanner()
    good = cbor2.dumps(image(data={"a": channel(), "b": channel()}))
    before = scanner.scan(good).channels
    names = [p.name for p in before]
    bad = cbor2.dumps(image(data={"c": channel(shape=(9, 9)), "d": channel(shape=(9,))}))
    with pytest.raises(MessageError):
        scanner.scan(bad)
    assert [p.name for p in scanner.scan(good).channels] == names
    assert scanner.scan(good).channels[0].shape == (2, 3)


def test_the_same_objects_at_every_call() -> None:
    scanner = Scanner()
    first = scanner.scan(cbor2.dumps(image()))
    payload = first.channels[0]
    second = scanner.scan(cbor2.dumps(image(image_id=1, user_data="longer than before")))
    assert first is second and second.channels[0] is payload and second.image == 1


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer(kind) -> None:
    assert scan(kind(cbor2.dumps(image()))).image == 42


@pytest.mark.parametrize(
    ("ratio", "nanoseconds"),
    [
        ([5, 10**9], 5),
        ([3, 2], 1_500_000_000),
        ([7, 10**8], 70),
        ([1, 3], 333_333_333),
        ([2**62, 2**62 + 1], 10**9),
        ([9 * 10**18, 10**9], 9 * 10**18),
        (None, -1),
        ("soon", -1),
        ([1, 2, 3], -1),
    ],
)
def test_times_are_nanoseconds(ratio, nanoseconds) -> None:
    assert scanned(image(start_time=ratio)).start_ns == nanoseconds


@pytest.mark.parametrize("ratio", [[1, 0], [2**62, 1], [1.5, 2], [-1, 2]])
def test_times_that_are_none(ratio) -> None:
    with pytest.raises(MessageError):
        scanned(image(stop_time=ratio))


@pytest.mark.parametrize(
    ("told", "sent"),
    [
        ({"sent_ns": 17}, 17),
        ({"a": [1, {"b": 2}], "sent_ns": 17, "c": None}, 17),
        ({"sent_ns": -3}, -1),
        ({"sent_ns": "now"}, -1),
        ({3: 4}, -1),
        ([{"sent_ns": 17}], -1),
        ({}, -1),
    ],
)
def test_the_time_of_sending(told, sent) -> None:
    head = scanned(image(user_data=told))
    assert (head.sent_ns, head.image) == (sent, 42)


def test_a_long_name_survives_and_a_longer_one_does_not() -> None:
    assert scanned(image(data={"n" * 63: channel()})).channels[0].name == "n" * 63
    with pytest.raises(MessageError, match="longer than 63 bytes"):
        scanned(image(data={"n" * 64: channel()}))


def test_numbers_of_64_bits_where_they_do_not_matter() -> None:
    told = {"hash": 2**64 - 1, "low": -(2**64), "tag": TAG(2**64 - 1, 1.5), "sent_ns": 2**64 - 1}
    head = scanned(image(user_data=told, new=2**63))
    assert (head.image, head.sent_ns) == (42, -1)


def test_a_message_of_another_kind() -> None:
    assert scanned({"type": "heartbeat", "at": 3}).kind == "other"
    assert scanned({}).kind == "other"


def open_map(*pairs: Any) -> bytes:
    return b"\xbf" + b"".join(cbor2.dumps(part) if not isinstance(part, bytes) else part for part in pairs) + b"\xff"


def test_lengths_that_are_not_told() -> None:
    data = open_map("a", channel(), "b", channel())
    user = open_map(
        "x", b"\x9f\x01\x9f\xff\xff", "text", b"\x7f\x61a\x61b\xff", "bytes", b"\x5f\x41a\xff", "sent_ns", 5
    )
    parts = [part for key, value in image(user_data=None, data=None).items() for part in (key, value)]
    message = open_map(*parts, "user_data", user, "new", b"\x9f\xbf\x61a\x01\xff\xff", "data", data)
    head = scan(message)
    assert (head.image, head.sent_ns, [p.name for p in head.channels]) == (42, 5, ["a", "b"])


WRONG = {
    "nothing": b"",
    "no map": cbor2.dumps([1, 2]),
    "bytes behind": cbor2.dumps(image()) + b"\x00",
    "key twice": b"\xa2\x64type\x65image\x64type\x65image",
    "channel twice": cbor2.dumps({k: v for k, v in image().items() if k != "data"})[:1].replace(b"\xa9", b"\xaa")
    + cbor2.dumps({k: v for k, v in image().items() if k != "data"})[1:]
    + cbor2.dumps("data")
    + b"\xa2"
    + (cbor2.dumps("a") + cbor2.dumps(channel())) * 2,
    "no number of the image": cbor2.dumps(image(image_id=None)),
    "no series": cbor2.dumps({"type": "end"}),
    "no data": cbor2.dumps(image(data=None)),
    "no channel": cbor2.dumps(image(data={})),
    "image number is text": cbor2.dumps(image(image_id="42")),
    "image number is negative": cbor2.dumps(image(image_id=-42)),
    "image number of 64 bits": cbor2.dumps(image(image_id=2**63)),
    "key is a number": cbor2.dumps({1: 2}),
    "a channel without a tag": cbor2.dumps(image(data={"a": b"123456"})),
    "an image of three dimensions": cbor2.dumps(image(data={"a": channel(shape=(1, 2, 3))})),
    "samples without a type": cbor2.dumps(image(data={"a": TAG(40, [[2, 3], b"123456"])})),
    "samples of an unknown type": cbor2.dumps(image(data={"a": channel(samples=76)})),
    "samples that are text": cbor2.dumps(image(data={"a": channel(data="123456")})),
    "samples in pieces": cbor2.dumps(image(data=None))[:1].replace(b"\xa9", b"\xaa")
    + cbor2.dumps(image(data=None))[1:]
    + cbor2.dumps("data")
    + b"\xa1\x61a\xd8\x28\x82\x82\x02\x03\xd8\x40\x5f\x46123456\xff",
    "compression without its bytes": cbor2.dumps(image(data={"a": channel(data=TAG(56500, ["bslz4", 2]))})),
    "a name that is no text": cbor2.dumps(image(data={"a": channel()})).replace(b"\xa1\x61a", b"\xa1\x61\xff"),
    "a head that no item has": b"\xa1\x61a\x1c",
    "a simple value in a long form": b"\xa1\x61a\xf8\x10",
    "a break in a tag": b"\xa1\x61a\x9f\xc1\xff",
    "a break after a key": b"\xa1\x61a\xbf\x01\xff",
    "a break in nothing": b"\xa1\x61a\xff",
    "a number in pieces of text": b"\xa1\x61a\x7f\x01\xff",
    "a number of no told length": b"\xa1\x61a\x1f",
    "nested without end": b"\xa1\x61a" + b"\x81" * 100 + b"\x01",
    "an array longer than the message": b"\xa1\x61a\x9b" + b"\x7f" + b"\xff" * 7,
    "a map twice as long as any number": b"\xa1\x61a\xbb" + b"\x7f" + b"\xff" * 7 + b"\x00" * 20,
    "text longer than the message": b"\xa1\x61a\x7b" + b"\x7f" + b"\xff" * 7,
    "a key longer than the message": b"\xa1\x7b" + b"\x7f" + b"\xff" * 7,
    "seventeen channels": cbor2.dumps(image(data={str(i): channel() for i in range(17)})),
}


# What is said of each, in the same order.
SAID = [
    "ends before",  # nothing
    "another type",  # no map
    "bytes follow",  # bytes behind
    "stands twice",  # key twice
    "stands twice",  # channel twice
    "which image",  # no number of the image
    "which image",  # no series
    "which image",  # no data
    "which image",  # no channel
    "another type",  # image number is text
    "another type",  # image number is negative
    "beyond 63 bits",  # image number of 64 bits
    "another type",  # key is a number
    "no image",  # a channel without a tag
    "no image",  # an image of three dimensions
    "no image",  # samples without a type
    "tag 76",  # samples of an unknown type
    "another type",  # samples that are text
    "another type",  # samples in pieces
    "another type",  # compression without its bytes
    "no text",  # a name that is no text
    "no item begins",  # a head that no item has
    "no item begins",  # a simple value in a long form
    "has not begun",  # a break in a tag
    "has not begun",  # a break after a key
    "has not begun",  # a break in nothing
    "has not begun",  # a number in pieces of text
    "no item begins",  # a number of no told length
    "32 levels",  # nested without end
    "ends before",  # an array longer than the message
    "ends before",  # a map twice as long as any number
    "ends before",  # text longer than the message
    "ends before",  # a key longer than the message
    "16 channels",  # seventeen channels
]


@pytest.mark.parametrize(("message", "said"), list(zip(WRONG.values(), SAID, strict=True)), ids=WRONG.keys())
def test_what_is_malformed_is_refused_in_one_line(message, said) -> None:
    with pytest.raises(MessageError, match=said) as caught:
        scan(message)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("message: ")


def test_sixteen_channels_are_not_too_many() -> None:
    assert len(scanned(image(data={str(i): channel() for i in range(16)})).channels) == 16


def test_every_shorter_message_is_refused(series: Series) -> None:
    frames = {name: np.ones((24, 20), np.uint16) for name in series.channels}
    for message in (
        image_message(series, 5, frames, user_data={"sent_ns": 3}),
        start_message(series),
        end_message(series),
    ):
        guarded = Guarded(len(message))
        for length in range(len(message)):
            with pytest.raises(MessageError):
                scan(guarded.put(message[:length]).data)
        assert scan(guarded.put(message).data).series == 3


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.dictionaries(st.text(max_size=12), anything, max_size=5),
    anything,
    st.integers(0, 2**63 - 2),
    st.lists(st.binary(max_size=300), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_it_agrees_with_the_library(unknown, told, number, samples, random) -> None:
    channels = {f"c{i}": channel(shape=(i, len(data)), samples=69, data=data) for i, data in enumerate(samples)}
    pairs = list((unknown | image(user_data=told, image_id=number, data=channels)).items())
    random.shuffle(pairs)
    message = cbor2.dumps(dict(pairs))
    content = cbor2.loads(message, tag_hook=lambda tag, immutable: tag)
    head = scan(message)
    assert (head.kind, head.series, head.image) == ("image", content["series_id"], content["image_id"])
    assert [p.name for p in head.channels] == list(content["data"])
    for payload, tag in zip(head.channels, content["data"].values(), strict=True):
        shape, inner = tag.value
        assert list(payload.shape) == list(shape)
        assert message[payload.offset : payload.offset + payload.length] == inner.value


@given(st.data())
def test_mutated_messages_are_read_or_refused(data: st.DataObject) -> None:
    mutated = bytearray(cbor2.dumps(image(user_data={"sent_ns": 2**40, "x": [1.5, None]})))
    for _ in range(data.draw(st.integers(1, 5))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    message = Guarded(1024).put(bytes(mutated[: data.draw(st.integers(0, len(mutated)))]))
    try:
        head = scan(message.data)
    except MessageError:
        return
    for payload in head.channels:
        assert 0 <= payload.offset <= payload.offset + payload.length <= message.size


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        head = scan(Guarded(64).put(data).data)
    except MessageError:
        return
    assert head.kind in ("other", "start", "end")
