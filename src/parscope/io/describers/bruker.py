"""Bruker hypermaps (.bcf): a small file system whose header is XML, with the images and the sum spectrum in it.

Written from the public notes on the format; no permissive library reads it.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from parscope.core.axes import Axis
from parscope.core.description import Description, Preview, Signal
from parscope.core.errors import FormatError
from parscope.io.describers._base import FileDescriber
from parscope.io.describers._bytes import Cursor
from parscope.io.describers._common import axis, dig, moment, nested, quantity, real
from parscope.io.describers._preview import look
from parscope.io.describers._xml import parsed, tree

_CHUNK_HEAD, _START, _ITEM, _MOST, _LARGEST = 32, 0x118, 0x200, 1000, 64 << 20
_PACKED = b"AACS"


class BrukerDescriber(FileDescriber):
    """Tells the XML header of hypermaps, their images, and the sum spectrum."""

    name = "bruker"
    extensions = (".bcf",)
    magic = (b"AAMVHFSS",)

    def _describe(self, path: Path, within: Path) -> Description:
        with Cursor(path) as cursor:
            files = _files(cursor)
            head = next((files[name] for name in files if name.endswith("HeaderData")), None)
            if head is None:
                raise FormatError(f"has no header; it holds {', '.join(files)}", str(path), "copy it again")
            root = parsed(_content(cursor, head, _LARGEST), str(path))
            maps = {name: _content(cursor, item, 64) for name, item in files.items() if "SpectrumData" in name}
        vendor = {str(root.tag): tree(root)}
        planes = list(_planes(root))
        spectra = [] if not maps else [_map(name, raw, root) for name, raw in maps.items()]
        sums = list(_sums(root))
        told = {entry: _first(root, entry) for entry in ("TRTSEMData", "TRTXrfHeader", "TRTDSPConfiguration")}
        header = _header(root)
        return self.told(
            "spectrum image" if spectra else "image",
            vendor,
            signals=(*(s for s in spectra if s), *(s for s, _ in planes)),
            acquired=moment(f"{header.get('Date')} {header.get('Time')}", "%d.%m.%Y %H:%M:%S"),
            common=nested(
                {
                    "beam.voltage": quantity(dig(told["TRTSEMData"], "HV"), "kV"),
                    "magnification": real(dig(told["TRTSEMData"], "Mag")),
                    "instrument.vendor": "Bruker",
                    "detector.name": _detector(root),
                }
            ),
            previews=(*(preview for _, drawn in planes[:1] for preview in drawn), *sums[:1]),
        )


class _Item:
    """A file of the file system: the table of its chunks, and its length."""

    def __init__(self, table: int, size: int) -> None:
        self.table, self.size = table, size


def _files(cursor: Cursor) -> dict[str, _Item]:
    cursor.at(0x124)
    _, chunk = cursor.fields("fI")
    table, count, _ = cursor.at(0x140).fields("III")
    if not 512 <= chunk <= 1 << 20 or not 0 < count <= _MOST:
        raise FormatError(f"has {count} files in chunks of {chunk} bytes", str(cursor.path), "copy it again")
    found = {}
    for place in range(count):
        cursor.at(chunk * table + _START + _CHUNK_HEAD + _ITEM * place)
        first, size = cursor.fields("iQ")
        cursor.skip(0xE0 - 12)
        name = cursor.bytes(256).split(b"\0", 1)[0].decode("latin-1")
        if first >= 0 and size <= cursor.size:
            found[name] = _Item(first, size)
    return found


def _content(cursor: Cursor, item: _Item, limit: int) -> bytes:
    """First bytes of a file, unpacked; the list of its chunks may need several chunks itself."""
    raw = _joined(cursor, item, min(item.size, limit + 4096))
    if not raw.startswith(_PACKED):
        return raw[:limit]
    raw = _joined(cursor, item, min(item.size, _LARGEST))
    return b"".join(_unpacked(raw, limit))[:limit]


def _joined(cursor: Cursor, item: _Item, count: int) -> bytes:
    chunk = cursor.at(0x128).one("I")
    usable = chunk - _CHUNK_HEAD
    wanted = -(-count // usable)
    places: list[int] = []
    table = item.table
    while len(places) < wanted:
        # a list that is longer than a chunk goes on in the one that is named first
        following = cursor.at(chunk * table + _START).one("I")
        held = min(usable // 4, wanted - len(places))
        cursor.at(chunk * table + _START + _CHUNK_HEAD)
        places += cursor.array("<u4", held).tolist()
        table = following
    parts = []
    for place in places:
        cursor.at(chunk * place + _START + _CHUNK_HEAD)
        parts.append(cursor.bytes(min(usable, cursor.size - cursor.place)))
    return b"".join(parts)[:count]


def _unpacked(raw: bytes, limit: int) -> Iterator[bytes]:
    """Blocks of a packed file: a head of 16 bytes with the packed length before each."""
    place, done = 128, 0
    while place + 16 <= len(raw) and done < limit:
        size = int.from_bytes(raw[place : place + 4], "little")
        if not 0 < size <= len(raw) - place - 16:
            return
        block = zlib.decompressobj().decompress(raw[place + 16 : place + 16 + size], _LARGEST)
        yield block
        place, done = place + 16 + size, done + len(block)


def _instances(root: Any, kind: str) -> Iterator[Any]:
    return (node for node in root.iter("ClassInstance") if node.get("Type") == kind)


def _first(root: Any, kind: str) -> Any:
    return next((tree(node) for node in _instances(root, kind)), None)


def _header(root: Any) -> Mapping[str, str]:
    node = root.find(".//Header")
    return {} if node is None else {child.tag: child.text or "" for child in node}


def _detector(root: Any) -> str:
    node = root.find(".//TRTESMAHeader/../..//DetectorType") if root.find(".//TRTESMAHeader") is not None else None
    found = node if node is not None else root.find(".//DetectorType")
    return "" if found is None else str(found.text or "")


def _planes(root: Any) -> Iterator[tuple[Signal, tuple[Preview, ...]]]:
    """Images of the electron detectors."""
    semdata = _first(root, "TRTSEMData")
    for node in _instances(root, "TRTImageData"):
        width, height, size = (int(node.findtext(key) or 0) for key in ("Width", "Height", "ItemSize"))
        dtype = {1: "u1", 2: "u2", 4: "u4"}.get(size)
        if dtype is None or min(width, height) < 1:
            continue
        axes = _lengths(semdata, height, width)
        for plane in (child for child in node if child.tag.startswith("Plane") and child.find("Data") is not None):
            raw = base64.b64decode(plane.findtext("Data") or "")
            if len(raw) < width * height * size:
                continue
            pixels = np.frombuffer(raw, dtype, width * height).reshape(height, width)
            signal = Signal(plane.findtext("Description") or plane.tag, pixels.shape, str(pixels.dtype), "1", axes)
            yield signal, look(pixels, signal)


def _lengths(semdata: Any, height: int, width: int) -> tuple[Axis, Axis]:
    return axis("y", height, dig(semdata, "DY"), "µm"), axis("x", width, dig(semdata, "DX"), "µm")


def _map(name: str, raw: bytes, root: Any) -> Signal | None:
    """The hypermap, by the lengths at its start."""
    if len(raw) < 8:
        return None
    height, width = (int.from_bytes(raw[i : i + 4], "little") for i in (0, 4))
    spectrum = next((node for node in root.iter("ClassInstance") if node.get("Type") == "TRTSpectrum"), None)
    if spectrum is None or not (0 < height < 1 << 20 and 0 < width < 1 << 20):
        return None
    energy = _energy(spectrum)
    axes = (*_lengths(_first(root, "TRTSEMData"), height, width), energy)
    return Signal(name, (height, width, energy.size), "uint32", "counts", axes)


def _energy(spectrum: Any) -> Axis:
    told = {node.tag: node.text for node in spectrum.iter() if node.tag in ("ChannelCount", "CalibAbs", "CalibLin")}
    size = int(real(told.get("ChannelCount")) or 1)
    return axis("energy", max(1, min(size, 1 << 16)), told.get("CalibLin"), "keV", told.get("CalibAbs"))


def _sums(root: Any) -> Iterator[Preview]:
    for node in _instances(root, "TRTSpectrum"):
        counts = np.array([float(n) for n in (node.findtext("Channels") or "").split(",") if n.strip()])
        energy = _energy(node)
        if len(counts) and len(counts) == energy.size:
            signal = Signal("sum spectrum", counts.shape, "float64", "counts", (energy,))
            yield from look(counts, signal)
