"""Which arrays of an HDF5 file are its data, and what their axes are: EMD, NeXus, NSID, HyperSpy, netCDF, any other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import h5py
import numpy as np

from parscope.core.axes import Axis
from parscope.core.description import Signal
from parscope.io._h5 import attribute, scale_of
from parscope.io._meta import text
from parscope.io.describers._common import axis, is_reciprocal
from parscope.io.describers._h5_tree import Walk
from parscope.io.hdf5 import calibration

_MOST, _LONGEST = 256, 1 << 20
_COUNTED = ("pixel", "pixels", "pix")
_NAMES = {2: ("y", "x"), 3: ("z", "y", "x"), 4: ("y", "x", "q_y", "q_x")}


def signals_of(walk: Walk) -> dict[str, Signal]:
    """Arrays that the file marks as its data; if it marks none, all that are no axes.

    Parameters
    ----------
    walk : Walk
        Of the file.

    Returns
    -------
    dict
        Path in the file -> what the array is.
    """
    arrays = {name: node for name, node in walk.arrays.items() if not _is_axis(node)}
    marked = [name for name, node in arrays.items() if _is_marked(name, node)]
    # where the data lie in other files, what is left is masks and tables
    if not marked and walk.closed:
        large = [name for name, node in arrays.items() if len(_long(node)) > 1]
        marked = large or [name for name, node in arrays.items() if node.size >= 16]
    return {name: _signal(name, arrays[name], walk.closed) for name in marked[:_MOST]}


def _long(node: h5py.Dataset) -> list[int]:
    return [n for n in node.shape if n > 1]


def _is_axis(node: h5py.Dataset) -> bool:
    return node.dtype.kind == "V" or text(attribute(node, "CLASS", "")) == "DIMENSION_SCALE"


def _is_marked(name: str, node: h5py.Dataset) -> bool:
    own = name.rpartition("/")[2]
    group = node.parent
    if all(key in node.attrs for key in ("quantity", "units")):
        # USID and NSID
        return len(_long(node)) > 0
    if own == "data" and ("emd_group_type" in group.attrs or "axis-0" in group):
        return True
    if text(attribute(group, "NX_class", "")) == "NXdata":
        return own == text(attribute(group, "signal", "")) or own.startswith("data_") or "signal" in node.attrs
    return "DIMENSION_LIST" in node.attrs


def _signal(name: str, node: h5py.Dataset, alone: bool) -> Signal:
    unit = text(attribute(node, "units", "")) or "1"
    axes = tuple(_axis(node, place) for place in range(node.ndim))
    if node.ndim == 4 and alone and not all(axis.calibrated for axis in axes):
        # py4DSTEM keeps the calibration at the root of its tree
        rooted = calibration(node)
        axes = tuple(own if own.calibrated else other for own, other in zip(axes, rooted, strict=True))
    if sum(own.unit == "A" or is_reciprocal(own) for own in axes) > 1:
        # a length in ångström, beside another or its inverse; a lone A may be of a current
        axes = tuple(replace(own, unit="Å") if own.unit == "A" else own for own in axes)
    return Signal(name, tuple(int(n) for n in node.shape), str(node.dtype), unit, axes)


def _axis(node: h5py.Dataset, place: int) -> Axis:
    size = int(node.shape[place])
    names = _NAMES.get(node.ndim, ())
    plain = names[place] if names else f"axis {place}"
    group: Any = node.parent
    uniform = group.get(f"axis-{place}", getclass=True) if _hard(group, f"axis-{place}") else None
    if uniform is h5py.Group:
        told = group[f"axis-{place}"].attrs
        name, unit = (text(told.get(key, "")) for key in ("name", "units"))
        scale, offset = (
            np.asarray(told.get(key, default)).item() for key, default in (("scale", 1.0), ("offset", 0.0))
        )
        return axis(name or plain, size, scale, unit.replace("<undefined>", ""), offset)
    vector = _vector(node, place)
    return Axis(plain, size) if vector is None else _from(vector, plain, size)


def _hard(group: h5py.Group, name: str) -> bool:
    return isinstance(group.get(name, getlink=True), h5py.HardLink) if name in group else False


def _vector(node: h5py.Dataset, place: int) -> h5py.Dataset | None:
    """Positions along one dimension, wherever the layout keeps them."""
    group: Any = node.parent
    # EMD 1.0 counts its vectors from 0, EMD 0.2 from 1
    named = [f"dim{place}" if _hard(group, "dim0") else f"dim{place + 1}"]
    told = attribute(group, "axes")
    if told is not None and np.size(told) == node.ndim:
        named.append(text(np.atleast_1d(told)[place]))
    for name in named:
        if _hard(group, name) and isinstance(group[name], h5py.Dataset):
            return group[name]
    return scale_of(node, place)


def _from(vector: h5py.Dataset, plain: str, size: int) -> Axis:
    label = text(attribute(vector, "name", "")) or str(vector.name).rpartition("/")[2]
    unit = text(attribute(vector, "units", "")).strip("[]").replace("n_m", "nm")
    unit = "px" if unit.lower() in _COUNTED else unit
    chunk = vector.chunks[0] if vector.chunks and vector.ndim == 1 else 0
    if vector.external or vector.is_virtual or vector.ndim != 1 or not 2 <= max(vector.size, chunk) <= _LONGEST:
        return Axis(plain, size)
    if vector.dtype.kind not in "iuf" or vector.size < 2:
        return Axis(label or plain, size)
    values = np.asarray(vector[()], np.float64)
    if not np.isfinite(values).all():
        return Axis(label, size)
    if len(values) != size:
        # a uniform axis is kept as its first two values
        return axis(label, size, float(values[1] - values[0]), unit, float(values[0]))
    return Axis.from_values(label, values, unit or "px")
