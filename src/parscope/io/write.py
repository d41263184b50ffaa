"""Writes scans in every format that is read: block by block, beside the target, renamed when complete."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import OptionError, OutputError, ParscopeError, ShapeError
from parscope.core.frames import Frames
from parscope.io._scan import first_line
from parscope.io._sink import Layout as Layout
from parscope.io._sink import Sink

_SINKS = {
    "npy": "_write_flat:NpySink",
    "npz": "_write_flat:NpzSink",
    "raw": "_write_flat:RawSink",
    "merlin": "_write_detector:MerlinSink",
    "empad": "_write_detector:EmpadSink",
    "blo": "_write_detector:BloSink",
    "hdf5": "_write_h5:PlainSink",
    "emd": "_write_h5:EmdSink",
    "nexus": "_write_h5:NexusSink",
    "dectris": "_write_h5_detector:DectrisSink",
    "electron-events": "_write_h5_detector:EventsSink",
    "zarr": "_write_zarr:ZarrSink",
}
_MARGIN = 4 << 20
_SUFFIXES = {
    ".npy": "npy",
    ".npz": "npz",
    ".bin": "raw",
    ".mib": "merlin",
    ".xml": "empad",
    ".raw": "empad",
    ".blo": "blo",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".emd": "emd",
    ".nxs": "nexus",
    ".zarr": "zarr",
}


def row_blocks(frames: Frames, limit: int = 64 << 20) -> Iterator[NDArray[Any]]:
    """Read a scan as blocks of whole scan rows.

    Parameters
    ----------
    frames : Frames
        The scan.
    limit : int, default 64 MiB
        Bytes of a block; one row if a row is larger.

    Yields
    ------
    ndarray, shape (rows, scan x, pattern y, pattern x)
    """
    layout = Layout.of(frames)
    row = int(np.prod(layout.shape[1:], dtype=np.int64)) * layout.dtype.itemsize
    step = max(1, limit // row)
    for y in range(0, layout.shape[0], step):
        yield frames.data[y : y + step]


def write_frames(
    path: Path | str,
    blocks: Iterable[NDArray[Any]],
    like: Layout | Frames,
    *,
    format: str | None = None,  # noqa: A002
    overwrite: bool = False,
) -> Path:
    """Write a scan block by block; nothing is left behind unless it is complete.

    Parameters
    ----------
    path : Path or str
        Where to; files that belong to it (.hdr, .xml, data files of a master) are put beside it.
    blocks : iterable of ndarray, shape (rows, scan x, pattern y, pattern x)
        Consecutive scan rows, in the type of `like`; only one is in memory at a time.
    like : Layout or Frames
        Axes, sample type and metadata of the whole.
    format : str, optional
        ``npy``, ``npz``, ``raw``, ``hdf5``, ``emd``, ``nexus``, ``dectris``, ``electron-events``, ``zarr``,
        ``merlin``, ``empad`` or ``blo``; told from the suffix if omitted.
    overwrite : bool, default False
        Whether a file that exists may be replaced.

    Returns
    -------
    Path
        Of the file to open.

    Raises
    ------
    OutputError
        If the target exists, cannot be written, the disk is full, or the format has no place for such data.
    ShapeError
        If the blocks do not add up to `like`.
    OptionError
        If there is no such format.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> rows = (np.full((1, 3, 8, 8), y, np.uint16) for y in range(2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_frames(f"{folder}/scan.npy", rows, Layout.plain((2, 3, 8, 8), "uint16")).name
    'scan.npy'
    """
    target, layout = Path(path), Layout.of(like) if isinstance(like, Frames) else like
    sink_type = _sink_type(target, format)
    names = sink_type.names(target.name)
    _free(target, names, overwrite)
    with _faults(target):
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        with _faults(target):
            sink = sink_type(folder, target.name, layout)
        _feed(target, sink, blocks)
        with _faults(target):
            made = sorted(folder.iterdir(), key=lambda p: p.name == names[-1])
            _free(target, tuple(p.name for p in made), overwrite)
            for file in made:
                _move(file, target.parent / file.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return target.parent / names[-1]


def _sink_type(target: Path, name: str | None) -> type[Sink]:
    guess = "dectris" if target.name.endswith("_master.h5") else _SUFFIXES.get(target.suffix.lower())
    chosen = name or guess
    if chosen not in _SINKS:
        what = f"there is no format {name!r}" if name else "the suffix names no format that is written"
        raise OptionError(what, str(target), f"choose one of {', '.join(_SINKS)}")
    module, _, attribute = _SINKS[chosen].partition(":")
    sink: type[Sink] = getattr(import_module(f"parscope.io.{module}"), attribute)
    return sink


def _free(target: Path, names: tuple[str, ...], overwrite: bool) -> None:
    if not target.parent.is_dir():
        raise OutputError("there is no such folder", str(target.parent), "create it")
    taken = [name for name in names if (target.parent / name).exists()]
    if taken and not overwrite:
        raise OutputError("exists already", str(target.parent / taken[0]), "choose another name or pass --overwrite")


def _feed(target: Path, sink: Sink, blocks: Iterable[NDArray[Any]]) -> None:
    layout, rows = sink.layout, 0
    done = False
    try:
        for block in blocks:
            if block.ndim != 4 or block.shape[1:] != layout.shape[1:] or rows + len(block) > layout.shape[0]:
                raise ShapeError(f"block {block.shape} after {rows} rows does not fit {layout.shape}", str(target))
            if block.dtype != layout.dtype:
                raise OutputError(f"was promised {layout.dtype}, and given {block.dtype}", str(target))
            _room(target, sink.room(block))
            with _faults(target):
                sink.append(block, rows)
            rows += len(block)
        if rows != layout.shape[0]:
            raise ShapeError(f"{rows} rows came of {layout.shape[0]}", str(target), "give blocks for the whole scan")
        with _faults(target):
            sink.finish()
        done = True
    finally:
        if not done:
            sink.abandon()


def _room(target: Path, need: int) -> None:
    # HDF5 cannot be closed in peace on a full disk: stop before it is
    if shutil.disk_usage(target.parent).free < need + _MARGIN:
        raise OutputError("the disk is full", str(target), "free space, or choose another folder")


@contextmanager
def _faults(target: Path) -> Iterator[None]:
    try:
        yield
    except (ParscopeError, MemoryError):
        raise
    except Exception as error:
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or "space left" in str(error)
        reason = "the disk is full" if full else f"cannot be written ({first_line(error)})"
        raise OutputError(reason, str(target), "free space, or choose another folder") from error


def _move(made: Path, final: Path) -> None:
    if final.is_dir():
        # a folder cannot be replaced in one step: the old one goes where the rest is deleted
        final.replace(made.parent / f".old-{final.name}")
    made.replace(final)
