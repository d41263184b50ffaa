"""Records the messages of the ring, bit for bit, in a process of its own: it may be slow for a while, never lossy."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from parscope.core.errors import OutputError, ParscopeError
from parscope.core.stream import Series
from parscope.live.pipeline.board import Board, cell_of
from parscope.live.pipeline.chunks import ChannelFiles
from parscope.live.pipeline.ring import Reader
from parscope.live.pipeline.series import scan_shape_of
from parscope.live.wire.errors import MessageError
from parscope.live.wire.messages import read_start
from parscope.live.wire.scan import Head, Scanner

_RECORDED = cell_of("recorded")
_NAP = 0.001  # s
_FLUSH = 1.0  # s
_LOOK_EVERY = 16 << 20  # bytes written between two looks at the disk
_BALLAST = 16 << 20
RESERVE = 64 << 20
"""Bytes that are left free on the disk: to complete the files takes some."""


@dataclass(frozen=True)
class Recorded:
    """What became of the recording of a series.

    Parameters
    ----------
    generation : int
        Which series of the session.
    masters : tuple of Path
        Files to open, one for each channel.
    images : int
        Patterns that were asked for.
    written : int
        Patterns that were recorded, of the first channel.
    """

    generation: int
    masters: tuple[Path, ...]
    images: int
    written: int


def stem_of(folder: Path, session: str, generation: int, series: int) -> Path:
    """Beginning of the names of all files of a series.

    Parameters
    ----------
    folder : Path
        Where they go.
    session : str
        Name of the session, such as its time.
    generation : int
        Which series of the session, from 1.
    series : int
        Number that the detector gives it.

    Returns
    -------
    Path

    Examples
    --------
    >>> stem_of(Path("out"), "20260102-030405", 1, 17).name
    '20260102-030405_001_series_17'
    """
    return folder / f"{session}_{generation:03d}_series_{series}"


class Recorder:
    """Writes what a reader of the ring gives.

    Parameters
    ----------
    reader : Reader
        One for whom the writer waits.
    stem : callable
        Makes the beginning of the names of files of the number in the session and that of the detector.
    scan : tuple of int, optional
        Scan positions (y, x), if the detector does not tell.
    board : Board, optional
        Where recorded patterns are counted.
    free : callable, optional
        Bytes that are free where a file goes.
    per_file : int, default 10000
        Patterns in a data file.

    Attributes
    ----------
    done : list of Recorded
        Series that are complete.
    """

    def __init__(
        self,
        reader: Reader,
        stem: Callable[[int, int], Path],
        scan: tuple[int, int] | None = None,
        board: Board | None = None,
        free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
        per_file: int = 10_000,
    ) -> None:
        self.reader, self.done = reader, list[Recorded]()
        self._stem, self._scan, self._board, self._free = stem, scan, board, free
        self._per_file = per_file
        self._scanner = Scanner()
        self._series: Series | None = None
        self._files: dict[str, ChannelFiles] = {}
        self._generation = 0
        self._since = 0
        self._flushed = time.monotonic()
        self._ballast: Path | None = None

    def run(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Record until the ring is finished.

        Parameters
        ----------
        stopped : callable, optional
            Whether the writer of the ring is gone without having finished it.

        Raises
        ------
        OutputError
            If nothing more can be recorded; what was recorded is complete and readable, and the ring is left.
        """
        try:
            while not self.reader.finished:
                if not self.step():
                    if stopped():
                        break
                    time.sleep(_NAP)
        except OSError as error:
            self._drop_ballast()
            raise OutputError(
                f"recording has stopped, what was recorded is readable: {error.strerror or error}",
                "--record",
                "free some space, or choose another disk",
            ) from None
        finally:
            self.finish()
            self._drop_ballast()
            self.reader.close()

    def step(self) -> bool:
        """Record one message.

        Returns
        -------
        bool
            Whether there was one.

        Raises
        ------
        OutputError
            If the disk is full, or the compression cannot be recorded.
        OSError
            If the disk is full.
        """
        message = self.reader.take()
        if message is None:
            self._flush()
            return False
        try:
            head = self._scanner.scan(message)
            if head.kind == "image":
                self._image(head, message)
            elif head.kind == "start":
                self._begin(read_start(message), message)
            elif head.kind == "end" and self._series is not None and head.series == self._series.number:
                self.finish()
        except MessageError:
            return True  # the frame loop counts it; there is nothing in it that could be recorded
        return True

    def finish(self) -> None:
        """Complete the files of the series, if one has begun."""
        if self._series is None:
            return
        for files in self._files.values():
            files.finish()
        first = next(iter(self._files.values()))
        masters = tuple(files.master for files in self._files.values())
        self.done.append(Recorded(self._generation, masters, self._series.images, first.written))
        self._series = None
        self._files = {}

    def _begin(self, series: Series, message: memoryview) -> None:
        """Make the files of a series."""
        self.finish()
        self._generation += 1
        scan = None
        with contextlib.suppress(ParscopeError):  # it is the frame loop that complains
            scan = scan_shape_of(series, self._scan)
        stem = self._stem(self._generation, series.number)
        stem.parent.mkdir(parents=True, exist_ok=True)
        self._look(stem, len(message))
        self._take_ballast(stem.parent)
        several = len(series.channels) > 1
        for name in series.channels:
            own = stem.with_name(f"{stem.name}_{name}") if several else stem
            self._files[name] = ChannelFiles(own, series, scan, self._per_file)
        self._series = series

    def _image(self, head: Head, message: memoryview) -> None:
        """Record a pattern of each channel."""
        if self._series is None or head.series != self._series.number:
            return
        self._since += len(message)
        if self._since > _LOOK_EVERY:
            self._since = 0
            self._look(next(iter(self._files.values())).master, _LOOK_EVERY)
        wrote = False
        for payload in head.channels:
            files = self._files.get(payload.name)
            wrote |= files is not None and files.write(head.image, payload, message)
        if wrote and self._board is not None:
            self._board.cells[_RECORDED] += 1

    def _look(self, path: Path, wanted: int) -> None:
        """Stop before the disk is full: full, it could not even take the end of a file."""
        if self._free(path.parent) < RESERVE + wanted:
            raise OutputError(
                "the disk is full: recording has stopped, what was recorded is readable",
                str(path.parent),
                "free some space, or choose another disk",
            )

    def _take_ballast(self, folder: Path) -> None:
        """Hold some of the disk, to be given up when others fill it: a file that cannot be completed cannot be read."""
        if self._ballast is None and hasattr(os, "posix_fallocate"):
            self._ballast = folder / f".parscope-ballast-{os.getpid()}"
            with self._ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, _BALLAST)

    def _drop_ballast(self) -> None:
        """Give up what was held."""
        if self._ballast is not None:
            self._ballast.unlink(missing_ok=True)
            self._ballast = None

    def _flush(self) -> None:
        """Bring files to the disk now and then, while nothing else is to be done."""
        now = time.monotonic()
        if self._files and now - self._flushed > _FLUSH:
            self._flushed = now
            for files in self._files.values():
                files.flush()
