"""NSID: data sets of sidpy in HDF5, one dimension of the array for each that was swept, with scales attached."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from parscope.core.axes import Axis
from parscope.core.errors import FormatError
from parscope.core.spectra import Spectra
from parscope.io._h5 import attribute, attributes, looks, opened, scale_of, survey
from parscope.io._h5_spectra import H5Spectra, check_storage, fields
from parscope.io._meta import flatten, spectral_axis, text, without_latex
from parscope.io._spectra import Grid, arrange, pick, settle, spectral_place

MARKS = ("DIMENSION_LIST", "quantity", "units", "data_type")
_LONGEST, _NOTES = 1 << 22, 20_000


class NsidReader:
    """Reads main data sets of NSID files: spectral images, single spectra, images."""

    name = "nsid"
    extensions: tuple[str, ...] = (".h5", ".hf5", ".hdf5")

    def accepts(self, path: Path) -> bool:
        """Whether `path` is HDF5 with a main data set of sidpy in it."""
        return looks(path, lambda file: bool(_mains(file)))

    def read(self, path: Path, *, dataset: str | None = None) -> Spectra:
        """Open a main data set; see `parscope.core.contracts.SpectraReader.read`."""
        with opened(path) as file:
            names = _mains(file)
            if not names:
                raise FormatError(f"holds no NSID data set; it holds {survey(file).listing()}", str(path))
            if dataset is not None:
                names = [pick(path, names, dataset)]
            told = flatten(attributes(file, _NOTES), limit=_NOTES)
            return settle(path, {name: spectra_of(path, file[name], told) for name in names})


def _mains(file: h5py.File) -> list[str]:
    full = (name for name, (shape, _) in sorted(survey(file).datasets.items()) if shape and 0 not in shape)
    return [n for n in full if all(mark in file[n].attrs for mark in MARKS) and not fields(file[n])]


def spectra_of(path: Path, stored: h5py.Dataset, told: Mapping[str, Any]) -> Spectra:
    """Spectra of one main data set.

    Parameters
    ----------
    path : Path
        The file.
    stored : h5py.Dataset
        The data set.
    told : mapping
        Metadata of the file.

    Returns
    -------
    Spectra

    Raises
    ------
    FormatError
        If its scales do not fit it.
    """
    axes = [_axis(path, stored, place) for place in range(stored.ndim)]
    spectral = _spectral(stored, axes)
    if not spectral:
        # an image: every point has one sample
        axes.append(Axis("channel", 1, "1"))
        spectral = {stored.ndim: axes[-1]}
    order = arrange(axes, spectral_place(spectral))
    data = H5Spectra(path, stored, Grid(tuple(axis.size for axis in axes), order))
    notes = {"dataset": str(stored.name), "quantity": text(attribute(stored, "quantity", ""))}
    unit = without_latex(text(attribute(stored, "units", ""))) or "1"
    return Spectra(data, tuple(axes[i] for i in order), unit, {**notes, **told}, str(path))


def _spectral(stored: h5py.Dataset, axes: list[Axis]) -> dict[int, Axis]:
    scales = [scale_of(stored, place) for place in range(stored.ndim)]
    kinds = [text(attribute(scale, "dimension_type", "")) if scale else "" for scale in scales]
    marked = {i: axis for i, axis in enumerate(axes) if "SPECTRAL" in kinds[i].upper()}
    named = {i: axis for i, axis in enumerate(axes) if axis.name in ("frequency", "bias")}
    return marked or named or (dict(enumerate(axes)) if len(axes) == 1 else {})


def _axis(path: Path, stored: h5py.Dataset, place: int) -> Axis:
    scale, size, where = scale_of(stored, place), stored.shape[place], f"{path}:{stored.name}"
    labels = np.atleast_1d(attribute(stored, "DIMENSION_LABELS", []))
    name = text(labels[place]) if len(labels) == stored.ndim else f"dimension {place}"
    if scale is None:
        return Axis(name, size)
    if scale.shape != (size,) or scale.dtype.kind not in "iuf" or size > _LONGEST:
        raise FormatError(f"its {name} has {scale.shape} values of {scale.dtype}, for {size} samples", where)
    check_storage(scale, path)
    try:
        return spectral_axis(attribute(scale, "name", name), np.asarray(scale[()]), attribute(scale, "units", ""))
    except ValueError as error:
        raise FormatError(str(error), where, "copy the file again from the instrument") from error
