"""The folder into which files go: made if it is not there, and refused before anything begins if it cannot be used."""

from __future__ import annotations

import os
from pathlib import Path

from parscope.core.errors import OutputError


def writable(folder: Path) -> None:
    """Make a folder if there is none, and see that files can be written into it.

    Parameters
    ----------
    folder : Path
        Where files will go.

    Raises
    ------
    OutputError
        If it cannot be made, or nothing be written into it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     writable(Path(place) / "new" / "out")
    ...     [path.name for path in Path(place).iterdir()]
    ['new']
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".parscope-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(f"cannot be written ({error.strerror})", str(folder), "choose another folder") from None
