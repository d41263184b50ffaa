"""Kernels that learn from patterns learn in another process: beside the frame loop they would hold Python's lock."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import ParscopeError
from parscope.live.kernels.contract import Detector, Kernel
from parscope.live.kernels.parts import part_of
from parscope.live.pipeline.sentences import Tell

_WHERE = "the process that sets kernels up"


class Apart:
    """Sets kernels up by way of a process in which `serve` runs.

    Kernels that want no examples are set up here: they are quick, or cannot be sent. So are all others when the other
    process has died.

    Parameters
    ----------
    pipe : Connection
        To that process.
    tell : callable
        Is told, once, if it has died.
    """

    def __init__(self, pipe: Connection, tell: Tell) -> None:
        self._pipe, self._tell = pipe, tell
        self._lock = threading.Lock()  # of a series before this one a kernel may still be at work
        self._alive = True

    def __call__(self, kernel: Kernel, detector: Detector, examples: NDArray[Any]) -> Any:
        """Set one kernel up; see `parscope.live.kernels.parts.part_of`."""
        if kernel.examples:
            with self._lock:
                part = self._ask(kernel, detector, examples)
            if isinstance(part, Exception):
                raise part
            if part is not None:
                return part
        return part_of(kernel, detector, examples)

    def _ask(self, kernel: Kernel, detector: Detector, examples: NDArray[Any]) -> Any:
        """What the other process gives: the part, or an error; None if it is no more."""
        if not self._alive:
            return None
        try:
            self._pipe.send((kernel.name, detector, examples.dtype, examples.shape))
            # As they are: to pickle megabytes takes ms, with Python's lock held.
            self._pipe.send_bytes(np.ascontiguousarray(examples).reshape(-1).view(np.uint8).data)
            return self._pipe.recv()
        except (OSError, EOFError):
            self._alive = False
            self._tell(f"{_WHERE} has died; the analysis does it itself, and is late meanwhile")
            return None


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
            name, detector, kind, shape = pipe.recv()
            # A copy, since what cannot be written to is another type to the compiler.
            examples = np.frombuffer(pipe.recv_bytes(), kind).reshape(shape).copy()
            _send(pipe, _made(named[name], detector, examples))
        except (OSError, EOFError):
            return


def _made(kernel: Kernel, detector: Detector, examples: NDArray[Any]) -> Any:
    """What the set-up gives, or why it failed."""
    try:
        return part_of(kernel, detector, examples)
    except Exception as error:  # noqa: BLE001 - whatever a kernel does, the others are set up
        return error.with_traceback(None)


def _send(pipe: Connection, part: Any) -> None:
    """Send it, or why it cannot be sent."""
    try:
        pipe.send(part)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - what cannot be pickled says so in many ways
        pipe.send(ParscopeError(f"cannot be sent by {_WHERE}: {error}"))
