"""The document of a collected file: what its reader said, and what anybody can see of a file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from parscope.core.axes import Axis
from parscope.core.description import Description, Signal

UNREAD = "unread"
"""Kind of a file that no reader can read."""

_NO_UNITS = ("", "1", "px")  # in which a step is a number; in others queries convert it


@dataclass(frozen=True)
class Extract:
    """What came of reading one file.

    Parameters
    ----------
    document : dict
        JSON-able.
    reader : str
        Which reader and which library, with its version, wrote it: ``tiff: tifffile 2024.1``.
    error : str or None
        Why no reader could read the file.
    parts : tuple of str
        Other files of the same acquisition, absolute.
    thumbnail : bytes or None
        A picture as PNG.
    """

    document: dict[str, Any]
    reader: str
    error: str | None = None
    parts: tuple[str, ...] = ()
    thumbnail: bytes | None = None


def of_description(path: Path, size: int, told: Description) -> dict[str, Any]:
    """Compose the document of a file that was read.

    Parameters
    ----------
    path : Path
        The file.
    size : int
        In bytes.
    told : Description
        What its reader said.

    Returns
    -------
    dict
    """
    return {
        **told.common,
        "kind": told.kind,
        "name": path.name,
        "format": told.reader,
        **_moment(told.acquired),
        "signals": [_signal(signal) for signal in told.signals],
        "file": _facts(path, size),
        "vendor": dict(told.vendor),
        **({"warnings": list(told.warnings)} if told.warnings else {}),
    }


def of_unread(path: Path, size: int, error: str) -> dict[str, Any]:
    """Compose the document of a file that could not be read.

    Parameters
    ----------
    path : Path
        The file.
    size : int
        In bytes.
    error : str
        Why.

    Returns
    -------
    dict
    """
    return {"kind": UNREAD, "name": path.name, "error": error, "file": _facts(path, size)}


def one_line(text: str) -> str:
    """Make a sentence of whatever a reader said, fit for any database and any terminal.

    Parameters
    ----------
    text : str
        An error; may hold anything.

    Returns
    -------
    str
        At most 500 characters, without control signs.
    """
    line = " ".join(text.split())[:500]
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in line)


def _moment(acquired: str) -> dict[str, Any]:
    """When the file was made. Most instruments write the time of their clock and not its zone: that of this machine."""
    if not acquired:
        return {}
    try:
        found = datetime.fromisoformat(acquired)
        if found.tzinfo is None:
            return {"acquired": found.astimezone().isoformat(), "assumed": ["time zone of acquired"]}
    except (ValueError, OverflowError, OSError):  # of a describer of others, or before any zone
        pass
    return {"acquired": acquired}


def _facts(path: Path, size: int) -> dict[str, Any]:
    return {"bytes": size, "suffix": path.suffix}


def _signal(signal: Signal) -> dict[str, Any]:
    return {
        "name": signal.name,
        "shape": list(signal.shape),
        "dtype": signal.dtype,
        "unit": signal.unit,
        "axes": [_axis(axis) for axis in signal.axes],
    }


def _axis(axis: Axis) -> dict[str, Any]:
    told = {"name": axis.name, "unit": axis.unit, "size": axis.size}
    if axis.points is not None:
        return {**told, "points": list(axis.points)}
    step = {} if axis.unit in _NO_UNITS else {"step": {"value": abs(axis.scale), "units": axis.unit}}
    return {**told, "offset": axis.offset, "scale": axis.scale, **step}
