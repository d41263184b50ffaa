"""Sum, centre of mass and virtual detectors: kernels that share one pass over the pattern."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import InputError, OptionError, ShapeError
from parscope.live.kernels.contract import Detector, Output, State
from parscope.live.kernels.sweep import (
    ALONG_X,
    ALONG_Y,
    BAD,
    CENTRE,
    COLUMNS,
    OFFSET,
    PLACE,
    REGION,
    SOURCE,
    TOTAL,
    measure,
)

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Integers that sums of sixteen rows, and of a column, fit into; all others go into the widest.
_LANES = {"uint8": "uint16", "uint16": "uint32", "uint32": "uint64"}
_PARTS = {"uint8": "uint32", "uint16": "uint32", "uint32": "uint64"}


@dataclass(frozen=True)
class Wanted:
    """What a kernel wants from the pass.

    Parameters
    ----------
    recipe : ndarray, shape (outputs, 7)
        As `measure` takes it; the numbers go to the places 0, 1, ...
    spans : ndarray of int32, shape (n, 4), optional
        Where to sum, as of `spans_of`, if the only number is the counts of a region.
    found : mapping, optional
        As of `State`.
    """

    recipe: Array
    spans: NDArray[np.int32] | None = None
    found: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def counts_in(cls, detector: Detector, region: Mask, found: Mapping[str, Any] | None = None) -> Wanted:
        """The counts of a region.

        Parameters
        ----------
        detector : Detector
            What is known of the patterns.
        region : ndarray of bool, shape (q_y, q_x)
            Where to sum; unusable pixels are left out.
        found : mapping, optional
            As of `State`.

        Returns
        -------
        Wanted

        Raises
        ------
        ShapeError
            If the region has another shape than the patterns.
        """
        return cls(of_counts(REGION), _usable(detector, region), {} if found is None else found)


class Shared:
    """What all kernels of the pass have in common; alone each makes a pass of its own, with the same bits."""

    @property
    def function(self) -> Callable[..., None]:
        """What is run; see `measure`."""
        compiled: Callable[..., None] = measure
        return compiled

    def wanted(self, detector: Detector, examples: NDArray[Any]) -> Wanted:
        """What is wanted from the pass.

        Parameters
        ----------
        detector : Detector
            What is known of the patterns.
        examples : ndarray, shape (n, q_y, q_x)
            Patterns of this sample.

        Returns
        -------
        Wanted
        """
        raise NotImplementedError

    def setup(self, detector: Detector, examples: NDArray[Any]) -> tuple[Any, ...]:
        """Prepare the state; see `Kernel.setup`."""
        wanted = self.wanted(detector, examples)
        return State(prepare(detector, [wanted]), wanted.found)


def prepare(
    detector: Detector, wanted: Sequence[Wanted], places: Sequence[Sequence[int]] | None = None
) -> tuple[Any, ...]:
    """Arguments of `measure` between pattern and answer, for all that is wanted together.

    Parameters
    ----------
    detector : Detector
        What is known of the patterns.
    wanted : sequence of Wanted
        Of one kernel, or of several.
    places : sequence of sequence of int, optional
        Where the numbers of each go; default one after the other.

    Returns
    -------
    tuple of ndarray

    Raises
    ------
    InputError
        If the patterns are not real numbers.
    """
    kind = native(detector)
    exact = kind.kind in "iu"
    recipes, spans, lines = [], [], 0
    for number, one in enumerate(wanted):
        recipe = one.recipe.copy()
        recipe[:, PLACE] = np.arange(lines, lines + len(recipe)) if places is None else places[number]
        if one.spans is not None:
            spans.append(_numbered(one.spans, lines))
        recipes.append(recipe)
        lines += len(recipe)
    if exact:
        spans.append(spans_of(detector.mask, BAD))
    else:
        spans.append(_numbered(_usable(detector, np.ones(detector.shape, np.bool_)), lines))
        recipes.append(np.where(np.arange(COLUMNS) == PLACE, -1.0, 0.0)[None])
    width = detector.shape[1]
    lanes = np.zeros((2 if exact else 0, width), _LANES.get(kind.name, "int64"))
    columns = np.zeros(width, _PARTS.get(kind.name, "int64") if exact else "float64")
    return np.concatenate(spans), np.concatenate(recipes), void(detector), (lanes, columns)


def _usable(detector: Detector, region: Mask) -> NDArray[np.int32]:
    """Spans of the usable pixels of a region."""
    if region.shape != detector.shape:
        raise ShapeError(f"has shape {region.shape}, the patterns {detector.shape}", "region")
    return spans_of(region & ~detector.mask)


def _numbered(spans: NDArray[np.int32], line: int) -> NDArray[np.int32]:
    """The same spans, of another region."""
    numbered = spans.copy()
    numbered[:, 3] = line
    return numbered


def native(detector: Detector) -> np.dtype[Any]:
    """Type of the samples in the order of bytes of this machine.

    Parameters
    ----------
    detector : Detector
        What is known of the patterns.

    Returns
    -------
    numpy.dtype

    Raises
    ------
    InputError
        If it is not one of real numbers.
    """
    kind = np.dtype(detector.dtype).newbyteorder("=")
    if kind.kind not in "iuf" or kind == np.float16:
        raise InputError(f"are of type {kind}", "patterns", "convert them to integers or 32-bit floats")
    return kind


def void(detector: Detector) -> NDArray[Any]:
    """Value of a pixel that was not read and what is counted instead, shape (2,); twice 0 if there is no such value."""
    return np.array([detector.nodata, 0] if detector.nodata >= 0 else [0, 0], native(detector))


def spans_of(region: Mask, number: int = 0) -> NDArray[np.int32]:
    """A region as spans of its rows.

    Parameters
    ----------
    region : ndarray of bool, shape (q_y, q_x)
        Any shape, with holes or in pieces.
    number : int, default 0
        Of the region.

    Returns
    -------
    ndarray of int32, shape (n, 4)
        Row, first column, column after the last, number.

    Examples
    --------
    >>> spans_of(np.array([[True, True, False, True]])).tolist()
    [[0, 0, 2, 0], [0, 3, 4, 0]]
    """
    if not region.any():  # as of the unusable pixels of most detectors
        return np.zeros((0, 4), np.int32)
    framed = np.zeros((region.shape[0], region.shape[1] + 2), np.bool_)
    framed[:, 1:-1] = region
    # Along a row a begin and an end take turns.
    row, column = np.nonzero(framed[:, 1:] != framed[:, :-1])
    return np.stack([row[::2], column[::2], column[1::2], np.full_like(row[::2], number)], 1).astype(np.int32)


def of_counts(source: int) -> Array:
    """Recipe of counts, of the whole pattern or of the only region, shape (1, 7)."""
    recipe = np.zeros((1, COLUMNS))
    recipe[0, SOURCE] = source
    return recipe


def of_centre(matrix: Array, origin: Array) -> Array:
    """Recipe of `matrix` times the distance of the centre of mass from `origin`, (y, x) order, shape (2, 7)."""
    recipe = np.zeros((2, COLUMNS))
    recipe[:, SOURCE] = CENTRE
    recipe[:, [ALONG_Y, ALONG_X]] = matrix
    recipe[:, OFFSET] = -(matrix @ origin)
    return recipe


@dataclass(frozen=True)
class Sum(Shared):
    """Counts of the whole pattern."""

    name: str = "sum"
    examples: int = 0
    outputs: tuple[Output, ...] = (Output("counts", "counts", "sum of the pattern"),)

    def wanted(self, detector: Detector, examples: NDArray[Any]) -> Wanted:
        """What is wanted from the pass; see `Shared.wanted`."""
        return Wanted(of_counts(TOTAL))


@dataclass(frozen=True)
class CentreOfMass(Shared):
    """Centre of mass of the whole pattern, in pixels of the detector."""

    name: str = "com"
    examples: int = 0
    outputs: tuple[Output, ...] = (
        Output("y", "px", "centre of mass, q_y"),
        Output("x", "px", "centre of mass, q_x"),
    )

    def wanted(self, detector: Detector, examples: NDArray[Any]) -> Wanted:
        """What is wanted from the pass; see `Shared.wanted`."""
        return Wanted(of_centre(np.eye(2), np.zeros(2)))


@dataclass(frozen=True, eq=False)
class Region(Shared):
    """Counts in an area of the detector: a virtual detector of any shape.

    Parameters
    ----------
    area : ndarray of bool, shape (q_y, q_x)
        True where counts are summed.
    name : str, default "mask"
        Of the kernel; several in one plan need different ones.
    """

    area: Mask
    name: str = "mask"
    examples: int = 0

    @property
    def outputs(self) -> tuple[Output, ...]:
        """One number."""
        return (Output("counts", "counts", f"virtual detector {self.name}"),)

    def wanted(self, detector: Detector, examples: NDArray[Any]) -> Wanted:
        """What is wanted from the pass; see `Shared.wanted`."""
        return Wanted.counts_in(detector, self.area)

    @classmethod
    def parse(cls, text: str) -> Region:
        """Read the area from a file.

        Parameters
        ----------
        text : str
            Path of a ``.npy`` file of the shape of the patterns; what is not zero is summed.

        Returns
        -------
        Region

        Raises
        ------
        OptionError
            If it cannot be read.
        """
        try:
            return cls(np.load(Path(text), allow_pickle=False).astype(np.bool_))
        except (OSError, ValueError, EOFError) as error:
            raise OptionError("cannot be read as an array", f"mask {text}", "write it with numpy.save") from error
