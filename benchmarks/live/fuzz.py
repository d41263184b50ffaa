"""Mutated messages against the scanner and both decompressors, with forbidden pages around everything they touch.

    python -m benchmarks.live.fuzz --messages 10000000 --results benchmarks/results/live_fuzz.json

Messages are those of all kinds that a detector sends, with bits, bytes, numbers, pieces and ends changed. A process
of its own takes each share of them: what reads or writes one byte too far, or crashes otherwise, ends that process,
which is counted, and its seed is told. Everything else must be read or refused; whatever both decompressors take must
be the same counts, and whatever the scanner takes must be what cbor2 reads.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import numba as nb
import numpy as np
from numpy.typing import NDArray

from benchmarks import machine
from benchmarks.live.guard import Guarded
from benchmarks.live.readers import Readers
from benchmarks.live.terse import terse
from parscope.core.stream import Series
from parscope.live.wire import bslz4
from parscope.live.wire.decompress import Decompressor, library
from parscope.live.wire.encode import end_message, image_message, start_message
from parscope.live.wire.errors import MessageError
from parscope.live.wire.pack import Packed, pack
from parscope.live.wire.scan import Head, Scanner
from parscope.live.wire.v1 import image_parts, translate

SHARE = 500_000
_EVERY = 16
_ROOM = 16384
_NAMES = ("the library", "numba")


def corpus() -> list[bytes]:
    """Messages of all kinds, small, since a long run of samples is no new path."""
    rng = np.random.default_rng(11)
    mask = rng.random((16, 20)) < 0.02
    series = Series(7, "01JUNIQUE", 64, (16, 20), "uint16", ("threshold_1", "threshold_2"), mask)
    messages = [start_message(series, {"scan_shape": [8, 8]}), end_message(series)]
    for dtype in ("uint8", "uint16", "uint32"):
        frame = rng.poisson(1.5 * (1 + np.sin(np.arange(320) / 9)).reshape(16, 20)).astype(dtype)
        messages += [
            image_message(series, 3, {"threshold_1": frame}, (5, 9), {"sent_ns": 1}, algorithm)
            for algorithm in ("bslz4", "lz4", "none", "bszstd")
        ]
        messages.append(image_message(series, 4, {"threshold_1": frame, "threshold_2": frame[::-1]}))
        if library() is not None:  # which has the writer, too
            dense = Packed((16, 20), np.dtype(dtype).str, "trpx", frame.itemsize, terse(frame))
            messages.append(image_message(series, 7, {"threshold_1": dense}))
    big = pack(np.arange(9216, dtype=np.uint16).reshape(96, 96) % 7)
    messages.append(image_message(series, 5, {"threshold_1": big}))
    messages.append(image_message(series, 6, {"a": Packed((96, 96), ">u2", "bslz4", 2, big.data, by_columns=True)}))
    v1 = translate(image_parts(series, 8, frame, (1, 2), {"note": [1, 2]}, "lz4"))
    return [*messages, *([v1] if v1 else [])]


@nb.njit(cache=True)
def _draw(state: NDArray[np.uint64], below: int) -> int:
    """A random number (xorshift)."""
    x = state[0]
    x ^= x << np.uint64(13)
    x ^= x >> np.uint64(7)
    x ^= x << np.uint64(17)
    state[0] = x
    return np.int64((x >> np.uint64(11)) % np.uint64(max(below, 1)))


@nb.njit(cache=True)
def _place(state: NDArray[np.uint64], size: int) -> int:
    """A place in a message: half of them in the first 400 bytes, where the fields are."""
    return _draw(state, min(size, 400)) if _draw(state, 2) else _draw(state, size)


@nb.njit(cache=True)
def _overwrite(out: NDArray[np.uint8], at: int, size: int, state: NDArray[np.uint64]) -> None:
    """Change a few bytes: one bit, any byte, a telling byte, or a run of extremes."""
    what = _draw(state, 5)
    if what == 0:
        out[at] ^= np.uint8(1 << _draw(state, 8))
    elif what <= 2:
        out[at] = _draw(state, 256)
    elif what == 3:
        out[at] = (0, 255, 127, 128, 0x1B, 0x5F, 0xBF, 0x9F, 0xD9, 0x5B)[_draw(state, 10)]
    else:
        for i in range(at, min(at + 1 + _draw(state, 8), size)):
            out[i] = 255 * _draw(state, 2)


@nb.njit(cache=True)
def _once(out: NDArray[np.uint8], size: int, state: NDArray[np.uint64]) -> int:
    """One change; the size after it."""
    at, what = _place(state, size), _draw(state, 8)
    if what < 5:
        _overwrite(out, at, size, state)
        return size
    if what == 5:
        return at
    count, start = min(_draw(state, 32), size - at), _place(state, size)
    if what == 6:
        for i in range(at, size - count):
            out[i] = out[i + count]
        return size - count
    for i in range(min(count, size - start)):
        out[at + i] = out[start + i]
    return size


@nb.njit(cache=True)
def mutate(message: NDArray[np.uint8], out: NDArray[np.uint8], state: NDArray[np.uint64]) -> int:
    """Write a message with one to four changes; its size."""
    size = message.size
    out[:size] = message
    for _ in range(1 + _draw(state, 4)):
        if size > 0:
            size = _once(out, size, state)
    return size


def guarded(shape: tuple[int, int], dtype: str, own: bool) -> Decompressor:
    """A decompressor all of whose memory ends where nobody may read or write."""
    made = Decompressor(shape, dtype, own)
    words = made._words.size * 8
    made._words = Guarded(words).room[-words:].view(np.uint64)
    made._bytes = made._words.view(np.uint8)
    made._flat = made._bytes[: made._size]
    made._memory = made._flat.data
    made._frame = made._flat.view(made._dtype).reshape(shape)
    planes, parts = Guarded(made._room.planes.size), Guarded(bslz4.LARGEST)
    made._room = bslz4.Room(planes.room[-made._room.planes.size :], parts.room.view(np.uint64))
    return made


class Trial:
    """Takes mutated messages, and counts what becomes of them."""

    def __init__(self, seed: int) -> None:
        self._messages = [np.frombuffer(message, np.uint8) for message in corpus()]
        self._state = np.array([(seed + 1) * 0x9E3779B97F4A7C15 % 2**64], np.uint64)
        self._scratch, self._place = np.zeros(2 * _ROOM, np.uint8), Guarded(_ROOM)
        self._scanner = Scanner()
        self._made: dict[tuple[tuple[int, int], str, bool], Decompressor] = {}
        self.count: Counter[str] = Counter()
        self._readers = Readers(self.count, self._mutated)

    def _mutated(self, data: NDArray[np.uint8]) -> bytes:
        """Other data than the messages of the corpus, with one to four changes."""
        return self._scratch[: mutate(data, self._scratch, self._state)].tobytes()

    def one(self, number: int) -> None:
        """Mutate one message, and read it."""
        if number % _EVERY == 3:
            self._readers.parts(number // _EVERY)
        message = self._messages[number % len(self._messages)]
        size = mutate(message, self._scratch, self._state)
        placed = self._place.put(self._scratch[:size], first=bool(number & 1)).data
        try:
            head = self._scanner.scan(placed)
        except MessageError:
            self.count["refused by the scanner"] += 1
            return
        except Exception as error:  # noqa: BLE001, whatever else is raised is what is looked for
            self._unexpected(error)
            return
        self.count[f"read: {head.kind}"] += 1
        if number % _EVERY == 0:
            self._compare(placed, head)
        if head.kind == "start":
            self._readers.start(placed)
        for payload in head.channels:
            self._decode(placed, payload, number)
            if number % _EVERY == 5:
                self._readers.recorded(placed, payload)

    def _unexpected(self, error: Exception) -> None:
        """Count an error that is no refusal."""
        self.count["unexpected errors"] += 1
        self.count[f"raised {type(error).__name__}: {error}"] += 1

    def _decompressor(self, payload: Any, own: bool) -> Decompressor:
        """The one for this shape and type; of shapes that the corpus does not have, one that refuses."""
        shape = payload.shape if payload.shape in ((16, 20), (96, 96), (20, 16)) else (16, 20)
        dtype = payload.dtype if payload.dtype in ("uint8", "uint16", "uint32") else "uint16"
        key = (shape, dtype, own)
        if key not in self._made:
            self._made[key] = guarded(shape, dtype, own)
        return self._made[key]

    def _decode(self, message: memoryview, payload: Any, number: int) -> None:
        """Decompress with one decompressor, now and then with both."""
        both = number % _EVERY == 1 and payload.algorithm in ("bslz4", "lz4")
        frames = {}
        for own in (False, True) if both else (number % 3 != 0 and payload.algorithm not in ("bszstd", "trpx"),):
            try:
                frames[own] = self._decompressor(payload, own).decode(message, payload).copy()
            except MessageError:
                self.count[f"samples refused by {_NAMES[own]}"] += 1
            except Exception as error:  # noqa: BLE001, whatever else is raised is what is looked for
                self._unexpected(error)
            else:
                self.count[f"samples taken by {_NAMES[own]}"] += 1
        if len(frames) == 2:
            self.count["compared"] += 1
            self.count["decompressed differently"] += int(not np.array_equal(*frames.values()))
        elif both:
            for own in frames:
                self.count[f"samples taken by {_NAMES[own]} only"] += 1

    def _compare(self, message: memoryview, head: Head) -> None:
        """What the scanner took, read by the library."""
        try:
            # the scanner passes over texts, whatever is in them
            content = cbor2.loads(
                bytes(message),
                tag_hook=lambda tag, _: tag,
                semantic_decoders=_AS_IT_IS,
                str_errors="replace",
                max_depth=99,
            )
        except cbor2.CBORError:
            self.count["read by the scanner, not by cbor2"] += 1
            return
        same = head.image == content.get("image_id", -1) and head.series == content.get("series_id", -1)
        if head.channels:
            same = same and [payload.name for payload in head.channels] == list(content["data"])
        self.count["scanned as cbor2 reads" if same or head.kind == "other" else "scanned differently"] += 1


_AS_IT_IS = dict.fromkeys(
    (*range(6), 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799), lambda v, _: v
)


def share(seed: int, messages: int) -> Counter[str]:
    """A share of the messages, in this process."""
    trial = Trial(seed)
    for number in range(messages):
        trial.one(number)
    return trial.count


def shares(messages: int, seed: int) -> Iterator[Counter[str]]:
    """All messages, in one process after the other."""
    for first in range(0, messages, SHARE):
        count = min(SHARE, messages - first)
        command = [sys.executable, "-m", "benchmarks.live.fuzz", "--share", str(seed + first // SHARE), "--messages"]
        done = subprocess.run([*command, str(count)], capture_output=True, text=True, check=False)
        if done.returncode:
            told = f"seed {seed + first // SHARE} ended with {done.returncode}"
            yield Counter({"crashed": 1, f"{told}: {done.stderr[-300:]}": 1})
        else:
            yield Counter(json.loads(done.stdout.splitlines()[-1])) + Counter({"messages": count})


def main() -> None:
    """Measure, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--share", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.share is not None:
        print(json.dumps(share(options.share, options.messages)))
        return
    begin, total = time.monotonic(), Counter({"crashed": 0, "decompressed differently": 0, "scanned differently": 0})
    for counts in shares(options.messages, options.seed):
        total.update(counts)
        print(f"{total['messages']} messages, {time.monotonic() - begin:.0f} s, {total['crashed']} crashed", flush=True)
    result = {
        "machine": machine.machine(),
        "load": machine.load(),
        "date": machine.now(),
        "seconds": round(time.monotonic() - begin),
        "counts": dict(sorted(total.items())),
    }
    print(json.dumps(result, indent=1))
    if options.results:
        options.results.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
