"""Vendor formats that RosettaSciIO reads, through a process of its own: .blo, .tvips, .dm3, .dm4, .ser, .mrc, ..."""

from __future__ import annotations

import importlib.util
import io
import os
import selectors
import subprocess
import sys
import tempfile
import threading
import weakref
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import FormatError, MissingExtraError, UnreadableError
from parscope.core.frames import Frames
from parscope.io._flat import fill
from parscope.io._meta import axis
from parscope.io._scan import LazyScan, StackScan, Window, fold, sample_type
from parscope.io._wire import receive, send

_PATIENCE = 300.0
_SUFFIXES = {
    ".blo": "blockfile",
    ".tvips": "tvips",
    ".dm3": "digitalmicrograph",
    ".dm4": "digitalmicrograph",
    ".ser": "tia",
    ".emi": "tia",
    ".mrc": "mrc",
    ".prz": "pantarhei",
}


class EmReader:
    """Reads what RosettaSciIO reads; the library runs in its own process and is never imported here."""

    name = "em"
    extensions: tuple[str, ...] = tuple(_SUFFIXES)

    def accepts(self, path: Path) -> bool:
        """Whether `path` begins, or is named, like one of these formats."""
        return path.is_file() and _plugin(path) is not None

    def read(
        self,
        path: Path,
        *,
        scan_shape: tuple[int, int] | None = None,
        pattern_shape: tuple[int, int] | None = None,
        dtype: str | None = None,
        dataset: str | None = None,
    ) -> Frames:
        """Open a scan; see `parscope.core.contracts.Reader.read`."""
        plugin = _plugin(path)
        if plugin is None:
            raise FormatError("is of no vendor format that is read", str(path), f"give one of {', '.join(_SUFFIXES)}")
        helper, signals = open_signals(path, plugin)
        with closing(helper):
            place = _choose(path, signals, dataset, (3, 4) if scan_shape else (4,))
            told = signals[place]
            stored, kind = tuple(told["shape"]), sample_type(told["dtype"], str(path))
            shape = fold(stored, scan_shape, pattern_shape, str(path))
            if len(stored) == 4 and shape != stored:
                raise FormatError(f"has a scan of {stored[:2]}, not {shape[:2]}", str(path), "omit --scan-shape")
        axes = tuple(axis(i, n, *(told["axes"][i] if len(stored) == 4 else (1.0, ""))) for i, n in enumerate(shape))
        source = (plugin, place)
        data = EmCube(path, shape, kind, source) if len(stored) == 4 else EmStack(path, shape, kind, source)
        return Frames(data, axes, {"title": told["title"], **told["metadata"]}, str(path))


def _plugin(path: Path) -> str | None:
    with path.open("rb") as stream:
        head = stream.read(16)
    if head[:6] == b"IMGBLO":
        return "blockfile"
    # version, length of the file, byte order: 4 + 4 + 4 bytes in version 3, 4 + 8 + 4 in version 4
    order = {b"\0\0\0\3": head[8:12], b"\0\0\0\4": head[12:16]}.get(head[:4])
    if order in (b"\0\0\0\0", b"\0\0\0\1"):
        return "digitalmicrograph"
    return _SUFFIXES.get(path.suffix.lower())


def _choose(path: Path, signals: list[dict[str, Any]], dataset: str | None, ranks: tuple[int, ...]) -> int:
    listing = ", ".join(f"{i} {s['title']!r} {tuple(s['shape'])}" for i, s in enumerate(signals[:6])) or "nothing"
    if dataset is not None:
        named = [i for i, s in enumerate(signals) if dataset in (str(i), s["title"])]
        if not named:
            raise FormatError(f"holds no signal {dataset!r}; it holds {listing}", str(path), "correct --dataset")
        return named[0]
    fitting = [i for i, s in enumerate(signals) if len(s["shape"]) in ranks]
    if not fitting:
        raise FormatError(f"is not 4D; it holds {listing}", str(path), "give a 4D-STEM data set, or --scan-shape")
    if len(fitting) > 1:
        raise FormatError(f"holds several 4D signals: {listing}", str(path), "choose one with --dataset")
    return fitting[0]


def open_signals(path: Path, plugin: str, whole: bool = False) -> tuple[Helper, list[dict[str, Any]]]:
    """Let a helper process open a file.

    Parameters
    ----------
    path : Path
        The file.
    plugin : str
        RosettaSciIO's name of the format.
    whole : bool, default False
        Whether all metadata are wanted as they are, not a flat and short form of them.

    Returns
    -------
    helper : Helper
        Running; close it.
    signals : list of dict
        Shape, type, axes, title and metadata of each.

    Raises
    ------
    MissingExtraError
        If RosettaSciIO, or what it needs for this format, is not installed.
    InputError
        If the file cannot be opened.
    """
    helper = Helper(path)
    try:
        deed = "describe" if whole else "open"
        signals = helper.ask({"do": deed, "plugin": plugin, "path": str(path.resolve())})["signals"]
    except BaseException:
        helper.close()
        raise
    return helper, list(signals)


