"""The protocols that outsiders implement: a class fits by its shape, no base class is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from parscope.core.description import Description
from parscope.core.frames import Frames
from parscope.core.spectra import Spectra


@runtime_checkable
class Format(Protocol):
    """Knows the files of one format; what every reader is, whatever it reads."""

    name: str
    """Short name of the format, as given to ``--format``."""

    extensions: tuple[str, ...]
    """Usual suffixes, lower case, with the dot; a hint, never the proof."""

    def accepts(self, path: Path) -> bool:
        """Whether the content (magic bytes, layout) of `path` is of this format; never raises for a foreign file.

        Parameters
        ----------
        path : Path
            A file or folder that exists.

        Returns
        -------
        bool
        """


@runtime_checkable
class Reader(Format, Protocol):
    """Reads one file format lazily; one file of `io` each, found by name through the registry."""

    def read(
        self,
        path: Path,
        *,
        scan_shape: tuple[int, int] | None = None,
        pattern_shape: tuple[int, int] | None = None,
        dtype: str | None = None,
        dataset: str | None = None,
    ) -> Frames:
        """Open `path` without loading its patterns.

        Parameters
        ----------
        path : Path
            A file or folder that `accepts` said yes to.
        scan_shape, pattern_shape : tuple of int, optional
            (y, x) lengths for formats that do not store them.
        dtype : str, optional
            NumPy name of the sample type for formats that do not store it.
        dataset : str, optional
            Which array, for containers of several.

        Returns
        -------
        Frames

        Raises
        ------
        InputError
            With the file, the fault and what to do.
        """


@runtime_checkable
class SpectraReader(Format, Protocol):
    """Reads one file format of spectroscopy lazily; one file of `io` each, found by name through the registry."""

    def read(self, path: Path, *, dataset: str | None = None) -> Spectra:
        """Open `path` without loading its spectra.

        Parameters
        ----------
        path : Path
            A file or folder that `accepts` said yes to.
        dataset : str, optional
            Which data set or channel, for files of several.

        Returns
        -------
        Spectra

        Raises
        ------
        InputError
            With the file, the fault and what to do.
        """


@runtime_checkable
class Describer(Format, Protocol):
    """Tells all metadata of one file format, for a catalog; found by name through the registry.

    It runs in a process of its own with limits of time and memory, on files that nobody vouches for: it raises
    `InputError` for what it cannot read, and opens nothing outside `within`.
    """

    def describe(self, path: Path, *, within: Path) -> Description:
        """Read what a file says about itself.

        Parameters
        ----------
        path : Path
            A file or folder that `accepts` said yes to.
        within : Path
            Folder that is collected: files that `path` names outside of it are not opened.

        Returns
        -------
        Description

        Raises
        ------
        InputError
            With the file, the fault and what to do.
        MissingExtraError
            If the format needs a library that is not installed.
        """


@runtime_checkable
class Source(Protocol):
    """Gives the messages of a detector, one after the other, all in the form of DECTRIS's stream V2 (CBOR).

    A source that speaks another form, or that has only arrays, translates at the door: what comes after it, the
    recorder included, knows one form. One file of `live.sources` each, found by name through the registry.
    """

    name: str
    """Short name, as in an address ``name://...``."""

    def open(self) -> None:
        """Connect, or open the file.

        Raises
        ------
        InputError
            With the address, the fault and what to do.
        """

    def receive(self, wait: float) -> memoryview | None:
        """Take the next message.

        Parameters
        ----------
        wait : float
            Longest time to wait, [s]; 0 asks only whether one is there.

        Returns
        -------
        memoryview, optional
            One message, valid until the next call; None if none came in time.

        Raises
        ------
        EOFError
            If no message will come any more: a file at its end, a connection closed by the other side.
        """

    def close(self) -> None:
        """Give back what is held; may be called twice."""


@runtime_checkable
class Sink(Protocol):
    """Takes the decisions of rules to whatever acts on them; one file of `live.sinks` each."""

    name: str
    """Short name, as in an address ``name://...``."""

    dropped: int
    """Messages that were taken and could not be delivered, or were refused."""

    fault: str
    """Why the last of these was not delivered, in one line; empty as long as there was none."""

    def open(self) -> None:
        """Connect.

        Raises
        ------
        OutputError
            With the address, the fault and what to do.
        """

    def send(self, message: bytes) -> None:
        """Send one message, without waiting for anybody.

        Parameters
        ----------
        message : bytes
            A decision, as `live.rules` encodes it.

        Raises
        ------
        OutputError
            If it cannot be sent.
        """

    def close(self) -> None:
        """Give back what is held; may be called twice."""
