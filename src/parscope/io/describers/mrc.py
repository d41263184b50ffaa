"""MRC and CCP4 maps: images, stacks, volumes, with their main and extended headers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from parscope.core.axes import Axis
from parscope.core.description import Description, Signal
from parscope.core.errors import MissingExtraError, TruncatedError
from parscope.io.describers._base import FileDescriber
from parscope.io.describers._common import axis, dig, judge, nested, quantity
from parscope.io.describers._preview import look
from parscope.io.describers._text import beginning

_HEADER, _MAP, _EXTENDED = 1024, 208, 92
_TYPES = {0: "i1", 1: "i2", 2: "f4", 4: "c8", 6: "u2", 12: "f2"}
_MOST = 1000


class MrcDescriber(FileDescriber):
    """Tells both headers of MRC files."""

    name = "mrc"
    extensions = (".mrc", ".mrcs", ".map", ".rec", ".st", ".ali")
    library = "mrcfile"

    def accepts(self, path: Path) -> bool:
        """Whether ``MAP`` stands where it does in the header of such a file."""
        head = beginning(path, _HEADER)
        return len(head) == _HEADER and head[_MAP : _MAP + 4] in (b"MAP ", b"MAP\0")

    def _describe(self, path: Path, within: Path) -> Description:
        try:
            import mrcfile
        except ModuleNotFoundError as error:
            raise MissingExtraError("mrcfile", "catalog") from error
        size = path.stat().st_size
        _check_extended(path, size)
        with mrcfile.open(path, permissive=True, header_only=True) as file:
            header, extended = file.header, file.extended_header
            vendor = {name: _plain(header[name]) for name in header.dtype.names}
            if extended is not None and extended.size:
                vendor["extended_header"] = _extended(extended)
        dtype = _TYPES.get(int(header.mode))
        shape = tuple(int(header[n]) for n in ("nz", "ny", "nx"))
        start = _HEADER + int(header.nsymbt)
        if dtype is None or min(shape) < 1:
            return self.told("document", vendor, warnings=(f"Samples of mode {header.mode} are not read.",))
        kind = np.dtype(dtype).newbyteorder(header.mode.dtype.byteorder)
        if start + int(np.prod(shape, dtype=object)) * kind.itemsize > size:
            raise TruncatedError(f"is cut short: {size} bytes hold no {shape} of {kind}", str(path), "copy it again")
        axes = _axes(header, shape)
        signals = (Signal(path.stem, shape, str(np.dtype(dtype)), "1", axes),)
        return self.told(
            "volume" if int(header.ispg) > 0 and min(shape) > 1 else judge(signals),
            vendor,
            signals=signals,
            common=_common(vendor.get("extended_header")),
            previews=look(np.memmap(path, kind, "r", start, shape), signals[0]),
        )


def _check_extended(path: Path, size: int) -> None:
    """Refuse an extended header longer than the file, for which the library would make room."""
    raw = beginning(path, _HEADER)[_EXTENDED : _EXTENDED + 4]
    lengths = (int.from_bytes(raw, "little", signed=True), int.from_bytes(raw, "big", signed=True))
    if not any(0 <= length <= size - _HEADER for length in lengths):
        raise TruncatedError("is cut short within its extended header", str(path), "copy it again")


def _plain(field: Any) -> Any:
    """A field, with its own fields if it has some."""
    if field.dtype.names:
        return {name: field[name].item() for name in field.dtype.names}
    return field.tolist()


def _extended(rows: Any) -> Any:
    if rows.dtype.names:
        return [{name: row[name].item() for name in rows.dtype.names} for row in rows[:_MOST]]
    return rows.tobytes() if rows.dtype.kind in "SV" else rows


def _axes(header: Any, shape: tuple[int, ...]) -> tuple[Axis, ...]:
    """In ångström, as the format has it; which is which is told, and the cell is that of the whole grid."""
    found = []
    for told, size in zip(("maps", "mapr", "mapc"), shape, strict=True):
        letter = {1: "x", 2: "y", 3: "z"}.get(int(header[told]), "")
        sampled = int(header[f"m{letter}"]) if letter else 0
        found.append(axis(letter or told, size, float(header.cella[letter]) / sampled if sampled > 0 else None, "Å"))
    return tuple(found)


def _common(extended: Any) -> dict[str, Any]:
    """What FEI's extended header tells of the first image."""
    first = dig(extended, 0) if isinstance(extended, list) else None
    return nested(
        {
            "beam.voltage": quantity(dig(first, "HT"), "V"),
            "magnification": dig(first, "Magnification"),
            "camera_length": quantity(dig(first, "Camera length"), "m"),
            "instrument.name": dig(first, "Microscope type"),
            "detector.name": dig(first, "Camera name"),
            "exposure": quantity(dig(first, "Integration time"), "s"),
        }
    )
