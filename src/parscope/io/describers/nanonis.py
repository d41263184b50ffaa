"""Nanonis images (.sxm) and spectroscopy at one point (.dat): headers of text, verbatim, with numbers as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from parscope.core.description import Description
from parscope.core.errors import FormatError
from parscope.io.describers._base import FileDescriber
from parscope.io.describers._channels import channels_of
from parscope.io.describers._common import moment, nested, quantity
from parscope.io.describers._text import beginning, decoded
from parscope.io.describers._verbatim import gathered, number
from parscope.io.nanonis_dat import NanonisSpectrumReader
from parscope.io.nanonis_sxm import NanonisImageReader

_HEADER, _END = 4 << 20, b"\x1a\x04"


class NanonisImageDescriber(FileDescriber):
    """Tells all settings of a Nanonis image; a table among them is a list of its rows."""

    name = "nanonis-image"
    extensions = (".sxm",)
    magic = (b":NANONIS_VERSION:",)

    def _describe(self, path: Path, within: Path) -> Description:
        head, mark, _ = beginning(path, _HEADER).partition(_END)
        if not mark:
            raise FormatError("its header does not end", str(path), "copy it again from the instrument")
        settings = _settings(decoded(head))
        signals, previews = channels_of(NanonisImageReader().read(path), path.stem)
        return self.told(
            "scanning probe image",
            {key: _value(lines) for key, lines in settings.items()},
            signals=signals,
            acquired=moment(f"{_line(settings, 'REC_DATE')} {_line(settings, 'REC_TIME')}", "%d.%m.%Y %H:%M:%S"),
            common=nested(
                {
                    "instrument.vendor": "Nanonis",
                    "bias": quantity(_line(settings, "BIAS"), "V", zero=True),
                    "exposure": quantity(_line(settings, "ACQ_TIME"), "s"),
                    "sample.name": _line(settings, "Ext. VI 1>Sample>Name"),
                    "operator": _line(settings, "User"),
                }
            ),
            previews=previews,
        )


class NanonisSpectrumDescriber(FileDescriber):
    """Tells all settings above the table of a Nanonis spectrum."""

    name = "nanonis-spectrum"
    extensions = (".dat",)
    magic = (b"Experiment\t",)

    def _describe(self, path: Path, within: Path) -> Description:
        signals, previews = channels_of(NanonisSpectrumReader().read(path), path.stem)
        head = decoded(path.read_bytes()).partition("[DATA]")[0]
        cells = [line.partition("\t") for line in head.splitlines() if line.strip()]
        words = {key: value.strip("\t").strip() for key, _, value in cells}
        return self.told(
            "spectroscopy",
            gathered((key, number(value.strip("\t"))) for key, _, value in cells),
            signals=signals,
            acquired=moment(words.get("Saved Date") or words.get("Date"), "%d.%m.%Y %H:%M:%S"),
            common=nested(
                {
                    "instrument.vendor": "Nanonis",
                    "operator": words.get("User"),
                    "exposure": quantity(words.get("Integration time (s)"), "s"),
                }
            ),
            previews=previews,
        )


def _settings(head: str) -> dict[str, list[str]]:
    settings: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in head.splitlines():
        if line.startswith(":") and line.endswith(":") and len(line) > 2:
            lines = settings.setdefault(line[1:-1], [])
        else:
            lines.append(line)
    return settings


def _line(settings: Mapping[str, list[str]], key: str) -> str:
    return " ".join(settings.get(key, [])).strip()


def _value(lines: list[str]) -> Any:
    """A number, a list of numbers, the rows of a table, or the text itself."""
    kept = [line for line in lines if line.strip()]
    if len(kept) > 1 and all("\t" in line for line in kept):
        columns, *rows = ([cell.strip() for cell in line.strip("\t").split("\t")] for line in kept)
        if all(len(row) <= len(columns) for row in rows):
            return [dict(zip(columns, map(number, row), strict=False)) for row in rows]
    if len(kept) != 1:
        return "\n".join(kept)
    told = [number(word) for word in kept[0].split()]
    if len(told) > 1 and not any(isinstance(entry, str) for entry in told):
        return told
    return number(kept[0].strip())
