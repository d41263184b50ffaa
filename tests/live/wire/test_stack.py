"""Many patterns come out of their messages as one by one, up to the first that is refused."""

from __future__ import annotations

import numpy as np
import pytest

from parscope.live.wire import stack as module
from parscope.live.wire.decompress import Decompressor
from parscope.live.wire.pack import pack
from parscope.live.wire.scan import Payload
from parscope.live.wire.stack import Stack

SHAPE = (13, 11)


def packed(frames: np.ndarray, algorithm: str = "bslz4") -> tuple[bytes, Payload, np.ndarray]:
    """Patterns behind each other, what they are, and where."""
    parts = [pack(frame, algorithm) for frame in frames]
    lengths = np.array([len(one.data) for one in parts], np.int64)
    one = parts[0]
    payload = Payload("a", one.shape, one.stored, one.algorithm, one.element, 0, 0, one.by_columns)
    return b"".join(bytes(one.data) for one in parts), payload, np.stack([np.cumsum(lengths) - lengths, lengths], 1)


def noise(count: int, dtype: str) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 90, (count, *SHAPE)).astype(dtype)


@pytest.mark.parametrize("own", [False, True], ids=["library", "numba"])
@pytest.mark.parametrize("algorithm", ["bslz4", "lz4", "none"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32"])
def test_many_come_out_as_they_went_in(monkeypatch, dtype, algorithm, own) -> None:
    if own:
        monkeypatch.setattr(module, "library", lambda: None)
    frames = noise(5, dtype)
    data, payload, places = packed(frames, algorithm)
    stack = Stack(SHAPE, dtype, 6)
    assert stack.fill(memoryview(data), payload, places) == 5
    np.testing.assert_array_equal(stack.frames[:5], frames)
    assert not stack.frames[5].any()


def test_the_other_order_of_bytes_and_zstandard() -> None:
    frames = noise(3, "uint16")
    for given, algorithm in ((frames.astype(">u2"), "none"), (frames, "bszstd")):
        data, payload, places = packed(given, algorithm)
        stack = Stack(SHAPE, "uint16", 3)
        assert stack.fill(memoryview(data), payload, places) == 3
        np.testing.assert_array_equal(stack.frames, frames)


@pytest.mark.parametrize("own", [False, True], ids=["library", "numba"])
@pytest.mark.parametrize("fault", ["size", "cut", "noise", "short"])
def test_the_first_that_is_refused_ends_it(monkeypatch, fault, own) -> None:
    if own:
        monkeypatch.setattr(module, "library", lambda: None)
    frames = noise(5, "uint8")
    data, payload, places = packed(frames)
    broken, (start, length) = bytearray(data), places[2].tolist()
    if fault == "size":
        broken[start + 7] ^= 1
    elif fault == "noise":
        broken[start + 16 : start + 40] = b"\xff" * 24
    else:
        places[2, 1] = 4 if fault == "short" else length - 9
    stack = Stack(SHAPE, "uint8", 5)
    assert stack.fill(memoryview(broken), payload, places) == 2
    np.testing.assert_array_equal(stack.frames[:2], frames[:2])
    payload.offset, payload.length = places[2].tolist()
    with pytest.raises(module.MessageError):
        Decompressor(SHAPE, "uint8").decode(broken, payload)
