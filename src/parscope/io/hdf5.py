"""4D data sets of HDF5 files: py4DSTEM and EMD 1.0, EMD 0.2, NeXus, HyperSpy, or any single one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from parscope.core.axes import Axis
from parscope.core.errors import FormatError
from parscope.core.frames import Frames
from parscope.io._h5 import (
    Contents,
    attributes,
    opened,
    refuse_missing,
    signed,
    sources,
    survey,
)
from parscope.io._h5_scan import H5Cube, H5Stack, Part
from parscope.io._meta import axis, flatten, plain_axes, text
from parscope.io._scan import fold, sample_type


class Hdf5Reader:
    """Reads the one 4D data set of an HDF5 file, or the one that is chosen."""

    name = "hdf5"
    extensions: tuple[str, ...] = (".h5", ".hdf5", ".emd", ".nxs", ".hspy", ".nc")

    def accepts(self, path: Path) -> bool:
        """Whether `path` bears the HDF5 signature."""
        return signed(path)

    def read(
        self,
        path: Path,
        *,
        scan_shape: tuple[int, int] | None = None,
        pattern_shape: tuple[int, int] | None = None,
        dtype: str | None = None,
        dataset: str | None = None,
    ) -> Frames:
        """Open a data set; see `parscope.core.contracts.Reader.read`."""
        with opened(path) as file:
            found = survey(file)
            stored = file[_choose(path, file, found, dataset, (3, 4) if scan_shape else (4,))]
            where = f"{path}:{stored.name}"
            sources(stored, Path(stored.file.filename))
            kind = sample_type(stored.dtype, where)
            shape = fold(stored.shape, scan_shape, pattern_shape, where)
            if shape == stored.shape:
                return Frames(H5Cube(path, stored), calibration(stored), _metadata(file, stored), str(path))
            if stored.ndim == 4:
                raise FormatError(f"has a scan of {stored.shape[:2]}, not {shape[:2]}", where, "omit --scan-shape")
            part = Part(Path(stored.file.filename), str(stored.name), stored.shape[0])
            data = H5Stack(path, shape, kind, (part,))
            return Frames(data, plain_axes(shape), _metadata(file, stored), str(path))


def _metadata(file: h5py.File, stored: h5py.Dataset) -> dict[str, Any]:
    return {"dataset": str(stored.name), **flatten(attributes(file))}


def _choose(path: Path, file: h5py.File, found: Contents, dataset: str | None, ranks: tuple[int, ...]) -> str:
    if dataset is not None:
        name = "/" + dataset.strip("/")
        if name not in found.datasets:
            refuse_missing(path, [found.missing[name]] if name in found.missing else [])
            raise FormatError(f"holds no data set {dataset!r}; it holds {found.listing()}", str(path))
        return name
    candidates = found.of_rank(4) or found.of_rank(*ranks)
    if len(candidates) > 1:
        candidates = _marked(file, candidates) or candidates
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        refuse_missing(path, sorted(set(found.missing.values())))
        raise FormatError(f"holds no 4D data set; it holds {found.listing()}", str(path), "give a 4D-STEM data set")
    raise FormatError(
        f"holds {len(candidates)} 4D data sets: {', '.join(candidates[:8])}", str(path), "choose one with --dataset"
    )


def _marked(file: h5py.File, candidates: list[str]) -> list[str]:
    """Those that the file itself marks as the one to show: py4DSTEM's data cube, NeXus' default signal."""
    cubes = [c for c in candidates if text(file[c].parent.attrs.get("python_class", "")) == "DataCube"]
    if len(cubes) == 1:
        return cubes
    node: Any = file
    for _ in range(8):
        step = text(node.attrs.get("default", "") or node.attrs.get("signal", ""))
        if not step or step not in node:
            break
        node = node[step]
        if isinstance(node, h5py.Dataset):
            return [node.name] if node.name in candidates else []
    return []


def calibration(stored: h5py.Dataset) -> tuple[Axis, ...]:
    """Axes of a 4D data set as its layout stores them, in nm, 1/nm or mrad; px where it does not.

    Parameters
    ----------
    stored : h5py.Dataset
        Of four dimensions.

    Returns
    -------
    tuple of Axis
    """
    axes = tuple(_axis(stored, i) for i in range(4))
    return _py4dstem(stored, axes)


def _axis(stored: h5py.Dataset, place: int) -> Axis:
    group, size = stored.parent, stored.shape[place]
    # EMD 1.0 counts its dimension vectors from 0, EMD 0.2 from 1
    vector = group.get(f"dim{place}") if "dim0" in group else group.get(f"dim{place + 1}")
    names = group.attrs.get("axes")
    if vector is None and names is not None and len(np.atleast_1d(names)) == 4:
        vector = group.get(text(np.atleast_1d(names)[place]))
    if vector is None and len(stored.dims[place]):
        vector = stored.dims[place][0]
    if isinstance(vector, h5py.Dataset):
        return _from_vector(vector, place, size)
    hyperspy = group.get(f"axis-{place}")
    if hyperspy is not None and "scale" in hyperspy.attrs:
        told = hyperspy.attrs
        return axis(place, size, float(told["scale"]), told.get("units", ""), float(told.get("offset", 0.0)))
    return axis(place, size, 1.0, "")


def _from_vector(vector: h5py.Dataset, place: int, size: int) -> Axis:
    if vector.ndim != 1 or vector.dtype.kind not in "iuf" or not 2 <= vector.size <= 1 << 20:
        return axis(place, size, 1.0, "")
    values = np.asarray(vector[()], np.float64)
    step = float(values[-1] - values[0]) / (len(values) - 1)
    return axis(place, size, step, vector.attrs.get("units", ""), float(values[0]))


def _py4dstem(stored: h5py.Dataset, axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """Fill in py4DSTEM's calibration, which is kept at the root of its tree, where the axes only count pixels."""
    root = stored.name.split("/")[1]
    told = stored.file.get(f"/{root}/metadatabundle/calibration")
    if not isinstance(told, h5py.Group):
        return axes
    filled = list(axes)
    for place, old in enumerate(axes):
        letter = "R" if place < 2 else "Q"
        size, unit = told.get(f"{letter}_pixel_size"), told.get(f"{letter}_pixel_units")
        if not old.calibrated and isinstance(size, h5py.Dataset) and isinstance(unit, h5py.Dataset):
            filled[place] = axis(place, old.size, float(size[()]), unit[()])
    return tuple(filled)
