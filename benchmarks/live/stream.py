"""A sender for measurements: messages made beforehand, sent at exact times, each with the time of its sending."""

from __future__ import annotations

import gc
import multiprocessing as mp
import os
import struct
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from benchmarks.live.plain import PlainPush
from parscope.core.stream import Series
from parscope.live.wire.encode import end_message, image_message, patch, start_message

POOL = 64
_BIG = struct.Struct(">Q")
_ELECTRONS_PER_S = 100e-12 / 1.602e-19
CHANNEL = "threshold_1"
_SYSTEM = 4 << 20  # bytes that the system holds for the sender
_AWAKE = 60_000  # ns before a time from which on it is waited for without sleep


@dataclass(frozen=True)
class Load:
    """What is sent.

    Parameters
    ----------
    scan : tuple of int
        Scan positions.
    rate : float
        Patterns per second; 0 for as fast as possible.
    pixels : int
        Of the detector, along a side.
    dose_rate : float
        Patterns per second whose dose at 100 pA a pattern has.
    dtype : str
        Of a sample.
    disks : bool
        Whether there are 25 disks rather than one.
    burst : int
        Patterns that are sent at once, after which the sender may sleep.
    most : int
        Messages that wait for the receiver at most; at a rate, what comes then is refused, as a detector loses it.
    plain : bool
        Whether the sender does without ZeroMQ's library and its thread, which take 9 us of each message there; it then
        waits for the receiver, and is late, where a message would be refused.
    """

    scan: tuple[int, int]
    rate: float
    pixels: int = 192
    dose_rate: float = 5000.0
    dtype: str = "uint8"
    disks: bool = False
    burst: int = 1
    most: int = 10_000
    plain: bool = False

    @property
    def radius(self) -> float:
        """Of the direct disk, [px]."""
        return (9 if self.disks else 40) * self.pixels / 192

    @property
    def series(self) -> Series:
        """Announcement."""
        images = self.scan[0] * self.scan[1]
        return Series(1, "bench", images, (self.pixels, self.pixels), self.dtype, (CHANNEL,))


def shifts(load: Load) -> np.ndarray:
    """How far (y, x) the middle of each pattern of the pool is from that of the detector, [px]."""
    turn = 2 * np.pi * np.arange(POOL)
    return 3 * load.pixels / 192 * np.column_stack([np.cos(turn / 50), np.sin(turn / 64)])


def stretches() -> np.ndarray:
    """By what the lattice of each pattern of the pool is stretched along y."""
    return 1 + 0.01 * np.sin(2 * np.pi * np.arange(POOL) / POOL)


@cache
def patterns(load: Load) -> np.ndarray:
    """A pool of patterns that are sent in turn."""
    rng = np.random.default_rng(1)
    n = load.pixels
    electrons = _ELECTRONS_PER_S / load.dose_rate
    y, x = np.mgrid[:n, :n].astype(float)
    middle, scale = (n - 1) / 2, n / 192
    wide = np.exp(-((x - middle) ** 2 + (y - middle) ** 2) / (2 * (60 * scale) ** 2))
    out = np.empty((POOL, n, n), load.dtype)
    for i, (dy, dx) in enumerate(shifts(load)):
        spots = _lattice(i, scale) if load.disks else [(0.0, 0.0, load.radius, 1.0)]
        mean = 0.05 * wide / wide.sum()
        total = sum(weight for *_, weight in spots)
        for oy, ox, radius, weight in spots:
            disk = np.clip(radius + 0.5 - np.hypot(y - middle - dy - oy, x - middle - dx - ox), 0, 1)
            mean += 0.95 * weight / total * disk / disk.sum()
        out[i] = np.minimum(rng.poisson(electrons * mean), np.iinfo(load.dtype).max - 1)
    return out


def _lattice(i: int, scale: float) -> list[tuple[float, float, float, float]]:
    """25 disks of a lattice that is strained a little differently in each pattern."""
    step = 34 * scale * stretches()[i]
    return [
        (a * step, b * 34 * scale, 9 * scale, 3.0 if a == b == 0 else 1.0) for a in range(-2, 3) for b in range(-2, 3)
    ]


