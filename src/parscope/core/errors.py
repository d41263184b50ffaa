"""Every error parscope raises on purpose, drawn as one tree.

::

    ParscopeError                 what happened, where, what to do; the command line exits with 2
    ├── InputError                a file or array cannot be used
    │   ├── FormatError           not a format, or not a layout, that is read
    │   ├── ShapeError            the dimensions do not fit the job
    │   ├── TruncatedError        the file ends before its data do
    │   └── UnreadableError       a part of a file cannot be read or decompressed
    ├── CatalogError              a catalog cannot be opened, read or written
    ├── OptionError               an option contradicts the data or another option
    ├── NoLatticeError            no lattice of disks was found in the patterns
    ├── OutputError               a result cannot be written, or exists already
    ├── QueryError                a query of a catalog cannot be understood or is too large
    └── MissingExtraError         an optional library is needed; names its pip command
"""

from __future__ import annotations


class ParscopeError(Exception):
    """A fault that a person can act on: what happened, where, and what to do.

    Parameters
    ----------
    what : str
        The fault, in one clause.
    where : str, optional
        The file, option or quantity at fault.
    advice : str, optional
        What to do about it, in the imperative.

    Examples
    --------
    >>> print(ParscopeError("has 3 dimensions, not 4", "scan.npy", "pass --scan-shape"))
    scan.npy: has 3 dimensions, not 4; pass --scan-shape
    """

    def __init__(self, what: str, where: str = "", advice: str = "") -> None:
        self.what, self.where, self.advice = what, where, advice
        super().__init__(what, where, advice)

    def __str__(self) -> str:
        """Join the three parts into the one line a person reads."""
        line = f"{self.where}: {self.what}" if self.where else self.what
        return f"{line}; {self.advice}" if self.advice else line


class InputError(ParscopeError):
    """A file or array cannot be used."""


class FormatError(InputError):
    """A file is not of a format, or not of a layout, that is read."""


class ShapeError(InputError):
    """The dimensions of the data do not fit the job."""


class TruncatedError(InputError):
    """A file ends before its data do."""


class UnreadableError(InputError):
    """A part of a file cannot be read or decompressed; the rest may be fine."""


class CatalogError(ParscopeError):
    """A catalog cannot be opened, read or written."""


class OptionError(ParscopeError):
    """An option contradicts the data or another option."""


class NoLatticeError(ParscopeError):
    """No lattice of disks was found in the patterns."""


class OutputError(ParscopeError):
    """A result cannot be written, or exists already."""


class QueryError(ParscopeError):
    """A query of a catalog cannot be understood, or is too large."""


class MissingExtraError(ParscopeError):
    """An optional library is needed for this.

    Parameters
    ----------
    library : str
        Name of the library that is missing.
    extra : str
        The extra of parscope that installs it.
    """

    def __init__(self, library: str, extra: str) -> None:
        self.library, self.extra = library, extra
        super().__init__(f"{library} is not installed", "", f"run: pip install 'parscope[{extra}]'")

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        """Pickle by what the error was made from, so that it crosses process boundaries."""
        return type(self), (self.library, self.extra)
