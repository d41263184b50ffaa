"""Lazy spectra and maps: what stands behind ``Spectra.data`` when the samples stay on disk."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.errors import FormatError
from parscope.core.spectra import Spectra
from parscope.io._flat import fill
from parscope.io._scan import Lazy, Window


@dataclass(frozen=True)
class Grid:
    """How samples lie in a file, and how they are handed out.

    Parameters
    ----------
    shape : tuple of int
        Lengths in the file, the slowest dimension first.
    order : tuple of int
        For every dimension handed out, which of those in the file it is; the last one is that of a spectrum.
    flipped : tuple of int, optional
        Dimensions of the file that are handed out backwards.
    """

    shape: tuple[int, ...]
    order: tuple[int, ...]
    flipped: tuple[int, ...] = ()

    @classmethod
    def plain(cls, shape: tuple[int, ...]) -> Grid:
        """Handed out as stored.

        Parameters
        ----------
        shape : tuple of int
            Lengths in the file.

        Returns
        -------
        Grid
        """
        return cls(shape, tuple(range(len(shape))))


class LazySpectra(Lazy):
    """Spectra on disk; those asked for along the navigation dimensions are read, always whole ones.

    Parameters
    ----------
    path : Path
        The file that is named in errors.
    grid : Grid
        How the samples lie.
    dtype : dtype
        Of a sample.
    """

    def __init__(self, path: Path, grid: Grid, dtype: np.dtype[Any]) -> None:
        super().__init__(path, tuple(grid.shape[i] for i in grid.order), dtype, len(grid.shape) - 1)
        self.grid = grid

    def _stored(self, windows: tuple[Window, ...]) -> NDArray[Any]:
        """Read one window along each dimension of the file."""
        raise NotImplementedError

    def _block(self, windows: tuple[Window, ...]) -> NDArray[Any]:
        wanted = dict(zip(self.grid.order, (*windows, (0, self.shape[-1])), strict=True))
        for place in self.grid.flipped:
            size, (low, high) = self.grid.shape[place], wanted[place]
            wanted[place] = (size - high, size - low)
        block = self._stored(tuple(wanted[place] for place in range(self.ndim)))
        return np.flip(block, self.grid.flipped).transpose(self.grid.order)

    def _place(self, windows: tuple[Window, ...]) -> str:
        return super()._place(windows) if windows else "the spectrum"


class FlatSpectra(LazySpectra):
    """Samples that lie one after the other as plain numbers, in a file or in a member of an archive.

    Parameters
    ----------
    path : Path
        The file.
    grid : Grid
        How the samples lie.
    stored : dtype
        Of a sample, in the byte order of the file.
    offset : int
        Byte at which they begin.
    member : str, optional
        The compressed member of the archive they are in; it is read onwards at full speed, from the start again when
        asked to go back.
    """

    def __init__(
        self, path: Path, grid: Grid, stored: np.dtype[Any], offset: int = 0, member: str | None = None
    ) -> None:
        super().__init__(path, grid, stored)
        self.stored, self.offset, self.member = np.dtype(stored), offset, member

    def _open(self) -> Any:
        # the archive stays open as long as the stream of its member is
        with zipfile.ZipFile(self.path) as archive:
            return archive.open(self.member or "")

    def _stored(self, windows: tuple[Window, ...]) -> NDArray[Any]:
        block = np.empty(tuple(high - low for low, high in windows), self.dtype)
        if self.member is None:
            with self.path.open("rb", buffering=0) as stream:
                self._fill(block, stream, windows)
        else:
            with self._lock:
                try:
                    self._fill(block, self._opened(), windows)
                except BaseException:
                    # a stream that failed is in no known state
                    self.close()
                    raise
        return block if self.stored.isnative else block.byteswap()

    def _fill(self, block: NDArray[Any], stream: Any, windows: tuple[Window, ...]) -> None:
        target, place = block.reshape(-1).view(np.uint8), 0
        for start, count in runs(self.grid.shape, windows):
            size = count * self.stored.itemsize
            stream.seek(self.offset + start * self.stored.itemsize)
            fill(stream, target[place : place + size], self.path)
            place += size


class Maps(Lazy):
    """Several maps of the same points, side by side along the last dimension.

    Parameters
    ----------
    parts : sequence of Lazy
        Maps of shape (*navigation, 1).
    """

    def __init__(self, parts: Sequence[Lazy]) -> None:
        first = parts[0]
        kind = np.result_type(*(part.dtype for part in parts))
        super().__init__(first.path, (*first.shape[:-1], len(parts)), kind, first.ndim - 1)
        self.parts = tuple(parts)

    def _block(self, windows: tuple[Window, ...]) -> NDArray[Any]:
        return np.concatenate([part[tuple(slice(*w) for w in windows)] for part in self.parts], axis=-1)

    def close(self) -> None:
        """Release the files; the next read opens them again."""
        for part in self.parts:
            part.close()


def runs(shape: tuple[int, ...], windows: Sequence[Window]) -> Iterator[tuple[int, int]]:
    """Stretches of an array in C order that a block consists of, as few as possible.

    Parameters
    ----------
    shape : tuple of int
        Of the whole array.
    windows : sequence of pairs of int
        First index, and one past the last, along each dimension.

    Yields
    ------
    start, count : int
        In samples.

    Examples
    --------
    >>> list(runs((4, 3, 5), [(1, 3), (0, 3), (0, 5)])), list(runs((4, 3, 5), [(1, 3), (2, 3), (0, 5)]))
    ([(15, 30)], [(25, 5), (40, 5)])
    """
    split = len(shape)
    while split and windows[split - 1] == (0, shape[split - 1]):
        split -= 1
    inner = math.prod(shape[split:])
    if split == 0:
        yield 0, inner
        return
    low, high = windows[split - 1]
    for outer in product(*(range(*w) for w in windows[: split - 1])):
        start = 0
        for place, size in zip((*outer, low), shape[:split], strict=True):
            start = start * size + place
        yield start * inner, (high - low) * inner


def arrange(axes: Sequence[Axis], spectral: int) -> tuple[int, ...]:
    """Order in which stored dimensions are handed out: navigation as stored but y before x, the spectrum last.

    Parameters
    ----------
    axes : sequence of Axis
        As stored.
    spectral : int
        Which of them is that of a spectrum.

    Returns
    -------
    tuple of int
    """
    order = [place for place in range(len(axes)) if place != spectral]
    names = [axes[place].name for place in order]
    if "y" in names and "x" in names[: names.index("y")]:
        y, x = names.index("y"), names.index("x")
        order[y], order[x] = order[x], order[y]
    return (*order, spectral)


def spectral_place(axes: Mapping[int, Axis]) -> int:
    """Which of several dimensions is that of a spectrum: the frequency, or else the bias, or else the fastest.

    Parameters
    ----------
    axes : mapping of int to Axis
        The candidates, as stored.

    Returns
    -------
    int
    """
    for name in ("frequency", "bias"):
        for place, axis in axes.items():
            if axis.name == name:
                return place
    long = [place for place, axis in axes.items() if axis.size > 1]
    return max(long or axes)


def pick(path: Path, names: Iterable[str], dataset: str, noun: str = "data set") -> str:
    """Find the name that a person means: in full, or the end of a path if only one ends so.

    Parameters
    ----------
    path : Path
        The file, for the error.
    names : iterable of str
        All there are.
    dataset : str
        As it was given.
    noun : str, default "data set"
        What the names stand for.

    Returns
    -------
    str

    Raises
    ------
    FormatError
        If there is none, or more than one.
    """
    known, wanted = list(names), dataset.strip("/")
    exact = [name for name in known if name.strip("/") == wanted]
    ending = [name for name in known if name.endswith(f"/{wanted}")]
    found = exact or ending
    if len(found) == 1:
        return found[0]
    fault = f"holds several that end in {dataset!r}" if found else f"holds no {noun} {dataset!r}"
    raise FormatError(f"{fault}; it holds {listing(found or known)}", str(path), "correct --dataset")


def listing(names: Iterable[str], limit: int = 8) -> str:
    """Names for an error message.

    Parameters
    ----------
    names : iterable of str
        All there are.
    limit : int, default 8
        Most that are shown.

    Returns
    -------
    str
    """
    known = list(names)
    more = f" and {len(known) - limit} more" if len(known) > limit else ""
    return ", ".join(known[:limit]) + more if known else "nothing"


def channels(maps: Mapping[str, Spectra]) -> Spectra:
    """Put single maps of the same points side by side, as the channels of one image.

    Parameters
    ----------
    maps : mapping of str to Spectra
        Name of a channel -> a map, whose data have the shape (*navigation, 1).

    Returns
    -------
    Spectra
        Its last axis counts the channels, which ``metadata["channels"]`` names in order.
    """
    parts = list(maps.values())
    units = [part.unit for part in parts]
    axes = (*parts[0].axes[:-1], Axis("channel", len(parts), "1"))
    told = {**parts[0].metadata, "channels": [f"{name} ({unit})" for name, unit in zip(maps, units, strict=True)]}
    data = parts[0].data if len(parts) == 1 else Maps([p.data for p in parts if isinstance(p.data, Lazy)])
    return replace(parts[0], data=data, axes=axes, unit=units[0] if len(set(units)) == 1 else "mixed", metadata=told)


def settle(path: Path, found: Mapping[str, Spectra]) -> Spectra:
    """Decide which of several data sets of a file a person means who names none.

    Measured spectra over frequency go before what was computed from them, spectra before images; images of the same
    points become the channels of one.

    Parameters
    ----------
    path : Path
        The file, for the error.
    found : mapping of str to Spectra
        All there are, at least one.

    Returns
    -------
    Spectra

    Raises
    ------
    FormatError
        If there is a choice.
    """
    spectra = {name: one for name, one in found.items() if one.axis.size > 1}
    raw = {name: one for name, one in spectra.items() if one.axis.name == "frequency"}
    chosen = raw or spectra or dict(found)
    if not spectra and len({one.data.shape for one in chosen.values()}) == 1:
        return channels({text_of(name, one): one for name, one in chosen.items()})
    if len(chosen) == 1:
        return next(iter(chosen.values()))
    shown = [f"{name} {one.data.shape}" for name, one in chosen.items()]
    raise FormatError(f"holds {len(chosen)} data sets: {listing(shown)}", str(path), "choose one with --dataset")


def text_of(name: str, one: Spectra) -> str:
    """What a map shows, in the words of the file, or else its name.

    Parameters
    ----------
    name : str
        Of the data set.
    one : Spectra
        The map.

    Returns
    -------
    str
    """
    return str(one.metadata.get("quantity") or name)
