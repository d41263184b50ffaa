"""EMPAD detectors: .raw of 128 x 128 floats, each with two rows of its own metadata, and the .xml beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from parscope.core.axes import Axis
from parscope.core.errors import InputError, ShapeError, TruncatedError
from parscope.core.frames import Frames
from parscope.io._flat import FlatScan, Records
from parscope.io._meta import axis, flatten, plain_axes
from parscope.io._scan import beside, fold

_SIDE = 128
_PLAIN, _ROWS = _SIDE * _SIDE * 4, (_SIDE + 2) * _SIDE * 4
_NAMED = re.compile(r"x(\d{1,5})_y(\d{1,5})", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?")
_FLOAT = np.dtype("<f4")


@dataclass(frozen=True)
class _Acquisition:
    """What the .xml says: name of the data, scan shapes in order of trust, field of view [m], everything flattened."""

    raw: str
    scans: tuple[tuple[int, int], ...]
    view: tuple[float, ...]
    metadata: dict[str, Any]


class EmpadReader:
    """Reads EMPAD scans by their .xml or .raw file."""

    name = "empad"
    extensions: tuple[str, ...] = (".xml", ".raw")

    def accepts(self, path: Path) -> bool:
        """Whether `path` is an EMPAD .xml file, or a .raw file that has one or is named like one and of its size."""
        if not path.is_file():
            return False
        if path.suffix.lower() == ".xml":
            return _acquisition(path) is not None
        if path.suffix.lower() != ".raw":
            return False
        return _acquisition(beside(path, ".xml")) is not None or _by_name(path) is not None

    def read(
        self,
        path: Path,
        *,
        scan_shape: tuple[int, int] | None = None,
        pattern_shape: tuple[int, int] | None = None,
        dtype: str | None = None,
        dataset: str | None = None,
    ) -> Frames:
        """Open a scan; see `parscope.core.contracts.Reader.read`."""
        told = _acquisition(beside(path, ".xml"))
        raw = path.parent / told.raw if told and path.suffix.lower() == ".xml" else beside(path, ".raw")
        if not raw.is_file():
            raise InputError(f"the data file {raw.name} of this acquisition is missing", str(path), "put it beside it")
        scans = (scan_shape,) if scan_shape else told.scans if told else (_by_name(raw),)
        scan, record = _fit(raw, [s for s in scans if s])
        shape = fold((scan[0] * scan[1], _SIDE, _SIDE), scan, pattern_shape, str(raw))
        data = FlatScan(raw, shape, Records(0, _FLOAT, trail=record - _PLAIN))
        return Frames(data, _axes(shape, told), told.metadata if told else {}, str(raw))


def _fit(raw: Path, scans: list[tuple[int, int]]) -> tuple[tuple[int, int], int]:
    size = raw.stat().st_size
    for scan in scans:
        for record in (_ROWS, _PLAIN):
            if scan[0] * scan[1] * record == size:
                return scan, record
    found = " or ".join(str(size // record) for record in (_ROWS, _PLAIN) if size % record == 0)
    if not scans:
        raise ShapeError("does not say its scan shape", str(raw), "give --scan-shape, or its .xml file")
    y, x = scans[0]
    if found:
        raise ShapeError(f"holds {found} patterns, not {y} x {x}", str(raw), "correct --scan-shape")
    raise TruncatedError(
        f"has {size} bytes, {y} x {x} patterns need {y * x * _ROWS}", str(raw), "copy it again from the instrument"
    )


def _by_name(path: Path) -> tuple[int, int] | None:
    match = _NAMED.search(path.stem)
    if match is None or not path.is_file():
        return None
    x, y = int(match[1]), int(match[2])
    return (y, x) if x * y and path.stat().st_size in (x * y * _ROWS, x * y * _PLAIN) else None


def _acquisition(path: Path) -> _Acquisition | None:
    if not path.is_file() or path.stat().st_size > 4 << 20:
        return None
    try:
        root = ElementTree.fromstring(path.read_bytes())
    except (ElementTree.ParseError, ValueError, LookupError):
        return None
    raw = root.find("raw_file")
    scans = sorted(root.findall("scan_parameters"), key=lambda node: node.get("mode") != "acquire")
    shapes = tuple(s for s in map(_resolution, scans) if s)
    if raw is None or not shapes:
        return None
    # written by Windows: the name may carry a path of that machine
    name = re.split(r"[\\/]", raw.get("filename", ""))[-1] or path.with_suffix(".raw").name
    view = root.find(".//{*}optics.get_full_scan_field_of_view")
    numbers = tuple(float(n) for n in _NUMBER.findall(view.text or "")) if view is not None else ()
    return _Acquisition(name, shapes, numbers, flatten(_tree(root)))


def _resolution(node: ElementTree.Element) -> tuple[int, int] | None:
    y, x = node.findtext("scan_resolution_y", ""), node.findtext("scan_resolution_x", "")
    fits = y.strip().isdigit() and x.strip().isdigit() and 0 < int(y) < 1 << 20 and 0 < int(x) < 1 << 20
    return (int(y), int(x)) if fits else None


def _tree(node: ElementTree.Element) -> dict[str, Any]:
    tree: dict[str, Any] = {f"@{k}": v for k, v in node.attrib.items()}
    for child in node:
        mode = child.get("mode")
        key = f"{child.tag}[{mode}]" if mode else child.tag
        tree[key] = _tree(child) if len(child) or child.attrib else (child.text or "").strip()
    return tree


def _axes(shape: tuple[int, int, int, int], told: _Acquisition | None) -> tuple[Axis, ...]:
    if told is None or len(told.view) != 2:
        return plain_axes(shape)
    x_view, y_view = told.view
    y, x = axis(0, shape[0], y_view / shape[0], "m"), axis(1, shape[1], x_view / shape[1], "m")
    return (y, x, *plain_axes(shape)[2:])
