"""Sends one series: each image at its time or as fast as possible, from messages that were compressed before."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, MutableSequence, Sequence
from enum import IntEnum
from typing import Any, Protocol

import numpy as np
import zmq
from numpy.typing import NDArray

from parscope.live.emulator.faults import BLOCK, Planner
from parscope.live.emulator.frames import Views
from parscope.live.emulator.job import Job, Report
from parscope.live.emulator.outlet import Outlet

_KEPT = 4_000_000
_NAP, _MARGIN = 1_500_000, 700_000
_LATE = 50_000
_PATIENCE, _LOOK = 2_000, 20
_TURN = 0.0005
_STRIDE = 64
_OF_MESSAGES = ("overflow", "two_clients")

Piece = tuple[int, int, NDArray[np.int64]]
"""Range of images, and their messages: image, variant, slot, time and delay [ns] of each."""


class Word(IntEnum):
    """Numbers in shared memory, by which the processes of the emulator speak while images are sent."""

    GRANTED = 0
    COUNT_NS = 1
    STOP = 2
    DROPPED = 3
    SENT = 4
    CLIENTS = 5


class Messages(Protocol):
    """The messages of a series; one or several parts each."""

    def start(self) -> Any:
        """The message at its start."""

    def end(self) -> Any:
        """The message at its end."""

    def image(self, row: Sequence[int], start_ns: int, stop_ns: int, sent_ns: int) -> Any:
        """One image, valid until the next call; `row` is its number, its variant and its slot."""


class Shooter:
    """Takes the images of one series.

    Parameters
    ----------
    job : Job
        The order.
    views : Views
        Patterns.
    roll : Messages
        Of them.
    planner : Planner
        Faults.
    words : mutable sequence of int
        See `Word`.
    tell : callable
        Told the number of triggers that are done, when the next is waited for.
    """

    def __init__(
        self,
        job: Job,
        views: Views,
        roll: Messages,
        planner: Planner,
        words: MutableSequence[int],
        tell: Callable[[int], None],
    ) -> None:
        self.job, self.views, self.roll, self.planner, self.words, self.tell = job, views, roll, planner, words, tell
        self.outlet: Outlet | None = None
        self._send: Callable[..., Any] = _nowhere
        self.late, self._patient = 0, False
        self._parent = os.getppid()
        self._zero = self._first = self._last = 0

    def run(self, outlet: Outlet | None, patient: bool = False) -> Report:
        """Send the start, the images as they are triggered, and the end.

        Parameters
        ----------
        outlet : Outlet, optional
            Where to; images are taken and sent nowhere without.
        patient : bool, default False
            Whether a client whose queue is full is waited for, rather than losing images.

        Returns
        -------
        Report
        """
        self._patient = patient
        if outlet is not None:
            self.outlet = outlet
            self._send = outlet.socket.send if self.job.version == 2 else outlet.socket.send_multipart
        program = self._program()
        if self.job.timing.total <= _KEPT:
            program = iter(list(program))
        self._edge(self.roll.start(), self.planner.start)
        self._zero = time.monotonic_ns()
        if not self.job.timing.waits:
            self.tell(-1)
        images = self._bursts(program)
        if self.words[Word.STOP] != 2:
            self._edge(self.roll.end(), self.planner.end)
        sent = 0 if outlet is None else self.words[Word.SENT]
        seconds = max(0, self._last - self._first) / 1e9
        faults = self._faults(images)
        return Report(self.job.series, images, sent, seconds, faults, self.late, began_ns=self._first)

    def _faults(self, images: int) -> dict[str, tuple[int, ...]]:
        """Numbers of the images with each fault; what was planned for images that were not taken is no fault."""
        told = {
            name: tuple(image for image in marked if image < images or name in _OF_MESSAGES)
            for name, marked in self.planner.marks.items()
        }
        return {name: marked for name, marked in told.items() if marked}

    def _bursts(self, program: Iterator[Piece]) -> int:
        """Take what each trigger asks for; how many images it came to."""
        timing, done, origin = self.job.timing, 0, time.monotonic_ns()
        for first, stop, rows in program:
            if first % timing.burst == 0:
                if timing.waits and not self._triggered(first // timing.burst):
                    return done
                origin = time.monotonic_ns()
            stopped = self._shoot(rows, origin)
            if stopped >= 0:
                return max(done, stopped)
            done = stop
        return done

    def _program(self) -> Iterator[Piece]:
        """All messages of images, in pieces that lie within one trigger and one block of the faults."""
        timing, views = self.job.timing, self.views
        first = 0
        while first < timing.total:
            burst = first - first % timing.burst
            stop = min(timing.total, burst + timing.burst, first - first % BLOCK + BLOCK)
            plan = self.planner.plan(first, stop)
            images = plan[:, 0]
            due = timing.due(images - burst)
            yield first, stop, np.stack([images, plan[:, 1], views.slots(images), due, plan[:, 2]], 1)
            first = stop

    def _triggered(self, bursts: int) -> bool:
        """Wait for the next trigger; False if the series is to end instead."""
        words = self.words
        if words[Word.GRANTED] <= bursts:
            self.tell(bursts)
        while words[Word.GRANTED] <= bursts:
            # A process whose parent is gone gets no trigger any more.
            if words[Word.STOP] or os.getppid() != self._parent:
                return False
            if self.outlet is not None:
                words[Word.CLIENTS] = self.outlet.clients()
            time.sleep(_TURN)
        return True

    def _shoot(self, rows: NDArray[np.int64], origin: int) -> int:
        """Send a piece of the program; the number of the image before which it was stopped, or -1."""
        # Lists are faster to walk than arrays; making a long one would delay the image after it.
        for part in range(0, len(rows), _STRIDE):
            stopped = self._volley(rows[part : part + _STRIDE].tolist(), origin)
            if stopped >= 0:
                return stopped
        return -1

    def _volley(self, rows: list[list[int]], origin: int) -> int:
        """Send messages at their times; the number of the image before which it was stopped, or -1."""
        words, clock, image_of, taken = self.words, time.monotonic_ns, self.roll.image, self.planner.taken
        paced = self.job.timing.frame_ns > 0 or self.job.timing.pulse_ns > 0
        count = words[Word.COUNT_NS] if words[Word.COUNT_NS] >= 0 else self.job.timing.count_ns
        for row in rows:
            if words[Word.STOP]:
                return row[0]
            now = clock()
            if paced:
                start = origin + row[3]
                stop = start + count
                now = self._wait(stop + row[4], now)
            else:
                start, stop = now - count, now
            if not self._first:
                self._first = now
            if not taken(row[0]):
                message = image_of(row, max(0, start - self._zero), max(0, stop - self._zero), clock())
                self._post(message, row)
        self._last = clock()
        return -1

    def _wait(self, target: int, now: int) -> int:
        """Wait for a time: asleep while it is far, busy when it is near, as only that is exact."""
        clock = time.monotonic_ns
        if now > target + _LATE:
            self.late += 1
        while now < target:
            if target - now > _NAP:
                time.sleep(min(target - now - _MARGIN, 50_000_000) / 1e9)
                if self.words[Word.STOP]:
                    return now
            now = clock()
        return now

    def _post(self, message: Any, row: list[int]) -> None:
        """Send one image without waiting: what nobody takes is lost, and counted."""
        try:
            self._send(message, zmq.NOBLOCK)
        except zmq.Again:
            if not (self._patient and self._room()):
                self.words[Word.DROPPED] += 1
                self.planner.marks["overflow"].append(row[0])
                return
            self._send(message, zmq.NOBLOCK)
        self.words[Word.SENT] += 1

    def _room(self) -> bool:
        """Wait until a client has room for a message; False if the series is to end instead."""
        while self.outlet is not None and not self.outlet.socket.poll(_LOOK, zmq.POLLOUT):
            if self.words[Word.STOP] or os.getppid() != self._parent:
                return False
        return True

    def _edge(self, message: Any, whole: bool) -> None:
        """Send a start or end; if there is a client whose queue is full, it is waited for a while."""
        if self.outlet is None or not whole or self.planner.taken(-1):
            return
        if self._patient:
            self._room()
        elif self.outlet.clients():
            self.outlet.socket.poll(_PATIENCE, zmq.POLLOUT)
        try:
            self._send(message, zmq.NOBLOCK)
        except zmq.Again:
            self.planner.marks["overflow"].append(-1)


def _nowhere(*_: Any) -> None:
    """Where images go while the stream is switched off."""
