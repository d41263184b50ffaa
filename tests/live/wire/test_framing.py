"""A pattern whose blocks are not all there is told from one that is whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from parscope.core.stream import Series
from parscope.live.wire.encode import image_message
from parscope.live.wire.framing import is_whole
from parscope.live.wire.scan import scan

CASES = [(dtype, how) for dtype in ("uint8", "uint16", "uint32") for how in ("bslz4", "lz4", "none")]


@pytest.mark.parametrize("shape", [(16, 16), (192, 192), (7, 9), (1, 3)])
@pytest.mark.parametrize(("dtype", "algorithm"), CASES)
def test_what_is_whole_is_and_what_is_cut_is_not(dtype: str, algorithm: str, shape: tuple[int, int]) -> None:
    of = Series(1, "", 1, shape, dtype, ("threshold_1",))
    pattern = np.random.default_rng(1).poisson(5, shape).astype(dtype)
    message = image_message(of, 0, {"threshold_1": pattern}, algorithm=algorithm)
    payload = scan(message).channels[0]
    assert is_whole(payload, memoryview(message))
    for cut in (1, 2, payload.length // 2, payload.length):
        assert not is_whole(replace(payload, length=payload.length - cut), memoryview(message))
    assert not is_whole(replace(payload, shape=(shape[0] + 1, shape[1])), memoryview(message))
    if algorithm != "none" and pattern.size > 8:
        for place in (7, 11, 12):  # in the size, in that of a block, in the length of the first block
            broken = bytearray(message)
            broken[payload.offset + place] ^= 0x81
            assert not is_whole(payload, memoryview(broken)) or (algorithm == "lz4" and place == 11)


def test_a_framing_that_is_not_known_is_not_judged() -> None:
    of = Series(1, "", 1, (4, 4), "uint8", ("threshold_1",))
    message = image_message(of, 0, {"threshold_1": np.zeros((4, 4), np.uint8)}, algorithm="none")
    assert is_whole(replace(scan(message).channels[0], algorithm="trpx", length=3), memoryview(message))
