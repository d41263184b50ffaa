"""The benchmark that mutates messages finds nothing, and would tell if it did."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from benchmarks.live import fuzz
from benchmarks.live.guard import Guarded
from benchmarks.live.guided import Memory

DIFFERENT = ("decompressed differently", "scanned differently")


def test_a_few_thousand_mutated_messages() -> None:
    count = fuzz.share(3, 6000)
    assert not [what for what in count if what.startswith("raised")]
    assert all(count[what] == 0 for what in DIFFERENT)
    for what in (
        "refused by the scanner",
        "read: image",
        "read: start",
        "read: end",
        "scanned as cbor2 reads",
        "compared",
        "start: read",
        "start: refused",
        "message of V1: read",
        "message of V1: refused",
        "read out of files",
        "kept out of files",
    ):
        assert count[what] > 0
    for who in ("numba", "the library"):
        assert count[f"samples taken by {who}"] > 0 and count[f"samples refused by {who}"] > 0


def test_a_difference_is_told(monkeypatch) -> None:
    monkeypatch.setattr(fuzz.np, "array_equal", lambda *frames: False)
    count = fuzz.share(3, 2000)
    assert count["decompressed differently"] == count["compared"] > 0


def test_a_byte_too_far_ends_the_process() -> None:
    for place in ("room.ctypes.data + room.size", "room.ctypes.data - 1"):
        code = f"from benchmarks.live.guard import *; room = Guarded(10).room; ctypes.string_at({place}, 1)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
        assert done.returncode < 0


def test_a_crash_is_counted(monkeypatch) -> None:
    class Ended:
        returncode, stderr = -11, "killed"

    monkeypatch.setattr(fuzz.subprocess, "run", lambda *args, **options: Ended)
    total: Counter[str] = Counter()
    for counts in fuzz.shares(fuzz.SHARE + 1, 5):
        total.update(counts)
    assert total["crashed"] == 2 and total["seed 6 ended with -11: killed"] == 1


def test_data_lie_against_the_pages() -> None:
    guarded = Guarded(100)
    data = np.arange(50, dtype=np.uint8)
    last, first = guarded.put(data), guarded.put(data, first=True)
    assert last.ctypes.data + 50 == guarded.room.ctypes.data + guarded.room.size
    assert first.ctypes.data == guarded.room.ctypes.data
    np.testing.assert_array_equal(first, data)


def test_the_guided_run_notices_a_byte_too_far() -> None:
    memory, array = Memory(), np.zeros(16, np.uint8)
    start = memory.address(array)
    memory.store1(start + 15, 0x107)
    assert (memory.load1(start + 15), memory.load8(start + 8)) == (7, 7 << 56)
    memory.copy16(start, start)
    for reach in (
        lambda: memory.load1(start - 1),
        lambda: memory.load1(start + 16),
        lambda: memory.load8(start + 9),
        lambda: memory.store8(start + 9, 1),
        lambda: memory.copy16(start + 1, start),
    ):
        with pytest.raises(IndexError, match="outside of all arrays"):
            reach()
    memory.forget()
    with pytest.raises(IndexError, match="outside of all arrays"):
        memory.load1(start)
