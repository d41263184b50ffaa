"""Gatan DigitalMicrograph (.dm3, .dm4): a tree of tags, in which the images are tags like all others.

Written from the public descriptions of the format. The tags are read here and not through a library because those that
may be used rename arrays, decode texts byte by byte and turn groups of numbers into float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.description import Description, Preview, Signal
from parscope.core.errors import FormatError, TruncatedError
from parscope.io.describers._base import FileDescriber
from parscope.io.describers._bytes import Cursor
from parscope.io.describers._common import axis, dig, judge, moment, nested, quantity, real, since
from parscope.io.describers._preview import BUDGET, look
from parscope.io.describers._verbatim import gathered, summary

_SIMPLE = {2: "i2", 3: "i4", 4: "u2", 5: "u4", 6: "f4", 7: "f8", 8: "u1", 9: "i1", 10: "i1", 11: "i8", 12: "u8"}
_STRUCT, _STRING, _ARRAY = 15, 18, 20
_DEEPEST, _FIELDS, _TAGS = 60, 1000, 1_000_000
# sample types of images
_SAMPLES: dict[int, str] = {
    **{1: "i2", 2: "f4", 3: "c8", 6: "u1", 7: "i4", 9: "i1", 10: "u2", 11: "u4", 12: "f8", 13: "c16", 14: "u1"},
    **{39: "i8", 40: "u8"},
}
_COLOURS = np.dtype([("blue", "u1"), ("green", "u1"), ("red", "u1"), ("alpha", "u1")])
_KINDS = {
    "Image": "image",
    "Spectrum": "spectrum",
    "Spectrum image": "spectrum image",
    "Diffraction": "diffraction pattern",
    "Diffraction image": "4D-STEM",
}


@dataclass(frozen=True)
class _Array:
    """Where an array lies that was not read."""

    place: int
    dtype: np.dtype[Any]
    count: int


class DmDescriber(FileDescriber):
    """Tells all tags of DigitalMicrograph files; groups without names are lists."""

    name = "dm"
    extensions = (".dm3", ".dm4")
    magic = (b"\0\0\0\3", b"\0\0\0\4")

    def accepts(self, path: Path) -> bool:
        """Whether `path` begins with the version, a length and a byte order as such files do."""
        if not super().accepts(path):
            return False
        with path.open("rb") as stream:
            head = stream.read(16)
        return head[8 if head[3] == 3 else 12 :][:4] in (b"\0\0\0\0", b"\0\0\0\1")

    def _describe(self, path: Path, within: Path) -> Description:
        with Cursor(path) as cursor:
            tags = _Tags(cursor)
            tree = tags.root()
            images = _images(tree)
            found = [(image, _signal(image, path)) for image in images]
            signals = tuple(signal for _, signal in found)
            previews = tuple(p for image, signal in found for p in _pictures(cursor, image, signal))
            vendor = _Summaries(cursor).of(tree)
        head = images[0] if images else {}
        told = dig(head, "ImageTags")
        kind = _KINDS.get(str(dig(told, "Meta Data", "Format")), "") or judge(signals)
        # GMS calls a pattern an image
        kind = "diffraction pattern" if kind == "image" and judge(signals) == "diffraction pattern" else kind
        kind = "image stack" if kind == "image" and judge(signals) == "image stack" else kind
        return self.told(
            kind, vendor, signals=signals, acquired=_acquired(told), common=_common(told), previews=previews
        )


class _Tags:
    """Reads the tree."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor, self.count = cursor, 0
        cursor.order = ">"
        version = cursor.one("I")
        self.word = "I" if version == 3 else "Q"
        self.extra = version == 4
        _, little = cursor.fields(f"{self.word}I")
        self.order = "<" if little else ">"

    def root(self) -> dict[str, Any]:
        tree = self.group(0)
        return tree if isinstance(tree, dict) else {"": tree}

    def group(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise FormatError(f"has tags nested deeper than {_DEEPEST}", str(self.cursor.path), "copy it again")
        _, _, count = self.cursor.fields(f"bb{self.word}")
        # every tag takes eight bytes at least
        self.cursor.need(8 * count)
        self.count += count
        if self.count > _TAGS:
            raise FormatError(f"has more than {_TAGS} tags", str(self.cursor.path), "copy it again")
        pairs = [self.entry(depth) for _ in range(count)]
        if pairs and not any(name for name, _ in pairs):
            return [value for _, value in pairs]
        return gathered(pairs)

    def entry(self, depth: int) -> tuple[str, Any]:
        kind, length = self.cursor.fields("BH")
        name = _decoded(self.cursor.bytes(length))
        if self.extra:
            self.cursor.skip(8)
        if kind == 20:
            return name, self.group(depth + 1)
        if kind != 21:
            raise FormatError(f"has a tag of kind {kind} at byte {self.cursor.place}", str(self.cursor.path))
        if self.cursor.bytes(4) != b"%%%%":
            raise FormatError(f"has no tag at byte {self.cursor.place}", str(self.cursor.path), "copy it again")
        count = self.cursor.one(self.word)
        if not 0 < count <= _FIELDS:
            raise FormatError(f"has a tag of {count} words", str(self.cursor.path), "copy it again")
        return name, self.value(name, self.cursor.fields(f"{count}{self.word}"))

    def value(self, name: str, layout: tuple[int, ...]) -> Any:
        kind = layout[0]
        if kind == _ARRAY:
            return self.array(name, layout[1:])
        if kind == _STRING:
            return _decoded(self.cursor.bytes(layout[1]))
        dtype = self.dtype(layout)
        value = self.cursor.array(dtype, 1)[0]
        if dtype.names:
            return [value[field].item() for field in dtype.names]
        return bool(value) if kind == 8 and value in (0, 1) else value.item()

    def dtype(self, layout: tuple[int, ...]) -> np.dtype[Any]:
        if layout[0] == _STRUCT:
            fields = layout[4::2][: layout[2]]
            return np.dtype([(f"f{i}", self.order + _SIMPLE[kind]) for i, kind in enumerate(fields)])
        if layout[0] not in _SIMPLE:
            raise FormatError(f"has a tag of type {layout[0]}", str(self.cursor.path), "copy it again")
        return np.dtype(self.order + _SIMPLE[layout[0]])

    def array(self, name: str, layout: tuple[int, ...]) -> Any:
        if layout[0] in (_ARRAY, _STRING):
            raise FormatError("has a tag that is an array of arrays", str(self.cursor.path))
        dtype, count = self.dtype(layout), layout[-1]
        size = count * dtype.itemsize
        self.cursor.need(size)
        if name == "Data" or size > 1 << 20:
            lies = _Array(self.cursor.place, dtype, count)
            self.cursor.skip(size)
            return lies
        values = self.cursor.array(dtype, count)
        if layout[0] == 4 and (text := _utf16(values, self.order)) is not None:
            return text
        return [list(row) for row in values.tolist()] if dtype.names else values.tolist()


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _utf16(values: NDArray[Any], order: str) -> str | None:
    """Text of an array of 16 bit, which is how texts are stored; None for numbers."""
    try:
        text = values.tobytes().decode("utf-16-le" if order == "<" else "utf-16-be")
    except UnicodeDecodeError:
        return None
    plain = text.rstrip("\0")
    return plain if all(c.isprintable() or c in "\r\n\t\u2028\u2029" for c in plain) else None


def _images(tree: dict[str, Any]) -> list[dict[str, Any]]:
    """Images in the file, without the small ones that DigitalMicrograph shows in its lists."""
    every = dig(tree, "ImageList")
    entries = [e for e in every if isinstance(e, dict)] if isinstance(every, list) else []
    icons = {dig(icon, "ImageIndex") for icon in dig(tree, "Thumbnails") or [] if isinstance(icon, dict)}
    kept = [e for i, e in enumerate(entries) if i not in icons] or entries
    return [e for e in kept if isinstance(dig(e, "ImageData", "Data"), (_Array, list))]


def _signal(image: dict[str, Any], path: Path) -> Signal:
    sizes = dig(image, "ImageData", "Dimensions") or []
    if not sizes or not all(isinstance(n, int) and n > 0 for n in sizes):
        raise FormatError(f"has an image of dimensions {sizes}", str(path), "copy it again")
    told = dig(image, "ImageData", "Calibrations", "Dimension") or []
    names = {1: ("energy",), 2: ("x", "y"), 3: ("x", "y", "z"), 4: ("x", "y", "z", "t")}.get(len(sizes), ())
    axes = tuple(_axis(names[i] if i < len(names) else f"axis {i}", n, dig(told, i)) for i, n in enumerate(sizes))
    unit = str(dig(image, "ImageData", "Calibrations", "Brightness", "Units") or "")
    return Signal(
        str(dig(image, "Name") or ""),
        tuple(sizes)[::-1],
        str(_sample(image).name),
        unit or "1",
        axes[::-1],
    )


def _axis(name: str, size: int, told: Any) -> Axis:
    scale, origin, unit = real(dig(told, "Scale")), real(dig(told, "Origin")), str(dig(told, "Units") or "")
    label = "energy" if unit in ("eV", "keV") else name
    return axis(label, size, scale, unit, -(origin or 0.0) * (scale or 1.0))


def _sample(image: dict[str, Any]) -> np.dtype[Any]:
    code, data = dig(image, "ImageData", "DataType"), dig(image, "ImageData", "Data")
    if code in (8, 23):
        return _COLOURS
    if code in _SAMPLES:
        return np.dtype(_SAMPLES[code])
    return data.dtype if isinstance(data, _Array) else np.dtype(np.float64)


def _pictures(cursor: Cursor, image: dict[str, Any], signal: Signal) -> tuple[Preview, ...]:
    data = dig(image, "ImageData", "Data")
    if not isinstance(data, _Array):
        return look(np.asarray(data).reshape(signal.shape), signal)
    dtype = _sample(image).newbyteorder(data.dtype.byteorder)
    have, need = data.count * data.dtype.itemsize, math.prod(signal.shape) * dtype.itemsize
    if need > have:
        raise TruncatedError(f"has {have} bytes of an image that needs {need}", str(cursor.path), "copy it again")
    return look(np.memmap(cursor.path, dtype, "r", data.place, signal.shape), signal)


class _Summaries:
    """Puts the summary of every array that was not read into its place, as far as a bounded number of bytes reaches."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor, self.left = cursor, BUDGET

    def of(self, tree: Any) -> Any:
        if isinstance(tree, dict):
            return {key: self.of(value) for key, value in tree.items()}
        if isinstance(tree, list):
            return [self.of(value) for value in tree]
        if not isinstance(tree, _Array):
            return tree
        self.left -= tree.count * tree.dtype.itemsize
        if self.left < 0:
            return {"shape": [tree.count], "dtype": str(tree.dtype)}
        return summary(self.cursor.at(tree.place).array(tree.dtype, tree.count))


def _acquired(told: Any) -> str:
    bar = dig(told, "DataBar")
    # Windows counts 100 ns from 1601
    ticks = real(dig(bar, "Acquisition Time (OS)"))
    return (
        since("1601-01-01", ticks / 1e7)
        if ticks
        else moment(f"{dig(bar, 'Acquisition Date')} {dig(bar, 'Acquisition Time')}", "%m/%d/%Y %I:%M:%S %p")
    )


def _common(told: Any) -> dict[str, Any]:
    scope, bar = dig(told, "Microscope Info"), dig(told, "DataBar")
    return nested(
        {
            "beam.voltage": quantity(dig(scope, "Voltage"), "kV", 1e-3),
            "camera_length": quantity(dig(scope, "STEM Camera Length"), "mm"),
            "magnification": real(dig(scope, "Indicated Magnification")),
            "instrument.name": dig(scope, "Microscope") or dig(scope, "Name"),
            "detector.name": dig(bar, "Device Name") or dig(told, "Acquisition", "Device", "Name"),
            "exposure": quantity(dig(bar, "Exposure Time (s)"), "s"),
            "operator": dig(scope, "Operator") or dig(told, "Session Info", "Operator"),
            "sample.name": dig(scope, "Specimen") or dig(told, "Session Info", "Specimen"),
        }
    )
