"""What the command line says when it fails, and the exit code it leaves with."""

from __future__ import annotations

import errno
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from parscope.core.errors import ParscopeError

FAULT, STOPPED = 2, 130

_PATH_FAULTS = {
    errno.ENOENT: "there is no such file or folder; check the path",
    errno.EACCES: "permission denied; check who may read and write it",
    errno.EPERM: "permission denied; check who may read and write it",
    errno.EROFS: "the file system is read-only; choose another place for the output",
    errno.EISDIR: "is a folder, not a file",
    errno.ENOTDIR: "is a file, not a folder",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.EMFILE: "too many open files; raise the limit (ulimit -n)",
}


class Verdict(NamedTuple):
    """One sentence for a person and one number for a script."""

    sentence: str
    code: int


def explain(error: BaseException) -> Verdict | None:
    """Find the line to print for an error that a person can act on.

    Parameters
    ----------
    error : BaseException
        What ended a verb. Notes on a `KeyboardInterrupt` (PEP 678) say what of the work is kept.

    Returns
    -------
    Verdict or None
        None for a fault of parscope itself, whose traceback is to be kept.

    Examples
    --------
    >>> explain(FileNotFoundError(2, "No such file", "scan.mib"))
    Verdict(sentence='scan.mib: there is no such file or folder; check the path', code=2)
    """
    if isinstance(error, ParscopeError):
        return Verdict(str(error), FAULT)
    if isinstance(error, KeyboardInterrupt):
        kept = " ".join(getattr(error, "__notes__", [])) or "what was written before is kept"
        return Verdict(f"stopped; {kept}", STOPPED)
    if isinstance(error, MemoryError):
        detail = f": {error}" if str(error) else ""
        return Verdict(f"not enough memory{detail}; close other programs or map a smaller part of the scan", FAULT)
    if isinstance(error, OSError):
        return _explain_system(error)
    return None


def say(sentence: str) -> None:
    """Print one line to standard error, in colour where there is a terminal.

    Parameters
    ----------
    sentence : str
        What happened, where, and what to do.
    """
    Console(stderr=True).print(Text.assemble(("parscope: ", "bold red"), sentence), soft_wrap=True)


def _explain_system(error: OSError) -> Verdict | None:
    """Explain a full disk or a wrong path; HDF5 hides the error number of a full disk in its text."""
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in str(error):
        return Verdict(f"{where}the disk is full; free some space or choose another place for the output", FAULT)
    fault = _PATH_FAULTS.get(error.errno or 0)
    return Verdict(where + fault, FAULT) if fault and where else None
