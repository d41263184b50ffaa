"""Memory that processes share: what others left is cleared away, if it may be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from parscope.core.errors import OutputError
from parscope.live.pipeline.memory import Segment, folder, sweep
from parscope.live.pipeline.policy import Policy
from parscope.live.pipeline.session import Session
from parscope.live.pipeline.workers import Orders


def dead() -> int:
    """Number of a process that has ended."""
    return int(subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True).stdout)


def test_what_a_dead_process_left_is_deleted() -> None:
    left = folder() / f"parscope-live-{dead()}-0a1b2c3d"
    left.touch()
    sweep()
    assert not left.exists()


def test_what_cannot_be_deleted_holds_nobody_up() -> None:
    left = folder() / f"parscope-live-{dead()}-0a1b2c3d"
    left.mkdir()  # cannot be unlinked, as what another user left in a folder where only the owner may
    try:
        with Segment.create(4096) as memory:
            assert (folder() / memory.name).exists()
    finally:
        left.rmdir()


def test_a_session_without_room_for_its_board_leaves_no_ring() -> None:
    orders = Orders("physics:32x32", ("sum",), policy=Policy(scan=(1 << 20, 1 << 20)), buffer=1 << 20)
    with pytest.raises(OutputError, match="there is no room for"):
        Session(orders)
    assert not list(Path(folder()).glob(f"parscope-live-{os.getpid()}-*"))
