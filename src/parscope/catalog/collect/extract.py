"""Has files read by a process with limits, which is replaced when it dies."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, cast

import parscope
from parscope.catalog.collect.document import Extract, of_unread
from parscope.core.errors import CatalogError
from parscope.io._wire import exactly, receive, send

SECONDS = 60.0
"""How long a reader may take, in s, and 1 s more for each 100 MB."""

_BYTES_PER_SECOND = 100e6
_PICTURE = 4 << 20
_GRACE = 2.0
_START = 120.0
_WHAT = "the process that reads files"


class Extractor:
    """Reads one file after the other in a process of its own; use it as a context manager.

    Whatever a reader does, there is an answer: it raises, crashes, never returns, takes all memory, writes without end.
    A reader that leaves its process group on purpose is beyond it: readers are trusted not to, only files are not.

    Parameters
    ----------
    seconds : float, default 60.0
        How long a reader may take [s]; large files get more.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._asked = 0
        self._process: _Process | None = None

    def __enter__(self) -> Extractor:
        """Begin; the process is started with the first file."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._replace()

    def __call__(self, path: Path, within: Path, size: int) -> Extract:
        """Read one file.

        Parameters
        ----------
        path : Path
            The file.
        within : Path
            The folder that is collected: nothing outside of it is read.
        size : int
            In bytes.

        Returns
        -------
        Extract
            With an error if it cannot be read.

        Raises
        ------
        CatalogError
            If no process can be started that reads it.
        """
        worn = self._process is not None
        told, picture = self._ask(path, within, size)
        if worn and "doubtful" in told:  # a crash, or want of memory, may be the fault of files that came before
            told, picture = self._ask(path, within, size)
        if "error" in told:
            error = str(told["error"])
            return Extract(of_unread(path, size, error), f"parscope {parscope.__version__}", error)
        return Extract(told["document"], told["reader"], None, tuple(told["parts"]), picture or None)

    def _ask(self, path: Path, within: Path, size: int) -> tuple[dict[str, Any], bytes]:
        """Put one question; the process is replaced if it died of it, or may have been harmed."""
        seconds = self.seconds + size / _BYTES_PER_SECOND
        process = self._process = self._process or _started()
        self._asked += 1
        request = {"asked": self._asked, "path": str(path), "within": str(within), "size": size, "seconds": seconds}
        late = threading.Event()
        alarm = threading.Timer(seconds, process.kill, [late])
        alarm.start()
        try:
            told, picture = process.ask(request)
        except (OSError, ValueError, KeyError, TypeError) as error:
            how = self._replace() or str(error)
            told, picture = {"error": f"its reader crashed ({how})", "doubtful": True}, b""
        finally:
            alarm.cancel()
        if late.is_set():
            self._replace()
            return {"error": f"its reader did not end within {seconds:.0f} s"}, b""
        if "doubtful" in told:
            self._replace()
        return told, picture

    def _replace(self) -> str:
        """End the process, and say how it had ended of itself."""
        process, self._process = self._process, None
        return "" if process is None else process.end()


def _started() -> _Process:
    """A process that reads files; that there is none is not the fault of the file."""
    folder = None
    try:
        folder = tempfile.TemporaryDirectory(prefix="parscope-", ignore_cleanup_errors=True)
        process = _Process(folder)
    except OSError as error:
        if folder is not None:
            folder.cleanup()
        what = f"cannot be started: {error.strerror or error}"
        raise CatalogError(what, _WHAT, "see that memory and disk are not full") from error
    if not process.greets():
        how = process.end() or f"it says nothing for {_START:.0f} s"
        raise CatalogError(f"cannot be started: {how}", _WHAT, "see that parscope is installed whole")
    return process


class _Process:
    """A running ``parscope.catalog.collect.worker``, with a folder of its own for what readers write."""

    def __init__(self, folder: tempfile.TemporaryDirectory[str]) -> None:
        self.folder = folder
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
        # a lock on a file that an instrument may still want to write to would be in its way
        polite = {"HDF5_USE_FILE_LOCKING": "FALSE", "PYTHONWARNINGS": "ignore", "TMPDIR": self.folder.name}
        imports = {"PYTHONPATH": os.pathsep.join(str(Path(part).resolve()) for part in sys.path if part)}
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "parscope.catalog.collect.worker", self.folder.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self.folder.name,
            env={**os.environ, **threads, **polite, **imports},
            start_new_session=True,
        )

    def greets(self) -> bool:
        """Whether it has begun: what it takes to load libraries is not to be counted against the first file."""
        alarm = threading.Timer(_START, self.kill)
        alarm.start()
        try:
            return receive(cast(Any, self.popen.stdout)) is not None
        except (OSError, ValueError):
            return False
        finally:
            alarm.cancel()

    def ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Put a question; ValueError if what comes is no answer to it."""
        send(cast(Any, self.popen.stdin), request)
        stdout = cast(Any, self.popen.stdout)
        message, length = receive(stdout) or ({}, 0)
        # a reader that forks may answer twice, and the second answer must not be taken for that of the next file
        picture = exactly(stdout, length) if message.get("asked") == request["asked"] and length <= _PICTURE else None
        if picture is None:
            raise ValueError("no answer")
        if "error" not in message:
            message = {**message, "document": json.loads(message["document"])}
        return message, picture

    def kill(self, late: threading.Event | None = None) -> None:
        """Kill it and its group, of which it is the first; the group may outlive it."""
        if late is not None:
            late.set()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)

    def end(self) -> str:
        """End it, and say how it had ended of itself."""
        for pipe in (self.popen.stdin, self.popen.stdout):
            with contextlib.suppress(OSError):
                cast(Any, pipe).close()
        try:
            code = self.popen.wait(_GRACE)
        except subprocess.TimeoutExpired:
            code = None
        self.kill()
        self.popen.wait()
        self.folder.cleanup()
        if code is None:
            return ""
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
