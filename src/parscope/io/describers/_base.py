"""What the describers of parscope share: files stay within their folder, and every fault becomes one clear error."""

from __future__ import annotations

import errno
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from parscope.core.description import Description
from parscope.core.errors import FormatError, InputError, MissingExtraError, ParscopeError, TruncatedError
from parscope.io._flat import begins
from parscope.io._scan import first_line
from parscope.io.describers._verbatim import verbatim


class FileDescriber(ABC):
    """Tells what files of one format say of themselves; a subclass names the format and reads."""

    name: str
    extensions: tuple[str, ...]
    library: ClassVar[str] = "parscope"
    """Distribution that reads the file."""
    magic: ClassVar[tuple[bytes, ...]] = ()
    """How files of the format begin."""

    def accepts(self, path: Path) -> bool:
        """Whether `path` begins as files of this format do."""
        return any(begins(path, magic) for magic in self.magic)

    def describe(self, path: Path, *, within: Path) -> Description:
        """Read what a file says of itself; see `parscope.core.contracts.Describer.describe`."""
        check_within(path, within)
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                return self._describe(path, within)
        except InputError as error:
            if error.where:
                raise
            raise type(error)(error.what, str(path), error.advice) from error
        except ParscopeError:
            raise
        except ModuleNotFoundError as error:
            raise MissingExtraError(error.name or self.library, "catalog") from error
        except (MemoryError, RecursionError) as error:
            raise FormatError(
                f"is damaged: it asks for more than a file can hold ({type(error).__name__})",
                str(path),
                "copy it again",
            ) from error
        except EOFError as error:
            raise TruncatedError("ends before its data do", str(path), "copy it again from the instrument") from error
        except Exception as error:
            raise _fault(error, path) from error

    @abstractmethod
    def _describe(self, path: Path, within: Path) -> Description:
        """Read; any fault of the file may be raised as it comes."""

    def told(self, kind: str, vendor: Mapping[Any, Any], **more: Any) -> Description:
        """Description by this describer, with metadata that JSON knows.

        Parameters
        ----------
        kind : str
            What the data are.
        vendor : mapping
            The file's own tree, with values of any library.
        **more : object
            Other fields of `Description`.

        Returns
        -------
        Description
        """
        return Description(kind, self.name, library(self.library), verbatim(vendor), **more)


def _fault(error: Exception, path: Path) -> Exception:
    """What any other error means: nobody vouches for these files, and libraries raise whatever they like."""
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return MemoryError(first_line(error))  # a want of the machine, not of the file
    return FormatError(f"is damaged ({type(error).__name__}: {first_line(error)})", str(path), "copy it again")


def library(distribution: str) -> str:
    """Name and version of a library.

    Parameters
    ----------
    distribution : str
        As it is installed.

    Returns
    -------
    str
    """
    try:
        return f"{distribution} {version(distribution)}"
    except PackageNotFoundError:
        # run from its sources
        return distribution


def is_within(path: Path, folder: Path) -> bool:
    """Whether a path, followed through all symbolic links, lies in a folder.

    Parameters
    ----------
    path : Path
        A file that need not exist.
    folder : Path
        The folder.

    Returns
    -------
    bool
    """
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def check_within(path: Path, folder: Path) -> None:
    """Refuse a path that leads out of a folder.

    Parameters
    ----------
    path : Path
        A file.
    folder : Path
        That may be read.

    Raises
    ------
    InputError
        If it does.
    """
    if not is_within(path, folder):
        raise InputError("leads out of the folder that is collected", str(path), "copy the file into it")


def companion(path: Path, within: Path, notes: list[str]) -> Path | None:
    """A file of the same acquisition, if it is there and in the folder that is collected.

    Parameters
    ----------
    path : Path
        Where it would be.
    within : Path
        The folder that is collected.
    notes : list of str
        Is told if it is not followed.

    Returns
    -------
    Path or None
    """
    if not path.is_file():
        return None
    if not is_within(path, within):
        notes.append(f"{path.name} leads out of the folder that is collected and was not read.")
        return None
    return path
