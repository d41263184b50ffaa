"""Lazy arrays: what stands behind ``Frames.data`` and ``Spectra.data`` when the samples stay on disk."""

from __future__ import annotations

import math
import os
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import FormatError, OptionError, ParscopeError, ShapeError, UnreadableError

Window = tuple[int, int]


class Lazy(ABC):
    """An array on disk that reads only what is asked for along its leading dimensions.

    Slices and integers select there; whatever follows selects within what has been read.
    Pickles by path, so it travels to other processes; `close` is always safe, the next read opens again.

    Parameters
    ----------
    path : Path
        The file that is named in errors.
    shape : tuple of int
        Length of every dimension.
    dtype : dtype
        Of the samples handed out, always in the byte order of this machine.
    leading : int
        Number of dimensions along which parts can be read.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], leading: int) -> None:
        self.path = path
        self.shape = tuple(int(n) for n in shape)
        self.dtype = np.dtype(dtype).newbyteorder("=")
        self.leading = leading
        self._start()

    def _start(self) -> None:
        self._handle: Any = None
        self._lock = threading.RLock()
        self._pid = os.getpid()

    def _opened(self) -> Any:
        """Whatever `_open` gave, opened once for each process; call with the lock held."""
        if self._pid != os.getpid():
            # a handle inherited by a fork shares its file position with the parent: leave it alone
            self._start()
        if self._handle is None:
            self._handle = self._open()
        return self._handle

    def _open(self) -> Any:
        """Open the file; for arrays that keep it open between reads."""
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        """Pickle by path: the open file stays behind."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_handle", "_lock", "_pid")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Come back closed."""
        self.__dict__.update(state)
        self._start()

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @abstractmethod
    def _block(self, windows: tuple[Window, ...]) -> NDArray[Any]:
        """Read one window along each leading dimension; any fault of the file may be raised as it comes."""

    def _place(self, windows: tuple[Window, ...]) -> str:
        """Words for the part of the array that an error is about."""
        return f"positions {', '.join(f'{low}:{high}' for low, high in windows)}"

    def close(self) -> None:
        """Release the file; the next read opens it again."""
        with self._lock:
            handle, self._handle = self._handle, None
            if handle is not None:
                handle.close()

    def __getitem__(self, key: Any, /) -> Any:
        """Read the selected part: an array, or one number.

        Raises
        ------
        IndexError
            If a position is outside the array.
        UnreadableError
            If the file cannot be read there; other positions may still be fine.
        """
        selection = expand(key, self.ndim)
        chosen = [window(k, n) for k, n in zip(selection[: self.leading], self.shape, strict=False)]
        block = self._guarded(tuple(stretch for stretch, _ in chosen))
        return block[(*(inner for _, inner in chosen), *selection[self.leading :])]

    def _guarded(self, windows: tuple[Window, ...]) -> NDArray[Any]:
        shape = (*(high - low for low, high in windows), *self.shape[self.leading :])
        if 0 in shape:
            return np.empty(shape, self.dtype)
        try:
            block = np.asarray(self._block(windows))
        except (ParscopeError, MemoryError):
            raise
        except Exception as error:
            raise UnreadableError(
                f"{self._place(windows)} cannot be read ({first_line(error)})",
                str(self.path),
                "copy the file again from the instrument, or leave these positions out",
            ) from error
        if block.shape != shape:
            raise UnreadableError(f"gave {block.shape} for {self._place(windows)}", str(self.path))
        return block.astype(self.dtype, copy=False)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read everything into memory, for those who ask for it by ``np.asarray``."""
        whole: NDArray[Any] = self[...]
        return whole if dtype is None else whole.astype(dtype)