class _Process:
    """A running ``parscope.io.em_worker``."""

    def __init__(self) -> None:
        # a file, not a pipe: nobody has to drain it
        self.words = tempfile.TemporaryFile()  # noqa: SIM115 lives as long as the process
        self.pid = os.getpid()
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "parscope.io.em_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.words,
            bufsize=0,
            env={**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
        self.end = weakref.finalize(self, _stop, self.popen, self.words)

    @property
    def usable(self) -> bool:
        """Whether it runs and is a child of this process, not of the one this was forked from."""
        return self.pid == os.getpid() and self.popen.poll() is None


# starting takes seconds because of the imports: one process that has nothing to do is kept for the next file
_idle: list[_Process] = []
# the garbage collector may return a process while one is being taken
_idle_lock = threading.RLock()


class Helper:
    """A process that reads one file through RosettaSciIO.

    Parameters
    ----------
    path : Path
        The file, for errors.

    Raises
    ------
    MissingExtraError
        If RosettaSciIO is not installed.
    """

    def __init__(self, path: Path) -> None:
        if importlib.util.find_spec("rsciio") is None:
            raise MissingExtraError("rosettasciio", "em")
        self.path = path
        with _idle_lock:
            kept = _idle.pop() if _idle else None
        self.process = kept if kept is not None and kept.usable else _Process()
        self._end = weakref.finalize(self, _keep, self.process)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request and receive the answer; its payload is read by `payload`.

        Parameters
        ----------
        request : dict
            What to do.

        Returns
        -------
        dict

        Raises
        ------
        MissingExtraError, FormatError, UnreadableError
            If the helper cannot do it, or has died.
        """
        popen = self.process.popen
        buffer = io.BytesIO()
        send(buffer, request)
        try:
            cast(Any, popen.stdin).write(buffer.getvalue())
            self._wait(popen.stdout)
            answer = receive(cast(Any, popen.stdout))
        except (OSError, ValueError) as error:
            raise self._death() from error
        if answer is None:
            raise self._death()
        if "missing" in answer[0]:
            raise MissingExtraError(str(answer[0]["missing"]), "em")
        if "error" in answer[0]:
            raise FormatError(f"cannot be read ({answer[0]['error']})", str(self.path), "check that it is complete")
        return answer[0]

    def payload(self, target: NDArray[np.uint8]) -> None:
        """Receive the payload of the last answer.

        Parameters
        ----------
        target : ndarray of uint8, shape (bytes,)
            As long as announced.
        """
        fill(self.process.popen.stdout, target, self.path)

    def _wait(self, stdout: Any) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            if not selector.select(_PATIENCE):
                self.end()
                raise UnreadableError(
                    f"its reader gave no answer in {_PATIENCE:.0f} s", str(self.path), "check the file and the disk"
                )

    def _death(self) -> UnreadableError:
        process = self.process
        try:
            code: int | None = process.popen.wait(1.0)
        except subprocess.TimeoutExpired:
            code = None
        process.words.seek(0)
        said = process.words.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
        self.end()
        last = f": {said[-1][:200]}" if said else ""
        return UnreadableError(
            f"the process that reads it ended with code {code}{last}",
            str(self.path),
            "check the file with its vendor's software; free memory if it was killed",
        )

    def close(self) -> None:
        """Let go of the file; the process is kept for the next one."""
        self._end()

    def end(self) -> None:
        """End the process, which may be in no state to go on."""
        self._end.detach()
        self.process.end()


def _keep(process: _Process) -> None:
    with _idle_lock:
        if not _idle and process.usable:
            _idle.append(process)
            return
    process.end()


def _stop(popen: subprocess.Popen[bytes], words: Any) -> None:
    for pipe in (popen.stdin, popen.stdout):
        if pipe is not None:
            pipe.close()
    popen.kill()
    popen.wait()
    words.close()


def window(helper: Helper, signal: int, stretches: list[Window]) -> NDArray[Any]:
    """Read a part of a signal.

    Parameters
    ----------
    helper : Helper
        That opened the file.
    signal : int
        Which of its signals.
    stretches : list of (int, int)
        First position, and one past the last, along the leading dimensions.

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    FormatError, UnreadableError
        If it cannot be read.
    """
    told = helper.ask({"do": "read", "signal": signal, "window": stretches})
    block: NDArray[Any] = np.empty(told["shape"], np.dtype(told["dtype"]))
    try:
        helper.payload(block.reshape(-1).view(np.uint8))
    except BaseException:
        # the other half of the answer may still come
        helper.end()
        raise
    return block


class EmCube(LazyScan):
    """A 4D signal; its process is started when the first pattern is read.

    Parameters
    ----------
    path : Path
        The file.
    shape : tuple of int
        (scan y, scan x, pattern y, pattern x).
    dtype : dtype
        Of a sample.
    source : tuple
        RosettaSciIO's name of the format, and which of the file's signals.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], source: tuple[str, int]) -> None:
        super().__init__(path, shape, dtype)
        self.source = source

    def _open(self) -> Helper:
        return open_signals(self.path, self.source[0])[0]

    def _read(self, ys: Window, xs: Window) -> NDArray[Any]:
        with self._lock:
            helper: Helper = self._opened()
            try:
                return window(helper, self.source[1], [ys, xs])
            except BaseException:
                self._handle = None
                raise


class EmStack(StackScan):
    """A 3D signal folded to a scan; parameters as for `EmCube`."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], source: tuple[str, int]) -> None:
        super().__init__(path, shape, dtype)
        self.source = source

    def _open(self) -> Helper:
        return open_signals(self.path, self.source[0])[0]

    def frames(self, start: int, stop: int) -> NDArray[Any]:
        """Read patterns start to stop of the stack."""
        with self._lock:
            helper: Helper = self._opened()
            try:
                return window(helper, self.source[1], [(start, stop)])
            except BaseException:
                self._handle = None
                raise
