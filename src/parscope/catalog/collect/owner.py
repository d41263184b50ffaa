"""Who works on a file: a process on a host, which can be asked whether it still lives."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from secrets import token_hex


def new_owner() -> str:
    """Make a name that nobody else has, in this process or any other, now or later.

    Returns
    -------
    str
        Host, something random, process number and when the process began.
    """
    return f"{socket.gethostname()}/{token_hex(4)}/{os.getpid()}/{_began(os.getpid())}"


def is_dead(owner: str) -> bool:
    """Whether an owner is known to be dead; of one on another host only its silence tells.

    Parameters
    ----------
    owner : str
        From `new_owner`.

    Returns
    -------
    bool
    """
    host, _, pid, began = owner.rsplit("/", 3)
    return host == socket.gethostname() and _began(int(pid)) != began


def _began(pid: int) -> str:
    """Clock ticks from the start of the machine to that of a process; empty if it is dead."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if after_name[0] in "ZX" else after_name[19]
