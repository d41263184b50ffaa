"""Anasys and Bruker AFM-IR (.axz): XML, compressed with gzip, with maps and infrared spectra in it."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.description import Description, Preview, Signal
from parscope.core.errors import FormatError, TruncatedError
from parscope.io._scan import first_line
from parscope.io.describers._base import FileDescriber
from parscope.io.describers._common import axis, moment, nested, real
from parscope.io.describers._preview import look
from parscope.io.describers._text import beginning
from parscope.io.describers._xml import LARGEST, local, parsed, tree

_GZIP = b"\x1f\x8b\x08"
_FLOAT = np.dtype("<f4")


class AxzDescriber(FileDescriber):
    """Tells the whole document; samples, which are texts in it, are told by length and SHA-256."""

    name = "axz"
    extensions = (".axz", ".axd")

    def accepts(self, path: Path) -> bool:
        """Whether the document, unpacked, is one of Anasys."""
        head = beginning(path, 4096)
        if head.startswith(_GZIP):
            try:
                head = zlib.decompressobj(31).decompress(head, 4096)
            except zlib.error:
                return False
        return b"anasysinstruments" in head.replace(b"\0", b"")

    def _describe(self, path: Path, within: Path) -> Description:
        root = parsed(_unpacked(path), str(path))
        maps = list(_maps(root))
        spectra = list(_spectra(root))
        found = [*maps, *spectra]
        previews = [p for signal, values in (*maps[:1], *spectra[:1]) for p in look(values, signal)]
        stamp = next((node.text for node in root.iter() if local(node) == "TimeStamp"), "")
        system = next((n.get("Value") for n in root.iter() if local(n) == "Tag" and n.get("Name") == "System"), "")
        return self.told(
            "scanning probe image" if maps else "spectrum",
            {local(root): tree(root)},
            signals=tuple(signal for signal, _ in found),
            acquired=moment(stamp),
            common=nested({"instrument.vendor": "Anasys Instruments", "instrument.name": system}),
            previews=tuple[Preview, ...](previews),
        )


def _unpacked(path: Path) -> bytes:
    raw = path.read_bytes()
    if not raw.startswith(_GZIP):
        return raw
    stream = zlib.decompressobj(31)
    try:
        text = stream.decompress(raw, LARGEST)
    except zlib.error as error:
        raise FormatError(f"cannot be unpacked ({first_line(error)})", str(path), "copy it again") from error
    if stream.unconsumed_tail:
        raise FormatError(f"has more than {LARGEST >> 20} MiB of XML", str(path))
    if not stream.eof:
        raise TruncatedError("ends before its packed data do", str(path), "copy it again from the instrument")
    return text


def _child(node: Any, *names: str) -> Any:
    for name in names:
        node = next((child for child in node if local(child) == name), None) if node is not None else None
    return node


def _words(node: Any, *names: str) -> str:
    found = _child(node, *names)
    return "" if found is None else (found.text or "").strip()


def _samples(text: str) -> NDArray[Any]:
    try:
        raw = base64.b64decode(text)
    except binascii.Error:
        raw = b""
    return np.frombuffer(raw[: len(raw) // 4 * 4], _FLOAT)


def _maps(root: Any) -> Iterator[tuple[Signal, NDArray[Any]]]:
    for node in (node for node in root.iter() if local(node) == "HeightMap"):
        width, height = (int(real(_words(node, "Resolution", letter)) or 0) for letter in "XY")
        values = _samples(_words(node, "SampleBase64"))
        if min(width, height) < 1 or values.size != width * height:
            continue
        # sizes are in micrometres
        sizes = [real(_words(node, "Size", letter)) for letter in "YX"]
        axes = tuple(
            axis(name, count, size / count if size else None, "µm")
            for name, count, size in zip("yx", (height, width), sizes, strict=True)
        )
        unit = f"{_words(node, 'UnitPrefix')}{_words(node, 'Units')}" or "1"
        yield Signal(node.get("Label") or "map", (height, width), "float32", unit, axes), values.reshape(height, width)


def _spectra(root: Any) -> Iterator[tuple[Signal, NDArray[Any]]]:
    for node in (node for node in root.iter() if local(node) == "IRRenderedSpectra"):
        low, high = (real(_words(node, f"{end}Wavenumber")) for end in ("Start", "End"))
        for channel in (child for child in node if local(child) == "DataChannels"):
            values = _samples(_words(channel, "SampleBase64"))
            if values.size < 2:
                continue
            step = (high - low) / (values.size - 1) if low is not None and high is not None else None
            wave: Axis = axis("wavenumber", values.size, step, "1/cm", low)
            name = f"{_words(node, 'Label')} {channel.get('Name') or ''}".strip()
            yield Signal(name, values.shape, "float32", "1", (wave,)), values
