"""What is written appears when it is whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from parscope.core.errors import OutputError


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """Give a place beside what is to be made; it becomes that when the block ends well, and else it goes.

    Parameters
    ----------
    target : Path
        Of which nothing is there yet.

    Yields
    ------
    Path
        Where to write; nothing is there either.

    Raises
    ------
    OutputError
        If the target is there already, or the folder that it is to be in is not.
    OSError
        If it cannot be written.
    """
    if target.exists():
        raise OutputError("exists already", str(target), "choose another name")
    if not target.absolute().parent.is_dir():
        raise OutputError("there is no such folder", str(target.absolute().parent), "make it first")
    place = target.with_name(f".{target.name}.{uuid4().hex[:8]}")
    try:
        yield place
        place.rename(target)
    finally:
        if place.is_dir():
            shutil.rmtree(place)
        place.unlink(missing_ok=True)
