"""Memory and time of a whole command on a large file; run by hand, one module of the tables that have one."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.environments import CACHE
from benchmarks.report import RESULTS, Row, Target, table, text, write
from benchmarks.watch import Usage, watch


@dataclass(frozen=True)
class Large:
    """A file that is made, and the command that works on it.

    Parameters
    ----------
    name : str
        Of the table.
    module : str
        Which is run by hand.
    gigabytes : float
        Size of the file's contents; of smaller ones nothing is published.
    limit : float
        Memory that is promised, [GB].
    write : callable
        Writes a file of at least so many bytes; returns what it holds, in words, and how many signals.
    command : callable
        Arguments of parscope, from the file and the folder for the results.
    signals : str
        What the file holds many of.
    seeds : dict
        Of the random draws.
    """

    name: str
    module: str
    gigabytes: float
    limit: float
    write: Callable[[Path, float], tuple[str, int]]
    command: Callable[[Path, Path], list[str]]
    signals: str
    seeds: dict[str, Any]

    def main(self) -> int:
        """Make the file, run the command in a process of its own, write the row, delete the file."""
        parser = argparse.ArgumentParser(prog=f"python -m {self.module}", description=self.main.__doc__)
        parser.add_argument("--size", type=float, default=self.gigabytes, help="GB; of less nothing is published")
        size = parser.parse_args().size
        head = {"date": machine.now(), "load_start": machine.load()}
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix="memory-") as folder:
            file = Path(folder) / "scan.h5"
            case, count = self.write(file, size * 1e9)
            parscope = Path(sys.executable).with_name("parscope")
            usage = watch([str(parscope), *self.command(file, Path(folder))])
        made = table(head | self._head(), self._rows(case, count, usage), [])
        write(made, (RESULTS if size >= self.gigabytes else CACHE) / f"{self.name}.json")
        print(text(made))
        return int(made["rows"][0]["met"] is False)

    def _head(self) -> dict[str, Any]:
        """With what it was made."""
        return {
            "run": f"{machine.now().replace(':', '')}-{machine.commit()}",
            "versions": machine.versions("parscope", "numpy", "numba", "h5py", "hdf5plugin"),
            "machine": machine.machine(),
            "load_end": machine.load(),
            "commit": machine.commit(),
            "seeds": self.seeds,
            "commands": [
                f"python -m {self.module}",
                " ".join(["parscope", *self.command(Path("scan.h5"), Path())]),
            ],
        }

    def _rows(self, case: str, count: int, usage: Usage) -> list[Row]:
        """Peak memory and speed."""
        what = f"{self.signals} per"
        return [
            Row(case, "peak memory, whole command", usage.memory / 1e9, "GB", target=Target(at_most=self.limit)),
            Row(case, "time, whole command", usage.wall, "s"),
            Row(case, f"{what} second, whole command", count / usage.wall, "1/s"),
            Row(case, f"{what} CPU second, whole command", count / usage.cpu, "1/s"),
        ]
