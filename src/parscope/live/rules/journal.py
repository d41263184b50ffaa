"""The journal: every decision, one JSON line each, only ever added to, written beside the loop."""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from parscope.core.errors import InputError, OutputError, UnreadableError

_PAUSE = 0.05  # seconds between two looks of the thread that writes
_LONGEST = 100_000  # lines that wait at most
_BATCH = 500  # lines written at one look: 10 000 a second, so that writing them takes little from the loop


class Journal:
    """Adds lines to a file, in a thread of its own; the loop only puts them into a queue.

    Lines are written whole and forced to the disk about 20 times a second, up to 10 000 of them in a second. What is
    lost when the process dies is what waited since; what is lost with the machine is what the disk had not yet taken.
    A line that was cut short by that is ended before the next one, and left out by `read`. If lines come faster than
    they are written, or the disk is full, they are dropped and counted, and a line says how many.

    Parameters
    ----------
    path : Path
        The file; begun, with its folder, if it does not exist, else added to.
    pause : float, default 0.05
        Time between two looks for lines, [s].
    longest : int, default 100000
        Lines that may wait, [1].

    Raises
    ------
    OutputError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Journal(Path(folder) / "decisions.jsonl") as journal:
    ...         journal.add({"t": "series", "series": 7})
    ...     [record["series"] for record in read(Path(folder) / "decisions.jsonl")]
    [7]
    """

    def __init__(self, path: Path, pause: float = _PAUSE, longest: int = _LONGEST) -> None:
        self.path, self._pause, self._longest = path, pause, longest
        self.fault = ""
        self._refused = self._failed = self._told = 0  # lines, the first counted by the loop, the others by the thread
        self._waiting: deque[Mapping[str, Any]] = deque()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._torn = _ends_within_a_line(self._file)
        except OSError as error:
            raise OutputError(f"cannot be written: {error.strerror}", str(path)) from None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="parscope-journal", daemon=True)
        self._thread.start()

    def __enter__(self) -> Journal:
        """Use it for the length of a block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    @property
    def dropped(self) -> int:
        """Lines that could not be written."""
        return self._refused + self._failed

    def add(self, record: Mapping[str, Any]) -> None:
        """Put a record into the queue; never waits.

        Parameters
        ----------
        record : mapping
            What JSON holds; it must not be changed afterwards.
        """
        if len(self._waiting) >= self._longest:
            self._refused += 1
        else:
            self._waiting.append(record)

    def close(self) -> None:
        """Write what waits, and close the file; may be called twice."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join()
        os.close(self._file)

    def _run(self) -> None:
        """Write again and again; all that is left at the end."""
        while not self._stop.wait(self._pause):
            self._write()
        while self._waiting or self.dropped > self._told:
            if not self._write():
                self._failed += len(self._waiting)
                return

    def _write(self) -> bool:
        """Write what waits, in one piece, unless that is very much; whether it could be written."""
        records = [self._waiting.popleft() for _ in range(min(len(self._waiting), _BATCH))]
        dropped = self.dropped
        if not records and dropped == self._told:
            return True
        told = [{"t": "dropped", "lines": dropped - self._told}] if dropped > self._told else []
        lines = "".join(json.dumps(record, separators=(",", ":"), default=str) + "\n" for record in (*told, *records))
        try:
            self._put(("\n" if self._torn else "") + lines)
            os.fdatasync(self._file)
        except OSError as error:
            self.fault = error.strerror or type(error).__name__
            self._failed += len(records)
            return False
        self._told, self.fault = dropped, ""
        return True

    def _put(self, text: str) -> None:
        """Write a text; how much of it is there is known by the end of the file only."""
        rest = memoryview(text.encode())
        self._torn = True
        while rest:
            rest = rest[os.write(self._file, rest) :]
        self._torn = False


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Records of a journal, oldest first.

    Parameters
    ----------
    path : Path
        A journal; it may still be written.

    Yields
    ------
    dict
        One record. Lines that were cut short when the machine or the process died are left out.

    Raises
    ------
    InputError
        If there is no such file.
    UnreadableError
        If it is no journal.
    """
    strange, known = False, False
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                record = _record(line)
                if record is not None:
                    known = True
                    yield record
                strange |= record is None and line.endswith("\n")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", str(path)) from None
    if strange and not known:
        raise UnreadableError("is no journal of decisions", str(path))


def _record(line: str) -> dict[str, Any] | None:
    """What a line holds; None if it was cut short."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "t" in record else None


def _ends_within_a_line(file: int) -> bool:
    size = os.fstat(file).st_size
    return size > 0 and os.pread(file, 1, size - 1) != b"\n"
