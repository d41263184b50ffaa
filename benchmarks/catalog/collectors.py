"""Two collectors on one folder of 10 000 files, one of which is killed half-way: nothing is doubled, nothing is lost.

Run by hand: ``python -m benchmarks.catalog.collectors``; it prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import func, select

from benchmarks import machine
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.tables import file, journal, record, version

COMMAND = [sys.executable, "-c", "from parscope.cli.main import run; run()", "collect"]


def main() -> int:
    """Make the files, collect them, count."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.catalog.collectors", description=main.__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    files = parser.parse_args().files
    head = {"date": machine.now(), "commit": machine.commit(), "machine": machine.machine(), "load": machine.load()}
    with tempfile.TemporaryDirectory(prefix="collectors-") as place:
        folder, address = Path(place, "instrument"), Path(place, "lab.db")
        contents = make(folder, files)
        began = time.monotonic()
        killed, other, third = start(folder, address), start(folder, address), None
        while third is None:
            time.sleep(0.5)
            if done(address) > files // 2:
                killed.send_signal(signal.SIGKILL)
                third = start(folder, address)
        codes = [one.wait() for one in (killed, other, third)]
        wall = time.monotonic() - began
        told = {"files": files, "contents": contents, "exit_codes": codes, **count(address)}
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        cost = {"cpu_s": round(used.ru_utime + used.ru_stime, 1), "wall_s": round(wall, 1)}
    well = told["records"] == contents and told["places"] == told["committed"] == files and told["versions"] == 0
    print(json.dumps({**head, **told, **cost, "met": well and codes == [-signal.SIGKILL, 0, 0]}))
    return 0 if well else 1


def make(folder: Path, files: int) -> int:
    """Write small images in a hundred folders, each tenth a copy; return how many contents there are."""
    for number in range(files):
        inner = folder / f"{number % 100:02}"
        inner.mkdir(parents=True, exist_ok=True)
        shown = number - 1 if number % 10 == 9 else number
        np.save(inner / f"{number}.npy", np.full((8, 8), shown, np.int32))
    return files - files // 10


def start(folder: Path, address: Path) -> subprocess.Popen[bytes]:
    """Start a collector that ends when everything is in."""
    options = [str(folder), "--once", "--settle", "0", "--catalog", str(address)]
    return subprocess.Popen([*COMMAND, *options], stdout=subprocess.DEVNULL, env=dict(os.environ))


def done(address: Path) -> int:
    """How many files are in the catalog."""
    if not address.exists():
        return 0
    with Catalog(address) as catalog, catalog.reading() as connection:
        return connection.scalar(select(func.count()).where(journal.c.stage == "committed")) or 0


def count(address: Path) -> dict[str, Any]:
    """What the catalog holds in the end."""
    with Catalog(address) as catalog, catalog.reading() as connection:
        asked = {
            "records": select(func.count(record.c.id)),
            "versions": select(func.count(version.c.number)),
            "places": select(func.count()).where(file.c.present),
            "committed": select(func.count()).where(journal.c.stage == "committed"),
        }
        return {name: connection.scalar(query) for name, query in asked.items()}


if __name__ == "__main__":
    sys.exit(main())
