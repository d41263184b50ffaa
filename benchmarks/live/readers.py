"""Who else reads a mutated message: the announcement of a series, stream V1, and HDF5 in a recording."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from parscope.core.stream import Series
from parscope.live.wire.errors import MessageError
from parscope.live.wire.framing import is_whole
from parscope.live.wire.messages import read_start
from parscope.live.wire.scan import Payload, scan
from parscope.live.wire.v1 import end_parts, image_parts, start_parts, translate

_SHAPE = (16, 20)
_OF_HDF5 = ("bslz4", "lz4")


def older() -> list[list[bytes]]:
    """Messages of stream V1, of all kinds."""
    rng = np.random.default_rng(5)
    series = Series(7, "", 64, _SHAPE, "uint16", ("threshold_1",), rng.random(_SHAPE) < 0.02)
    made = [start_parts(series, {"count_time": 0.1}, {"scan_shape": [8, 8]}), end_parts(series)]
    for dtype in ("uint8", "uint16", "uint32"):
        frame = rng.poisson(1.5, _SHAPE).astype(dtype)
        made += [image_parts(series, 3, frame, (5, 9), {"a": 1}, how) for how in ("bslz4", "lz4", "none")]
    return made


class Readers:
    """Gives mutated messages to those who read them besides the frame loop, and counts what becomes of them."""

    def __init__(self, count: Counter[str], mutated: Callable[[NDArray[np.uint8]], bytes]) -> None:
        self._count, self._mutated = count, mutated
        self._older = older()
        self._files: dict[tuple[str, str], Any] = {}

    def start(self, message: bytes) -> None:
        """Read the announcement of a series."""
        self._try("start", lambda: read_start(message))

    def parts(self, number: int) -> None:
        """Translate a message of stream V1 of which one part has changed, or is missing."""
        parts = list(self._older[number % len(self._older)])
        which = number // len(self._older) % len(parts)
        parts[which] = self._mutated(np.frombuffer(parts[which], np.uint8))
        if number % 7 == 0:
            del parts[-1]
        made = self._try("message of V1", lambda: translate(parts))
        if made is not None:
            self._try("translation", lambda: scan(made))

    def _try(self, what: str, read: Callable[[], Any]) -> Any:
        """Read, or be refused."""
        try:
            made = read()
        except MessageError:
            self._count[f"{what}: refused"] += 1
        except Exception as error:  # noqa: BLE001, whatever else is raised is what is looked for
            self._count["unexpected errors"] += 1
            self._count[f"raised {type(error).__name__} by a {what}: {error}"] += 1
        else:
            self._count[f"{what}: read"] += 1
            return made
        return None

    def recorded(self, message: memoryview, payload: Payload) -> None:
        """Give to HDF5 what the recorder would: it must read that; what it would not, may crash it."""
        if payload.algorithm not in _OF_HDF5 or payload.shape != _SHAPE or payload.by_columns:
            return
        if payload.algorithm == "bslz4" and payload.element != np.dtype(payload.stored).itemsize:
            return
        if not is_whole(payload, message):
            self._count["kept out of files"] += 1
            return
        chunk = self._chunk(payload.algorithm, payload.stored)
        chunk.id.write_direct_chunk((0, 0), bytes(message[payload.offset : payload.offset + payload.length]))
        try:
            chunk.id.read(h5py.h5s.ALL, h5py.h5s.ALL, np.empty(_SHAPE, chunk.dtype))
        except OSError:
            self._count["unexpected errors"] += 1
            self._count["raised OSError by HDF5"] += 1
        else:
            self._count["read out of files"] += 1

    def _chunk(self, algorithm: str, stored: str) -> Any:
        """A file in memory with one chunk."""
        if (algorithm, stored) not in self._files:
            how = hdf5plugin.Bitshuffle(nelems=0, cname="lz4") if algorithm == "bslz4" else hdf5plugin.LZ4()
            file = h5py.File(f"{id(self)}{algorithm}{stored}", "w", driver="core", backing_store=False, rdcc_nbytes=0)
            self._files[algorithm, stored] = file.create_dataset("a", _SHAPE, stored, chunks=_SHAPE, **dict(how))
        return self._files[algorithm, stored]
