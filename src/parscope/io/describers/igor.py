"""Igor waves (.ibw) and packed experiments (.pxp): notes of the instrument with every number as it was written."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from parscope.core.description import Description, Signal
from parscope.core.errors import FormatError, MissingExtraError, TruncatedError
from parscope.io._flat import begins
from parscope.io.describers._base import FileDescriber, library
from parscope.io.describers._bytes import Cursor
from parscope.io.describers._channels import channels_of
from parscope.io.describers._common import axis, judge, moment, nested, quantity, real, since
from parscope.io.describers._preview import BUDGET, look
from parscope.io.describers._text import beginning, decoded
from parscope.io.describers._verbatim import number
from parscope.io.igor import IgorReader, Wave, entries, wave_of

_VERSIONS = tuple(bytes(pair) for v in (1, 2, 3, 5) for pair in ((0, v), (v, 0)))
# bytes of the first header, by version; of the second; and where the number of points is in that
_BINARY, _OLD, _POINTS, _NEW = {1: 8, 2: 16, 3: 20}, 126, 42, 384
_RECORD, _KINDS, _VARIABLES, _WAVE = 8, 27, 1, 3


class IgorDescriber(FileDescriber):
    """Tells the header, the labels and the note of a wave; those of versions before 5 need the extra ``spm``."""

    name = "igor"
    extensions = (".ibw",)

    def accepts(self, path: Path) -> bool:
        """Whether `path` begins as a wave of some version does; one that is short is known by its name too."""
        if not any(begins(path, version) for version in _VERSIONS):
            return False
        return IgorReader().accepts(path) or _sum_is_right(beginning(path, _NEW))

    def _describe(self, path: Path, within: Path) -> Description:
        if not any(begins(path, version) for version in (b"\5\0", b"\0\5")):
            return _old(self, path)
        wave = wave_of(path)
        note = {key: _numbers(value) for key, value in entries(wave.note).items()}
        signals, previews = channels_of(IgorReader().read(path), path.stem)
        kind = "scanning probe image" if len(wave.shape) in (2, 3) and wave.labels else judge(signals)
        return self.told(
            kind,
            {"wave": _header(wave), "note": note if note else wave.note},
            signals=signals,
            acquired=_acquired(note),
            common=nested(
                {
                    "instrument.vendor": "Asylum Research"
                    if "ImagingMode" in note or "MicroscopeModel" in note
                    else "",
                    "instrument.name": note.get("MicroscopeModel"),
                    "scan.size": quantity(note.get("ScanSize"), "m"),
                    "scan.rate": quantity(note.get("ScanRate"), "Hz"),
                    "mode": note.get("ImagingMode"),
                }
            ),
            previews=previews,
        )


class IgorExperimentDescriber(FileDescriber):
    """Tells the variables and waves of a packed experiment."""

    name = "igor-experiment"
    extensions = (".pxp", ".pxt")
    library = "igor2"

    def accepts(self, path: Path) -> bool:
        """Whether the records of an experiment follow each other from the start of the file."""
        return path.is_file() and _is_packed(path)

    def _describe(self, path: Path, within: Path) -> Description:
        try:
            from igor2 import packed
        except ModuleNotFoundError as error:
            raise MissingExtraError("igor2", "spm") from error
        _check_packed(path)
        _, tree = packed.load(path)
        waves: dict[str, Any] = {}
        vendor = _folder(tree, "", waves)
        signals = tuple(_old_signal(name, wave) for name, wave in waves.items())
        previews = look(np.asarray(next(iter(waves.values()))["wData"]), signals[0]) if signals else ()
        return self.told("experiment", vendor, signals=signals, previews=previews)


def _numbers(value: str | list[str]) -> Any:
    return [number(entry) for entry in value] if isinstance(value, list) else number(value)


def _header(wave: Wave) -> dict[str, Any]:
    steps = [{"scale": scale, "start": start, "unit": unit} for scale, start, unit in wave.steps]
    return {
        **{"shape": wave.shape, "dtype": str(wave.dtype), "unit": wave.unit, "labels": wave.labels},
        "dimensions": steps[: len(wave.shape)],
    }


def _acquired(note: Mapping[str, Any]) -> str:
    told = moment(f"{note.get('Date')} {note.get('Time')}", "%a, %b %d, %Y %I:%M:%S %p", "%Y-%m-%d %I:%M:%S %p")
    seconds = real(note.get("Seconds"))
    # Igor counts seconds from 1904, in local time
    return told or (since("1904-01-01", seconds).removesuffix("+00:00") if seconds else "")


def _sum_is_right(head: bytes) -> bool:
    """Check sum of the headers; those of versions 1 to 3 cover the first 16 bytes of the samples, too."""
    length = _BINARY.get(max(head[:2], default=0), _NEW - _OLD) + _OLD
    order = "<" if head[:1] != b"\0" else ">"
    return len(head) >= length and not int(np.frombuffer(head[:length], f"{order}i2").astype(np.int64).sum()) & 0xFFFF


def _check_wave(raw: bytes, where: str) -> None:
    """Refuse a header that is damaged, or counts beyond the wave: the library would make room for all it says."""
    if not _sum_is_right(raw[:_NEW]):
        raise FormatError("the header of a wave is damaged: its check sum is wrong", where, "copy it again")
    order, old = "<" if raw[:1] != b"\0" else ">", _BINARY.get(max(raw[:2]))
    count, place = (12, 4) if old is None else ((old - 4) // 4, 2)
    sizes = struct.unpack_from(f"{order}{count}i", raw, place)
    dimensions = struct.unpack_from(f"{order}4i", raw, 132) if old is None else ()
    points = struct.unpack_from(f"{order}i", raw, 76 if old is None else old + _POINTS)
    every = (*sizes, *dimensions, *points)
    if min(every) < 0 or max(every) > len(raw) or math.prod(n for n in dimensions if n) > len(raw):
        raise TruncatedError(f"a wave of {points[0]} points is cut short", where, "copy it again")


def _check_variables(raw: bytes, where: str) -> None:
    """Refuse more variables than there is room for: system variables take four bytes, others their name at least."""
    version, *counts = struct.unpack_from("<6h", raw.ljust(12, b"\0"))
    counts = counts[: 3 if version == 1 else 5]
    if min(counts) < 0 or 4 * counts[0] + 32 * sum(counts[1:]) > len(raw):
        raise TruncatedError(f"a record of {counts} variables is cut short", where, "copy it again")


def _check_packed(path: Path) -> None:
    """Check the waves and variables of an experiment, record by record."""
    with Cursor(path) as cursor:
        while cursor.place + _RECORD <= cursor.size:
            kind, _, length = cursor.fields("HHI")
            raw = cursor.bytes(length)
            if kind & 0x7FFF == _WAVE:
                _check_wave(raw, str(path))
            elif kind & 0x7FFF == _VARIABLES:
                _check_variables(raw, str(path))


def _old(describer: FileDescriber, path: Path) -> Description:
    try:
        from igor2 import binarywave
    except ModuleNotFoundError as error:
        raise MissingExtraError("igor2", "spm") from error
    _check_wave(path.read_bytes(), str(path))
    loaded = binarywave.load(path)
    wave = loaded["wave"]
    signal = _old_signal(path.stem, wave)
    vendor = {"version": loaded["version"], "wave": _waved(wave)}
    told = describer.told(judge((signal,)), vendor, signals=(signal,), previews=look(np.asarray(wave["wData"]), signal))
    return replace(told, library=library("igor2"))


def _waved(wave: Mapping[str, Any]) -> dict[str, Any]:
    """A wave of igor2 without its samples, and with its note as keys and values."""
    rest = {key: value for key, value in wave.items() if key not in ("wData", "note")}
    note = decoded(bytes(wave.get("note") or b""))
    keys = {key: _numbers(value) for key, value in entries(note).items()}
    return {**rest, "note": keys if ":" in note else note}


def _old_signal(name: str, wave: Mapping[str, Any]) -> Signal:
    data = np.asarray(wave["wData"])
    head = wave["wave_header"]
    scales, starts = (
        np.ravel(head[new] if new in head else head[old]) for new, old in (("sfA", "hsA"), ("sfB", "hsB"))
    )
    unit = bytes(np.ravel(head.get("dimUnits", head.get("xUnits", b""))).tobytes()[:4]).rstrip(b"\0").decode("latin-1")
    axes = tuple(
        axis(f"dimension {i}", n, scales[i].item() if i < len(scales) else None, unit, starts[i].item())
        if i < len(starts)
        else axis(f"dimension {i}", n)
        for i, n in enumerate(data.shape)
    )
    units = bytes(np.ravel(head["dataUnits"]).tobytes()).rstrip(b"\0").decode("latin-1")
    return Signal(name, data.shape, data.dtype.name, units or "1", axes if data.size else ())


def _is_packed(path: Path) -> bool:
    """Whether the first records have known kinds and end within the file."""
    size, place = path.stat().st_size, 0
    with path.open("rb") as stream:
        for _ in range(3):
            head = stream.read(_RECORD)
            if len(head) < _RECORD:
                return place > 0 and place == size
            kind, length = int.from_bytes(head[:2], "little") & 0x7FFF, int.from_bytes(head[4:], "little")
            place += _RECORD + length
            if kind > _KINDS or head[2:4] not in (b"\0\0", b"\1\0", b"\2\0") or length == 0 or place > size:
                return False
            stream.seek(place)
    return True


def _folder(tree: Mapping[Any, Any], prefix: str, waves: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for key, value in tree.items():
        name = decoded(key) if isinstance(key, bytes) else str(key)
        inner = getattr(value, "wave", None)
        if isinstance(value, Mapping):
            told[name] = _folder(value, f"{prefix}{name}/", waves)
        elif inner is not None:
            wave = inner["wave"]
            told[name] = _waved(wave)
            if 0 < np.asarray(wave["wData"]).nbytes <= BUDGET and np.asarray(wave["wData"]).dtype.kind in "buifc":
                waves[f"{prefix}{name}"] = wave
        else:
            told[name] = _plain(value)
    return told


def _plain(value: Any) -> Any:
    """A variable; a record that is none has its text."""
    if isinstance(value, (int, float, str, bytes)):  # of NumPy, too, whose numbers have an attribute `data`
        return value
    for attribute in ("variables", "text", "data"):
        found = getattr(value, attribute, None)
        if found is not None:
            return decoded(found) if isinstance(found, bytes) else found
    return str(value)
