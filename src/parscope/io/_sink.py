"""What every writer is: a place that takes blocks of scan rows until it is finished or abandoned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import OutputError

if TYPE_CHECKING:
    from parscope.io.write import Layout


class Sink(ABC):
    """Writes one scan into an empty folder of its own.

    Parameters
    ----------
    folder : Path
        Where its files go; they are moved to their place when it is finished.
    name : str
        Of the file that is opened later.
    layout : Layout
        Shape, type and calibration of the whole.

    Raises
    ------
    OutputError
        If the format has no place for such data.
    """

    def __init__(self, folder: Path, name: str, layout: Layout) -> None:
        self.folder, self.name, self.layout = folder, name, layout

    @classmethod
    def names(cls, name: str) -> tuple[str, ...]:
        """Files that are known beforehand to come into being, the one to open last.

        Parameters
        ----------
        name : str
            That a person gave.

        Returns
        -------
        tuple of str
        """
        return (name,)

    @abstractmethod
    def append(self, block: NDArray[Any], row: int) -> None:
        """Write scan rows from `row` on."""

    @abstractmethod
    def finish(self) -> None:
        """Complete the files."""

    @abstractmethod
    def abandon(self) -> None:
        """Let go of the files; they are deleted."""

    def demand(self, allowed: Iterable[str], shape: tuple[int, int] | None = None) -> None:
        """Refuse samples or patterns for which the format has no place.

        Parameters
        ----------
        allowed : iterable of str
            NumPy names of sample types.
        shape : tuple of int, optional
            The only pattern shape.

        Raises
        ------
        OutputError
            If they do not fit.
        """
        if np.dtype(self.layout.dtype).name not in allowed:
            raise OutputError(
                f"the format holds {' or '.join(allowed)}, not {self.layout.dtype}", self.name, "choose another format"
            )
        if shape is not None and self.layout.shape[2:] != shape:
            raise OutputError(
                f"the format holds patterns of {shape}, not {self.layout.shape[2:]}", self.name, "choose another format"
            )
