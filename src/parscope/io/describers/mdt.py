"""NT-MDT (.mdt): frames one after the other; their heads, titles and XML are told, their samples are not decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from parscope.core.description import Description
from parscope.core.errors import FormatError, TruncatedError
from parscope.io.describers._base import FileDescriber
from parscope.io.describers._bytes import Cursor
from parscope.io.describers._common import moment, nested
from parscope.io.describers._verbatim import gathered
from parscope.io.describers._xml import local, parsed, tree

_FIRST, _HEAD, _MOST, _LARGEST = 33, 22, 10_000, 16 << 20
_KINDS = {
    0: "scan",
    1: "spectroscopy",
    3: "text",
    105: "old MDA",
    106: "MDA",
    107: "palette",
    190: "curves",
    201: "jumping",
}
_OPEN, _CLOSE = ("<?xml".encode("utf-16-le"), "</FrameComment>".encode("utf-16-le"))


class MdtDescriber(FileDescriber):
    """Tells the frames of an NT-MDT file: kind, time, and what the instrument's program wrote about each."""

    name = "mdt"
    extensions = (".mdt",)
    magic = (b"\x01\xb0\x93\xff",)

    def _describe(self, path: Path, within: Path) -> Description:
        with Cursor(path) as cursor:
            cursor.at(12)
            count = cursor.one("H") + 1
            frames, place, notes = [], _FIRST, list[str]()
            for number in range(min(count, _MOST)):
                try:
                    frame, size = _frame(cursor.at(place))
                except TruncatedError:
                    notes.append(f"The file is cut short: it holds {number} of its {count} frames.")
                    break
                frames.append(frame)
                place += size
        if not frames:
            raise TruncatedError("ends before its first frame does", str(path), "copy it again from the instrument")
        kinds = {frame["kind"] for frame in frames}
        spectra = kinds & {"spectroscopy", "curves"} and "scan" not in kinds
        return self.told(
            "spectroscopy" if spectra else "scanning probe image",
            {"frames": frames},
            acquired=moment(frames[0]["date"]),
            common=nested({"instrument.vendor": "NT-MDT"}),
            warnings=(*notes, "Samples of NT-MDT files are not read."),
        )


def _frame(cursor: Cursor) -> tuple[dict[str, Any], int]:
    start = cursor.place
    size, kind, major, minor = cursor.fields("IHBB")
    moments, variables = cursor.fields("6H"), cursor.one("H")
    cursor.at(start).need(size)
    if size < _HEAD:
        raise FormatError(f"has a frame of {size} bytes", str(cursor.path), "copy it again")
    body = cursor.bytes(min(size, _LARGEST))
    year, month, day, hour, minute, second = moments
    told: dict[str, Any] = {
        "kind": _KINDS.get(kind, kind),
        "version": f"{major}.{minor}",
        "date": f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}",
        "bytes": size,
        "variables": variables,
    }
    title = _title(body, kind)
    return {**told, **({"title": title} if title else {}), **_comments(body, str(cursor.path))}, size


def _title(body: bytes, kind: int) -> str:
    """Name of an MDA frame: its length is told after the head, and it follows the end of that."""
    if kind != 106 or len(body) < _HEAD + 76:
        return ""
    head, length = (int.from_bytes(body[_HEAD + i : _HEAD + i + 4], "little") for i in (0, 44))
    return (
        body[_HEAD + head : _HEAD + head + length].decode("cp1251", "replace")
        if head + length <= len(body) - _HEAD
        else ""
    )


def _comments(body: bytes, where: str) -> dict[str, Any]:
    """Documents of XML within a frame, by the names of their root elements."""
    found, place = [], body.find(_OPEN)
    while place >= 0:
        end = body.find(_CLOSE, place)
        if end < 0:
            break
        text = body[place : end + len(_CLOSE)].decode("utf-16-le", "replace")
        root = parsed(text.partition("?>")[2].encode(), where)
        found.append((local(root), tree(root)))
        place = body.find(_OPEN, end)
    return gathered(found)
