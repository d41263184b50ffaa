"""Records the messages of the ring, bit for bit, in a process of its own: it may be slow for a while, never lossy."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from parscope.core.errors import OutputError, ParscopeError
from parscope.core.stream import Series
from parscope.live.pipeline.board import Board, cell_of
from parscope.live.pipeline.chunks import ChannelFiles
from parscope.live.pipeline.layout import text
from parscope.live.pipeline.ring import Reader
from parscope.live.pipeline.series import scan_shape_of
from parscope.live.wire.errors import MessageError
from parscope.live.wire.framing import is_whole
from parscope.live.wire.messages import read_start
from parscope.live.wire.scan import Head, Payload, Scanner

_RECORDED, _FINISHED = cell_of("recorded"), cell_of("finished")
_NAP = 0.001  # s
_FLUSH, _FLUSH_BUSY = 1.0, 5.0  # s between two times when patterns reach the disk for sure
_MOST = 100_000_000  # patterns of a series
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
    tell : callable, optional
        Is told, in a sentence, what a person should know.

    Attributes
    ----------
    done : list of Recorded
        Series that are complete.
    """

    def __init__(  # noqa: PLR0913 - the parts of a recorder
        self,
        reader: Reader,
        stem: Callable[[int, int], Path],
        scan: tuple[int, int] | None = None,
        board: Board | None = None,
        free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
        per_file: int = 10_000,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.reader, self.done = reader, list[Recorded]()
        self._stem, self._scan, self._board, self._free = stem, scan, board, free
        self._per_file, self._tell = per_file, tell
        self._scanner = Scanner()
        self._series: Series | None = None
        self._files: dict[str, ChannelFiles] = {}
        self._generation = 0
        self._since = 0
        self._flushed = time.monotonic()
        self._told = False
        self._ballast: Path | None = None
        is_whole(Payload("", (1, 8), "|u1", "bslz4", 1, 0, 12), memoryview(bytearray(12)))  # compiles it

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
            self.finish()
        except (OSError, RuntimeError) as error:
            raise _stopped(error, "free some space, or choose another disk") from None
        except (ValueError, TypeError, OverflowError, MemoryError) as error:
            raise _stopped(error) from None
        finally:
            self._drop_ballast()
            try:
                self.finish()
            finally:
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
        over = self._over()
        message = self.reader.take()
        if message is None:
            if over:
                self.finish()  # its end did not come, or is still to come
            self._flush(_FLUSH)
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
            pass  # the frame loop counts it; there is nothing in it that could be recorded
        self._flush(_FLUSH_BUSY)
        return True

    def _over(self) -> bool:
        """Whether the frame loop has ended the series, so that all of its patterns are in the ring."""
        return self._series is not None and self._board is not None and self._board.cells[_FINISHED] >= self._generation

    def finish(self) -> None:
        """Complete the files of the series, if one has begun.

        Raises
        ------
        OutputError
            If there is no room on the disk for it.
        """
        if self._series is None:
            return
        series, files, self._series, self._files = self._series, list(self._files.values()), None, {}
        faults = [fault for one in files if (fault := self._complete(one)) is not None]
        if faults:
            raise faults[0]
        masters = tuple(one.master for one in files)
        self.done.append(Recorded(self._generation, masters, series.images, files[0].written))

    def _complete(self, files: ChannelFiles) -> OutputError | None:
        """Complete files, in the room that is held for that if there is no other; what goes wrong with it."""
        for again in (False, True):
            try:
                files.finish()
            except (OSError, RuntimeError) as error:
                self._drop_ballast()
                if again:
                    return OutputError(f"cannot be completed: {_said(error)}", str(files.master), "free some space")
            else:
                break
        return None

    def _begin(self, series: Series, message: memoryview) -> None:
        """Make the files of a series."""
        self.finish()
        self._generation += 1
        self._told = False
        if series.images > _MOST:
            raise OutputError(
                f"a series of {series.images} patterns is not recorded",
                "--record",
                f"set the detector to {_MOST} at most",
            )
        scan = None
        with contextlib.suppress(ParscopeError):  # it is the frame loop that complains
            scan = scan_shape_of(series, self._scan)
        stem = self._stem(self._generation, series.number)
        stem.parent.mkdir(parents=True, exist_ok=True)
        self._look(stem, len(message))
        self._take_ballast(stem.parent)
        names = list(dict.fromkeys(series.channels))
        files = {
            name: ChannelFiles(stem.with_name(stem.name + suffix), series, scan, self._per_file)
            for name, suffix in zip(names, _suffixes(names), strict=True)
        }
        self._files, self._series = files, series

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
            if files is not None and files.refused and not self._told:
                self._told = True
                self._tell(_refused(head, payload))
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

    def _flush(self, every: float) -> None:
        """Bring files to the disk now and then."""
        now = time.monotonic()
        if self._files and now - self._flushed > every:
            self._flushed = now
            for files in self._files.values():
                files.flush()


def _said(error: Exception) -> str:
    """What went wrong, in a few words."""
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__


def _stopped(error: Exception, advice: str = "") -> OutputError:
    """What is said when recording cannot go on."""
    return OutputError(f"recording has stopped, what was recorded is readable: {_said(error)}", "--record", advice)


def _refused(head: Head, payload: Payload) -> str:
    """What is said when a pattern does not belong into the files of its series."""
    form = f"{payload.dtype} {payload.shape[0]} x {payload.shape[1]}, {text(payload.algorithm)} {payload.element}"
    return f"series {head.series} is recorded in part: image {head.image} of {text(payload.name)} is {form}"


def _suffixes(channels: Sequence[str]) -> list[str]:
    """What channels add to the names of their files: letters, digits and the like, each once."""
    if len(channels) == 1:
        return [""]
    plain = [re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII)[:40] for name in channels]
    return [f"_{name}" if plain.count(name) == 1 else f"_{name}_{k}" for k, name in enumerate(plain, 1)]
