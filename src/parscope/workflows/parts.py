"""Finished blocks on disk: what is done when a job is stopped is kept, and found again by the next run."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import weakref
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import OutputError
from parscope.core.frames import Frames
from parscope.core.spectra import Spectra

Arrays = dict[str, NDArray[Any]]


class Parts:
    """A folder of finished blocks beside an output, valid for one file and one set of settings.

    Parameters
    ----------
    output : Path
        The result the blocks are for; the folder has its name and the suffix ``.parts``.
    key : object
        Everything the blocks depend on; blocks of another key are thrown away.

    Raises
    ------
    OutputError
        If the folder cannot be made, or another process works in it.
    """

    def __init__(self, output: Path, key: object) -> None:
        self.folder = output.with_name(output.name + ".parts")
        mark = digest(key).encode()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # The lock ends with the process, however that ends.
            lock = os.open(self.folder / "key", os.O_RDWR | os.O_CREAT, 0o666)
            weakref.finalize(self, os.close, lock)
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.read(lock, len(mark) + 1) != mark:
                self._begin(lock, mark)
        except BlockingIOError as error:
            advice = "wait for it, or choose another output"
            raise OutputError("is being written by another run", str(output), advice) from error
        except OSError as error:
            raise OutputError(
                f"cannot be made ({error.strerror})", str(self.folder), "choose another output"
            ) from error

    def _begin(self, lock: int, mark: bytes) -> None:
        """Throw away the blocks of another key; the new one is written last, when they are gone."""
        os.ftruncate(lock, 0)
        for block in self.folder.glob("rows_*"):
            block.unlink()
        os.pwrite(lock, mark, 0)

    def load(self, start: int) -> Arrays | None:
        """The finished block that begins at row `start`, or None.

        Parameters
        ----------
        start : int
            First scan row of the block.

        Returns
        -------
        dict of ndarray, or None
        """
        path = self._path(start)
        try:
            with path.open("rb") as file, np.load(file) as stored:
                return dict(stored)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            # Not there, or cut short by a machine that stopped: it is fitted again.
            return None

    def __contains__(self, start: int) -> bool:
        """Whether the block that begins at row `start` is kept."""
        return self._path(start).exists()

    def save(self, start: int, block: Arrays) -> None:
        """Keep a finished block: written beside, then renamed.

        Parameters
        ----------
        start : int
            First scan row of the block.
        block : dict of ndarray
            Its results.

        Raises
        ------
        OutputError
            If it cannot be written, for want of space for example; what was kept before stays.
        """
        # By a thread of its own: an interrupt is for the main thread, and never falls between opening and closing.
        with ThreadPoolExecutor(1) as writer:
            writer.submit(self._write, self._path(start), block).result()

    @staticmethod
    def _write(path: Path, block: Arrays) -> None:
        """Write a block beside, then rename it."""
        beside = path.with_suffix(".unfinished")
        try:
            with beside.open("wb") as file:
                np.savez(file, **block)  # type: ignore[arg-type]  # the stub takes the names for its own keywords
            beside.replace(path)
        except OSError as error:
            advice = "free some space and run the command again: what is done is kept"
            raise OutputError(f"cannot be written ({error.strerror})", str(path), advice) from error
        finally:
            beside.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete the folder once the result is written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, start: int) -> Path:
        """File of a block."""
        return self.folder / f"rows_{start:06d}.npz"


def digest(key: object) -> str:
    """Name a value by its content, the same in every process.

    Parameters
    ----------
    key : object
        Data classes, mappings, sequences, arrays, scalars and None, nested; of `Frames` and `Spectra` only axes, type,
        bad pixels and unit count, because their data are named by a fingerprint.

    Returns
    -------
    str
        Hexadecimal digits.

    Examples
    --------
    >>> digest((1, np.zeros(2))) == digest((1, np.zeros(2))), digest((1, 2)) == digest((1, 2.0))
    (True, False)
    """
    total = hashlib.sha256()
    _feed(total, key)
    return total.hexdigest()


def _feed(total: Any, value: object) -> None:
    """Add a value to a hash, its type and length first so that no two values read the same."""
    total.update(f"{type(value).__name__};".encode())
    if isinstance(value, Frames):
        _feed(total, (value.axes, str(value.data.dtype), value.mask))
    elif isinstance(value, Spectra):
        _feed(total, (value.axes, str(value.data.dtype), value.unit))
    elif isinstance(value, np.ndarray):
        total.update(f"{value.dtype.str}{value.shape};".encode())
        total.update(np.ascontiguousarray(value).tobytes())
    elif is_dataclass(value):
        _feed(total, [(field.name, getattr(value, field.name)) for field in fields(value)])
    elif isinstance(value, Mapping):
        _feed(total, list(value.items()))
    elif isinstance(value, list | tuple):
        total.update(f"{len(value)};".encode())
        for item in value:
            _feed(total, item)
    else:
        total.update(f"{value!r};".encode())