class LazyScan(Lazy):
    """A 4D array on disk that reads only the scan positions asked for.

    Parameters
    ----------
    path : Path
        The file that is named in errors.
    shape : tuple of int
        (scan y, scan x, pattern y, pattern x).
    dtype : dtype
        Of the samples handed out, always in the byte order of this machine.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        super().__init__(path, shape, dtype, 2)

    @abstractmethod
    def _read(self, ys: Window, xs: Window) -> NDArray[Any]:
        """Read the block of positions [ys), [xs); any fault of the file may be raised as it comes."""

    def _block(self, windows: tuple[Window, ...]) -> NDArray[Any]:
        ys, xs = windows
        return self._read(ys, xs)

    def _place(self, windows: tuple[Window, ...]) -> str:
        ys, xs = windows
        return f"scan positions y {ys[0]}:{ys[1]}, x {xs[0]}:{xs[1]}"


class StackScan(LazyScan):
    """A scan that is stored as one long stack of patterns, scan rows one after the other."""

    @abstractmethod
    def frames(self, start: int, stop: int) -> NDArray[Any]:
        """Read patterns start to stop of the stack, shape (n, pattern y, pattern x); faults come as they are."""

    def _read(self, ys: Window, xs: Window) -> NDArray[Any]:
        width, pattern = self.shape[1], self.shape[2:]
        if xs == (0, width):
            return self.frames(ys[0] * width, ys[1] * width).reshape(-1, width, *pattern)
        block = np.empty((ys[1] - ys[0], xs[1] - xs[0], *pattern), self.dtype)
        for row, y in enumerate(range(*ys)):
            block[row] = self.frames(y * width + xs[0], y * width + xs[1])
        return block


def expand(key: Any, ndim: int) -> tuple[Any, ...]:
    """Spell out an index as one entry for each dimension.

    Parameters
    ----------
    key : object
        What stood between the brackets.
    ndim : int
        Number of dimensions.

    Returns
    -------
    tuple of slice, int or array

    Raises
    ------
    IndexError
        If there are more entries than dimensions.
    """
    entries = key if isinstance(key, tuple) else (key,)
    dots = [i for i, entry in enumerate(entries) if entry is Ellipsis]
    if dots:
        missing = ndim - (len(entries) - 1)
        entries = entries[: dots[0]] + (slice(None),) * missing + entries[dots[0] + 1 :]
    if len(entries) > ndim or len(dots) > 1:
        raise IndexError(f"too many indices: {key!r} for {ndim} dimensions")
    return entries + (slice(None),) * (ndim - len(entries))


def window(key: Any, size: int) -> tuple[Window, Any]:
    """Split an index along one dimension into the stretch to read and the selection within it.

    Parameters
    ----------
    key : slice or int
        Index along the dimension.
    size : int
        Its length.

    Returns
    -------
    stretch : tuple of int
        First position, and one past the last.
    inner : slice or int
        Selects from the stretch once it is read.

    Raises
    ------
    IndexError
        If an integer is out of range, or the index is neither slice nor integer.
    """
    if isinstance(key, slice):
        steps = range(*key.indices(size))
        if not steps:
            return (0, 0), slice(None)
        low, high = min(steps[0], steps[-1]), max(steps[0], steps[-1]) + 1
        return (low, high), slice(None, None, steps.step)
    if isinstance(key, (int, np.integer)):
        place = int(key) + (size if key < 0 else 0)
        if not 0 <= place < size:
            raise IndexError(f"scan position {key} is outside 0 to {size - 1}")
        return (place, place + 1), 0
    raise IndexError(f"scan positions are selected by slices and integers, not by {type(key).__name__}")


def fold(
    stored: tuple[int, ...], scan: tuple[int, int] | None, pattern: tuple[int, int] | None, where: str
) -> tuple[int, int, int, int]:
    """Shape of the scan that a stored array becomes under the shapes a person gave.

    Parameters
    ----------
    stored : tuple of int
        Shape in the file: four dimensions, or a stack of patterns.
    scan, pattern : tuple of int, optional
        (y, x) lengths a person gave.
    where : str
        The file, for errors.

    Returns
    -------
    tuple of int
        (scan y, scan x, pattern y, pattern x)

    Raises
    ------
    ShapeError
        If the shapes contradict each other, or the scan shape is missing.
    """
    if len(stored) not in (3, 4):
        raise ShapeError(f"holds an array of shape {stored}, not 4D", where, "give a 4D-STEM data set")
    frames, inner = math.prod(stored[:-2]), stored[-2:]
    if 0 in stored:
        raise ShapeError(f"holds an empty array of shape {stored}", where)
    if pattern is not None and tuple(pattern) != inner:
        raise ShapeError(f"holds patterns of {_by(inner)} pixels, not {_by(pattern)}", where, "correct --pattern-shape")
    if scan is None and len(stored) == 3:
        raise ShapeError(
            f"is not 4D: it holds a stack of {frames} patterns of {_by(inner)} pixels", where, "give --scan-shape"
        )
    if scan is None:
        return stored[0], stored[1], inner[0], inner[1]
    check_scan(scan, frames, where)
    return int(scan[0]), int(scan[1]), inner[0], inner[1]


def check_scan(scan: tuple[int, int], frames: int, where: str) -> None:
    """Refuse a scan shape that does not count as many positions as there are patterns.

    Parameters
    ----------
    scan : tuple of int
        (y, x) lengths.
    frames : int
        Patterns in the file.
    where : str
        The file, for the error.

    Raises
    ------
    ShapeError
        If they differ.
    """
    if min(scan) < 1 or math.prod(scan) != frames:
        raise ShapeError(
            f"holds {frames} patterns, but a scan shape of {_by(scan)} has {math.prod(scan)} positions",
            where,
            f"correct --scan-shape{_factors(frames)}",
        )


def sample_type(dtype: str | np.dtype[Any], where: str, kinds: str = "buif") -> np.dtype[Any]:
    """Check that samples are counts or intensities.

    Parameters
    ----------
    dtype : str or dtype
        Type of one sample, as the file or a person says.
    where : str
        The file, for errors.
    kinds : str, default "buif"
        Letters of NumPy for the kinds of numbers that are taken: ``c`` is complex.

    Returns
    -------
    dtype

    Raises
    ------
    FormatError, OptionError
        If it is no such type of numbers.
    """
    try:
        kind = np.dtype(dtype)
    except TypeError as error:
        raise OptionError(f"{dtype!r} is no sample type", where, "give --dtype as uint16, float32, ...") from error
    if kind.kind not in kinds:
        raise FormatError(f"holds samples of type {kind}, not counts or intensities", where)
    return kind


def first_line(error: BaseException, limit: int = 200) -> str:
    """First line of what another library says.

    Parameters
    ----------
    error : exception
        Of another library.
    limit : int, default 200
        Most characters.

    Returns
    -------
    str
    """
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:limit]


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape)


def _factors(frames: int) -> str:
    root = math.isqrt(max(frames, 0))
    return f", for example {root} x {root}" if root and root * root == frames else ""


def beside(path: Path, suffix: str) -> Path:
    """File of the same name with another suffix, in small letters or in large ones, as some instruments write it.

    Parameters
    ----------
    path : Path
        A file.
    suffix : str
        In small letters.

    Returns
    -------
    Path
        `path` itself if that is its suffix; that in small letters if neither is there.
    """
    if path.suffix.lower() == suffix:
        return path
    small, large = path.with_suffix(suffix), path.with_suffix(suffix.upper())
    return large if not small.exists() and large.exists() else small
