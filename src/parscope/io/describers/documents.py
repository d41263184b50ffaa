"""JSON documents, tables of text, and pictures: what lies beside measurements."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.description import Description, Preview, Signal
from parscope.core.errors import FormatError, MissingExtraError
from parscope.io._scan import first_line
from parscope.io.describers._base import FileDescriber
from parscope.io.describers._common import moment
from parscope.io.describers._preview import look
from parscope.io.describers._text import beginning, decoded
from parscope.io.describers._verbatim import number
from parscope.io.describers._xml import LARGEST, local, parsed, tree

_LARGEST, _TEXT, _HEAD, _PIXELS = 16 << 20, 4 << 20, 1 << 16, 1 << 28
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_CELLS = re.compile(r"[,;\t]|\s{1,}")


class JsonDescriber(FileDescriber):
    """Tells a JSON document as it is."""

    name = "json"
    extensions = (".json",)
    library = "python"

    def accepts(self, path: Path) -> bool:
        """Whether `path` begins as an object or a list does, and is a text."""
        head = beginning(path, _HEAD)
        return head.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] in (b"{", b"[") and not _CONTROL.search(head)

    def _describe(self, path: Path, within: Path) -> Description:
        if path.stat().st_size > _LARGEST:
            raise FormatError(f"is larger than {_LARGEST >> 20} MiB, no document of metadata", str(path))
        try:
            found = json.loads(path.read_bytes().decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise FormatError(f"is no JSON ({first_line(error)})", str(path), "correct it") from error
        return self.told("document", found if isinstance(found, dict) else {"": found})


class XmlDescriber(FileDescriber):
    """Tells an XML document under its own names."""

    name = "xml"
    extensions = (".xml",)
    library = "defusedxml"

    def accepts(self, path: Path) -> bool:
        """Whether `path` begins with the declaration of XML."""
        return beginning(path, 256).replace(b"\0", b"").lstrip(b"\xff\xfe\xef\xbb\xbf \r\n\t").startswith(b"<?xml")

    def _describe(self, path: Path, within: Path) -> Description:
        if path.stat().st_size > LARGEST:
            raise FormatError(f"is larger than {LARGEST >> 20} MiB, no document of metadata", str(path))
        root = parsed(path.read_bytes(), str(path))
        return self.told("document", {local(root): tree(root)})


class TableDescriber(FileDescriber):
    """Tells the head of a text, and the columns of the numbers in it."""

    name = "table"
    extensions = (".csv", ".txt", ".tsv", ".asc", ".xy", ".dat", ".md", ".log")

    def accepts(self, path: Path) -> bool:
        """Whether `path` is a text."""
        head = beginning(path, _HEAD)
        return head[:2] in (b"\xff\xfe", b"\xfe\xff") or bool(head and not _CONTROL.search(head) and _is_text(head))

    def _describe(self, path: Path, within: Path) -> Description:
        lines = decoded(beginning(path, _TEXT)).splitlines()
        notes: tuple[str, ...] = ()
        if path.stat().st_size > _TEXT:
            lines, notes = lines[:-1], (f"Only the first {_TEXT >> 20} MiB were read.",)
        start, rows = _rows(lines)
        if not rows:
            return self.told("document", {"text": "\n".join(lines)[:_HEAD], "lines": len(lines)}, warnings=notes)
        names = _names(lines[start - 1] if start else "", len(rows[0]))
        table = np.array(rows, np.float64)
        signals = tuple(Signal(name, (len(rows),), "float64", axes=(Axis("row", len(rows)),)) for name in names)
        told = {"head": "\n".join(lines[:start])[:_HEAD], "columns": names, "rows": len(rows)}
        return self.told("table", told, signals=signals, previews=_drawn(table, names), warnings=notes)


class PictureDescriber(FileDescriber):
    """Tells what a photograph or a screenshot keeps of how it was made."""

    name = "picture"
    extensions = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
    library = "pillow"
    magic = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"GIF8")

    def _describe(self, path: Path, within: Path) -> Description:
        try:
            from PIL import ExifTags, Image
        except ModuleNotFoundError as error:
            raise MissingExtraError("pillow", "catalog") from error
        with Image.open(path, formats=("PNG", "JPEG", "BMP", "GIF")) as picture:
            width, height = picture.size
            if width * height > _PIXELS:
                raise FormatError(f"has {width} x {height} pixels", str(path), "make it smaller")
            exif = {ExifTags.TAGS.get(key, str(key)): _exif(value) for key, value in picture.getexif().items()}
            shown = {key: _exif(value) for key, value in picture.info.items() if key not in ("exif", "icc_profile")}
            picture.draft("L", (512, 512))
            pixels = np.asarray(picture.convert("L"))
            vendor = {"format": picture.format, "mode": picture.mode, "info": shown, "exif": exif}
        axes = (Axis("y", height), Axis("x", width))
        signal = Signal(path.stem, (height, width), "uint8", "1", axes)
        seen = Signal(path.stem, pixels.shape, "uint8")
        stamp = moment(exif.get("DateTime"), "%Y:%m:%d %H:%M:%S")
        return self.told("picture", vendor, signals=(signal,), acquired=stamp, previews=look(pixels, seen))


def _is_text(head: bytes) -> bool:
    """Whether bytes are UTF-8, but for a sign that is cut at their end, or ASCII for the most part."""
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4 or sum(byte < 128 for byte in head) > 0.9 * len(head)
    return True


def _exif(value: Any) -> Any:
    """A value of Pillow: its fractions are numbers of their own."""
    if isinstance(value, (str, bytes, int, float, tuple, list)) or value is None:
        return value
    try:
        return float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return str(value)


def _rows(lines: list[str]) -> tuple[int, list[list[float]]]:
    """Where the numbers begin, and the longest run of rows of as many."""
    best: tuple[int, list[list[float]]] = (0, [])
    start, run = 0, list[list[float]]()
    for place, line in enumerate([*lines, ""]):
        row = _row(line)
        if row and run and len(row) == len(run[0]):
            run.append(row)
            continue
        if len(run) > len(best[1]):
            best = (start, run)
        start, run = place, [row] if row else []
    return best if len(best[1]) > 1 else (0, [])


def _row(line: str) -> list[float]:
    cells = [number(cell) for cell in _CELLS.split(line.strip()) if cell]
    return [] if any(isinstance(cell, str) for cell in cells) else [float(cell) for cell in cells]


def _names(line: str, count: int) -> list[str]:
    delimiter = next((mark for mark in ("\t", ";", ",") if mark in line), ",")
    cells = [cell.strip() for cell in next(csv.reader([line.lstrip("#% ")], delimiter=delimiter), [])]
    return cells if len(cells) == count and all(cells) else [f"column {i + 1}" for i in range(count)]


def _drawn(table: NDArray[np.float64], names: list[str]) -> tuple[Preview, ...]:
    """The second column over the first, or the first alone."""
    values = table[:, min(1, table.shape[1] - 1)]
    places = table[:, 0]
    rising = (
        table.shape[1] > 1 and len(places) > 1 and bool(np.isfinite(places).all()) and bool((np.diff(places) > 0).all())
    )
    axis = Axis.from_values(names[0], places) if rising else Axis("row", len(values))
    return look(values, Signal(names[min(1, len(names) - 1)], values.shape, "float64", axes=(axis,)))
