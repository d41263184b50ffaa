"""Writes a result beside its name and renames it: an output is whole or not there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import xarray as xr

from parscope.core.errors import OptionError, OutputError

_SUFFIXES = (".nc", ".zarr")


def check_result(path: Path, overwrite: bool, inputs: Iterable[Path | str | None]) -> None:
    """Refuse a place where the result cannot or must not go; before any work is done.

    Parameters
    ----------
    path : Path
        Where the result shall go.
    overwrite : bool
        Whether it may be replaced.
    inputs : iterable of Path, str or None
        Files that are read, and must stay.

    Raises
    ------
    OutputError
        If it is an input, exists and may not be replaced, or cannot be made there.
    OptionError
        If the suffix is neither ``.nc`` nor ``.zarr``.
    """
    if path.suffix not in _SUFFIXES:
        raise OptionError(f"has suffix {path.suffix!r}", str(path), f"end it in {' or '.join(_SUFFIXES)}")
    check_place(path, overwrite, inputs)
    if path.exists() and path.is_dir() != (path.suffix == ".zarr"):
        raise OutputError(f"is a {'folder' if path.is_dir() else 'file'}", str(path), "choose another name")


def check_place(path: Path, overwrite: bool, inputs: Iterable[Path | str | None]) -> None:
    """Refuse a place where a file cannot or must not go.

    Parameters
    ----------
    path : Path
        Where it shall go.
    overwrite : bool
        Whether what is there may be replaced.
    inputs : iterable of Path, str or None
        Files that are read, and must stay.

    Raises
    ------
    OutputError
        If it is an input, exists and may not be replaced, or cannot be made there.
    """
    folder = path.absolute().parent
    if path.exists() and any(i is not None and Path(i).exists() and path.samefile(i) for i in inputs):
        raise OutputError("is read, and would be replaced", str(path), "choose another name")
    if path.exists() and not overwrite:
        raise OutputError("exists", str(path), "choose another name or pass --overwrite")
    if not folder.is_dir():
        raise OutputError("its folder does not exist", str(path), "make the folder first")
    if not os.access(folder, os.W_OK):
        raise OutputError("its folder cannot be written to", str(path), "choose another folder")


def save(result: xr.Dataset, path: Path) -> None:
    """Write a result as NetCDF or Zarr.

    Parameters
    ----------
    result : xarray.Dataset
        Maps.
    path : Path
        ``.nc`` or ``.zarr``; replaced if it exists.

    Raises
    ------
    OutputError
        If it cannot be written; what was there before stays.
    """
    beside, aside = (path.with_name(f".{path.stem}.{end}{path.suffix}") for end in ("part", "old"))
    packed = {
        n: {"zlib": True, "complevel": 1} for n, v in result.data_vars.items() if v.dtype.kind == "f" and v.ndim > 1
    }
    try:
        if path.suffix == ".nc":
            # HDF5 cannot close a file on a full disk: it is made in memory, and written as plain bytes.
            beside.write_bytes(result.to_netcdf(engine="h5netcdf", encoding=packed))
        else:
            # Version 2 of the format: every reader has it, and one file holds all metadata.
            result.to_zarr(beside, mode="w", zarr_format=2, consolidated=True)
        if path.is_dir():
            # A folder cannot be replaced in one step: the old one steps aside first.
            path.replace(aside)
        beside.replace(path)
    except OSError as error:
        advice = "free some space and run the command again: what is fitted is kept"
        raise OutputError(f"cannot be written ({error.strerror or error})", str(path), advice) from error
    finally:
        _discard(beside)
        if path.exists():
            _discard(aside)


def _discard(path: Path) -> None:
    """Remove what was half written."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
