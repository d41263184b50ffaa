"""Merlin and Medipix3 detectors (Quantum Detectors): .mib, with the .hdr beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import FormatError, InputError, ShapeError, TruncatedError
from parscope.core.frames import Frames
from parscope.io._flat import FlatScan, Records
from parscope.io._meta import plain_axes
from parscope.io._scan import StackScan, beside, first_line, fold

_COUNTED = {"U01": ">u1", "U08": ">u1", "U16": ">u2", "U32": ">u4"}
KEYS = [
    "id",
    "sequence",
    "header_length",
    "chips",
    "x_pixels",
    "y_pixels",
    "pixel_type",
    "layout",
    "chip_select",
    "timestamp",
    "shutter_s",
    "counter",
    "colour_mode",
    "gain_mode",
]


@dataclass(frozen=True)
class _Header:
    fields: tuple[str, ...]
    length: int
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    size: int
    depth: int = 0
    quad: bool = False


class MerlinReader:
    """Reads counted (U08, U16, U32) and raw (R64 with 1, 6 or 12 bit) patterns of one chip or of 2 x 2 chips."""

    name = "merlin"
    extensions: tuple[str, ...] = (".mib", ".hdr")

    def accepts(self, path: Path) -> bool:
        """Whether `path` begins like a Merlin frame, or is the header file of one."""
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            head = stream.read(4)
        return head == b"MQ1," or (head[:3] == b"HDR" and beside(path, ".mib").exists())

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
        file = beside(path, ".mib") if path.suffix.lower() == ".hdr" else path
        if not file.exists():
            raise InputError("the .mib file of this header is missing", str(path), f"put {file.name} beside it")
        header, told = _header(file), _acquisition(beside(file, ".hdr"))
        record = header.length + header.size
        frames, rest = divmod(file.stat().st_size, record)
        if rest:
            raise TruncatedError(
                f"is cut short within pattern {frames + 1}", str(file), "copy it again from the instrument"
            )
        scan = scan_shape or _scan_shape(file, frames, told)
        shape = fold((frames, *header.shape), scan, pattern_shape, str(file))
        metadata = {**dict(zip(KEYS, header.fields, strict=False)), **told}
        if header.depth:
            data: StackScan = RawMedipixScan(file, shape, header.length, (header.depth, header.quad))
        else:
            data = FlatScan(file, shape, Records(0, header.dtype, lead=header.length))
        return Frames(data, plain_axes(shape), metadata, str(file))


def pattern_header(path: Path) -> tuple[str, ...]:
    """Fields of the head of the first frame.

    Parameters
    ----------
    path : Path
        The .mib file.

    Returns
    -------
    tuple of str
        As named by ``KEYS``, and what follows.

    Raises
    ------
    FormatError
        If it cannot be read.
    """
    return _header(path).fields


def _header(path: Path) -> _Header:
    with path.open("rb") as stream:
        head = stream.read(1 << 14).decode("latin-1")
    try:
        length = int(head.split(",", 3)[2])
        fields = tuple(f.strip() for f in head[:length].rstrip("\x00 \r\n").rstrip(",").split(","))
        chips, width, height = int(fields[3]), int(fields[4]), int(fields[5])
        kind, layout = fields[6].upper(), fields[7]
    except (IndexError, ValueError) as error:
        raise FormatError(f"its frame header cannot be read ({first_line(error)})", str(path)) from error
    if not 64 <= length <= len(head) or min(width, height) < 1 or width * height > 1 << 28:
        raise FormatError(f"its frame header of {length} bytes says {width} x {height} pixels", str(path))
    if kind in _COUNTED:
        dtype = np.dtype(_COUNTED[kind])
        return _Header(fields, length, (height, width), dtype, height * width * dtype.itemsize)
    if kind == "R64":
        return _raw_header(path, fields, length, (chips, width, height, layout))
    raise FormatError(f"has pixels of type {kind}", str(path), "save U08, U16 or U32 from the Merlin software")


def _raw_header(path: Path, fields: tuple[str, ...], length: int, sensor: tuple[int, int, int, str]) -> _Header:
    chips, width, height, layout = sensor
    depth = int(fields[-1]) if fields[-1].isdigit() else 0
    quad = chips == 4 and layout.startswith("2x2") and width == 4 * height
    if depth not in (1, 6, 12) or not (chips == 1 or quad) or (width * depth) % 64:
        raise FormatError(
            f"has raw pixels of {depth} bit from {chips} chips in layout {layout}, {width} x {height}",
            str(path),
            "save U08, U16 or U32 from the Merlin software",
        )
    shape = (2 * height, width // 2) if quad else (height, width)
    dtype = np.dtype(np.uint16 if depth == 12 else np.uint8)
    size = width * height // 8 if depth == 1 else width * height * dtype.itemsize
    return _Header(fields, length, shape, dtype, size, depth, quad)


def _acquisition(path: Path) -> dict[str, str]:
    if not path.is_file() or path.stat().st_size > 1 << 20:
        return {}
    lines = path.read_text("utf-8", "replace").splitlines()
    pairs = (line.split("\t", 1) for line in lines if "\t" in line and not line.startswith("End"))
    return {key.strip().rstrip(":"): value.strip() for key, value in pairs}


def _scan_shape(path: Path, frames: int, told: dict[str, str]) -> tuple[int, int]:
    x, y = told.get("ScanX", ""), told.get("ScanY", "")
    row, promised = told.get("Frames per Trigger (Number)", ""), told.get("Frames in Acquisition (Number)", "")
    if not (x.isdigit() and y.isdigit()) and row.isdigit() and int(row) > 1 and promised.isdigit():
        y, x = str(int(promised) // int(row)), row
    if not (x.isdigit() and y.isdigit() and int(x) and int(y)):
        raise ShapeError(
            f"does not say the scan shape of its {frames} patterns", str(path), "give --scan-shape, or its .hdr file"
        )
    if int(x) * int(y) > frames:
        raise TruncatedError(
            f"holds {frames} patterns of the {int(y)} x {int(x)} that its .hdr file promises",
            str(path),
            "copy it again, or give --scan-shape for what there is",
        )
    return int(y), int(x)


class RawMedipixScan(StackScan):
    """Patterns as the chips shift them out: words of 64 bit whose pixels run backwards, and quads in one long row.

    Parameters
    ----------
    path : Path
        The .mib file.
    shape : tuple of int
        (scan y, scan x, pattern y, pattern x).
    lead : int
        Bytes of header before each pattern.
    coding : tuple
        Bits of a pixel (1, 6 or 12), and whether four chips lie side by side.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], lead: int, coding: tuple[int, bool]) -> None:
        self.depth, self.quad = coding
        super().__init__(path, shape, np.dtype(np.uint16 if self.depth == 12 else np.uint8))
        self.lead = lead

    def frames(self, start: int, stop: int) -> NDArray[Any]:
        """Read patterns start to stop of the stack."""
        height, width = self.shape[2:]
        rows, columns = (height // 2, width * 2) if self.quad else (height, width)
        packed = columns // 8 if self.depth == 1 else columns * self.dtype.itemsize
        stored = FlatScan(self.path, (*self.shape[:2], rows, packed), Records(0, np.dtype(np.uint8), lead=self.lead))
        frames = _DECODERS[self.depth](stored.frames(start, stop))
        return assemble(frames) if self.quad else frames


def _decode_1(packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    words = packed.reshape(*packed.shape[:-1], -1, 8)[..., ::-1]
    return np.unpackbits(words, axis=-1, bitorder="little").reshape(*packed.shape[:-1], -1)


def _decode_6(packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return packed.reshape(*packed.shape[:-1], -1, 8)[..., ::-1].reshape(packed.shape)


def _decode_12(packed: NDArray[np.uint8]) -> NDArray[np.uint16]:
    words = packed.view(">u2").reshape(*packed.shape[:-1], -1, 4)[..., ::-1]
    return words.astype(np.uint16).reshape(*packed.shape[:-1], -1)


_DECODERS: dict[int, Callable[[NDArray[np.uint8]], NDArray[Any]]] = {1: _decode_1, 6: _decode_6, 12: _decode_12}


def assemble(rows: NDArray[Any]) -> NDArray[Any]:
    """Put four chips that lie side by side into their places; the lower two are mounted upside down.

    Parameters
    ----------
    rows : ndarray, shape (n, h, 4 h)
        Chips in the order lower right, lower left, upper right, upper left.

    Returns
    -------
    ndarray, shape (n, 2 h, 2 h)
    """
    lower_right, lower_left, upper_right, upper_left = np.split(rows, 4, axis=2)
    upper = np.concatenate([upper_left, upper_right], axis=2)
    lower = np.concatenate([lower_left[:, ::-1, ::-1], lower_right[:, ::-1, ::-1]], axis=2)
    return np.concatenate([upper, lower], axis=1)
