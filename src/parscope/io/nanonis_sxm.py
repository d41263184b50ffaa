"""Nanonis images (.sxm): a text of settings, then one plane of numbers for each channel and direction."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from parscope.core.axes import Axis
from parscope.core.errors import FormatError
from parscope.core.spectra import Spectra
from parscope.io._flat import begins, demand
from parscope.io._meta import flatten, spectral_axis
from parscope.io._scan import first_line
from parscope.io._spectra import FlatSpectra, Grid, channels, pick

_MAGIC, _END, _HEADER = b":NANONIS_VERSION:", b"\x1a\x04", 4 << 20
_TYPES = {"FLOAT MSBFIRST": ">f4", "FLOAT LSBFIRST": "<f4", "INT MSBFIRST": ">i4", "INT LSBFIRST": "<i4"}


class NanonisImageReader:
    """Reads images as maps of their channels, one sample of a spectrum for each; backward scans are named so."""

    name = "nanonis-image"
    extensions: tuple[str, ...] = (".sxm",)

    def accepts(self, path: Path) -> bool:
        """Whether `path` begins as Nanonis' images do."""
        return begins(path, _MAGIC)

    def read(self, path: Path, *, dataset: str | None = None) -> Spectra:
        """Open an image; see `parscope.core.contracts.SpectraReader.read`."""
        with path.open("rb") as stream:
            head, mark, _ = stream.read(_HEADER).partition(_END)
        if not mark:
            raise FormatError("its header does not end", str(path), "copy it again from the instrument")
        settings = _settings(head)
        try:
            maps = _maps(path, settings, len(head) + len(_END))
        except (KeyError, ValueError, IndexError, OverflowError) as error:
            raise FormatError(
                f"its header is damaged ({type(error).__name__}: {first_line(error)})", str(path), "copy it again"
            ) from error
        if dataset is not None:
            name = pick(path, maps, dataset, "channel")
            maps = {name: maps[name]}
        return channels(maps)


def _settings(head: bytes) -> dict[str, str]:
    settings, key = {}, ""
    for line in head.decode("utf-8", "replace").splitlines():
        if line.startswith(":") and line.endswith(":") and len(line) > 2:
            key = line[1:-1]
            settings[key] = ""
        elif line.strip():
            settings[key] = f"{settings.get(key, '')}\n{line}".strip("\n")
    return settings


def _maps(path: Path, settings: dict[str, str], offset: int) -> dict[str, Spectra]:
    width, height = (int(n) for n in settings["SCAN_PIXELS"].split())
    ranges = [float(length) for length in settings["SCAN_RANGE"].split()]
    dtype = np.dtype(_TYPES[" ".join(settings["SCANIT_TYPE"].split())])
    planes = _planes(settings["DATA_INFO"])
    size = width * height * dtype.itemsize
    if min(width, height) < 1 or not planes:
        raise ValueError("no pixels")
    demand(path, offset + size * len(planes))
    x, y = (spectral_axis(*axis) for axis in _axes((width, height), ranges))
    # a scan that went up has its first line at the bottom
    turned = (0,) if settings.get("SCAN_DIR", "").strip() == "up" else ()
    told = flatten(settings)
    return {
        name: Spectra(
            FlatSpectra(
                path,
                Grid((height, width, 1), (0, 1, 2), (*turned, 1) if name.endswith(" backward") else turned),
                dtype,
                offset + place * size,
            ),
            (y, x, Axis("channel", 1, "1")),
            unit,
            told,
            str(path),
        )
        for place, (name, unit) in enumerate(planes)
    }


def _planes(table: str) -> list[tuple[str, str]]:
    """Name and unit of every plane; a channel scanned in both directions has two."""
    planes = []
    for line in table.splitlines()[1:]:
        _, name, unit, direction = line.strip().split("\t")[:4]
        planes.append((name, unit or "1"))
        if direction.strip() == "both":
            planes.append((f"{name} backward", unit or "1"))
    if len(dict(planes)) != len(planes):
        raise ValueError("two channels of the same name")
    return planes


def _axes(sizes: tuple[int, int], ranges: list[float]) -> list[tuple[str, np.ndarray, str]]:
    if len(ranges) != 2 or not all(math.isfinite(length) and length > 0 for length in ranges):
        raise ValueError("no size of the image")
    made = zip(("x", "y"), sizes, ranges, strict=True)
    return [(name, np.arange(size) * (length / size), "m") for name, size, length in made]
