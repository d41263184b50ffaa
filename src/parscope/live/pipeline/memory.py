"""Memory that several processes see: a file that never reaches a disk where the system has such a place."""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import secrets
import sys
import tempfile
from pathlib import Path

from parscope.core.errors import InputError, OutputError

_PREFIX = "parscope-live"
# All pages are mapped at once: to map one later, when it is first touched, takes as long as to decode a pattern.
_AT_ONCE = {"flags": mmap.MAP_SHARED | mmap.MAP_POPULATE} if sys.platform == "linux" else {}
_NAME = re.compile(rf"{_PREFIX}-(\d+)-\w+")


def folder() -> Path:
    """Where the memory lies.

    Returns
    -------
    Path
        ``/dev/shm`` on Linux, the folder of temporary files elsewhere.
    """
    fast = Path("/dev/shm")
    return fast if fast.is_dir() else Path(tempfile.gettempdir())


class Segment:
    """Piece of memory with a name, by which other processes find it.

    A file of its own rather than `multiprocessing.shared_memory`, which deletes what any process that looks at it
    leaves behind (until Python 3.13), and complains when an array outlives it.

    Parameters
    ----------
    name : str
        Of memory that exists; see `create`.

    Raises
    ------
    InputError
        If there is none of that name.

    Examples
    --------
    >>> with Segment.create(4096) as memory, Segment(memory.name) as other:
    ...     memory.buffer[7] = 42
    ...     other.buffer[7]
    42
    """

    def __init__(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise InputError("is no name of shared memory", name, "take it from a running session")
        self.name, self._owner = name, False
        path = folder() / name
        try:
            with path.open("r+b") as file:
                self._map = mmap.mmap(file.fileno(), 0, **_AT_ONCE)
        except (FileNotFoundError, ValueError):
            raise InputError("there is no shared memory of this name", name, "is the session still running?") from None
        self.buffer = memoryview(self._map)

    @classmethod
    def create(cls, size: int) -> Segment:
        """Make a piece of memory, zeroed; whoever makes it deletes it by `close`.

        Parameters
        ----------
        size : int
            Bytes.

        Returns
        -------
        Segment

        Raises
        ------
        OutputError
            If the machine has not that much memory left for it.
        """
        sweep()
        name = f"{_PREFIX}-{os.getpid()}-{secrets.token_hex(4)}"
        path = folder() / name
        with path.open("xb") as file:
            try:
                _reserve(file.fileno(), size)
            except OSError:
                path.unlink()
                raise OutputError(
                    f"there is no room for {size / 1e6:.0f} MB of shared memory", str(folder()), "make it smaller"
                ) from None
        made = cls(name)
        made._owner = True
        return made

    def close(self) -> None:
        """Let go of it, and delete it if it was made here; may be called twice."""
        if self._owner:
            (folder() / self.name).unlink(missing_ok=True)
        self._owner = False
        # arrays and views that are still held keep the memory itself until they go
        self.buffer = memoryview(b"")

    def __enter__(self) -> Segment:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def sweep() -> None:
    """Delete what was left by processes that were killed."""
    for path in folder().glob(f"{_PREFIX}-*"):
        found = _NAME.fullmatch(path.name)
        if found and not lives(int(found.group(1))):
            with contextlib.suppress(OSError):  # of another user, who has to clear away himself
                path.unlink()


def _reserve(handle: int, size: int) -> None:
    """Take all pages now: a page that is not there later kills the process that touches it."""
    if sys.platform == "linux":
        os.posix_fallocate(handle, 0, size)
    else:
        os.ftruncate(handle, size)


def names() -> list[str]:
    """Memory that is there, of processes that live.

    Returns
    -------
    list of str
        Its names.
    """
    found = (_NAME.fullmatch(path.name) for path in sorted(folder().glob(f"{_PREFIX}-*")))
    return [one.group() for one in found if one and lives(int(one.group(1)))]


def lives(process: int) -> bool:
    """Whether a process runs.

    Parameters
    ----------
    process : int
        Its number.

    Returns
    -------
    bool
    """
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
