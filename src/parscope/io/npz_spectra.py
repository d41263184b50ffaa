"""Spectra in NumPy's archives: an array ``spectra`` (..., n) beside ``frequency``, or another axis, of n numbers."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from parscope.core.errors import FormatError, ShapeError
from parscope.core.spectra import Spectra
from parscope.io._flat import begins, demand
from parscope.io._meta import spectral_axis
from parscope.io._scan import first_line
from parscope.io._spectra import FlatSpectra, Grid, listing, pick
from parscope.io.npy import Header, member_header, member_offset, members

_HOWTO = "write it with numpy.savez(path, frequency=..., spectra=...)"
_UNITS = {"frequency": "Hz", "freq": "Hz", "bias": "V", "voltage": "V", "dc_offset": "V"}
_LONGEST, _PIECE = 1 << 24, 1 << 20
_Found = dict[str, tuple[zipfile.ZipInfo, Header]]


class NumpySpectraReader:
    """Reads .npz archives, stored or compressed; arrays are never unpickled."""

    name = "numpy"
    extensions: tuple[str, ...] = (".npz",)

    def accepts(self, path: Path) -> bool:
        """Whether `path` is a zip archive with an array in it."""
        return begins(path, b"PK\x03\x04") and bool(members(path))

    def read(self, path: Path, *, dataset: str | None = None) -> Spectra:
        """Open an array and its axis; see `parscope.core.contracts.SpectraReader.read`."""
        headers = ((info, member_header(path, info, "buifc")) for info in members(path))
        found = {info.filename[:-4]: (info, header) for info, header in headers if header and 0 not in header.shape}
        name = _spectra(path, found, dataset)
        _check(path, found[name][0])
        data = _lazy(path, found, name)
        label = _axis(path, found, name)
        _check(path, found[label][0])
        values = _lazy(path, found, label)[...]
        try:
            axis = spectral_axis(label, values, _UNITS.get(label.lower(), ""))
        except ValueError as error:
            raise ShapeError(str(error), str(path), _HOWTO) from error
        made = Spectra.from_array(data, values, source=str(path))
        return Spectra(data, (*made.axes[:-1], axis), metadata={"array": name}, source=str(path))


def _shapes(found: _Found) -> str:
    return listing(f"{name} {header.shape}" for name, (_, header) in found.items())


def _spectra(path: Path, found: _Found, dataset: str | None) -> str:
    if dataset is not None:
        return pick(path, found, dataset, "array")
    candidates = [name for name, (_, header) in found.items() if len(header.shape) > 1]
    if "spectra" in found:
        return "spectra"
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise FormatError(f"holds several arrays: {_shapes(found)}", str(path), "choose one with --dataset")
    raise FormatError(f"holds no array 'spectra'; it holds {_shapes(found)}", str(path), _HOWTO)


def _axis(path: Path, found: _Found, name: str) -> str:
    shape = found[name][1].shape
    axes = [
        other
        for other, (_, header) in found.items()
        if other != name and header.shape == shape[-1:] and header.dtype.kind in "iuf" and shape[-1] <= _LONGEST
    ]
    if "frequency" in axes:
        return "frequency"
    if len(axes) == 1:
        return axes[0]
    fault = f"holds several axes: {listing(axes)}" if axes else f"holds no axis of {shape[-1:]} real numbers"
    raise FormatError(f"{fault}, for {name} of shape {shape}; it holds {_shapes(found)}", str(path), _HOWTO)


def _check(path: Path, info: zipfile.ZipInfo) -> None:
    """Refuse an array of which the check sum is wrong: which of its numbers are, nobody could tell."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(info) as stream:
            while stream.read(_PIECE):
                pass
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise FormatError(
            f"is damaged ({first_line(error)})", f"{path}:{info.filename[:-4]}", "copy the file again"
        ) from error


def _lazy(path: Path, found: _Found, name: str) -> FlatSpectra:
    info, header = found[name]
    if header.fortran and len(header.shape) > 1:
        raise FormatError("is in Fortran order", f"{path}:{name}", "save it again with numpy.ascontiguousarray")
    grid, kind = Grid.plain(header.shape), np.dtype(header.dtype)
    if info.compress_type != zipfile.ZIP_STORED:
        return FlatSpectra(path, grid, kind, header.offset, info.filename)
    start = member_offset(path, info) + header.offset
    demand(path, start + header.nbytes)
    return FlatSpectra(path, grid, kind, start)
