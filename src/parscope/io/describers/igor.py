"""Igor waves (.ibw) and packed experiments (.pxp): notes of the instrument with every number as it was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from parscope.core.description import Description, Signal
from parscope.core.errors import MissingExtraError
from parscope.io._flat import begins
from parscope.io.describers._base import FileDescriber, library
from parscope.io.describers._channels import channels_of
from parscope.io.describers._common import axis, judge, moment, nested, quantity, real, since
from parscope.io.describers._preview import BUDGET, look
from parscope.io.describers._text import beginning, decoded
from parscope.io.describers._verbatim import number
from parscope.io.igor import IgorReader, Wave, entries, wave_of

_VERSIONS = tuple(bytes(pair) for v in (1, 2, 3, 5) for pair in ((0, v), (v, 0)))
_RECORD, _KINDS = 8, 27


class IgorDescriber(FileDescriber):
    """Tells the header, the labels and the note of a wave; those of versions before 5 need the extra ``spm``."""

    name = "igor"
    extensions = (".ibw",)

    def accepts(self, path: Path) -> bool:
        """Whether `path` begins as a wave of some version does; one that is short is known by its name too."""
        if not any(begins(path, version) for version in _VERSIONS):
            return False
        return IgorReader().accepts(path) or _old_sum_is_right(path)

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


def _old_sum_is_right(path: Path) -> bool:
    """Check sum of the headers of versions 1 to 3, which are of one length each."""
    head = beginning(path, 384)
    version = max(head[:2])
    order = "<" if head[0] else ">"
    length = {1: 8 + 110, 2: 16 + 110, 3: 20 + 110}.get(version, 384)
    if len(head) < length:
        return False
    return int(np.frombuffer(head[:length], f"{order}i2").astype(np.int64).sum()) & 0xFFFF == 0


def _old(describer: FileDescriber, path: Path) -> Description:
    try:
        from igor2 import binarywave
    except ModuleNotFoundError as error:
        raise MissingExtraError("igor2", "spm") from error
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
    for attribute in ("variables", "text", "data"):
        found = getattr(value, attribute, None)
        if found is not None:
            return decoded(found) if isinstance(found, bytes) else found
    return value if isinstance(value, (int, float, str, bytes)) else str(value)
