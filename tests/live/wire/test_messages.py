"""A message is read whole, and the start of a series becomes a Series, or is refused in one line."""

from __future__ import annotations

from typing import Any

import cbor2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parscope.core.errors import MissingExtraError
from parscope.core.stream import Series
from parscope.live.wire import _codec
from parscope.live.wire.encode import array_tag, end_message, image_message, start_message
from parscope.live.wire.errors import MessageError
from parscope.live.wire.messages import appendix, decode, read_start
from parscope.live.wire.pack import pack

TAG = cbor2.CBORTag


def start(**changed: Any) -> bytes:
    """The start of a series as a detector sends it, with some fields replaced, or left out if they are None."""
    fields: dict[str, Any] = {
        "type": "start",
        "arm_date": TAG(0, "2026-01-01T00:00:00.123456789Z"),
        "channels": ["threshold_1", "threshold_2"],
        "count_time": 0.0002,
        "goniometer": {"omega": {"start": 0.0, "increment": 1.0}},
        "image_dtype": "uint16",
        "image_size_x": 6,
        "image_size_y": 4,
        "number_of_images": 16,
        "pixel_mask_enabled": True,
        "series_id": 7,
        "series_unique_id": "01J",
        "threshold_energy": {"threshold_1": 30e3},
        "user_data": {"scan_shape": [4, 4], "step_nm": 0.5},
    }
    return cbor2.dumps({key: value for key, value in (fields | changed).items() if value is not None})


def test_the_start_of_a_series() -> None:
    series = read_start(start())
    assert (series.number, series.unique, series.images, series.shape) == (7, "01J", 16, (4, 6))
    assert (series.dtype, series.channels, series.mask) == ("uint16", ("threshold_1", "threshold_2"), None)
    assert series.metadata["arm_date"] == "2026-01-01T00:00:00.123456789Z"
    assert series.metadata["goniometer"]["omega"]["increment"] == 1.0


def test_masks_of_all_channels_together() -> None:
    one, two = np.zeros((4, 6), np.uint32), np.zeros((4, 6), np.uint32)
    one[1, 2], two[3, 5] = 1, 1 << 31
    compressed = TAG(40, [[4, 6], TAG(70, TAG(56500, ["bslz4", 4, pack(two).data]))])
    flat = array_tag(np.ones((4, 6), np.float32))
    series = read_start(
        start(pixel_mask={"threshold_1": array_tag(one), "threshold_2": compressed}, flatfield={"threshold_1": flat})
    )
    assert series.mask is not None
    np.testing.assert_array_equal(np.argwhere(series.mask), [[1, 2], [3, 5]])
    assert "pixel_mask" not in series.metadata and "flatfield" not in series.metadata


def test_arrays_in_either_order_of_axes_and_bytes() -> None:
    values = np.arange(6, dtype=np.uint16).reshape(2, 3)
    rows = TAG(40, [[2, 3], TAG(65, values.astype(">u2").tobytes())])
    columns = TAG(1040, [[2, 3], TAG(69, values.T.tobytes())])
    content = decode(cbor2.dumps({"rows": rows, "columns": columns}))
    np.testing.assert_array_equal(content["rows"], values)
    np.testing.assert_array_equal(content["columns"], values)


