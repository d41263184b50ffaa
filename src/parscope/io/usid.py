"""USID: band excitation and other spectroscopy as pyUSID stores it, positions by spectroscopic steps in HDF5.

The layout, from its public description: a main data set of two dimensions carries references to four tables, the
indices and values of its rows (positions) and of its columns (spectroscopic steps), one line for each dimension.
Both indices are a grid of as many dimensions as the instrument swept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.errors import FormatError
from parscope.core.spectra import Spectra
from parscope.io._h5 import attribute, attributes, looks, opened, survey
from parscope.io._h5_spectra import H5Spectra, check_storage, fields
from parscope.io._meta import flatten, spectral_axis, text
from parscope.io._spectra import Grid, arrange, pick, settle, spectral_place

TABLES = ("Position_Indices", "Position_Values", "Spectroscopic_Indices", "Spectroscopic_Values")
_LARGEST, _NOTES = 1 << 26, 20_000


class UsidReader:
    """Reads main data sets of USID files: raw band excitation, loops, results of earlier fits, images."""

    name = "usid"
    extensions: tuple[str, ...] = (".h5", ".hdf5")

    def accepts(self, path: Path) -> bool:
        """Whether `path` is HDF5 with a main data set in it."""
        return looks(path, lambda file: bool(_mains(file)))

    def read(self, path: Path, *, dataset: str | None = None) -> Spectra:
        """Open a main data set; see `parscope.core.contracts.SpectraReader.read`."""
        with opened(path) as file:
            known = {name: parts for main in _mains(file) for name, parts in _numbers(file, main)}
            if not known:
                raise FormatError(f"holds no USID data set; it holds {survey(file).listing()}", str(path))
            names = known if dataset is None else [pick(path, known, dataset)]
            told = flatten(attributes(file, _NOTES), limit=_NOTES)
            return settle(
                path, {name: spectra_of(path, file, known[name], {"dataset": name, **told}) for name in names}
            )


def _mains(file: h5py.File) -> list[str]:
    flat = (name for name, (shape, _) in sorted(survey(file).datasets.items()) if len(shape) == 2 and 0 not in shape)
    return [name for name in flat if all(table in file[name].attrs for table in TABLES)]


def _numbers(file: h5py.File, main: str) -> list[tuple[str, tuple[str, str | None]]]:
    """What a person asks for, and where it is: a data set, or one field of a table of results."""
    return [(f"{main}/{field}", (main, field)) for field in fields(file[main])] or [(main, (main, None))]


def spectra_of(path: Path, file: h5py.File, place: tuple[str, str | None], told: Mapping[str, Any]) -> Spectra:
    """Spectra of one main data set.

    Parameters
    ----------
    path : Path
        The file.
    file : h5py.File
        Open.
    place : tuple
        Path of the data set, and which number of a sample that is made of several.
    told : mapping
        Metadata of the file.

    Returns
    -------
    Spectra

    Raises
    ------
    FormatError
        If its tables do not fit it.
    """
    stored, field = file[place[0]], place[1]
    rows, columns = _side(path, stored, "Position"), _side(path, stored, "Spectroscopic")
    axes = (*rows.axes, *columns.axes)
    first = len(rows.axes)
    order = arrange(axes, spectral_place(dict(enumerate(axes[first:], first))))
    grid = Grid(tuple(axis.size for axis in axes), order)
    notes = {"quantity": text(attribute(stored, "quantity", "")), **rows.notes, **columns.notes}
    unit = field.partition("[")[2].strip("] ") if field else text(attribute(stored, "units", ""))
    data = H5Spectra(path, stored, grid, field, first)
    return Spectra(data, tuple(axes[i] for i in order), unit or "1", {**notes, **told}, str(path))


@dataclass(frozen=True)
class _Side:
    """The dimensions that the rows, or the columns, of a main data set are a grid of; the slowest first."""

    axes: tuple[Axis, ...]
    notes: dict[str, str]


def _side(path: Path, stored: h5py.Dataset, kind: str) -> _Side:
    where = f"{path}:{stored.name}"
    count = stored.shape[0] if kind == "Position" else stored.shape[1]
    indices, table = _table(path, stored, f"{kind}_Indices", count)
    values, _ = _table(path, stored, f"{kind}_Values", count)
    if indices.shape != values.shape:
        raise FormatError(f"its {kind}_Indices and {kind}_Values differ in shape", where, "copy the file again")
    places = [np.unique(line, return_inverse=True)[1].reshape(-1) for line in indices]
    # the dimension that changes least often is the slowest
    order = sorted(range(len(places)), key=lambda i: np.count_nonzero(np.diff(places[i])))
    sizes = tuple(int(places[i].max()) + 1 for i in order)
    if math.prod(sizes) != count or not _raster([places[i] for i in order], sizes):
        return _scattered(kind, count, where)
    labels, units = _texts(table, "labels", len(places)), _texts(table, "units", len(places))
    notes: dict[str, str] = {}
    axes = tuple(_axis((labels[i], units[i]), places[i], values[i], notes) for i in order)
    return _Side(axes, notes)


def _table(path: Path, stored: h5py.Dataset, name: str, count: int) -> tuple[NDArray[Any], h5py.Dataset]:
    """One of the four tables, a line for each dimension."""
    where, reference = f"{path}:{stored.name}", attribute(stored, name)
    table = stored.file[reference] if isinstance(reference, h5py.Reference) and reference else None
    turned = name.startswith("Position")
    if not isinstance(table, h5py.Dataset) or table.ndim != 2 or table.dtype.kind not in "iuf":
        raise FormatError(f"its {name} are no table of numbers", where, "copy the file again from the instrument")
    if table.shape[0 if turned else 1] != count or not 0 < table.size <= _LARGEST:
        raise FormatError(f"its {name} of shape {table.shape} do not describe {count} of them", where)
    check_storage(table, path)
    lines = table[()].T if turned else table[()]
    if not np.isfinite(lines).all():
        raise FormatError(f"its {name} are not all finite", where, "copy the file again from the instrument")
    return lines, table


def _raster(places: list[NDArray[np.intp]], sizes: tuple[int, ...]) -> bool:
    """Whether the entries are a complete grid in C order, so that a reshape unfolds them."""
    return bool(np.array_equal(np.ravel_multi_index(places, sizes), np.arange(math.prod(sizes))))


def _scattered(kind: str, count: int, where: str) -> _Side:
    """Positions off any grid stay a list; spectra of unequal lengths cannot be told apart."""
    if kind == "Position":
        note = "not a complete grid in raster order: Position_Values of the file have the coordinates"
        return _Side((Axis("position", count),), {"positions": note})
    raise FormatError(
        "its spectroscopic dimensions are not a grid: the spectra have different lengths, or steps are missing",
        where,
        "save the part that is wanted as .npz: numpy.savez(path, frequency=..., spectra=...)",
    )


def _axis(label: tuple[str, str], places: NDArray[np.intp], values: NDArray[Any], notes: dict[str, str]) -> Axis:
    name, unit = label
    _, first = np.unique(places, return_index=True)
    if np.allclose(values[first][places], values, rtol=1e-5, atol=0.0):
        return spectral_axis(name, values[first], unit)
    notes[f"axis {name}"] = "depends on other dimensions, so it only counts steps here: see the values in the file"
    made = spectral_axis(name, np.arange(len(first)), "")
    return Axis(made.name, made.size)


def _texts(table: h5py.Dataset, key: str, count: int) -> list[str]:
    found = [text(entry) for entry in np.atleast_1d(attribute(table, key, []))]
    return found if len(found) == count else [""] * count
