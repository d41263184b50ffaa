"""A pattern whose blocks are not all there is told from one that is whole."""

from __future__ import annotations

import struct
from dataclasses import replace

import h5py
import hdf5plugin
import numpy as np
import pytest

from parscope.core.stream import Series
from parscope.live.wire.encode import image_message
from parscope.live.wire.framing import is_whole
from parscope.live.wire.pack import pack
from parscope.live.wire.scan import Payload, scan

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


def through_hdf5(samples: bytes, algorithm: str, size: int) -> bytes:
    """What a filter of HDF5 makes of one chunk of bytes."""
    how = hdf5plugin.Bitshuffle(nelems=0, cname="lz4") if algorithm == "bslz4" else hdf5plugin.LZ4()
    with h5py.File("chunk", "w", driver="core", backing_store=False) as file:
        chunk = file.create_dataset("data", (size,), "u1", chunks=(size,), **dict(how))
        chunk.id.write_direct_chunk((0,), samples)
        return bytes(chunk[:].tobytes())


@pytest.mark.parametrize("algorithm", ["bslz4", "lz4"])
def test_what_is_called_whole_is_read_by_hdf5(algorithm: str) -> None:
    rng = np.random.default_rng(5)
    pattern = rng.poisson(0.3, (16, 20)).astype(np.uint8)
    good = pack(pattern, algorithm).data
    form, judged = Payload("a", (16, 20), "|u1", algorithm, 1, 0, len(good)), []
    for _ in range(3000):
        broken = bytearray(good)
        for place in rng.integers(8, len(good), rng.integers(1, 4)):
            broken[place] = rng.integers(256)
        judged.append(is_whole(form, memoryview(broken)))
        if judged[-1]:  # an error here, or a crash, is what must not be
            assert len(through_hdf5(bytes(broken), algorithm, 320)) == 320
    assert 300 < sum(judged) < 2700


@pytest.mark.parametrize(
    "block",
    [
        b"\xe0" + bytes(14) + b"\x02\x00\x60" + bytes(6),  # comes to the size
        b"\xe0" + bytes(14) + b"\x02\x00\x50" + bytes(5),  # to less
        b"\xe0" + bytes(14) + b"\x02\x00\x70" + bytes(7),  # to more
        b"\xe0" + bytes(14) + b"\x0f\x00\x60" + bytes(6),  # refers to before its begin
        b"\xe0" + bytes(14) + b"\x00\x00\x60" + bytes(6),  # refers to itself
        b"\xe0" + bytes(14) + b"\x02\x00\x60" + bytes(5),  # ends early
        b"\xe6" + bytes(14) + b"\x02\x00",  # ends with a match
        b"\xe5" + bytes(14) + b"\x02\x00\x10\x00",  # or nearly
        b"\x80" + bytes(8) + b"\x02\x00\x80" + bytes(8),  # its last match begins 16 bytes before the end
        b"\xc4" + bytes(12) + b"\x02\x00\x40" + bytes(4),  # or ends 4 before it
        b"\xd2" + bytes(13) + b"\x02\x00\x50" + bytes(5),  # or begins 11 before it
        b"\xff\xff",
    ],
)
@pytest.mark.parametrize("algorithm", ["bslz4", "lz4"])
def test_blocks_are_judged_as_hdf5_does(block: bytes, algorithm: str) -> None:
    samples = struct.pack(">QII", 24, 24, len(block)) + block
    told = is_whole(Payload("a", (1, 24), "|u1", algorithm, 1, 0, len(samples)), memoryview(samples))
    try:
        through_hdf5(samples, algorithm, 24)
    except OSError:
        assert not told
    else:
        assert told


def test_blocks_of_zstandard_are_tried() -> None:
    packed = pack(np.random.default_rng(1).poisson(1, (16, 16)).astype(np.uint16), "bszstd")
    form = Payload("a", (16, 16), "<u2", "bszstd", 2, 0, len(packed.data))
    assert is_whole(form, memoryview(packed.data))
    assert not is_whole(form, memoryview(packed.data[:16] + b"\xff" + packed.data[17:]))


def test_a_framing_that_is_not_known_is_not_judged() -> None:
    of = Series(1, "", 1, (4, 4), "uint8", ("threshold_1",))
    message = image_message(of, 0, {"threshold_1": np.zeros((4, 4), np.uint8)}, algorithm="none")
    assert is_whole(replace(scan(message).channels[0], algorithm="trpx", length=3), memoryview(message))
