"""Heads of many messages at once are those of one by one, up to the first that is not due."""

from __future__ import annotations

import cbor2
import numpy as np
import pytest

from parscope.live.wire.errors import MessageError
from parscope.live.wire.scan import Scanner, scan

from .test_scan import channel, image

RUN = [cbor2.dumps(image(image_id=n, stop_time=[n, 10**9], data={"a": channel(), "b": channel()})) for n in range(5)]


def laid(messages: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Messages in one piece of memory, with something between them."""
    lengths = np.array([len(one) for one in messages], np.int64)
    data = np.frombuffer(bytearray(b"".join(b"\xff" + one for one in messages)), np.uint8)
    return data, np.stack([np.cumsum(lengths + 1) - lengths, lengths], 1)


def after_one() -> Scanner:
    made = Scanner()
    made.scan(RUN[0])
    return made


@pytest.mark.parametrize("channel", [0, 1])
def test_many_at_once_say_what_each_says(channel) -> None:
    data, spans = laid(RUN)
    heads = np.zeros((5, 9), np.int64)
    assert after_one().scan_run(data, spans, channel, (7, 0), heads) == 5
    for line, message, (start, _) in zip(heads, RUN, spans, strict=True):
        head = scan(message)
        assert line[:6].tolist() == [2, head.series, head.image, head.start_ns, head.stop_ns, head.sent_ns]
        assert line[7:].tolist() == [head.channels[channel].offset + start, head.channels[channel].length]


@pytest.mark.parametrize(
    "odd",
    [
        cbor2.dumps({"type": "end", "series_id": 7, "series_unique_id": "01J"}),
        cbor2.dumps({"type": "other"}),
        cbor2.dumps(image(image_id=2, series_id=8, data={"a": channel(), "b": channel()})),
        cbor2.dumps(image(image_id=3, data={"a": channel(), "b": channel()})),
        cbor2.dumps(image(data={"a": channel()})),
        cbor2.dumps(image(data={"a": channel(), "c": channel()})),
        cbor2.dumps(image(data={"a": channel(), "b": channel(samples=69)})),
        RUN[2][:-3],
        b"",
    ],
)
def test_many_at_once_end_before_what_is_odd(odd) -> None:
    data, spans = laid([*RUN[:2], odd, *RUN[2:]])
    made = after_one()
    assert made.scan_run(data, spans, 0, (7, 0), np.zeros((6, 9), np.int64)) == 2
    for message in (odd, RUN[3]):
        try:
            told = scan(message)
        except MessageError:
            with pytest.raises(MessageError):
                made.scan(message)
        else:
            assert made.scan(message) == told


def test_many_at_once_need_one_before() -> None:
    data, spans = laid(RUN)
    assert Scanner().scan_run(data, spans, 0, (7, 0), np.zeros((5, 9), np.int64)) == 0
    assert after_one().scan_run(data, spans, 2, (7, 0), np.zeros((5, 9), np.int64)) == 0
