"""How many threads PyTorch works with: small networks are fastest on one, many times so on a busy machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch


class _Depth(threading.local):
    """How many such blocks this thread is in."""

    value = 0


@dataclass
class _Shared:
    """How many threads are in such a block, and what PyTorch worked with before the first of them was."""

    inside: int = 0
    before: int = 1
    lock: threading.Lock = field(default_factory=threading.Lock)
    depth: _Depth = field(default_factory=_Depth)


_SHARED = _Shared()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch work with one thread in the block, and as before after it; several threads may do so at once.

    The number is of the process: a thread that begins while another one is in such a block would find 1 before it, and
    leave that behind.
    """
    shared = _SHARED
    with shared.lock:
        # Asked in every thread: one that does not know the number of the process yet would take it over later.
        now = torch.get_num_threads()
        if shared.inside == 0:
            shared.before = now
        shared.inside += shared.depth.value == 0
        shared.depth.value += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with shared.lock:
            shared.depth.value -= 1
            if shared.depth.value == 0:
                shared.inside -= 1
                torch.set_num_threads(shared.before)
