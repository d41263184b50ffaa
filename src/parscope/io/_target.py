"""Where a result goes: whether it may, whether there is room, and what is said when there is not."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from parscope.core.errors import OutputError, ParscopeError
from parscope.io._scan import first_line

_MARGIN = 4 << 20


def claim(target: Path, names: tuple[str, ...], overwrite: bool) -> None:
    """Refuse a folder that is not there, or files that are there already.

    Parameters
    ----------
    target : Path
        Where to.
    names : tuple of str
        Files that will come into being beside it.
    overwrite : bool
        Whether they may be replaced.

    Raises
    ------
    OutputError
        If they may not.
    """
    if not target.parent.is_dir():
        raise OutputError("there is no such folder", str(target.parent), "create it")
    taken = [name for name in names if (target.parent / name).exists()]
    if taken and not overwrite:
        raise OutputError("exists already", str(target.parent / taken[0]), "choose another name or pass --overwrite")


def room(target: Path, need: int) -> None:
    """Stop before a disk is full: HDF5 cannot be closed in peace on a full one.

    Parameters
    ----------
    target : Path
        Where to.
    need : int
        Bytes about to be written.

    Raises
    ------
    OutputError
        If there is no room for them.
    """
    if shutil.disk_usage(target.parent).free < need + _MARGIN:
        raise OutputError("the disk is full", str(target), "free space, or choose another folder")


@contextmanager
def faults(target: Path) -> Iterator[None]:
    """Turn whatever goes wrong in writing into one clear error.

    Parameters
    ----------
    target : Path
        Where to.

    Raises
    ------
    OutputError
        If something does.
    """
    try:
        yield
    except (ParscopeError, MemoryError):
        raise
    except Exception as error:
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or "space left" in str(error)
        reason = "the disk is full" if full else f"cannot be written ({first_line(error)})"
        raise OutputError(reason, str(target), "free space, or choose another folder") from error
