"""SHA-256 of a whole file, or of a folder that is one data set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

_BLOCK = 1 << 20


def digest(path: Path, read: Callable[[int], None] = lambda size: None) -> str:
    """Hash the content.

    Parameters
    ----------
    path : Path
        A file; or a folder, whose files are taken in the order of their names, each with its name and size before it.
    read : callable, optional
        Told after each block how many bytes it had; it may wait, to spare the disk, or raise, to stop.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    state = hashlib.sha256()
    if path.is_dir():
        for file in sorted(p for p in path.rglob("*") if p.is_file() and not p.is_symlink()):
            state.update(f"{file.relative_to(path)}\0{file.stat().st_size}\0".encode("utf-8", "surrogateescape"))
            _add(state, file, read)
    else:
        _add(state, path, read)
    return state.hexdigest()


def _add(state: hashlib._Hash, file: Path, read: Callable[[int], None]) -> None:
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            state.update(block)
            read(len(block))
