"""Merlin (.mib with .hdr) and EMPAD (.xml with .raw): what the reader opens, with the whole of the file beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from parscope.core.description import Description, Preview, Signal
from parscope.core.errors import InputError
from parscope.core.frames import Frames
from parscope.io._scan import beside
from parscope.io.describers._base import FileDescriber, companion
from parscope.io.describers._common import moment, nested, quantity
from parscope.io.describers._preview import look
from parscope.io.describers._text import decoded
from parscope.io.describers._verbatim import gathered, number
from parscope.io.describers._xml import local, parsed, tree
from parscope.io.empad import EmpadReader
from parscope.io.merlin import KEYS, MerlinReader, pattern_header

_SMALL = 1 << 20


class MerlinDescriber(FileDescriber):
    """Tells the head of the first frame, and the acquisition's header file."""

    name = "merlin"
    extensions = (".mib", ".hdr")

    def accepts(self, path: Path) -> bool:
        """Whether `path` begins like a Merlin frame, or is the header file of one."""
        return MerlinReader().accepts(path)

    def _describe(self, path: Path, within: Path) -> Description:
        notes: list[str] = []
        mib = companion(beside(path, ".mib"), within, notes) if path.suffix.lower() == ".hdr" else path
        about = companion(beside(path, ".hdr"), within, notes)
        if mib is None:
            raise InputError("the .mib file of this header is missing", str(path), "put it beside it")
        told = _lines(about) if about and about.stat().st_size <= _SMALL else {}
        fields = pattern_header(mib)
        signals, previews = _opened(MerlinReader(), mib, notes) if not notes else ((), ())
        stamp = dict(zip(KEYS, fields, strict=False)).get("timestamp", "")
        return self.told(
            "4D-STEM" if not signals or len(signals[0].shape) == 4 else "diffraction stack",
            {"frame": {key: number(value) for key, value in zip(KEYS, fields, strict=False)}, **told},
            signals=signals,
            acquired=moment(stamp[:26]),
            common=nested({"detector.name": "Merlin", "exposure": quantity(_of(fields, "shutter_s"), "s")}),
            previews=previews,
            parts=tuple(file for file in (mib, about) if file is not None and file != path),
            warnings=tuple(notes),
        )


class EmpadDescriber(FileDescriber):
    """Tells the whole XML of an acquisition."""

    name = "empad"
    extensions = (".xml", ".raw")

    def accepts(self, path: Path) -> bool:
        """Whether `path` is an EMPAD .xml file, or a .raw file that has one or is named like one and of its size."""
        if path.suffix.lower() == ".raw" and beside(path, ".xml").is_symlink():
            return False
        return EmpadReader().accepts(path)

    def _describe(self, path: Path, within: Path) -> Description:
        notes: list[str] = []
        about = companion(beside(path, ".xml"), within, notes)
        root = parsed(about.read_bytes(), str(about)) if about else None
        named = None if root is None else root.find("raw_file")
        told = "" if named is None else named.get("filename", "").replace("\\", "/").rpartition("/")[2]
        raw = companion(path.with_name(told) if told else beside(path, ".raw"), within, notes)
        signals, previews = _opened(EmpadReader(), path, notes) if raw and not notes else ((), ())
        if raw is None:
            notes.append("The .raw file of this acquisition is missing.")
        stamp = None if root is None else root.find("timestamp")
        return self.told(
            "4D-STEM",
            {} if root is None else {local(root): tree(root)},
            signals=signals,
            acquired="" if stamp is None else moment(stamp.get("isoformat") or stamp.text),
            common=nested({"detector.name": "EMPAD"}),
            previews=previews,
            parts=tuple(file for file in (raw, about) if file is not None and file != path),
            warnings=tuple(notes),
        )


def _of(fields: tuple[str, ...], key: str) -> str:
    return dict(zip(KEYS, fields, strict=False)).get(key, "")


def _lines(path: Path) -> dict[str, Any]:
    cells = (line.partition("\t") for line in decoded(path.read_bytes()).splitlines() if "\t" in line)
    return gathered((key.rstrip(":").strip(), number(value.strip())) for key, _, value in cells)


def _opened(reader: Any, path: Path, notes: list[str]) -> tuple[tuple[Signal, ...], tuple[Preview, ...]]:
    try:
        frames: Frames = reader.read(path)
    except InputError as error:
        # a file that does not say its scan shape still says everything else
        notes.append(f"Its patterns were not opened: {error.what}.")
        return (), ()
    signal = _signal(frames, path.stem)
    return (signal,), look(frames.data, signal)


def _signal(frames: Frames, name: str) -> Signal:
    return Signal(name, tuple(frames.data.shape), str(frames.data.dtype), "counts", tuple(frames.axes))
