"""The public interface is written down; changing it takes a line in changes/.

Write it anew with ``python tests/test_public_api.py``.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any

import parscope

SNAPSHOT = Path(__file__).with_name("public_api.txt")
PACKAGES = ("parscope.core", "parscope.techniques.diffraction")


def members(kind: type, label: str) -> Iterator[str]:
    """Public fields, methods and properties that a class itself defines."""
    fields = {field.name for field in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else set()
    for name, value in sorted(vars(kind).items()):
        if name.startswith("_") or name in fields:
            continue
        if isinstance(value, Enum):
            yield f"{label}.{name} = {value.value}"
            continue
        inner = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        yield f"{label}.{name}{signature(inner)}" if callable(inner) else f"{label}.{name}"


def signature(value: Any) -> str:
    """Signature as written, without the values of long defaults."""
    made = inspect.signature(value)
    short = [p.replace(default=...) if len(repr(p.default)) > 40 else p for p in made.parameters.values()]
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(made.replace(parameters=short))).replace("Ellipsis", "...")


def describe(label: str, value: Any) -> Iterator[str]:
    """One line for a function, a line for each member of a class."""
    if inspect.isclass(value):
        yield label + (signature(value) if dataclasses.is_dataclass(value) else "")
        yield from members(value, label)
    else:
        yield label + (signature(value) if callable(value) else "")


def public_interface() -> str:
    """Every public name with its signature, sorted by where it is imported from."""
    lines: list[str] = []
    for name in parscope.__all__:
        if name != "__version__":
            lines += describe(f"parscope.{name}", getattr(parscope, name))
    for package in PACKAGES:
        house = import_module(package)
        names = getattr(house, "__all__", vars(house))
        for name in sorted(names):
            value = getattr(house, name)
            if not name.startswith("_") and not inspect.ismodule(value) and name not in parscope.__all__:
                lines += describe(f"{package}.{name}", value)
    return "\n".join(lines) + "\n"


def test_the_public_interface_is_the_one_written_down(tmp_path: Path) -> None:
    now = tmp_path / "public_api.txt"
    # in a process of its own: the type checks of the tests rewrite annotations
    subprocess.run([sys.executable, __file__, str(now)], check=True)
    assert now.read_text(encoding="utf-8") == SNAPSHOT.read_text(encoding="utf-8")


if __name__ == "__main__":
    Path(*sys.argv[1:2] or [SNAPSHOT]).write_text(public_interface(), encoding="utf-8")
