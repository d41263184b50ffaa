"""A describer as outsiders write them, for files that tell it what to do, which is mostly wrong.

It is found through an entry point, and runs in the process that reads files for the collector.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from parscope.core.description import Description, Preview
from parscope.core.errors import FormatError

MAGIC = b"\0PLAY\0"


def play(path: Path, do: str = "tell", **what: Any) -> Path:
    """Write a file that plays, where it does not appear before it is whole."""
    beside = path.with_name(path.name + ".part")
    beside.write_bytes(MAGIC + json.dumps({"do": do, **what}).encode())
    return beside.replace(path)


class PlayedDescriber:
    """Does what the file says."""

    name = "played"
    extensions = (".play",)

    def accepts(self, path: Path) -> bool:
        with path.open("rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC

    def describe(self, path: Path, *, within: Path) -> Description:
        told = json.loads(path.read_bytes()[len(MAGIC) :].splitlines()[0])
        getattr(self, told["do"], lambda told: None)(told)
        vendor = {**told, "length": path.stat().st_size}
        parts = tuple(path.parent / part for part in told.get("parts", ()))
        preview = Preview(np.array([["red"]]) if told["do"] == "daub" else np.arange(64.0).reshape(8, 8))
        return Description("played", "played", "numpy " + np.__version__, vendor, parts=parts, previews=(preview,))

    def refuse(self, told: dict[str, Any]) -> None:
        raise FormatError("is of no use", "this file", "throw it away")

    def once(self, told: dict[str, Any]) -> None:
        """Refuse the first time only."""
        if not Path(told["note"]).exists():
            Path(told["note"]).touch()
            self.refuse(told)

    def fail(self, told: dict[str, Any]) -> None:
        raise ZeroDivisionError("one\nby \x1b[31mnothing\0")

    def wait(self, told: dict[str, Any]) -> None:
        time.sleep(told["seconds"])

    def leave(self, told: dict[str, Any]) -> None:
        sys.exit(3)

    def vanish(self, told: dict[str, Any]) -> None:
        os._exit(4)

    def crash(self, told: dict[str, Any]) -> None:
        ctypes.string_at(0)

    def spin(self, told: dict[str, Any]) -> None:
        while True:
            pass

    def devour(self, told: dict[str, Any]) -> None:
        told["all"] = np.ones(1 << 34).tolist()

    def print(self, told: dict[str, Any]) -> None:
        while True:
            os.write(1, b"x" * 65536)
            os.write(2, b"x" * 65536)

    def write(self, told: dict[str, Any]) -> None:
        with Path("dump").open("wb") as stream:
            while True:
                stream.write(b"x" * (1 << 20))

    def talk(self, told: dict[str, Any]) -> None:
        told.update({f"word {number}": "x" * 900 for number in range(23_000)})

    def deepen(self, told: dict[str, Any]) -> None:
        tree: dict[str, Any] = {}
        for _ in range(3000):
            tree = {"in": tree}
        told["tree"] = tree

    def fork(self, told: dict[str, Any]) -> None:
        os.fork()

    def breed(self, told: dict[str, Any]) -> None:
        child = subprocess.Popen(["sleep", "600"])
        Path(told["note"]).write_text(str(child.pid))
        os._exit(5)
