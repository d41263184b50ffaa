"""An emulated detector in a process of its own, as people start it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

COMMAND = [sys.executable, "-c", "from parscope.cli.main import run; run()", "emulate", "arina"]
PORTS = ["--rest-port", "0", "--stream-port", "0", "--v1-port", "0"]


@contextmanager
def emulating(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The command while the block runs, and the addresses that it says."""
    with subprocess.Popen([*COMMAND, *PORTS, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        try:
            yield process, dict(re.findall(r"^(.+?): (\w+://\S+)$", "".join(lines), re.MULTILINE))
        finally:
            process.kill()
