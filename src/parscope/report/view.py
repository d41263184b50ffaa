"""A strain map read from its data set: names checked, failures made NaN, attributes parsed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from parscope.core.errors import FormatError
from parscope.core.solver import Status

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

STRAINS = ("e_xx", "e_yy", "e_xy")
COMPONENTS = (*STRAINS, "rotation")
DISPLAY = {"e_xx": (100.0, "%"), "e_yy": (100.0, "%"), "e_xy": (100.0, "%"), "rotation": (180 / np.pi, "°")}
"""Factor from the stored unit to the one people read, and the name of the latter."""

_MAPS = (*COMPONENTS, *(f"{name}_std" for name in COMPONENTS), "status", "misfit", "limit_ratio", "electrons")
_DIMENSIONS = dict.fromkeys(_MAPS, ("y", "x")) | {
    "amplitude": ("disk", "y", "x"),
    "reference_position": ("disk", "axis"),
    "mean_pattern": ("q_y", "q_x"),
    "worst_pattern": ("worst", "q_y", "q_x"),
    "worst_fit": ("worst", "q_y", "q_x"),
}


class Mapped(Protocol):
    """What it takes to draw a map and its status; a view of strain and one of a fit have it."""

    @property
    def shape(self) -> tuple[int, int]:
        """Number of points (y, x)."""

    @property
    def step(self) -> tuple[float, float]:
        """Distance of the points (y, x), in `unit`."""

    @property
    def unit(self) -> str:
        """Unit of length of both axes; empty where they have none in common."""

    @property
    def counts(self) -> dict[Status, int]:
        """How many points have each status."""


@dataclass(frozen=True)
class StrainView:
    """What figures and page ask of a strain map.

    Parameters
    ----------
    dataset : xarray.Dataset
        The result of a strain mapping: maps on (y, x), the set-up, and the worst patterns.

    Raises
    ------
    FormatError
        If a variable is missing, has other dimensions, or the status has a code that does not exist.
    """

    dataset: xr.Dataset

    def __post_init__(self) -> None:
        """Refuse what is no strain map, before half a figure is drawn."""
        for name, dims in _DIMENSIONS.items():
            if name not in self.dataset:
                raise FormatError(f"has no variable {name!r}", self.source, "give a strain map written by parscope")
            if self.dataset[name].dims != dims:
                raise FormatError(f"{name} has dimensions {self.dataset[name].dims}, not {dims}", self.source)
        unknown = set(np.unique(self.status).tolist()) - {int(code) for code in Status}
        if unknown:
            raise FormatError(f"status has unknown codes {sorted(unknown)}", self.source, "update parscope")

    @property
    def source(self) -> str:
        """Where the data came from."""
        return self.text("source", "memory")

    @property
    def title(self) -> str:
        """What to call the map: its title, else the last part of its source."""
        return self.text("title") or self.source.replace("\\", "/").rstrip("/").rpartition("/")[2]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of scan positions (y, x)."""
        return int(self.dataset.sizes["y"]), int(self.dataset.sizes["x"])

    @cached_property
    def step(self) -> tuple[float, float]:
        """Distance of scan positions (y, x), in `unit`; that of the other axis where an axis has one position."""
        steps = [self._step(axis) for axis in ("y", "x")]
        other = steps[::-1]
        y, x = (mine or theirs or 1.0 for mine, theirs in zip(steps, other, strict=True))
        return y, x

    @property
    def unit(self) -> str:
        """Unit of the scan axes, ``nm`` or ``px``."""
        x = self.dataset.coords.get("x")
        return "px" if x is None else str(x.attrs.get("units", "px"))

    @cached_property
    def status(self) -> NDArray[np.uint8]:
        """Codes of `Status`, shape (y, x)."""
        return np.asarray(self.dataset["status"].values, dtype=np.uint8)

    @cached_property
    def fitted(self) -> Mask:
        """Where there is a value, shape (y, x)."""
        finite = np.all([np.isfinite(self.dataset[name].values) for name in COMPONENTS], axis=0)
        fitted: Mask = finite & (self.status == Status.OK)
        return fitted

    @cached_property
    def reference(self) -> Mask:
        """Region of zero strain, shape (y, x); nowhere true if none was set."""
        return self._flags("reference")

    @property
    def outline(self) -> Mask:
        """Region to outline as zero strain, shape (y, x); nowhere true where each grain has its own, or all is."""
        whole = self.reference.all() or self.grains > 1
        return np.zeros(self.shape, dtype=np.bool_) if whole else self.reference

    @cached_property
    def grain(self) -> NDArray[np.int64]:
        """Number of the grain, shape (y, x); -1 where there is none."""
        if "grain" not in self.dataset:
            return np.zeros(self.shape, dtype=np.int64)
        return np.asarray(self.dataset["grain"].values, dtype=np.int64)

    @property
    def grains(self) -> int:
        """How many grains there are."""
        return int(np.unique(self.grain[self.grain >= 0]).size)

    @property
    def masked(self) -> Mask:
        """Detector pixels that were not used, shape (q_y, q_x): those without a mean."""
        return np.isnan(self.raw("mean_pattern"))

    @property
    def counts(self) -> dict[Status, int]:
        """How many scan positions have each status, only those that occur, `Status.OK` first."""
        codes, numbers = np.unique(self.status, return_counts=True)
        return {Status(int(code)): int(number) for code, number in zip(codes, numbers, strict=True)}

    def raw(self, name: str) -> Array:
        """A variable as it is stored, as float64."""
        return np.asarray(self.dataset[name].values, dtype=np.float64)

    def shown(self, name: str) -> Array:
        """A strain, rotation or standard error in the unit people read, shape (y, x); NaN where not fitted."""
        factor, _ = DISPLAY[name.removesuffix("_std")]
        return self.where_fitted(name) * factor

    def where_fitted(self, name: str) -> Array:
        """A map in its stored unit, shape (y, x); NaN where not fitted."""
        return np.where(self.fitted, self.raw(name), np.nan)

    def text(self, name: str, default: str = "") -> str:
        """An attribute as text."""
        return str(self.dataset.attrs.get(name, default))

    def number(self, name: str) -> float:
        """An attribute as a number; NaN where it is missing or no number."""
        try:
            return float(self.dataset.attrs.get(name, np.nan))
        except (TypeError, ValueError):
            return float("nan")

    def parsed(self, name: str, default: Any) -> Any:
        """An attribute that holds JSON.

        Raises
        ------
        FormatError
            If it is not JSON.
        """
        value = self.text(name)
        if not value:
            return default
        try:
            return json.loads(value)
        except ValueError as error:
            raise FormatError(f"attribute {name!r} is not JSON ({error})", self.source) from error

    def _step(self, axis: str) -> float | None:
        """Step of one scan axis, None where it has a single position."""
        if axis not in self.dataset.coords or self.dataset.sizes[axis] < 2:
            return None
        values = self.raw(axis)
        return abs(float(values[-1] - values[0])) / (values.size - 1) or None

    def _flags(self, name: str) -> Mask:
        """A map of bool, nowhere true if it is missing."""
        if name not in self.dataset:
            return np.zeros(self.shape, dtype=np.bool_)
        return np.asarray(self.dataset[name].values).astype(np.bool_)
