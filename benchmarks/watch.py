"""A command in processes of its own, and what it takes: memory, wall and CPU time."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

TIME_LIMIT = 3 * 3600.0


@dataclass(frozen=True)
class Usage:
    """What a command took: peak memory of all its processes [bytes], wall and CPU time [s]."""

    memory: float
    wall: float
    cpu: float


def watch(command: list[str], time_limit: float = TIME_LIMIT) -> Usage:
    """Run a command and watch the memory of all its processes.

    Parameters
    ----------
    command : list of str
        Program and arguments.
    time_limit : float, default 3 h
        After which it is stopped, [s].

    Returns
    -------
    Usage
        The peak is the sum over all processes of the most each has held, looked at ten times a second.

    Raises
    ------
    subprocess.CalledProcessError
        If the command fails or is stopped.
    """
    start, peak, done = time.monotonic(), 0.0, 0
    process = subprocess.Popen(command, start_new_session=True)
    try:
        while not done:
            peak = max(peak, _resident(process.pid))
            if time.monotonic() - start > time_limit:
                os.killpg(process.pid, signal.SIGKILL)
            time.sleep(0.1)
            done, status, usage = os.wait4(process.pid, os.WNOHANG)
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Usage(peak, time.monotonic() - start, usage.ru_utime + usage.ru_stime)


def _resident(group: int) -> float:
    """The most resident bytes that the processes of a group have held, each at its own peak."""
    total = 0.0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if int((entry / "stat").read_text().rpartition(")")[2].split()[2]) == group:
                peaks = [line for line in (entry / "status").read_text().splitlines() if line.startswith("VmHWM")]
                total += sum(float(line.split()[1]) * 1024 for line in peaks)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
    return total
