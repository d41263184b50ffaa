"""Samples come out as they went in, by DECTRIS's library and by numba, and damaged ones never come out as counts."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.live.guard import Guarded
from parscope.core.errors import MissingExtraError
from parscope.core.stream import Series
from parscope.live.wire import bslz4, decompress, lz4
from parscope.live.wire.decompress import Decompressor, library, unpack
from parscope.live.wire.encode import image_message
from parscope.live.wire.errors import MessageError
from parscope.live.wire.pack import Packed, pack
from parscope.live.wire.scan import Payload, scan

OWN = pytest.mark.parametrize("own", [False, True], ids=["library", "numba"])
DTYPES = ["uint8", "uint16", "uint32"]
# 192 x 192 is whole blocks and a part; 13 x 11 has a rest of less than 8 elements; 2 x 3 is nothing but such a rest
SHAPES = [(192, 192), (96, 96), (13, 11), (64, 128), (2, 3), (1, 8)]


def payload(packed: Packed) -> Payload:
    return Payload(
        "a", packed.shape, packed.stored, packed.algorithm, packed.element, 0, len(packed.data), packed.by_columns
    )


def decoded(packed: Packed, own: bool) -> Any:
    return Decompressor(packed.shape, np.dtype(packed.stored).name, own).decode(packed.data, payload(packed))


@OWN
@pytest.mark.parametrize("algorithm", ["bslz4", "lz4", "none"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_comes_out_as_it_went_in(patterns, shape, dtype, algorithm, own) -> None:
    frame = patterns(shape, dtype)
    out = decoded(pack(frame, algorithm), own)
    assert out.dtype == frame.dtype and out.flags.c_contiguous and out.flags.writeable
    np.testing.assert_array_equal(out, frame)


@pytest.mark.parametrize("dtype", DTYPES)
def test_zstandard_by_the_library(patterns, dtype) -> None:
    frame = patterns((96, 96), dtype)
    np.testing.assert_array_equal(decoded(pack(frame, "bszstd"), False), frame)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("level", ["zeros", "noise"])
def test_extremes_of_compression(dtype, level) -> None:
    rng = np.random.default_rng(5)
    top = np.iinfo(dtype).max
    frame = np.zeros((192, 192), dtype) if level == "zeros" else rng.integers(0, top, (192, 192), dtype, endpoint=True)
    for algorithm in ("bslz4", "lz4"):
        np.testing.assert_array_equal(decoded(pack(frame, algorithm), True), frame)


@OWN
@pytest.mark.parametrize("algorithm", ["bslz4", "lz4", "none"])
def test_big_endian_samples(patterns, algorithm, own) -> None:
    frame = patterns((24, 20), "uint16")
    packed = replace(pack(frame.byteswap(), algorithm), stored=">u2")
    out = decoded(packed, own)
    assert out.dtype.isnative
    np.testing.assert_array_equal(out, frame)


@OWN
@pytest.mark.parametrize("stored", ["<u2", ">u2"])
def test_samples_by_columns(patterns, stored, own) -> None:
    frame = patterns((24, 20), "uint16")
    lying = frame.T if stored == "<u2" else frame.T.byteswap()
    packed = replace(pack(np.ascontiguousarray(lying)), shape=(24, 20), stored=stored, by_columns=True)
    out = decoded(packed, own)
    assert out.flags.c_contiguous
    np.testing.assert_array_equal(out, frame)


@OWN
def test_elements_wider_than_samples(patterns, own) -> None:
    frame = patterns((24, 20), "uint16")
    packed = pack(frame.view("uint32"))
    out = decoded(replace(packed, shape=(24, 20), stored="<u2"), own)
    np.testing.assert_array_equal(out, frame)


@OWN
def test_every_channel_of_a_message(series: Series, patterns, own) -> None:
    frames = {"threshold_1": patterns((24, 20), "uint16"), "threshold_2": patterns((24, 20), "uint16")[::-1]}
    message = image_message(series, 1, frames)
    decompressor = Decompressor((24, 20), "uint16", own)
    for channel in scan(message).channels:
        np.testing.assert_array_equal(decompressor.decode(memoryview(message), channel), frames[channel.name])


def test_the_frame_is_reused(patterns) -> None:
    decompressor, packed = Decompressor((24, 20), "uint16"), pack(patterns((24, 20), "uint16"))
    assert decompressor.decode(packed.data, payload(packed)) is decompressor.decode(packed.data, payload(packed))


@OWN
@pytest.mark.parametrize("algorithm", ["bslz4", "lz4", "none"])
@pytest.mark.parametrize("keep", [0, 3, 11, 12, 15, 40, -1])
def test_samples_cut_short(patterns, algorithm, keep, own) -> None:
    packed = pack(patterns((24, 20), "uint16"), algorithm)
    with pytest.raises(MessageError, match=r"^channel a: the samples are .*[^;]$"):
        decoded(replace(packed, data=packed.data[:keep]), own)


@OWN
@pytest.mark.parametrize("algorithm", ["bslz4", "lz4"])
@pytest.mark.parametrize("size", [0, 8, 961, 1 << 40, (1 << 64) - 1])
def test_a_size_that_is_not_that_of_the_pattern(patterns, algorithm, size, own) -> None:
    packed = pack(patterns((24, 20), "uint16"), algorithm)
    with pytest.raises(MessageError, match="of another number than the shape"):
        decoded(replace(packed, data=struct.pack(">Q", size) + packed.data[8:]), own)


@pytest.mark.parametrize("algorithm", ["bslz4", "lz4"])
def test_bytes_behind_the_samples(patterns, algorithm) -> None:
    packed = pack(patterns((24, 20), "uint16"), algorithm)
    with pytest.raises(MessageError, match="blocks do not fit"):
        decoded(replace(packed, data=packed.data + b"\0"), True)


@pytest.mark.parametrize("block", [0, 24, 1 << 31])
def test_an_impossible_size_of_blocks(patterns, block) -> None:
    packed = pack(patterns((24, 20), "uint16"))
    with pytest.raises(MessageError, match="blocks do not fit"):
        decoded(replace(packed, data=packed.data[:8] + struct.pack(">I", block) + packed.data[12:]), True)


@pytest.mark.parametrize("element", [0, 3, 8])
def test_an_element_that_no_pattern_has(patterns, element) -> None:
    packed = pack(patterns((24, 20), "uint16"))
    with pytest.raises(MessageError, match="blocks do not fit"):
        decoded(replace(packed, element=element), True)


@OWN
def test_another_shape_than_that_of_the_series(patterns, own) -> None:
    packed = pack(patterns((24, 20), "uint16"))
    for shape, dtype in (((20, 24), "uint16"), ((24, 20), "uint32")):
        with pytest.raises(MessageError, match=r"uint16 \(24, 20\) in a series of"):
            Decompressor(shape, dtype, own).decode(packed.data, payload(packed))


@OWN
def test_an_unknown_compression_in_one_line(patterns, own) -> None:
    packed = replace(pack(patterns((24, 20), "uint16")), algorithm="jpeg")
    with pytest.raises(MessageError) as caught:
        decoded(packed, own)
    assert str(caught.value) == "channel a: the samples are compressed by 'jpeg', which is not known here"


def test_a_compression_that_only_the_library_knows(patterns) -> None:
    packed = pack(patterns((24, 20), "uint16"), "bszstd")
    with pytest.raises(MissingExtraError, match=r"dectris-compression.*pip install 'parscope\[live\]'"):
        decoded(packed, True)


def test_without_the_library(monkeypatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(decompress.importlib, "import_module", missing)
    assert library() is None


def test_bytes_that_say_their_size() -> None:
    mask = np.eye(20, dtype=np.uint32)
    packed = pack(mask)
    assert unpack(packed.data, "bslz4", 4) == mask.tobytes()
    for algorithm, size in (("trpx", 1600), ("bslz4", (1 << 30) + 1)):
        with pytest.raises(MessageError, match="not read here"):
            unpack(struct.pack(">Q", size) + packed.data[8:], algorithm, 4)


@OWN
@pytest.mark.parametrize(("offset", "length"), [(-4, 600), (0, 10**9), (10**6, 4)])
def test_samples_that_are_not_in_the_message(patterns, offset, length, own) -> None:
    packed = pack(patterns((24, 20), "uint16"))
    with pytest.raises(MessageError, match="not in this message"):
        Decompressor((24, 20), "uint16", own).decode(
            packed.data, replace(payload(packed), offset=offset, length=length)
        )


def test_one_block_of_lz4_by_the_book() -> None:
    # a literal, a match of a period of one, one of a period of three, and the last literals
    data = np.frombuffer(b"\x11a\x01\x00" + b"\x30xyz\x03\x00" + b"\x20XY", np.uint8)
    out = np.zeros(64, np.uint8)
    count = lz4.unpack_block(data, out)
    assert isinstance(count, int)
    assert out[:count].tobytes() == b"a" + b"aaaaa" + b"xyz" + b"xyzx" + b"XY"


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"\x50abc", lz4.CUT),
        (b"\xf0\xff", lz4.CUT),
        (b"\x10a\x01", lz4.CUT),
        (b"\x1fa\x01\x00\xff", lz4.CUT),
        (b"\x10a\x02\x00", lz4.BEFORE),
        (b"\x10a\x00\x00", lz4.BEFORE),
        (b"\xf0\x03" + b"a" * 18, lz4.BEYOND),
        (b"\x1fa\x01\x00\xff\x00", lz4.BEYOND),
    ],
)
def test_blocks_of_lz4_that_are_none(data, fault) -> None:
    room = Guarded(64)
    assert lz4.unpack_block(room.put(data), np.zeros(16, np.uint8)) == fault


@given(st.data())
def test_mutated_samples_neither_crash_nor_run_over(data: st.DataObject) -> None:
    frame = (np.arange(320) % data.draw(st.integers(1, 50))).astype(np.uint16).reshape(16, 20)
    algorithm = data.draw(st.sampled_from(["bslz4", "lz4"]))
    mutated = bytearray(pack(frame, algorithm).data)
    for _ in range(data.draw(st.integers(1, 4))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    samples = Guarded(4096).put(bytes(mutated[: data.draw(st.integers(1, len(mutated)))]))
    out = Guarded(640)
    if algorithm == "lz4":
        code = lz4.unpack_lz4(samples, 0, samples.size, out.room[-640:], 640)
    else:
        words = out.room[-640:].view(np.uint64)
        code = bslz4.unpack_bslz4(samples, 0, samples.size, words, (640, 2), bslz4.room())
    assert lz4.FRAMING <= code <= 0


@given(st.binary(max_size=200), st.integers(0, 64))
def test_any_bytes_are_a_block_or_none(data: bytes, size: int) -> None:
    block, out = Guarded(256).put(data), Guarded(64).room
    assert lz4.FRAMING <= lz4.unpack_block(block, out[out.size - size :]) <= size
