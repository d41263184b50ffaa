"""Igor binary waves of version 5 (.ibw): images, spectra and force volumes of Asylum Research instruments.

Written from WaveMetrics' public description of the format (Technical Note 003): a header of 64 bytes, a wave header of
320 bytes, both covered by a check sum, the samples with the first index running fastest, then the note and the labels.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from parscope.core.axes import Axis
from parscope.core.errors import FormatError
from parscope.core.spectra import Spectra
from parscope.io._flat import begins, demand
from parscope.io._meta import flatten, spectral_axis
from parscope.io._spectra import FlatSpectra, Grid, channels, pick, settle

_HEADERS = 384
_TYPES = {0x02: "f4", 0x04: "f8", 0x08: "i1", 0x10: "i2", 0x20: "i4", 0x48: "u1", 0x50: "u2", 0x60: "u4"}
_COMPLEX = {0x03: "c8", 0x05: "c16"}
# Asylum names its channels but not their units
_UNITS = {
    **dict.fromkeys(
        ("Height", "ZSensor", "ZSnsr", "Amplitude", "Deflection", "Defl", "NapAmplitude", "NapHeight"), "m"
    ),
    **{"Phase": "deg", "NapPhase": "deg", "Frequency": "Hz", "Current": "A", "UserIn": "V", "Potential": "V"},
}


class IgorReader:
    """Reads Igor binary waves, with everything that the instrument put into their note."""

    name = "igor"
    extensions: tuple[str, ...] = (".ibw",)

    def accepts(self, path: Path) -> bool:
        """Whether `path` begins as a wave of some version does; a damaged one is known by its name."""
        if not any(begins(path, version) for version in (b"\5\0", b"\0\5", b"\2\0", b"\0\2")):
            return False
        with path.open("rb") as stream:
            return path.suffix.lower() == ".ibw" or _sum_is_right(stream.read(_HEADERS))

    def read(self, path: Path, *, dataset: str | None = None) -> Spectra:
        """Open a wave, or one channel of it; see `parscope.core.contracts.SpectraReader.read`."""
        wave = wave_of(path)
        try:
            found, image = _parts(path, wave)
        except ValueError as error:
            raise FormatError(f"its header is damaged ({error})", str(path), "copy it again") from error
        if dataset is not None:
            found = {dataset: found[pick(path, found, dataset, "channel")]}
        if dataset is not None and not image:
            return found[dataset]
        return channels(found) if image else settle(path, found)


@dataclass(frozen=True)
class Wave:
    """What the headers of a wave say.

    Parameters
    ----------
    shape : tuple of int
        Lengths, the fastest dimension first.
    dtype : dtype
        Of a sample.
    steps : tuple of (float, float, str)
        Distance of two samples, position of the first, and unit, of every dimension.
    unit : str
        Of the samples.
    labels : tuple of str
        Names of the channels; none where there are no channels.
    note : str
        As the instrument wrote it.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    steps: tuple[tuple[float, float, str], ...]
    unit: str
    labels: tuple[str, ...]
    note: str

    @property
    def notes(self) -> Mapping[str, Any]:
        """The note as key -> value."""
        return flatten(entries(self.note), limit=len(self.note))


def wave_of(path: Path) -> Wave:
    """Read the headers of a wave of version 5.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Wave

    Raises
    ------
    FormatError, TruncatedError
        If it is of another version, damaged or cut short.
    """
    with path.open("rb") as stream:
        head = stream.read(_HEADERS)
    order = "<" if head[:1] != b"\0" else ">"
    _check(path, head, order)
    sizes = struct.unpack(f"{order}iii4i4i", head[8:52])
    (code,) = struct.unpack(f"{order}h", head[80:82])
    kind = _TYPES.get(code) or _COMPLEX.get(code)
    lengths = struct.unpack(f"{order}4i", head[132:148])
    shape = lengths[: lengths.index(0)] if 0 in lengths else lengths
    if kind is None or not shape or min(*sizes, *lengths) < 0:
        raise FormatError(f"is an Igor wave of type {code} and shape {shape}, not of numbers", str(path))
    dtype = np.dtype(kind).newbyteorder(order)  # type: ignore[arg-type]
    end = _HEADERS + math.prod(shape) * dtype.itemsize
    demand(path, end + sum(sizes))
    with path.open("rb") as stream:
        stream.seek(end)
        tail = stream.read(sum(sizes))
    units = [_text(head[212:216]), *(_text(head[i : i + 4]) for i in range(216, 232, 4))]
    scales, starts = struct.unpack(f"{order}4d", head[148:180]), struct.unpack(f"{order}4d", head[180:212])
    steps = tuple(zip(scales, starts, units[1:], strict=True))
    labels = _labels(tail, sizes, len(shape) - 1)
    note = _text(tail[sizes[0] : sizes[0] + sizes[1]].replace(b"\0", b" "))
    return Wave(shape, dtype, steps, units[0], labels, note)


