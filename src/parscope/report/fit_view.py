"""A fit of spectra read from its data set: what is shown of it, where, and in which units."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from parscope.core.errors import FormatError
from parscope.core.solver import Status
from parscope.report.units import DEGREES, readable
from parscope.report.view import Array

_LENGTHS = ("nm", "px")


@dataclass(frozen=True)
class Quantity:
    """One quantity on the navigation axes, in the units people read.

    Parameters
    ----------
    name : str
        As stored.
    values, std : ndarray, shape of the navigation
        Values and standard errors; NaN where there is none.
    unit, std_unit : str
        Of these; empty where there is no dimension.
    to_unit : float
        From `std_unit` to `unit`, [1].
    circular : bool
        Whether the values are angles, from -180 to 180 degrees.
    """

    name: str
    values: Array
    std: Array
    unit: str
    std_unit: str
    to_unit: float
    circular: bool

    @property
    def words(self) -> str:
        """The name as people write it."""
        return self.name.replace("_", " ")


@dataclass(frozen=True)
class FitView:
    """What figures and pages ask of a fit of spectra.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `map_spectra`.

    Raises
    ------
    FormatError
        If it is not.
    """

    dataset: xr.Dataset

    def __post_init__(self) -> None:
        """Refuse what is no fit of spectra, before half a figure is drawn."""
        needed = ("status", "misfit", "worst_status")
        missing = [name for name in needed if name not in self.dataset]
        if missing or "technique" not in self.settings:
            raise FormatError("is no fit of spectra", self.source, "give a result of parscope fit")
        unknown = set(np.unique(self.status).tolist()) - {int(code) for code in Status}
        if unknown:
            raise FormatError(f"status has unknown codes {sorted(unknown)}", self.source, "update parscope")

    @property
    def source(self) -> str:
        """Where the spectra came from."""
        return str(self.dataset.attrs.get("source", "memory"))

    @cached_property
    def settings(self) -> dict[str, Any]:
        """With what they were fitted; empty where nothing is said."""
        try:
            settings = json.loads(str(self.dataset.attrs.get("settings", "{}")))
        except ValueError as error:
            raise FormatError(f"attribute 'settings' is not JSON ({error})", self.source) from error
        return settings if isinstance(settings, dict) else {}

    @property
    def technique(self) -> str:
        """Name of the physics, as on the command line."""
        return str(self.settings["technique"]).replace("_", "-")

    @property
    def title(self) -> str:
        """What to call the fit."""
        return f"{self.technique} fit of {self.source.replace(chr(92), '/').rstrip('/').rpartition('/')[2]}"

    @property
    def navigation(self) -> tuple[str, ...]:
        """Names of the axes that tell the spectra apart."""
        return tuple(str(name) for name in self.dataset["status"].dims)

    @cached_property
    def long(self) -> tuple[str, ...]:
        """Those of more than one point: first the positions, then what was swept."""
        return tuple(name for name in self.navigation if self.dataset.sizes[name] > 1)

    @cached_property
    def middle(self) -> dict[str, int]:
        """Index on every axis of which a map shows one point: the middle."""
        return {name: self.dataset.sizes[name] // 2 for name in self.navigation if name not in self.long[:2]}

    @cached_property
    def status(self) -> NDArray[np.uint8]:
        """Codes of `Status` on the navigation axes."""
        return np.asarray(self.dataset["status"].values, np.uint8)

    @property
    def counts(self) -> dict[Status, int]:
        """How many spectra have each status, only those that occur, `Status.OK` first."""
        codes, numbers = np.unique(self.status, return_counts=True)
        return {Status(int(code)): int(number) for code, number in zip(codes, numbers, strict=True)}

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """What people ask for: what is searched, and the quantities of the technique, or its factors if it has none.

        Those of numbered lines go line by line.
        """
        roles = {str(n): str(self.dataset[n].attrs.get("role", "")) for n in self.dataset if f"{n}_std" in self.dataset}
        wanted = ("searched", "quantity" if "quantity" in roles.values() else "factor")
        names = [name for name, role in roles.items() if role in wanted]
        return tuple(self.quantity(name) for name in sorted(names, key=_number))

    def quantity(self, name: str) -> Quantity:
        """A parameter or quantity in the units people read."""
        values, std = self.raw(name), self.raw(f"{name}_std")
        attrs = self.dataset[name].attrs
        stored = str(attrs.get("units", "1"))
        (factor, unit), (std_factor, std_unit) = readable(values, stored), readable(std, stored)
        circular = attrs.get("kind") == "circular" and unit == DEGREES
        return Quantity(name, values * factor, std * std_factor, unit, std_unit, factor / std_factor, circular)

    def raw(self, name: str) -> Array:
        """A variable as it is stored, as float64."""
        return np.asarray(self.dataset[name].values, np.float64)

    def on_map(self, values: NDArray[Any], index: dict[str, int] | None = None) -> NDArray[Any]:
        """The two axes of a map of values on all navigation axes, at one index of every other."""
        index = self.middle if index is None else index
        return np.asarray(values[tuple(index.get(name, slice(None)) for name in self.navigation)])

    def points(self, axis: str) -> Array:
        """Positions along an axis, in its unit; indices where the file says none."""
        if axis in self.dataset.coords:
            return self.raw(axis)
        return np.arange(self.dataset.sizes[axis], dtype=np.float64)

    def labelled(self, axis: str, most: int) -> NDArray[np.int64]:
        """Indices of a few points of an axis, spread over it, that get a number beside a map."""
        count = self.dataset.sizes[axis]
        return np.unique(np.linspace(0, count - 1, min(most, count)).astype(np.int64))

    def axis_unit(self, axis: str) -> str:
        """Unit of an axis; empty where there is no dimension."""
        unit = str(self.dataset[axis].attrs.get("units", "1")) if axis in self.dataset.coords else "px"
        return "" if unit == "1" else unit

    def place(self, axis: str, index: int) -> str:
        """One point of an axis in words.

        Parameters
        ----------
        axis : str
            Name of a navigation axis.
        index : int
            Which of its points.

        Returns
        -------
        str
        """
        unit = self.axis_unit(axis)
        points = self.points(axis)
        # What is left of a zero by the arithmetic of a waveform is none.
        value = 0.0 if abs(points[index]) < 1e-9 * np.abs(points).max() else points[index]
        words = f"{axis} {value:.4g} {unit}".rstrip()
        return f"{axis} {index}" if unit in _LENGTHS else f"{words} ({index + 1} of {points.size})"

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Points of a map along its two axes."""
        y, x = self.long[:2]
        return self.dataset.sizes[y], self.dataset.sizes[x]

    @property
    def unit(self) -> str:
        """Unit of length of the two axes of a map; empty where they have none in common."""
        y, x = (self.axis_unit(name) for name in self.long[:2])
        return y if y == x and y in _LENGTHS else ""

    @property
    def step(self) -> tuple[float, float]:
        """Distance of the points of a map, in `unit`; where there is none, that of a square map."""
        if not self.unit:
            return 1 / self.shape[0], 1 / self.shape[1]
        y, x = (float(np.ptp(self.points(name))) / (self.dataset.sizes[name] - 1) for name in self.long[:2])
        return y or x or 1.0, x or y or 1.0


def _number(name: str) -> int:
    """The number that a name ends in; 0 if none."""
    end = name.rpartition("_")[2]
    return int(end) if end.isdecimal() else 0
