"""Results written beside their name and renamed into place: a reader never meets half a file."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from parscope.core.errors import OutputError


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all.

    Parameters
    ----------
    path : Path
        Where to; its folder is made, a file of that name is replaced.
    content : bytes
        What to.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    OutputError
        If the folder or the file cannot be written.
    """
    beside = path.with_name(f".{uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_bytes(content)
            beside.replace(path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        advice = "free some space or choose another folder"
        raise OutputError(f"cannot be written ({error.strerror})", str(path), advice) from error
    return path