def _check(path: Path, head: bytes, order: str) -> None:
    if len(head) >= 2 and struct.unpack(f"{order}h", head[:2])[0] != 5:
        raise FormatError("is an Igor wave of an older version than 5", str(path), "save it again with Igor 6 or newer")
    demand(path, _HEADERS)
    if not _sum_is_right(head):
        raise FormatError("its header is damaged: the check sum is wrong", str(path), "copy it again")


def _sum_is_right(head: bytes) -> bool:
    order = "<" if head[:1] != b"\0" else ">"
    return len(head) == _HEADERS and not sum(struct.unpack(f"{order}192h", head)) & 0xFFFF


def _text(raw: bytes) -> str:
    bare = raw.split(b"\0", 1)[0]
    try:
        return bare.decode("utf-8")
    except UnicodeDecodeError:
        # older versions of Igor write in the encoding of the system
        return bare.decode("latin-1")


def _labels(tail: bytes, sizes: tuple[int, ...], place: int) -> tuple[str, ...]:
    """Names along one dimension; the first entry of 32 bytes names the dimension as a whole."""
    start = sum(sizes[: 7 + place])
    entries = tail[start : start + sizes[7 + place]]
    return tuple(_text(entries[i : i + 32]) for i in range(32, len(entries) - 31, 32))


def entries(note: str) -> dict[str, str | list[str]]:
    """Keys and values of a note; a key that Asylum writes more than once has a list.

    Parameters
    ----------
    note : str
        As the instrument wrote it, a line for each key.

    Returns
    -------
    dict
    """
    found: dict[str, list[str]] = {}
    for key, _, value in (line.partition(":") for line in note.splitlines() if line.strip()):
        found.setdefault(key.strip(), []).append(value.strip())
    return {key: said if len(said) > 1 else said[0] for key, said in found.items()}


def _parts(path: Path, wave: Wave) -> tuple[dict[str, Spectra], bool]:
    """Channels of a wave, and whether they are maps."""
    rank, names = len(wave.shape), wave.labels if len(wave.labels) == wave.shape[-1] else ()
    along = [_axis(wave, place, name) for place, name in enumerate(_axis_names(rank, bool(names)))]
    if rank == 1:
        return {path.stem: _channel(path, wave, 0, (along[0],), path.stem)}, False
    if rank == 2 and names:
        return {name: _channel(path, wave, i, (along[0],), name) for i, name in enumerate(_unique(names))}, False
    if rank == 2 or (rank == 3 and names):
        axes = (along[1], along[0], Axis("channel", 1, "1"))
        every = _unique(names) if rank == 3 else (path.stem,)
        return {name: _channel(path, wave, i, axes, name) for i, name in enumerate(every)}, True
    if rank == 3:
        data = FlatSpectra(path, Grid(wave.shape[::-1], (1, 2, 0), (1,)), wave.dtype, _HEADERS)
        axes = (along[1], along[0], along[2])
        return {path.stem: Spectra(data, axes, wave.unit or "1", wave.notes, str(path))}, False
    raise FormatError(f"is an Igor wave of shape {wave.shape}, neither image nor spectra", str(path))


def _axis_names(rank: int, labelled: bool) -> tuple[str, ...]:
    if rank == 1 or (rank == 2 and labelled):
        return ("step",)
    return ("x", "y") if rank == 2 or labelled else ("x", "y", "step")


def _axis(wave: Wave, place: int, name: str) -> Axis:
    scale, start, unit = wave.steps[place]
    return spectral_axis(name, start + scale * np.arange(wave.shape[place]), unit)


def _channel(path: Path, wave: Wave, index: int, axes: tuple[Axis, ...], name: str) -> Spectra:
    lengths = tuple(axis.size for axis in axes)
    # Igor draws the first line of an image at its bottom; here y points down
    grid = Grid(lengths, tuple(range(len(lengths))), (0,) if len(lengths) == 3 else ())
    offset = _HEADERS + index * math.prod(lengths) * wave.dtype.itemsize
    unit = next((unit for start, unit in _UNITS.items() if name.startswith(start)), wave.unit or "1")
    return Spectra(FlatSpectra(path, grid, wave.dtype, offset), axes, unit, wave.notes, str(path))


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names that tell channels apart, whatever the file has."""
    return tuple(n if n and n not in names[:i] else f"{n or 'channel'} {i}" for i, n in enumerate(names))