def test_metadata_are_numbers_text_lists_and_mappings_only() -> None:
    told = {"a": [1, b"bytes", TAG(777, "odd")], "b": TAG(37, b"0" * 16), "c": None, "d": TAG(69, b"ab")}
    series = read_start(start(user_data=told, countrate_correction_lookup_table=TAG(70, b"\0" * 8)))
    assert series.metadata["user_data"] == {"a": [1, "odd"], "c": None}
    assert "countrate_correction_lookup_table" not in series.metadata


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"scan_shape": [4, 4]}, {"scan_shape": [4, 4]}),
        ('{"scan_shape": [4, 4]}', {"scan_shape": [4, 4]}),
        ("a comment", {}),
        ("[1]", {}),
        (7, {}),
        (None, {}),
    ],
)
def test_the_appendix(told, expected) -> None:
    assert appendix(read_start(start(user_data=told))) == expected


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"series_id": None}, "does not say its series_id"),
        ({"image_size_x": "six"}, "does not say its image_size_x"),
        ({"image_size_y": 0}, "0 x 6 pixels"),
        ({"number_of_images": True}, "does not say its number_of_images"),
        ({"image_size_y": 65536}, "65536 x 6 pixels"),
        ({"number_of_images": -1}, "-1 patterns"),
        ({"image_dtype": "float32"}, "start float32"),
        ({"type": "image"}, "image uint16"),
        ({"channels": []}, "does not name its channels"),
        ({"channels": [1]}, "does not name its channels"),
        ({"pixel_mask": {"threshold_1": array_tag(np.zeros((6, 4), np.uint32))}}, "not of the shape"),
        ({"pixel_mask": {"threshold_1": TAG(40, [[4, 6], TAG(70, b"\0" * 92)])}}, "cannot be read"),
        ({"pixel_mask": {"a": TAG(40, [[4, 6], TAG(70, TAG(56500, ["bslz4", 4, b"\0" * 40]))])}}, "cannot be read"),
        ({"pixel_mask": {"a": TAG(40, 5)}}, "cannot be read"),
        ({"pixel_mask": {"a": TAG(40, [["4", 6], TAG(70, b"")])}}, "cannot be read"),
    ],
)
def test_a_start_that_does_not_say_what_it_must(changed, said) -> None:
    with pytest.raises(MessageError, match=said) as caught:
        read_start(start(**changed))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "message",
    [b"", b"\x01", b"\xa1\x01\x02", start()[:-3], b"\xa1\x61a" + b"\x81" * 5000 + b"\x01", b"\xa1\x61a\x62\xff\xfe"],
    ids=["nothing", "number", "key", "cut", "deep", "text"],
)
def test_malformed_messages(message) -> None:
    with pytest.raises(MessageError):
        decode(message)


def test_a_number_without_end_is_not_worked_out() -> None:
    assert decode(cbor2.dumps({"a": TAG(5, [10**18, 3])})) == {"a": [10**18, 3]}


def test_without_the_library(monkeypatch, series: Series) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cbor2", None)
    with pytest.raises(MissingExtraError, match=r"cbor2 is not installed; run: pip install 'parscope\[live\]'"):
        _codec.codec()


@pytest.mark.parametrize("algorithm", ["bslz4", "lz4", "none", "bszstd"])
def test_images_read_whole(series: Series, patterns, algorithm) -> None:
    frames = {name: patterns((24, 20), "uint16") + i for i, name in enumerate(series.channels)}
    content = decode(image_message(series, 5, frames, (100, 300), {"note": "x"}, algorithm))
    assert (content["image_id"], content["stop_time"], content["user_data"]) == (5, [300, 10**9], {"note": "x"})
    for name, frame in frames.items():
        np.testing.assert_array_equal(content["data"][name], frame)


@given(st.data())
def test_mutated_starts_are_read_or_refused(data: st.DataObject) -> None:
    mask = np.zeros((4, 6), np.uint32)
    packed = TAG(40, [[4, 6], TAG(70, TAG(56500, ["bslz4", 4, pack(mask).data]))])
    mutated = bytearray(start(pixel_mask={"threshold_1": packed}))
    for _ in range(data.draw(st.integers(1, 5))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    try:
        series = read_start(mutated)
    except MessageError:
        return
    assert series.mask is None or series.mask.shape == series.shape


def test_starts_come_back(series: Series) -> None:
    mask = np.eye(24, 20, dtype=np.bool_)
    told = Series(
        9, "u", 12, (24, 20), "uint32", ("a", "b"), mask, {"count_time": 0.1, "arm_date": "2026-01-01T00:00:00Z"}
    )
    back = read_start(start_message(told, {"scan_shape": [3, 4]}))
    assert (back.number, back.unique, back.images, back.shape, back.dtype) == (9, "u", 12, (24, 20), "uint32")
    assert back.channels == ("a", "b") and back.mask is not None
    np.testing.assert_array_equal(back.mask, mask)
    assert (back.metadata["count_time"], back.metadata["arm_date"]) == (0.1, "2026-01-01T00:00:00Z")
    assert appendix(back) == {"scan_shape": [3, 4]}
    again = read_start(start_message(back))
    assert again.metadata == back.metadata


def test_ends_come_back(series: Series) -> None:
    assert decode(end_message(series)) == {"type": "end", "series_id": 3, "series_unique_id": "01JUNIQUE"}
