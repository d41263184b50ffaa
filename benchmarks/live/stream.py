"""A sender for measurements: messages made beforehand, sent at exact times, each with the time of its sending."""

from __future__ import annotations

import gc
import multiprocessing as mp
import os
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from parscope.core.stream import Series
from parscope.live.wire.encode import end_message, image_message, patch, start_message

POOL = 64
_BIG = struct.Struct(">Q")
_ELECTRONS_PER_S = 100e-12 / 1.602e-19
CHANNEL = "threshold_1"


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
    real_time : bool
        Whether the sender has real-time priority.
    burst : int
        Patterns that are sent at once, after which the sender may sleep.
    """

    scan: tuple[int, int]
    rate: float
    pixels: int = 192
    dose_rate: float = 5000.0
    dtype: str = "uint8"
    disks: bool = False
    real_time: bool = True
    burst: int = 1

    @property
    def series(self) -> Series:
        """Announcement."""
        images = self.scan[0] * self.scan[1]
        return Series(1, "bench", images, (self.pixels, self.pixels), self.dtype, (CHANNEL,))


def patterns(load: Load) -> np.ndarray:
    """A pool of patterns that are sent in turn."""
    rng = np.random.default_rng(1)
    n = load.pixels
    electrons = _ELECTRONS_PER_S / load.dose_rate
    y, x = np.mgrid[:n, :n].astype(float)
    middle, scale = (n - 1) / 2, n / 192
    wide = np.exp(-((x - middle) ** 2 + (y - middle) ** 2) / (2 * (60 * scale) ** 2))
    out = np.empty((POOL, n, n), load.dtype)
    for i in range(POOL):
        dy, dx = 3 * scale * np.cos(2 * np.pi * i / 50), 3 * scale * np.sin(2 * np.pi * i / 64)
        spots = _lattice(i, scale) if load.disks else [(0.0, 0.0, 40 * scale, 1.0)]
        mean = 0.05 * wide / wide.sum()
        total = sum(weight for *_, weight in spots)
        for oy, ox, radius, weight in spots:
            disk = np.clip(radius + 0.5 - np.hypot(y - middle - dy - oy, x - middle - dx - ox), 0, 1)
            mean += 0.95 * weight / total * disk / disk.sum()
        out[i] = np.minimum(rng.poisson(electrons * mean), np.iinfo(load.dtype).max - 1)
    return out


def _lattice(i: int, scale: float) -> list[tuple[float, float, float, float]]:
    """25 disks of a lattice that is strained a little differently in each pattern."""
    strain = 1 + 0.01 * np.sin(2 * np.pi * i / POOL)
    step = 34 * scale * strain
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
        How often, one after the other.
    """

    def __init__(self, load: Load, series: int = 1, most: int = 20_000) -> None:
        context = mp.get_context("spawn")
        ours, theirs = context.Pipe()
        self._pipe: Any = ours
        self._process = context.Process(target=_send, args=(load, series, most, theirs), daemon=True)
        self._process.start()
        self.address = f"tcp://127.0.0.1:{self._pipe.recv()}"

    def go(self) -> None:
        """Begin."""
        self._pipe.send("go")

    def wait(self) -> dict[str, float]:
        """What was sent, how fast, and how often too late."""
        told: dict[str, float] = self._pipe.recv()
        self._process.join()
        return told


def _send(load: Load, series: int, most: int, pipe: Any) -> None:
    """Send in a process of its own, on core 0."""
    context = zmq.Context()
    socket = context.socket(zmq.PUSH)
    socket.set_hwm(most)
    socket.setsockopt(zmq.SNDBUF, 4 << 20)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    told = load.series
    messages = [bytearray(image_message(told, 0, {CHANNEL: one}, (0, 0))) for one in patterns(load)]
    start, end = start_message(told), end_message(told)
    pipe.send(port)
    pipe.recv()
    _pin(load)
    late = 0
    began = time.monotonic_ns()
    for _ in range(series):
        socket.send(start)
        time.sleep(0.3)
        began = time.monotonic_ns()
        late += _volley(socket, messages, load)
        ended = time.monotonic_ns()
        socket.send(end)
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    pipe.send({"late": late, "seconds": (ended - began) / 1e9, "bytes": sum(map(len, messages)) / POOL})
    socket.close(60_000)
    context.term()


def _pin(load: Load) -> None:
    """Core 0, before all others if wanted; the library's thread first, so that what is due leaves at once.

    Where all is due at once, that would be two changes of threads for every message, and a sender of a third of the
    rate: there the two have the same rank, and the library sends many at a time, as that of a detector does.
    """
    own = 5 if load.rate else 20
    gc.disable()
    for path in Path("/proc/self/task").iterdir():
        task = int(path.name)
        os.sched_setaffinity(task, {0})
        if load.real_time:
            os.sched_setscheduler(task, os.SCHED_FIFO, os.sched_param(own if task == os.getpid() else 20))


def _volley(socket: Any, messages: list[bytearray], load: Load) -> int:
    """Send images at their times; how many were sent more than 50 us after."""
    now, send, pack = time.monotonic_ns, socket.send, _BIG.pack_into
    number, stop = _places(messages[0])
    period, burst = 1e9 / load.rate if load.rate else 0.0, load.burst
    began = now() + 2_000_000
    late = 0
    for image in range(load.series.images):
        message = messages[image % POOL]
        pack(message, number, image)
        if period and not image % burst:
            due = began + int(image * period)
            if (left := due - now()) > 100_000:
                time.sleep(left * 4e-10)  # a process of real-time priority must sleep at times
            while (at := now()) < due:
                pass
            late += at - due > 50_000
        else:
            at = now()
        pack(message, stop, at)
        send(message)
    return late


def _places(message: bytearray) -> tuple[int, int]:
    """Where number and time stand in a message."""
    marks = 0x1122334455667788, 0x0122334455667799
    patch(message, image=marks[0], times=(0, marks[1]))
    return message.index(_BIG.pack(marks[0])), message.index(_BIG.pack(marks[1]))
