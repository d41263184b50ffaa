"""Tells what any file says about itself: the format is judged by its content."""

from __future__ import annotations

from pathlib import Path

from parscope.core.contracts import Describer
from parscope.core.description import Description
from parscope.core.errors import FormatError, InputError
from parscope.core.registry import load, names
from parscope.io._scan import first_line
from parscope.io.describers._base import check_within
from parscope.io.describers._fit import fitted
from parscope.io.open import present

_GROUP = "parscope.describers"


def describe(path: Path | str, within: Path | str | None = None) -> Description:
    """All metadata of a file of any known format, its kind, and small pictures of its data.

    Of more than 14 MB of metadata the longest lists and texts are summarised, and a warning says so.

    Parameters
    ----------
    path : Path or str
        A file, or the folder of a Zarr store.
    within : Path or str, optional
        Folder that may be read, by default that of `path`: what `path` links to outside of it is not opened.

    Returns
    -------
    Description

    Raises
    ------
    InputError
        If the file is missing, empty, damaged, of no known format, or a link out of `within`.
    MissingExtraError
        If the format needs a library that is not installed.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/scan.npy", np.zeros((2, 3, 8, 8), np.uint16))
    ...     describe(f"{folder}/scan.npy").kind
    '4D-STEM'
    """
    file = Path(path)
    present(file)
    folder = Path(within) if within is not None else file.parent
    check_within(file, folder)
    try:
        describer = sniff(file)
    except OSError as error:
        raise InputError(f"cannot be read ({first_line(error)})", str(file), "check the disk") from error
    return fitted(describer.describe(file, within=folder))


def sniff(path: Path) -> Describer:
    """The describer for a file, by its content.

    Parameters
    ----------
    path : Path
        A file or folder that exists.

    Returns
    -------
    Describer

    Raises
    ------
    FormatError
        If no describer knows the format.
    """
    for name in names(_GROUP):
        describer: Describer = load(_GROUP, name)()
        if describer.accepts(path):
            return describer
    raise FormatError("is of no format that is known", str(path), "convert it, or write a describer for it")