class Sender:
    """A process that sends a load when it is told to.

    Parameters
    ----------
    load : Load
        What.
    series : int, default 1
        How often, each when it is told to.
    """

    def __init__(self, load: Load, series: int = 1) -> None:
        context = mp.get_context("spawn")
        ours, theirs = context.Pipe()
        self._pipe: Any = ours
        self.series = series
        self._process = context.Process(target=_send, args=(load, series, theirs), daemon=True)
        self._process.start()
        self.address = f"tcp://127.0.0.1:{self._pipe.recv()}"

    def go(self) -> None:
        """Send a series."""
        self._pipe.send("go")

    def wait(self) -> dict[str, float]:
        """What was sent of the last series, how fast, and how often too late."""
        told: dict[str, float] = self._pipe.recv()
        self._process.join()
        return told


def _send(load: Load, series: int, pipe: Any) -> None:
    """Send in a process of its own, on core 0."""
    context = zmq.Context()
    socket, port = _opened(context, load)
    told = load.series
    messages = [bytearray(image_message(told, 0, {CHANNEL: one}, (0, 0))) for one in patterns(load)]
    start, end = start_message(told), end_message(told)
    pipe.send(port)
    if load.plain:
        socket.accept()
    real_time = _first(load)
    made: dict[str, float] = {}
    for _ in range(series):
        pipe.recv()
        socket.send(start)
        time.sleep(0.3)
        made = _volley(socket, messages, load)
        socket.send(end)
    if real_time:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    pipe.send({**made, "real_time": real_time, "bytes": sum(map(len, messages)) / POOL})
    socket.close(60_000)
    context.term()


def _opened(context: zmq.Context[Any], load: Load) -> tuple[Any, int]:
    """The socket that sends, and its port."""
    if load.plain:
        plain = PlainPush(_SYSTEM)
        return plain, plain.port
    socket = context.socket(zmq.PUSH)
    socket.set_hwm(load.most)
    socket.setsockopt(zmq.SNDBUF, _SYSTEM)
    return socket, socket.bind_to_random_port("tcp://127.0.0.1")


def _first(load: Load) -> bool:
    """Core 0, before all others if permitted; the library's thread first, so that what is due leaves at once.

    Where all is due at once, that would be two changes of threads for every message, and a sender of a third of the
    rate: there the two have the same rank, and the library sends many at a time, as that of a detector does.
    """
    own = 5 if load.rate else 20
    gc.disable()
    try:
        for path in Path("/proc/self/task").iterdir():
            task = int(path.name)
            os.sched_setaffinity(task, {0})
            os.sched_setscheduler(task, os.SCHED_FIFO, os.sched_param(own if task == os.getpid() else 20))
    except PermissionError:
        return False
    return True


def _volley(socket: Any, messages: list[bytearray], load: Load) -> dict[str, float]:
    """Send images at their times; how many were refused, or more than 50 us late, and how many a second left."""
    now, pack = time.monotonic_ns, _BIG.pack_into
    number, stop = _places(messages[0])
    period, burst = (1e9 / load.rate, load.burst) if load.rate else (0.0, 1)
    refused = late = 0
    began = at = now() + (2_000_000 if period else 0)
    for image in range(load.series.images):
        message = messages[image % POOL]
        pack(message, number, image)
        if period and not image % burst:
            at = _wait(began + int(image * period))
            late += at - (began + image * period) > 50_000
        else:
            at = now()
        pack(message, stop, at)
        refused += _post(socket, message, bool(period))
    # what leaves together counts from the time of the first to that of the next together
    left = load.series.images - burst - refused
    return {"late": late, "refused": refused, "per_second": left / ((at - began) / 1e9)}


def _wait(due: int) -> int:
    """Wait for a time; when it is over."""
    now = time.monotonic_ns
    if (left := due - now()) > _AWAKE:
        time.sleep((left - _AWAKE) / 1e9)  # a detector would not take this core from whoever receives
    while (at := now()) < due:
        pass
    return at


def _post(socket: Any, message: bytearray, at_once: bool) -> bool:
    """Send an image; at a rate without waiting, and whether it was refused then, because too many wait."""
    try:
        socket.send(message, zmq.NOBLOCK if at_once else 0)
    except zmq.Again:
        return True
    return False


def _places(message: bytearray) -> tuple[int, int]:
    """Where number and time stand in a message."""
    marks = 0x1122334455667788, 0x0122334455667799
    patch(message, image=marks[0], times=(0, marks[1]))
    return message.index(_BIG.pack(marks[0])), message.index(_BIG.pack(marks[1]))
