"""FEI TIA: series of images or spectra (.ser), and the .emi file of the acquisition, which tells how they were taken.

Read here, from the public description of the format, because the library that may be used opens the .emi file beside
without asking, and allocates what a damaged header asks for.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from parscope.core.axes import Axis
from parscope.core.description import Description, Preview, Signal
from parscope.core.errors import FormatError, ParscopeError, TruncatedError
from parscope.io._flat import begins
from parscope.io._scan import beside
from parscope.io.describers._base import FileDescriber, companion
from parscope.io.describers._bytes import Cursor
from parscope.io.describers._common import axis, dig, judge, nested, quantity, since
from parscope.io.describers._preview import look
from parscope.io.describers._verbatim import gathered
from parscope.io.describers._xml import parsed, tree

_SER, _EMI = b"II\x97\x01", b"JK\x00\x02"
_SPECTRA, _IMAGES = 0x4120, 0x4122
_WITH_PLACE = 0x4142
_TYPES = {1: "u1", 2: "u2", 3: "u4", 4: "i1", 5: "i2", 6: "i4", 7: "f4", 8: "f8", 9: "c8", 10: "c16"}
_LARGEST, _TAGS, _TEXT = 64 << 20, 1000, 10_000
_XML = re.compile(rb"<ObjectInfo>.*?</ObjectInfo>", re.DOTALL)
_NUMBERED = re.compile(r"(.+)_\d+")


class TiaDescriber(FileDescriber):
    """Tells the headers of TIA files and the XML of the acquisition, whichever of the two files is given."""

    name = "tia"
    extensions = (".emi", ".ser")
    magic = (_SER, _EMI)

    def _describe(self, path: Path, within: Path) -> Description:
        notes: list[str] = []
        series, about = _files(path, within, notes)
        told = [_series(file) for file in series]
        infos = _infos(about) if about else []
        vendor: dict[str, Any] = {"ObjectInfo": infos[0] if len(infos) == 1 else infos} if infos else {}
        for file, (header, _, _) in zip(series, told, strict=True):
            vendor[file.name] = header
        signals = tuple(signal for _, signal, _ in told)
        return self.told(
            judge(signals) if signals else "image",
            vendor,
            signals=signals,
            acquired=_acquired(told),
            common=_common(infos),
            previews=tuple(p for _, _, previews in told[:1] for p in previews),
            parts=tuple(file for file in (*series, *([about] if about else [])) if file != path),
            warnings=tuple(notes),
        )


def _files(path: Path, within: Path, notes: list[str]) -> tuple[list[Path], Path | None]:
    """Series of an acquisition, and the file about it."""
    if begins(path, _SER):
        stem = _NUMBERED.fullmatch(path.stem)
        about = companion(beside(path.with_name(f"{stem[1]}.ser"), ".emi"), within, notes) if stem else None
        return [path], about if about and begins(about, _EMI) else None
    others = (p for p in path.parent.iterdir() if p.suffix.lower() == ".ser")
    own = (p for p in sorted(others) if (stem := _NUMBERED.fullmatch(p.stem)) and stem[1] == path.stem)
    found = [file for p in own if (file := companion(p, within, notes)) and begins(file, _SER)]
    if not found:
        notes.append("No .ser file of this acquisition lies beside it.")
    return found, path


def _infos(path: Path) -> list[Any]:
    with path.open("rb") as stream:
        raw = stream.read(_LARGEST)
    found = [match[0] for match in _XML.finditer(raw)]
    if not found:
        raise FormatError("holds no description of an acquisition", str(path), "copy it again")
    return [tree(parsed(words.decode("latin-1").encode(), str(path))) for words in found]


def _series(path: Path) -> tuple[dict[str, Any], Signal, tuple[Preview, ...]]:
    with Cursor(path) as cursor:
        header = _header(cursor)
        places = header["DataOffsetArray"]
        if not places:
            raise TruncatedError("holds no image or spectrum", str(path), "acquire again")
        first = _element(cursor, places[0], header["DataTypeID"])
        header["Elements"] = [first, *_others(cursor, header)]
        header["Tags"] = _tags(cursor, header)
        signal = _signal(path, header, first)
        dtype = np.dtype("<" + _TYPES[first["DataType"]])
        shape = tuple(first["ArrayShape"][::-1])
        cursor.at(first["place"]).need(int(np.prod(shape, dtype=object)) * dtype.itemsize)
        data = np.memmap(path, dtype, "r", first["place"], shape)
        # the first line of an image is its lowest
        own = Signal(signal.name, shape, signal.dtype, signal.unit, signal.axes[-len(shape) :])
        previews = look(data[::-1] if len(shape) == 2 else data, own)
    for element in header["Elements"]:
        element.pop("place")
    for key in ("DataOffsetArray", "TagOffsetArray"):
        header[key] = np.array(header[key], np.int64)
    return header, signal, previews


def _header(cursor: Cursor) -> dict[str, Any]:
    order, series, version = cursor.fields("HHH")
    kind, tag, total, valid = cursor.fields("IIii")
    word = "i" if version == 0x0210 else "q"
    lies, count = cursor.fields(f"{word}i")
    if kind not in (_SPECTRA, _IMAGES) or not 0 <= valid <= cursor.size // 8 or not 0 <= count <= 16:
        raise FormatError(f"its header says {valid} elements of kind {kind}", str(cursor.path), "copy it again")
    dimensions = [_dimension(cursor) for _ in range(count)]
    cursor.at(lies)
    size = 4 if word == "i" else 8
    data, tags = (cursor.array(f"<i{size}", valid).tolist() for _ in range(2))
    return {
        **{"ByteOrder": order, "SeriesID": series, "SeriesVersion": version, "DataTypeID": kind, "TagTypeID": tag},
        **{"TotalNumberElements": total, "ValidNumberElements": valid, "OffsetArrayOffset": lies},
        **{"NumberDimensions": count, "Dimensions": dimensions, "DataOffsetArray": data, "TagOffsetArray": tags},
    }


def _dimension(cursor: Cursor) -> dict[str, Any]:
    size, offset, delta, element = cursor.fields("iddi")
    words = []
    for _ in range(2):
        length = cursor.one("i")
        if not 0 <= length <= _TEXT:
            raise FormatError(f"has a text of {length} bytes in its header", str(cursor.path), "copy it again")
        words.append(cursor.bytes(length).decode("latin-1"))
    return {
        **{"DimensionSize": size, "CalibrationOffset": offset, "CalibrationDelta": delta},
        **{"CalibrationElement": element, "Description": words[0], "Units": words[1]},
    }


def _element(cursor: Cursor, place: int, kind: int) -> dict[str, Any]:
    cursor.at(place)
    count = 1 if kind == _SPECTRA else 2
    keys = ("CalibrationOffset", "CalibrationDelta", "CalibrationElement")
    calibration = [dict(zip(keys, cursor.fields("ddi"), strict=True)) for _ in range(count)]
    dtype, shape = cursor.one("h"), list(cursor.fields(f"{count}i"))
    if dtype not in _TYPES or min(shape) < 1:
        raise FormatError(f"has an element of type {dtype} and shape {shape}", str(cursor.path), "copy it again")
    return {"Calibration": calibration, "DataType": dtype, "ArrayShape": shape, "place": cursor.place}


def _others(cursor: Cursor, header: dict[str, Any]) -> list[dict[str, Any]]:
    """Headers of the elements after the first; those of long series are alike, and left out."""
    places = header["DataOffsetArray"][1:]
    return [_element(cursor, place, header["DataTypeID"]) for place in places] if len(places) < _TAGS else []


def _tags(cursor: Cursor, header: dict[str, Any]) -> list[dict[str, Any]]:
    placed = header["TagTypeID"] == _WITH_PLACE
    layout, keys = (
        "HxxIdd" if placed else "HxxI",
        ["TagTypeID", "Time", *(["PositionX", "PositionY"] if placed else [])],
    )
    told = []
    for place in header["TagOffsetArray"][:_TAGS]:
        try:
            told.append(dict(zip(keys, cursor.at(place).fields(layout), strict=True)))
        except ParscopeError:
            # some versions of TIA point to the end of the file
            break
    return told


def _signal(path: Path, header: dict[str, Any], first: dict[str, Any]) -> Signal:
    shape, kind = first["ArrayShape"][::-1], header["DataTypeID"]
    labels = ("energy",) if kind == _SPECTRA else ("y", "x")
    unit = "eV" if kind == _SPECTRA else _length_unit(first["Calibration"][0]["CalibrationDelta"])
    own = tuple(
        axis(label, size, c["CalibrationDelta"], unit, _start(c))
        for label, size, c in zip(labels, shape, first["Calibration"][::-1], strict=True)
    )
    # the first dimension of a series changes fastest
    series = tuple(
        axis(d["Description"] or "series", d["DimensionSize"], d["CalibrationDelta"], _unit(d["Units"]), _start(d))
        for d in header["Dimensions"][::-1]
        if d["DimensionSize"] > 1
    )
    if np.prod([a.size for a in series], dtype=object) != header["ValidNumberElements"]:
        count = header["ValidNumberElements"]
        series = (Axis("series", count),) if count > 1 else ()
    axes = (*series, *own)
    return Signal(path.stem, tuple(a.size for a in axes), str(np.dtype(_TYPES[first["DataType"]])), "counts", axes)


def _start(calibration: dict[str, Any]) -> float:
    return float(calibration["CalibrationOffset"] - calibration["CalibrationElement"] * calibration["CalibrationDelta"])


def _unit(words: str) -> str:
    return {"meters": "m", "Number": ""}.get(words, words)


def _length_unit(step: float) -> str:
    """Metres for an image; patterns have steps of millions of 1/m."""
    return "1/m" if abs(step) > 1 else "m"


def _acquired(told: list[tuple[dict[str, Any], Signal, Any]]) -> str:
    return since("1970-01-01", dig(told[0][0], "Tags", 0, "Time")) if told else ""


def _common(infos: list[Any]) -> dict[str, Any]:
    entries = dig(infos, 0, "ExperimentalDescription", "Root", "Data")
    rows = entries if isinstance(entries, list) else []
    words = gathered((str(dig(row, "Label")), dig(row, "Value")) for row in rows)
    units = gathered((str(dig(row, "Label")), dig(row, "Unit")) for row in rows)
    return nested(
        {
            "beam.voltage": quantity(words.get("High tension"), str(units.get("High tension") or "kV")),
            "camera_length": quantity(words.get("Camera length"), str(units.get("Camera length") or "m")),
            "magnification": words.get("Magnification"),
            "instrument.name": words.get("Microscope"),
            "instrument.vendor": dig(infos, 0, "AcquireInfo", "Manufacturer"),
            "detector.name": dig(infos, 0, "AcquireInfo", "CameraNamePath"),
            "exposure": quantity(dig(infos, 0, "AcquireInfo", "DwellTimePath"), "s"),
            "operator": words.get("User"),
        }
    )
