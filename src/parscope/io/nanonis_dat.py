"""Nanonis spectroscopy (.dat): a text of settings, then a table whose first column is what was swept."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.errors import FormatError, TruncatedError
from parscope.core.spectra import Spectra
from parscope.io._flat import begins
from parscope.io._meta import flatten, spectral_axis
from parscope.io._scan import first_line
from parscope.io._spectra import pick

_MAGIC, _LARGEST = b"Experiment\t", 1 << 28


class NanonisSpectrumReader:
    """Reads bias, Z and other spectroscopy at one point; without a choice, all its channels."""

    name = "nanonis-spectrum"
    extensions: tuple[str, ...] = (".dat",)

    def accepts(self, path: Path) -> bool:
        """Whether `path` begins as Nanonis' tables do."""
        return begins(path, _MAGIC)

    def read(self, path: Path, *, dataset: str | None = None) -> Spectra:
        """Open a spectrum; see `parscope.core.contracts.SpectraReader.read`."""
        if path.stat().st_size > _LARGEST:
            raise FormatError(f"is larger than {_LARGEST >> 20} MiB, no spectrum at one point", str(path))
        settings, head, body = _split(path)
        columns = [_name_and_unit(cell) for cell in head.split("\t") if cell.strip()]
        table = _table(path, body, len(columns))
        (swept, unit), names = columns[0], {name: place for place, (name, _) in enumerate(columns) if place}
        try:
            axis = spectral_axis(swept, table[0], unit)
        except ValueError as error:
            raise FormatError(str(error), str(path), "copy it again from the instrument") from error
        if dataset is not None:
            place = names[pick(path, names, _name_and_unit(dataset)[0], "channel")]
            return Spectra(table[place], (axis,), columns[place][1], settings, str(path))
        units = {unit for _, unit in columns[1:]}
        told = {**settings, "channels": [f"{name} ({unit})" for name, unit in columns[1:]]}
        axes = (Axis("channel", len(table) - 1, "1"), axis)
        return Spectra(table[1:], axes, units.pop() if len(units) == 1 else "mixed", told, str(path))


def _split(path: Path) -> tuple[dict[str, Any], str, list[str]]:
    """Settings, the line of column names, and the lines of numbers."""
    raw = path.read_bytes()
    lines = raw.decode("utf-8", "replace").splitlines()
    place = next((i for i, line in enumerate(lines) if line.strip() == "[DATA]"), None)
    if place is None or len(lines) < place + 3:
        raise TruncatedError("ends before its table of data", str(path), "copy it again from the instrument")
    if not raw.endswith((b"\n", b"\r")):
        raise TruncatedError("ends within a line", str(path), "copy it again from the instrument")
    cells = (line.partition("\t") for line in lines[:place] if line.strip())
    settings = flatten({key: value.strip("\t") for key, _, value in cells}, limit=place)
    return settings, lines[place + 1], [line for line in lines[place + 2 :] if line.strip()]


def _name_and_unit(cell: str) -> tuple[str, str]:
    """Split ``Current [bwd] (A)`` and ``Input 3 (A) [filt]`` into what it is and its unit."""
    parts = re.fullmatch(r"(.+?) \(([^()]*)\)(.*)", cell.strip())
    return (parts[1] + parts[3], parts[2] or "1") if parts else (cell.strip(), "1")


def _table(path: Path, body: list[str], columns: int) -> NDArray[np.float64]:
    """Numbers, shape (columns, n)."""
    try:
        table = np.loadtxt(body, delimiter="\t", ndmin=2, comments=None)
    except ValueError as error:
        raise FormatError(
            f"its table of data is damaged ({first_line(error)})", str(path), "copy it again from the instrument"
        ) from error
    if columns < 2 or table.shape[1] != columns:
        raise FormatError(f"names {columns} columns of data, and has {table.shape[1]}", str(path), "copy it again")
    return np.ascontiguousarray(table.T)
