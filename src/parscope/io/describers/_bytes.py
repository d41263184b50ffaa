"""Reads binary headers field by field; a file that ends before, or counts beyond its own length, is refused."""

from __future__ import annotations

import struct
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import TruncatedError


class Cursor:
    """A place in a file from which fields are read one after the other.

    Parameters
    ----------
    path : Path
        The file.
    order : str, default "<"
        Byte order: ``<`` little, ``>`` big endian.
    """

    def __init__(self, path: Path, order: str = "<") -> None:
        self.path, self.order = path, order
        self.size = path.stat().st_size
        self.stream = path.open("rb")

    def __enter__(self) -> Cursor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stream.close()

    def at(self, place: int) -> Cursor:
        """Go to a place.

        Parameters
        ----------
        place : int
            Bytes from the start of the file.

        Returns
        -------
        Cursor
            Itself.

        Raises
        ------
        TruncatedError
            If the file ends before it.
        """
        if not 0 <= place <= self.size:
            raise TruncatedError(f"has {self.size} bytes, and points to byte {place}", str(self.path), "copy it again")
        self.stream.seek(place)
        return self

    @property
    def place(self) -> int:
        """Where it is, in bytes from the start of the file."""
        return self.stream.tell()

    def bytes(self, count: int) -> bytes:
        """Read bytes.

        Parameters
        ----------
        count : int
            How many.

        Returns
        -------
        bytes

        Raises
        ------
        TruncatedError
            If there are fewer.
        """
        self.need(count)
        return self.stream.read(count)

    def need(self, count: int) -> None:
        """Refuse to go on if there are fewer bytes than that.

        Parameters
        ----------
        count : int
            How many are wanted from here on.

        Raises
        ------
        TruncatedError
            If there are fewer.
        """
        if not 0 <= count <= self.size - self.place:
            raise TruncatedError(
                f"ends before its data do: {count} bytes are to follow byte {self.place} of {self.size}",
                str(self.path),
                "copy it again from the instrument",
            )

    def skip(self, count: int) -> None:
        """Go on without reading.

        Parameters
        ----------
        count : int
            Bytes to leave out.
        """
        self.need(count)
        self.stream.seek(count, 1)

    def fields(self, layout: str) -> tuple[Any, ...]:
        """Read fields.

        Parameters
        ----------
        layout : str
            In the words of `struct`, without the byte order.

        Returns
        -------
        tuple
        """
        form = struct.Struct(self.order + layout)
        return form.unpack(self.bytes(form.size))

    def one(self, layout: str) -> Any:
        """Read one field.

        Parameters
        ----------
        layout : str
            In the words of `struct`, without the byte order.

        Returns
        -------
        object
        """
        return self.fields(layout)[0]

    def array(self, dtype: str | np.dtype[Any], count: int) -> NDArray[Any]:
        """Read an array.

        Parameters
        ----------
        dtype : str or dtype
            Of a sample.
        count : int
            Number of samples.

        Returns
        -------
        ndarray, shape (count,)
        """
        kind = np.dtype(dtype)
        self.need(count * kind.itemsize)
        return np.frombuffer(self.stream.read(count * kind.itemsize), kind)
