"""Bruker and Veeco Nanoscope (.000, .spm, ...): a header of text in sections, then a plane of integers per image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from parscope.core.description import Description, Preview, Signal
from parscope.io.describers._base import FileDescriber
from parscope.io.describers._common import axis, dig, moment, nested, real
from parscope.io.describers._preview import look
from parscope.io.describers._text import beginning, decoded
from parscope.io.describers._verbatim import gathered, number

_HEADER = 4 << 20
_FIRST = re.compile(rb"\\\*[\w ]*[Ff]ile list\r?\n")
# a colon within the key of a scaled parameter, as in @2:Z scale, has no blank behind it
_LINE = re.compile(r"\\(.+?):(?:\s(.*))?$")
_LABEL = re.compile(r'\[([^]]*)\]|"([^"]*)"')
_IMAGES = ("Ciao image list", "Image list", "AFM image list", "STM image list", "NCAFM image list")


class NanoscopeDescriber(FileDescriber):
    """Tells every line of the header, by section; images are not scaled, their scales are told as written."""

    name = "nanoscope"
    extensions = (".000", ".001", ".002", ".003", ".spm")

    def accepts(self, path: Path) -> bool:
        """Whether the header begins with its list of files."""
        return _FIRST.match(beginning(path, 64)) is not None

    def _describe(self, path: Path, within: Path) -> Description:
        head = beginning(path, _HEADER).partition(b"\x1a")[0]
        lines = head.decode("cp1252", "replace") if b"\xb5" in head else decoded(head)
        sections = _sections(lines)
        vendor = gathered((name, gathered(pairs)) for name, pairs in sections)
        notes: list[str] = []
        signals: list[Signal] = []
        previews: list[Preview] = []
        for image in (pairs for name, pairs in sections if name in _IMAGES):
            # versions differ in capitals
            signal, dtype, place = _image({key.lower(): value for key, value in image})
            signals.append(signal)
            if place + int(np.prod(signal.shape)) * dtype.itemsize > path.stat().st_size:
                notes.append(f"The pixels of {signal.name} are missing: the file is cut short.")
            elif not previews:
                # the first line is the lowest
                previews += look(np.memmap(path, dtype, "r", place, signal.shape)[::-1], signal)
        first = dict(sections[0][1]) if sections else {}
        gear: Mapping[str, Any] = next((dict(pairs) for name, pairs in sections if name == "Equipment list"), {})
        return self.told(
            "scanning probe image" if signals else "spectroscopy",
            vendor,
            signals=tuple(signals),
            acquired=moment(first.get("Date"), "%I:%M:%S %p %a %b %d %Y"),
            common=nested(
                {
                    "instrument.vendor": "Bruker",
                    "instrument.name": dig(gear, "Description"),
                    "operator": first.get("Operator"),
                    "sample.name": first.get("Sample"),
                }
            ),
            previews=tuple(previews),
            warnings=tuple(notes),
        )


def _sections(text: str) -> list[tuple[str, list[tuple[str, Any]]]]:
    found: list[tuple[str, list[tuple[str, Any]]]] = []
    for line in text.splitlines():
        if line.startswith("\\*"):
            found.append((line[2:].strip(), []))
        elif found and (parts := _LINE.match(line)):
            found[-1][1].append((parts[1], number((parts[2] or "").strip())))
    return found


def _image(told: Mapping[str, Any]) -> tuple[Signal, np.dtype[Any], int]:
    width, height = int(told["samps/line"]), int(told["number of lines"])
    length, place = int(told["data length"]), int(told["data offset"])
    if min(width, height, length) < 1 or place < 0:
        raise ValueError(f"an image of {height} x {width} pixels in {length} bytes")
    # what the header calls bytes of a pixel is not what newer versions write
    size = length // (width * height)
    dtype = np.dtype({1: "<i1", 2: "<i2", 4: "<i4"}[size])
    label = _LABEL.findall(str(told.get("@2:image data") or told.get("image data") or ""))
    name = next((quoted or short for short, quoted in reversed(label)), "image")
    direction = str(told.get("line direction") or "")
    sizes = str(told.get("scan size") or "").split()
    unit = {"~m": "µm", "um": "µm", "µm": "µm"}.get(sizes[-1], sizes[-1]) if sizes else ""
    wide, tall = real(sizes[0]) if sizes else None, real(sizes[1]) if len(sizes) > 2 else None
    ratio = height / width
    axes = (
        axis("y", height, (tall if tall is not None else (wide or 0.0) * ratio) / height, unit),
        axis("x", width, (wide or 0.0) / width, unit),
    )
    return Signal(f"{name} {direction}".strip(), (height, width), dtype.name, "LSB", axes), dtype, place
