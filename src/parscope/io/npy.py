"""NumPy's own files: .npy, and .npz whether stored or compressed."""

from __future__ import annotations

import math
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from parscope.core.errors import FormatError, ShapeError, TruncatedError
from parscope.core.frames import Frames
from parscope.io._flat import FlatScan, FortranScan, Records, demand, fill
from parscope.io._meta import plain_axes
from parscope.io._scan import StackScan, first_line, fold, sample_type

_LOCAL_HEADER = struct.Struct("<4s22xHH")


@dataclass(frozen=True)
class _Header:
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    offset: int

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


class NumpyReader:
    """Reads .npy and .npz; arrays are never unpickled."""

    name = "numpy"
    extensions: tuple[str, ...] = (".npy", ".npz")

    def accepts(self, path: Path) -> bool:
        """Whether `path` is a NumPy file, or a zip archive with one in it."""
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            magic = stream.read(6)
        if magic[:4] == b"PK\x03\x04":
            # An archive that was cut short has no list of members any more, but still begins with one.
            return bool(_members(path)) or _first_member(path).endswith(".npy")
        return magic == npy_format.MAGIC_PREFIX

    def read(
        self,
        path: Path,
        *,
        scan_shape: tuple[int, int] | None = None,
        pattern_shape: tuple[int, int] | None = None,
        dtype: str | None = None,
        dataset: str | None = None,
    ) -> Frames:
        """Open an array; see `parscope.core.contracts.Reader.read`."""
        with path.open("rb") as stream:
            single = stream.read(6) == npy_format.MAGIC_PREFIX
            stream.seek(0)
            header = _header(stream, str(path)) if single else None
        if header is None:
            return _from_archive(path, dataset, scan_shape, pattern_shape)
        demand(path, header.offset + header.nbytes)
        data = _scan(path, header, fold(header.shape, scan_shape, pattern_shape, str(path)))
        return Frames(data, plain_axes(data.shape), source=str(path))


def _scan(path: Path, header: _Header, shape: tuple[int, ...]) -> FlatScan | FortranScan:
    records = Records(header.offset, header.dtype)
    if not header.fortran:
        return FlatScan(path, shape, records)
    if shape != header.shape:
        raise ShapeError("is in Fortran order, its scan shape cannot be changed", str(path), "omit --scan-shape")
    return FortranScan(path, shape, records)


def _header(stream: Any, where: str) -> _Header:
    try:
        version = npy_format.read_magic(stream)
        reader = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
        shape, fortran, dtype = reader(stream)
    except Exception as error:
        raise FormatError(f"its NumPy header cannot be read ({first_line(error)})", where) from error
    kind = sample_type(dtype, where)
    if min(shape, default=0) < 0:
        raise FormatError(f"its NumPy header says shape {shape}", where)
    return _Header(tuple(shape), bool(fortran), kind, stream.tell())


def _members(path: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            return [info for info in archive.infolist() if info.filename.endswith(".npy")]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error):
        # whatever is wrong with the archive, it is not one that is read
        return []


def _first_member(path: Path) -> str:
    """Name of the first member, from its own header."""
    with path.open("rb") as stream:
        head = stream.read(_LOCAL_HEADER.size)
        length = _LOCAL_HEADER.unpack(head)[1] if len(head) == _LOCAL_HEADER.size else 0
        return stream.read(length).decode("utf-8", "replace")


def _from_archive(
    path: Path, dataset: str | None, scan: tuple[int, int] | None, pattern: tuple[int, int] | None
) -> Frames:
    headers = {info.filename[:-4]: (info, _member_header(path, info)) for info in _members(path)}
    if not headers:
        raise TruncatedError("is cut short: the archive has no end", str(path), "copy it again from the instrument")
    wanted = (3, 4) if scan else (4,)
    fitting = [k for k, (_, h) in headers.items() if h is not None and len(h.shape) in wanted]
    name = _choose(path, dataset, fitting, {k: "other" if h is None else str(h.shape) for k, (_, h) in headers.items()})
    info, header = headers[name]
    if header is None:
        raise FormatError(f"array {name!r} cannot be read", str(path))
    shape = fold(header.shape, scan, pattern, f"{path}:{name}")
    if info.compress_type == zipfile.ZIP_STORED:
        start = _offset(path, info)
        moved = _Header(header.shape, header.fortran, header.dtype, start + header.offset)
        demand(path, moved.offset + moved.nbytes)
        data: Any = _scan(path, moved, shape)
    elif header.fortran:
        raise FormatError(
            "is compressed and in Fortran order", f"{path}:{name}", "save it again with numpy.ascontiguousarray"
        )
    else:
        data = ZippedScan(path, info.filename, shape, header.offset, header.dtype)
    return Frames(data, plain_axes(shape), {"array": name}, str(path))


def _choose(path: Path, dataset: str | None, fitting: list[str], found: dict[str, str]) -> str:
    listing = ", ".join(f"{k} {v}" for k, v in list(found.items())[:8])
    if dataset is not None:
        if dataset not in found:
            raise FormatError(f"holds no array {dataset!r}; it holds {listing}", str(path), "correct --dataset")
        return dataset
    if not fitting:
        raise FormatError(f"holds no 4D array; it holds {listing}", str(path), "give a 4D data set, or --scan-shape")
    if len(fitting) > 1:
        raise FormatError(f"holds several 4D arrays: {', '.join(fitting)}", str(path), "choose one with --dataset")
    return fitting[0]


def _member_header(path: Path, info: zipfile.ZipInfo) -> _Header | None:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(info) as stream:
            return _header(stream, f"{path}:{info.filename}")
    except FormatError:
        return None
    except Exception as error:
        raise FormatError(f"array {info.filename!r} cannot be read ({first_line(error)})", str(path)) from error


def _offset(path: Path, info: zipfile.ZipInfo) -> int:
    with path.open("rb") as stream:
        stream.seek(info.header_offset)
        head = stream.read(_LOCAL_HEADER.size)
    if len(head) < _LOCAL_HEADER.size or head[:4] != b"PK\x03\x04":
        raise FormatError("its archive is damaged", str(path))
    _, name, extra = _LOCAL_HEADER.unpack(head)
    return int(info.header_offset + _LOCAL_HEADER.size + name + extra)


class ZippedScan(StackScan):
    """Patterns in a compressed archive: read onwards at full speed, from the start again when asked to go back.

    Parameters
    ----------
    path : Path
        The archive.
    member : str
        Name of the array's file in it.
    shape : tuple of int
        (scan y, scan x, pattern y, pattern x).
    offset : int
        Bytes of the member's own header.
    stored : dtype
        Of a sample, in the byte order of the file.
    """

    def __init__(self, path: Path, member: str, shape: tuple[int, ...], offset: int, stored: np.dtype[Any]) -> None:
        super().__init__(path, shape, stored)
        self.member, self.offset, self.stored = member, offset, stored

    def _open(self) -> Any:
        # the archive stays open as long as the stream of its member is
        with zipfile.ZipFile(self.path) as archive:
            return archive.open(self.member)

    def frames(self, start: int, stop: int) -> NDArray[Any]:
        """Read patterns start to stop of the stack."""
        samples = math.prod(self.shape[2:])
        frames = np.empty((stop - start, *self.shape[2:]), self.dtype)
        with self._lock:
            try:
                stream = self._opened()
                stream.seek(self.offset + start * samples * self.stored.itemsize)
                fill(stream, frames.reshape(-1).view(np.uint8), self.path)
            except BaseException:
                # a stream that failed is in no known state
                self.close()
                raise
        return frames if self.stored.isnative else frames.byteswap()
