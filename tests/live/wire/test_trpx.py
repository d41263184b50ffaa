"""TRPX is read where it is sound, and refused in one line where it is not, whatever its heads say."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest

from benchmarks.live.terse import terse
from parscope.live.wire.decompress import Decompressor, library
from parscope.live.wire.errors import MessageError
from parscope.live.wire.scan import Payload
from parscope.live.wire.trpx import guarded

pytestmark = pytest.mark.skipif(library() is None, reason="only DECTRIS's library reads TRPX")
FRAME = np.random.default_rng(2).poisson(2, (24, 20)).astype(np.uint16)


def decoded(data: bytes, dtype: str = "uint16") -> Any:
    form = Payload("a", FRAME.shape, np.dtype(dtype).str, "trpx", 0, 0, len(data))
    return Decompressor(FRAME.shape, dtype).decode(data, form)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32"])
@pytest.mark.parametrize("top", [1, 255])
def test_counts_come_through(dtype: str, top: int) -> None:
    frame = (FRAME * top).astype(dtype)
    np.testing.assert_array_equal(decoded(terse(frame), dtype), frame)
    np.testing.assert_array_equal(decoded(terse(frame[:12]) + terse(frame[12:]), dtype), frame)


GOOD = terse(FRAME) if library() is not None else b""


@pytest.mark.parametrize(
    ("was", "is_now"),
    [
        (b'values="480"', b'values="99999999999"'),
        (b'values="480"', b'values="479"'),
        (b'values="480"', b'values="0"'),
        (b'values="480"', b"values="),
        (b'number_of_frames="1"', b'number_of_frames="99999999999"'),
        (b'number_of_frames="1"', b'number_of_frames="0"'),
        (b'memory_sizes_of_frames="', b'memory_sizes_of_frames="9'),
        (b'memory_sizes_of_frames="', b'memory_sizes_of_frames="1 '),
        (b'block="12"', b'block="0"'),
        (b'block="12"', b'block="4000000000"'),
        (b'signed="0"', b'signed="1"'),
        (b'prolix_bits="16"', b'prolix_bits="32"'),
        (b'sizes="0"', b'sizes="9"'),
        (b"<Terse", b"<terse"),
        (b"<Terse", b" <Terse"),
        (b"/>", b">"),
    ],
)
def test_a_head_that_lies_is_refused(was: bytes, is_now: bytes) -> None:
    assert was in GOOD
    with pytest.raises(MessageError, match="the samples are corrupt: the"):
        decoded(GOOD.replace(was, is_now, 1))


def test_damaged_bits_are_other_counts_or_refused() -> None:
    rng = np.random.default_rng(3)
    body = GOOD.index(b"/>") + 2
    for _ in range(2000):
        broken = bytearray(GOOD)
        for place in rng.integers(body, len(GOOD), 3):
            broken[place] = rng.integers(256)
        with contextlib.suppress(MessageError):
            assert decoded(bytes(broken)).shape == FRAME.shape


def test_the_end_of_a_frame_is_never_passed() -> None:
    made = guarded(GOOD, FRAME.nbytes, 2)
    assert len(made) > len(GOOD) + 9 * FRAME.size
    assert made.endswith(bytes(9 * FRAME.size))
