"""Kernel: a pure function of one pattern, with what it needs and what it gives stated beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Output:
    """One number that a kernel gives for every pattern.

    Parameters
    ----------
    name : str
        Such as ``x`` or ``e_xx``, without a dot; in a plan that of the kernel stands before it: ``com.x``.
    unit : str
        ``px``, ``counts``, ``rad``, ``1``, ...
    label : str
        What it is, for the title of a map.
    """

    name: str
    unit: str
    label: str


@dataclass(frozen=True)
class Detector:
    """What a kernel may know of the patterns before the first one comes.

    Parameters
    ----------
    shape : tuple of int
        Detector pixels (q_y, q_x).
    dtype : str
        NumPy name of the sample type.
    mask : ndarray of bool, shape (q_y, q_x)
        True where a pixel is unusable.
    nodata : int
        Value of a pixel that was not read, to be left out of every sum, [counts]; -1 if there is none.
    scan_shape : tuple of int
        Scan positions (y, x).
    """

    shape: tuple[int, int]
    dtype: str
    mask: NDArray[np.bool_]
    nodata: int
    scan_shape: tuple[int, int]


class State(tuple[Any, ...]):
    """Arguments between the pattern and the answer, and what a person should know of them.

    Parameters
    ----------
    arguments : sequence
        As of `Kernel.setup`.
    found : mapping
        What was found in the examples, and what the numbers are relative to: numbers, texts, lists, mappings. It is
        kept with the results.

    Examples
    --------
    >>> state = State((1, 2), {"centre": [95.0, 96.0]})
    >>> first, second = state
    >>> state.found["centre"], found_in((1, 2))
    ([95.0, 96.0], {})
    """

    def __new__(cls, arguments: Sequence[Any], found: Mapping[str, Any]) -> State:
        """Make the tuple."""
        return super().__new__(cls, arguments)

    def __init__(self, arguments: Sequence[Any], found: Mapping[str, Any]) -> None:
        self.found: Mapping[str, Any] = dict(found)

    def __reduce__(self) -> tuple[Any, ...]:
        """A tuple alone would be pickled without what was found."""
        return State, (tuple(self), self.found)


def found_in(part: Any) -> Mapping[str, Any]:
    """What was found when a kernel was set up.

    Parameters
    ----------
    part : object
        What its set-up gave.

    Returns
    -------
    mapping
        Empty where it does not say.
    """
    found: Mapping[str, Any] = getattr(part, "found", {})
    return found


@runtime_checkable
class Kernel(Protocol):
    """Turns one pattern into a few numbers; one file of `live.kernels` each, found by name through the registry."""

    @property
    def name(self) -> str:
        """As given to ``--analyse``; without a dot."""

    @property
    def function(self) -> Callable[..., None]:
        """``function(frame, *state, out)`` at the top level of a module.

        It writes ``out``, ndarray of float64, one number per output, NaN where there is none, and keeps nothing from
        one pattern to the next. The state may hold room to work in: each thread has one of its own.
        """

    @property
    def outputs(self) -> tuple[Output, ...]:
        """What `function` writes, in its order."""

    @property
    def examples(self) -> int:
        """Patterns that `setup` wants to see before it can answer; 0 for none."""

    def setup(self, detector: Detector, examples: NDArray[Any]) -> tuple[Any, ...]:
        """Prepare the state: everything that is the same for all patterns.

        Parameters
        ----------
        detector : Detector
            What is known of the patterns.
        examples : ndarray, shape (n, q_y, q_x)
            Patterns of this sample, as many as `examples`, or fewer where a series has no more.

        Returns
        -------
        tuple
            The arguments between the pattern and the answer: arrays and numbers, which can be pickled. A `State` also
            says what was found.

        Raises
        ------
        ParscopeError
            If the patterns do not allow it: no lattice, no disk.
        """
