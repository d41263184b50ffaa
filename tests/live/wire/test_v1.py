"""Stream V1 becomes V2 without a sample changed, and back; malformed parts are refused in one line."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parscope.core.errors import OptionError
from parscope.core.stream import Series
from parscope.live.wire.decompress import Decompressor
from parscope.live.wire.errors import MessageError
from parscope.live.wire.messages import appendix, decode, read_start
from parscope.live.wire.pack import Packed, pack
from parscope.live.wire.scan import scan
from parscope.live.wire.v1 import CHANNEL, end_parts, image_parts, start_parts, translate

SERIES = Series(3, "", 16, (24, 20), "uint16", (CHANNEL,))


def translated(parts: Any) -> bytes:
    message = translate(parts)
    assert message is not None
    return message


def noise(dtype: str) -> Any:
    return np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (24, 20), dtype)


@pytest.mark.parametrize("algorithm", ["bslz4", "lz4", "none"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32"])
@pytest.mark.parametrize("make", ["pattern", "noise"])
def test_patterns_come_through(patterns, dtype, algorithm, make) -> None:
    frame = patterns((24, 20), dtype) if make == "pattern" else noise(dtype)
    parts = image_parts(SERIES, 5, frame, (100, 300), {"sent_ns": 8}, algorithm)
    message = translated([memoryview(part) for part in parts])
    head = scan(message)
    assert (head.kind, head.series, head.image, head.start_ns, head.stop_ns, head.sent_ns) == (
        "image",
        3,
        5,
        100,
        300,
        8,
    )
    (payload,) = head.channels
    assert (payload.name, payload.algorithm) == (CHANNEL, algorithm)
    for own in (False, True):
        np.testing.assert_array_equal(Decompressor((24, 20), dtype, own).decode(message, payload), frame)


@pytest.mark.parametrize(("algorithm", "skipped"), [("bslz4", 0), ("none", 0), ("lz4", 16)])
def test_the_samples_stay_bit_for_bit(patterns, algorithm, skipped) -> None:
    parts = image_parts(SERIES, 5, patterns((24, 20), "uint16"), algorithm=algorithm)
    message = translated(parts)
    (payload,) = scan(message).channels
    assert message[payload.offset + skipped : payload.offset + payload.length] == parts[2]


def test_the_form_of_the_parts(patterns) -> None:
    parts = image_parts(SERIES, 5, patterns((24, 20), "uint16"), (100, 300))
    header, form, samples, times = json.loads(parts[0]), json.loads(parts[1]), parts[2], json.loads(parts[3])
    assert header["htype"] == "dimage-1.0" and header["frame"] == 5 and len(header["hash"]) == 32
    assert form == {
        "htype": "dimage_d-1.0",
        "shape": [20, 24],
        "type": "uint16",
        "encoding": "bs16-lz4<",
        "size": len(samples),
    }
    assert times == {"htype": "dconfig-1.0", "start_time": 100, "stop_time": 300, "real_time": 200}


def test_big_endian_samples(patterns) -> None:
    frame = patterns((24, 20), "uint16")
    for algorithm, encoding in (("bslz4", "bs16-lz4>"), ("lz4", "lz4>"), ("none", ">")):
        packed = pack(frame.byteswap(), algorithm)
        parts = image_parts(SERIES, 5, Packed((24, 20), ">u2", algorithm, packed.element, packed.data))
        assert json.loads(parts[1])["encoding"] == encoding
        message = translated(parts)
        np.testing.assert_array_equal(
            Decompressor((24, 20), "uint16").decode(message, scan(message).channels[0]), frame
        )


def test_an_empty_header_of_bitshuffle_is_filled_in(patterns) -> None:
    frame = patterns((24, 20), "uint16")
    parts = image_parts(SERIES, 5, frame)
    whole = translated(parts)
    parts[2] = bytes(12) + parts[2][12:]
    np.testing.assert_array_equal(decode(translated(parts))["data"][CHANNEL], frame)
    assert decode(whole)["data"][CHANNEL].dtype == np.uint16


def test_a_block_as_long_as_what_is_in_it() -> None:
    # 14 literals and a match of 4, 2 + 14 + 2 = 18 bytes: as many as come out
    block = b"\xe0" + bytes(range(14)) + b"\x01\x00" + b"\x00"
    plain = bytes(range(14)) + bytes([13] * 4)
    assert len(block) == len(plain)
    form = json.dumps({"shape": [18, 1], "type": "uint8", "encoding": "lz4<"}).encode()
    parts = image_parts(SERIES, 5, np.zeros((1, 18), np.uint8))
    message = translated([parts[0], form, block, parts[3]])
    assert decode(message)["data"][CHANNEL].tobytes() == plain
    with pytest.raises(MessageError, match="corrupt"):
        translate([parts[0], form, b"\xff" * 18, parts[3]])


def test_the_start_of_a_series() -> None:
    config = {"count_time": 0.1, "threshold_energy": 3e4, "trigger_mode": "exte", "description": "ARINA"}
    series = read_start(translated(start_parts(SERIES, config, {"scan_shape": [4, 4]})))
    assert (series.number, series.images, series.shape, series.dtype) == (3, 16, (24, 20), "uint16")
    assert series.channels == (CHANNEL,) and series.mask is None
    assert series.metadata["detector_description"] == "ARINA"
    assert series.metadata["threshold_energy"] == {CHANNEL: 3e4}
    assert appendix(series) == {"scan_shape": [4, 4]}


@pytest.mark.parametrize(("mode", "images"), [("ints", 12), ("exts", 12), ("inte", 3), ("exte", 3)])
def test_how_many_images(mode, images) -> None:
    head, config = start_parts(SERIES)
    told = json.loads(config) | {"trigger_mode": mode, "ntrigger": 3, "nimages": 4}
    assert read_start(translated([head, json.dumps(told).encode()])).images == images


def test_all_details_of_a_start() -> None:
    mask = np.eye(24, 20, dtype=np.bool_)
    series = Series(3, "", 16, (24, 20), "uint16", (CHANNEL,), mask)
    head, config, form, pixels, user = start_parts(series, None, "my sample")
    assert json.loads(head)["header_detail"] == "all"
    flat = [json.dumps({"htype": "dflatfield-1.0", "shape": [20, 24], "type": "float32"}).encode(), bytes(1920)]
    table = [b'{"htype": "dcountrate_table-1.0"}', bytes(16)]
    back = read_start(translated([head, config, *flat, form, pixels, *table, user]))
    assert back.mask is not None
    np.testing.assert_array_equal(back.mask, mask)
    assert back.metadata["user_data"] == "my sample"
    with pytest.raises(MessageError, match="not of the shape"):
        translate([head, config, form, pixels[:-4]])


def test_text_as_appendix_of_an_image(patterns) -> None:
    parts = image_parts(SERIES, 5, patterns((24, 20), "uint16"))
    assert decode(translated([*parts, b"not json"]))["user_data"] == {"appendix": "not json"}


def test_the_end_and_what_V2_does_not_have() -> None:  # noqa: N802
    head = scan(translated(end_parts(SERIES)))
    assert (head.kind, head.series) == ("end", 3)
    assert translate([b'{"htype": "dsomething-1.0"}']) is None


def test_what_V1_does_not_have() -> None:  # noqa: N802
    frame = np.zeros((192, 192), np.uint16)
    with pytest.raises(OptionError, match="stream V1 has no bszstd"):
        image_parts(SERIES, 5, frame, algorithm="bszstd")
    with pytest.raises(OptionError, match="stream V1 has no bslz4"):
        image_parts(SERIES, 5, Packed((4, 4), "<u2", "bslz4", 2, b"", by_columns=True))
    with pytest.raises(OptionError, match="one block"):
        image_parts(SERIES, 5, Packed((4, 4), "<u2", "lz4", 0, struct.pack(">QII", 32, 16, 16)))


GOOD = image_parts(SERIES, 5, np.ones((24, 20), np.uint16))
WRONG: dict[str, tuple[list[bytes], str]] = {
    "no parts": ([], "0 parts only"),
    "three parts": (GOOD[:3], "3 parts only"),
    "no JSON": ([b"\xff\x00"], "part 1 is no JSON"),
    "no object": ([b"[1]"], "no JSON object"),
    "no end": ([b"[" * 100000], "part 1 is no JSON"),
    "no number of the series": ([b'{"htype": "dseries_end-1.0"}'], "its series is None"),
    "number too large": ([b'{"htype": "dseries_end-1.0", "series": 1e99}'], "no number from zero up"),
    "no shape": ([GOOD[0], b'{"encoding": "<", "type": "uint8"}', *GOOD[2:]], "its shape is None"),
    "unknown encoding": (
        [GOOD[0], b'{"encoding": "zip<", "type": "uint8", "shape": [4, 4]}', *GOOD[2:]],
        "uint8 zip< are not known",
    ),
    "shuffled only": (
        [GOOD[0], b'{"encoding": "bs16<", "type": "uint16", "shape": [4, 4]}', *GOOD[2:]],
        "uint16 bs16< are not known",
    ),
    "unknown type": (
        [GOOD[0], b'{"encoding": "<", "type": "float32", "shape": [4, 4]}', *GOOD[2:]],
        "float32 < are not known",
    ),
    "too large": (
        [GOOD[0], b'{"encoding": "lz4<", "type": "uint32", "shape": [65535, 65535]}', *GOOD[2:]],
        "too large",
    ),
    **{
        f"shape {shape}": (
            [GOOD[0], b'{"encoding": "%s", "type": "uint8", "shape": %s}' % (how, shape.encode()), *GOOD[2:]],
            "not two lengths",
        )
        for how, shape in (
            (b"lz4<", "[99999999999999999999, 1]"),
            (b"bs8-lz4<", "[1, 99999999999999999999]"),
            (b"<", "[65536, 1]"),
            (b"<", "[true, 1]"),
            (b"<", "[0, 1]"),
        )
    },
    "no details": ([b'{"htype": "dheader-1.0", "series": 1, "header_detail": "none"}'], "set header_detail to basic"),
    "twelve bits": (
        [start_parts(SERIES)[0], start_parts(SERIES)[1].replace(b'image": 16', b'image": 12')],
        "12 bits, not 8, 16 or 32",
    ),
    "half a letter": ([*GOOD, b'{"a": "\\ud800"}'], "has no place in V2"),
    "no size": ([b'{"htype": "dheader-1.0", "series": 1}', b"{}"], "its y_pixels_in_detector is None"),
}


@pytest.mark.parametrize(("parts", "said"), WRONG.values(), ids=WRONG.keys())
def test_malformed_parts_are_refused_in_one_line(parts, said) -> None:
    with pytest.raises(MessageError, match=said) as caught:
        translate(parts)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("sent", [-1, 2**63, 1.5, "now", None, True])
def test_a_time_of_sending_that_is_none(sent) -> None:
    message = translated([*GOOD, json.dumps({"sent_ns": sent}).encode()])
    assert decode(message)["user_data"] == {"sent_ns": sent}
    assert scan(message).image == 5


@given(st.data())
def test_mutated_parts_are_translated_or_refused(data: st.DataObject) -> None:
    parts = [bytearray(part) for part in data.draw(st.sampled_from([GOOD, start_parts(SERIES)]))]
    for _ in range(data.draw(st.integers(1, 4))):
        part = data.draw(st.sampled_from(parts))
        part[data.draw(st.integers(0, len(part) - 1))] = data.draw(st.integers(0, 255))
    try:
        message = translate(parts)
        if message is not None:
            scan(message)
    except MessageError:
        pass
