"""Kernels that learn from patterns learn in another process: beside the frame loop they would hold Python's lock."""

from __future__ import annotations

import contextlib
import math
import pickle
import select
from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import OutputError, ParscopeError
from parscope.live.kernels.contract import Detector, Kernel
from parscope.live.kernels.parts import part_of
from parscope.live.pipeline.memory import Segment
from parscope.live.pipeline.sentences import Tell


class Apart:
    """Has kernels set up by a process in which `serve` runs.

    To ask and to hear takes a fraction of a ms. Examples lie in memory that the other process sees too; to make it, for
    a series of other patterns than before, takes some ms before they come.

    Parameters
    ----------
    pipe : Connection
        To that process.
    tell : callable
        Is told, once, if it has died.

    Attributes
    ----------
    alive : bool
        Whether it can be asked.
    uncompiled : frozenset of str
        Kernels that the compiler may still have work with in this process.
    """

    def __init__(self, pipe: Connection, tell: Tell) -> None:
        self._pipe, self._tell = pipe, tell
        self._poll = select.poll()  # that of the pipe takes 50 us
        self._poll.register(pipe.fileno(), select.POLLIN)
        self.alive = True
        self.uncompiled: frozenset[str] = frozenset()
        self._asked = 0
        self._places: dict[str, Segment] = {}

    def room(self, kernel: Kernel, detector: Detector) -> NDArray[Any] | None:
        """Room for the examples of a kernel.

        Parameters
        ----------
        kernel : Kernel
            Any.
        detector : Detector
            Of the patterns.

        Returns
        -------
        ndarray, shape (n, q_y, q_x), optional
            For as many as it wants. None if it wants none, or the machine has no such memory left: it is set up beside
            the analysis then.
        """
        shape, kind = (kernel.examples, *detector.shape), np.dtype(detector.dtype)
        size = math.prod(shape) * kind.itemsize
        place = self._place(kernel.name, size + detector.mask.size) if size else None
        if place is None:
            return None
        shared, mask = _laid_out(place, shape, kind)
        mask[...] = detector.mask
        return shared

    def can(self, kernel: Kernel) -> bool:
        """Whether the other process can set a kernel up.

        Parameters
        ----------
        kernel : Kernel
            Any.

        Returns
        -------
        bool
            Not one that wants no examples: it is quick, or cannot be sent.
        """
        return self.alive and kernel.name in self._places

    def ask(self, kernel: Kernel, detector: Detector, examples: NDArray[Any]) -> None:
        """Ask for a kernel; what was asked before is of no use any more.

        Parameters
        ----------
        kernel : Kernel
            One that `can` be set up.
        detector : Detector
            For which `room` was made.
        examples : ndarray, shape (n, q_y, q_x)
            Patterns; copied if they are not in that room.
        """
        place = self._places[kernel.name]
        shared, mask = _laid_out(place, (kernel.examples, *detector.shape), examples.dtype)
        if not np.may_share_memory(shared, examples):
            shared[: len(examples)] = examples
        self._asked += 1
        brief = replace(detector, mask=mask[:0])  # the mask lies beside the examples
        with self._mortal():
            self._pipe.send((self._asked, kernel.name, brief, kernel.examples, len(examples), place.name))

    def answer(self) -> bytes | None:
        """What came of what was asked last.

        Returns
        -------
        bytes, optional
            The part as of `parscope.live.kernels.parts.part_of`, or an exception, pickled: who takes it apart has to
            reckon with anything. None if there is no answer yet, or can be none.
        """
        with self._mortal():
            while self.alive and self._poll.poll(0):
                asked, part = self._pipe.recv()
                if asked == self._asked:
                    answer: bytes = part
                    return answer
        return None

    def wait(self) -> None:
        """Wait until there is an answer, or can be none."""
        if self.alive:
            self._poll.poll()

    def close(self) -> None:
        """Let go of the memory; may be called twice."""
        for place in self._places.values():
            place.close()
        self._places = {}

    def _place(self, name: str, size: int) -> Segment | None:
        """Memory for a kernel: that of the series before if it is as large; None if there is none left."""
        place = self._places.pop(name, None)
        if place is not None and place.buffer.nbytes != size:
            place.close()
            place = None
        try:
            self._places[name] = place or Segment.create(size)
        except (OutputError, OSError) as error:
            self._tell(f"{name} is set up beside the analysis, which is late meanwhile: {error}")
            return None
        return self._places[name]

    @contextlib.contextmanager
    def _mortal(self) -> Iterator[None]:
        """Whatever is done with the pipe, the other process may die meanwhile."""
        try:
            yield
        except (OSError, EOFError):
            self.alive = False
            self._tell("the process that sets kernels up has died; the analysis does it itself, and is late meanwhile")


def _laid_out(place: Segment, shape: tuple[int, ...], kind: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """What lies in a place: room for examples (n, q_y, q_x), and the mask of the detector (q_y, q_x)."""
    count = math.prod(shape)
    examples = np.frombuffer(place.buffer, kind, count).reshape(shape)
    mask = np.frombuffer(place.buffer, np.bool_, offset=examples.nbytes).reshape(shape[1:])
    return examples, mask


def serve(kernels: Sequence[Kernel], pipe: Connection) -> None:
    """Set up what is asked for, until nobody can ask any more.

    Parameters
    ----------
    kernels : sequence of Kernel
        Those that may be asked for.
    pipe : Connection
        To the process that has the `Apart`.
    """
    named = {kernel.name: kernel for kernel in kernels}
    while True:
        try:
            asked, name, detector, room, shown, place = pipe.recv()
            pipe.send((asked, _pickled(_made(named[name], detector, (room, shown), place))))
        except (OSError, EOFError):
            return


def _made(kernel: Kernel, detector: Detector, counts: tuple[int, int], name: str) -> Any:
    """What the set-up gives, or why it failed."""
    try:
        with Segment(name) as place:
            shared, mask = _laid_out(place, (counts[0], *detector.shape), np.dtype(detector.dtype))
            # Copies: of the next series there may be others in the same place.
            return part_of(kernel, replace(detector, mask=mask.copy()), shared[: counts[1]].copy())
    except Exception as error:  # noqa: BLE001 - whatever a kernel does, the others are set up
        return fault_of(error)


def fault_of(error: Exception) -> ParscopeError:
    """Why a kernel could not be set up, as an error that any process can read.

    Parameters
    ----------
    error : Exception
        What the set-up raised.

    Returns
    -------
    ParscopeError
    """
    if isinstance(error, ParscopeError):
        return error.with_traceback(None)
    return ParscopeError(f"{type(error).__name__}: {error}")


def _pickled(part: Any) -> bytes:
    """The part, or why it cannot be sent."""
    try:
        return pickle.dumps(part)
    except Exception as error:  # noqa: BLE001 - what cannot be pickled says so in many ways
        return pickle.dumps(ParscopeError(f"cannot be sent by the process that sets kernels up: {error}"))
