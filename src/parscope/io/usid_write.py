"""Writes spectra as an instrument would: USID, the layout of band-excitation measurements in HDF5."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.errors import ShapeError
from parscope.io._target import claim, faults, room

_LABELS = {"x": "X", "y": "Y", "frequency": "Frequency", "bias": "DC_Offset", "field": "Field", "cycle": "Cycle"}


def write_spectra(
    path: Path | str,
    blocks: Iterable[NDArray[Any]],
    axes: Sequence[Axis],
    *,
    unit: str = "V",
    metadata: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write spectra block by block as the raw data of a USID file; nothing is left behind unless it is complete.

    Parameters
    ----------
    path : Path or str
        Where to, with the suffix ``.h5``.
    blocks : iterable of ndarray, shape (rows, *rest)
        Consecutive parts along the first axis, real or complex; only one is in memory at a time.
    axes : sequence of Axis
        Of the whole: the positions (``y``, ``x`` or ``position``) first, then what was swept, the slowest first.
    unit : str, default "V"
        Of a sample.
    metadata : mapping, optional
        Texts and numbers about the measurement.
    overwrite : bool, default False
        Whether a file that exists may be replaced.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    OutputError
        If the target exists, cannot be written, or the disk is full.
    ShapeError
        If the blocks do not add up to `axes`, or there is no axis of a position or none that was swept.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from parscope.io import open_spectra
    >>> axes = (Axis("y", 2), Axis("x", 3), Axis("frequency", 80, "Hz", 1e3, 300e3))
    >>> rows = (np.full((1, 3, 80), y, np.complex64) for y in range(2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = write_spectra(f"{folder}/scan.h5", rows, axes)
    ...     open_spectra(file).data[1, 2, 0]
    np.complex64(1+0j)
    """
    target, first = Path(path), sum(axis.name in ("y", "x", "position") for axis in axes)
    if not 0 < first < len(axes) or any(axis.name in ("y", "x", "position") for axis in axes[first:]):
        raise ShapeError("needs axes of positions first, then of what was swept", str(target), "reorder the axes")
    claim(target, (target.name,), overwrite)
    with faults(target):
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        with faults(target), h5py.File(folder / target.name, "w") as file:
            _fill(target, file, blocks, axes, first)
            measured = file["Measurement_000"]
            measured.attrs.update(metadata or {})
            measured["Channel_000/Raw_Data"].attrs.update({"quantity": "Signal", "units": unit})
        claim(target, (target.name,), overwrite)
        (folder / target.name).replace(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return target


def _fill(target: Path, file: h5py.File, blocks: Iterable[NDArray[Any]], axes: Sequence[Axis], first: int) -> None:
    shape = tuple(axis.size for axis in axes)
    each, columns, rows = math.prod(shape[1:first]), math.prod(shape[first:]), 0
    channel, raw = file.create_group("Measurement_000/Channel_000"), None
    for block in blocks:
        if block.shape[1:] != shape[1:] or rows + len(block) > shape[0]:
            raise ShapeError(f"block {block.shape} after {rows} rows does not fit {shape}", str(target))
        raw = channel.create_dataset("Raw_Data", (shape[0] * each, columns), block.dtype) if raw is None else raw
        room(target, block.nbytes)
        raw[rows * each : (rows + len(block)) * each] = block.reshape(-1, columns)
        # what HDF5 keeps back does not count as taken
        file.flush()
        rows += len(block)
    if raw is None or rows != shape[0]:
        raise ShapeError(f"{rows} rows came of {shape[0]}", str(target), "give blocks for all of them")
    _tables(channel, raw, "Position", axes[:first])
    _tables(channel, raw, "Spectroscopic", axes[first:])


def _tables(channel: h5py.Group, raw: h5py.Dataset, kind: str, axes: Sequence[Axis]) -> None:
    """Indices and values of rows or columns, the fastest dimension first, as pyUSID lists them."""
    indices = np.indices([axis.size for axis in axes], np.uint32).reshape(len(axes), -1)
    values = np.stack([axis.values[line] for axis, line in zip(axes, indices, strict=True)])
    for name, table in (("Indices", indices), ("Values", values)):
        lines = table[::-1]
        made = channel.create_dataset(f"{kind}_{name}", data=lines.T if kind == "Position" else lines)
        made.attrs["labels"] = [_LABELS.get(axis.name, axis.name) for axis in axes[::-1]]
        made.attrs["units"] = [axis.unit for axis in axes[::-1]]
        raw.attrs[f"{kind}_{name}"] = made.ref
