"""A process that starts collectors and has them killed in the middle of a write; run as a script.

Each line of its input is JSON: address, folder, and the number of the write transaction before whose end the collector is
killed. Its answer is the number of the signal that ended the collector. It forks, as imports take longer than the rest.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from parscope.catalog.collect.collector import Collector
from parscope.catalog.store import catalog as store
from parscope.catalog.store.engine import Database

plain = Database.writing


def kill_in_write(number: int) -> None:
    """Kill this process when its transaction of that number is about to be kept."""
    left = [number]

    @contextmanager
    def writing(self: Database) -> Iterator[Connection]:
        with plain(self) as connection:
            yield connection
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    Database.writing = writing  # type: ignore[method-assign]


def collect(address: str, folder: str, number: int) -> None:
    with store.Catalog(address) as catalog:
        kill_in_write(number)
        Collector(catalog, Path(folder), settle=0.0).run(once=True)


for line in sys.stdin:
    child = os.fork()
    if child == 0:
        collect(*json.loads(line))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
