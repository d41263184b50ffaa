"""Messages that a fuzzer makes by what they reach: the scanner and the decoders as Python, every access checked.

    pip install atheris
    python -m benchmarks.live.guided --seconds 60

The kernels are not compiled here, so that the fuzzer (libFuzzer, by way of atheris) sees which of their branches a
message takes, and each byte that is read or written is looked up among the arrays that were given to a kernel. It is
slower by three orders than `benchmarks.live.fuzz`, and finds its way by itself. Everything must be read or refused; at
anything else the fuzzer stops, says which message it was, and ends with a code other than 0.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

_PATTERNS = ((16, 20), (96, 96))


class Memory:
    """What kernels may read and write, in place of `parscope.live.wire._memory`."""

    def __init__(self) -> None:
        self._arrays: dict[int, int] = {}

    def address(self, array: Any) -> int:
        """Where an array begins; from now on it may be used."""
        start = int(array.ctypes.data)
        self._arrays[start] = max(start + array.nbytes, self._arrays.get(start, 0))
        return start

    def forget(self) -> None:
        """Nothing may be used any more."""
        self._arrays.clear()

    def _at(self, kind: Any, start: int, size: int) -> Any:
        """Something in memory, if it is in one of the arrays."""
        if not any(first <= start and start + size <= last for first, last in self._arrays.items()):
            raise IndexError(f"{size} bytes outside of all arrays")
        return kind.from_address(start)

    def load1(self, start: int) -> int:
        """Read a byte."""
        return int(self._at(ctypes.c_uint8, start, 1).value)

    def load8(self, start: int) -> int:
        """Read a number."""
        return int(self._at(ctypes.c_int64, start, 8).value)

    def store1(self, start: int, value: int) -> None:
        """Write a byte."""
        self._at(ctypes.c_uint8, start, 1).value = value & 0xFF

    def store8(self, start: int, value: Any) -> None:
        """Write a number."""
        self._at(ctypes.c_uint64, start, 8).value = int(value) & 0xFFFFFFFFFFFFFFFF

    def copy16(self, to: int, start: int) -> None:
        """Copy 16 bytes."""
        source = bytes(self._at(ctypes.c_uint8 * 16, start, 16))
        self._at(ctypes.c_uint8 * 16, to, 16)[:] = source


def readers(memory: Memory) -> Any:
    """The scanner, the decoder and the judge of framings, as Python, with a function that gives a message to all."""
    from parscope.live.wire import _memory

    for name in ("address", "load1", "load8", "store1", "store8", "copy16"):
        setattr(_memory, name, getattr(memory, name))
    from parscope.live.wire.decompress import Decompressor
    from parscope.live.wire.errors import MessageError
    from parscope.live.wire.framing import is_whole
    from parscope.live.wire.messages import read_start
    from parscope.live.wire.scan import scan

    made = {
        (shape, dtype): Decompressor(shape, dtype, own=True)
        for shape in _PATTERNS
        for dtype in ("uint8", "uint16", "uint32")
    }

    def read(message: bytes) -> None:
        memory.forget()
        with suppress(MessageError):
            head = scan(message)
            if head.kind == "start":
                read_start(message)
            for payload in head.channels:
                is_whole(payload, memoryview(message))
                decoder = made.get((payload.shape, payload.dtype))
                if decoder is not None and payload.algorithm in ("bslz4", "lz4", "none"):
                    decoder.decode(message, payload)

    return read


def main() -> None:
    """Fuzz for a while."""
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    import atheris

    with atheris.instrument_imports(include=["parscope.live.wire"]):
        read = readers(Memory())
    from benchmarks.live.fuzz import corpus

    np.seterr(over="ignore")  # numbers without a sign wrap around, as they do when compiled
    with tempfile.TemporaryDirectory() as folder:
        for number, message in enumerate(corpus()):
            read(message)
            Path(folder, str(number)).write_bytes(message)
        limits = [f"-max_total_time={options.seconds}", "-max_len=4096", "-timeout=60"]
        atheris.Setup([sys.argv[0], *limits, folder], read)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
