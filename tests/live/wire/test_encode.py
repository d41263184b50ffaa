"""Messages that are made once and sent again as other images."""

from __future__ import annotations

import cbor2
import numpy as np
import pytest

from parscope.core.errors import MissingExtraError, OptionError
from parscope.core.stream import Series
from parscope.live.wire import pack as packing
from parscope.live.wire.encode import end_message, image_message, patch
from parscope.live.wire.errors import MessageError
from parscope.live.wire.pack import Packed, pack
from parscope.live.wire.scan import scan


def made(series: Series, **changed: object) -> bytes:
    return image_message(series, 1, {"threshold_1": np.ones((24, 20), np.uint16)}, **changed)


def test_a_patched_message_is_the_one_made_anew() -> None:
    one = Series(3, "u", 16, (24, 20), "uint16", ("a",), None, {"arm_date": "2026-01-01T00:00:00Z"})
    two = Series(2**40, "u", 16, (24, 20), "uint16", ("a",), None, {"arm_date": "2026-01-01T00:00:00Z"})
    message = bytearray(made(one, user_data={"sent_ns": 1, "x": 2}))
    patch(message, image=1, series=2**40, times=(7, 19), sent_ns=99)
    assert message == made(two, times=(7, 19), user_data={"x": 2, "sent_ns": 99})


def test_every_number_is_patched_alone(series: Series) -> None:
    message = bytearray(made(series, times=(5, 6), user_data={"sent_ns": 8}))
    for change in ({"image": 2**62}, {"series": 2**61}, {"times": (2**60, 2**60 + 4)}, {"sent_ns": 2**59}):
        patch(memoryview(message), **change)
    head = scan(message)
    assert (head.image, head.series, head.start_ns, head.stop_ns, head.sent_ns) == (
        2**62,
        2**61,
        2**60,
        2**60 + 4,
        2**59,
    )
    assert cbor2.loads(message)["real_time"] == [4, 10**9]


def test_only_what_was_made_for_it_is_patched(series: Series) -> None:
    with pytest.raises(MessageError, match="only messages of image_message"):
        patch(bytearray(end_message(series)), image=3)
    with pytest.raises(MessageError, match="without a time of sending"):
        patch(bytearray(made(series, user_data={"x": 1})), sent_ns=3)
    with pytest.raises(MessageError, match="without a time of sending"):
        patch(bytearray(made(series)), sent_ns=3)


def test_big_endian_and_by_columns(series: Series) -> None:
    packed = Packed((2, 3), ">u4", "none", 0, bytes(24), by_columns=True)
    (payload,) = scan(image_message(series, 1, {"a": packed})).channels
    assert (payload.stored, payload.by_columns, payload.shape) == (">u4", True, (2, 3))


@pytest.mark.parametrize("size", [1, 23, 24, 255, 256, 65535, 65536])
def test_lengths_of_all_widths(series: Series, size) -> None:
    packed = Packed((1, size), "|u1", "none", 0, bytes(size))
    content = cbor2.loads(image_message(series, 1, {"a" * min(size, 60): packed}), tag_hook=lambda tag, immutable: tag)
    (tag,) = content["data"].values()
    assert list(tag.value[0]) == [1, size] and len(tag.value[1].value) == size


def test_patterns_that_no_detector_counts() -> None:
    for pattern in (np.zeros((4, 4), np.float32), np.zeros((2, 4, 4), np.uint8)):
        with pytest.raises(OptionError, match="no pattern of a counting detector"):
            pack(pattern)
    with pytest.raises(OptionError, match="take one of bslz4, lz4, bszstd, none"):
        pack(np.zeros((4, 4), np.uint8), "gzip")


def test_without_bitshuffle(monkeypatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(packing.importlib, "import_module", missing)
    with pytest.raises(MissingExtraError, match="bitshuffle is not installed"):
        pack(np.zeros((4, 4), np.uint8))


def test_arrays_of_any_layout(patterns) -> None:
    frame = patterns((24, 20), "uint16")
    assert pack(np.asfortranarray(frame)) == pack(frame) == pack(frame.astype(">u2"))
