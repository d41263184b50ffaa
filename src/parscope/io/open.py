"""Opens any 4D-STEM scan by what is in the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from parscope.core.contracts import Reader
from parscope.core.errors import FormatError, InputError
from parscope.core.frames import Frames
from parscope.core.registry import load, names

_GROUP = "parscope.readers"
_READABLE = "NumPy, DECTRIS, electron events, HDF5 (py4DSTEM, EMD, NeXus), Zarr, Merlin, EMPAD, DM, BLO, TVIPS"


def open_frames(
    path: Path | str,
    *,
    format: str | None = None,  # noqa: A002
    scan_shape: tuple[int, int] | None = None,
    pattern_shape: tuple[int, int] | None = None,
    dtype: str | None = None,
    dataset: str | None = None,
) -> Frames:
    """Open a 4D-STEM scan without loading its patterns; the format is told by the content, not by the name.

    Parameters
    ----------
    path : Path or str
        A file, or the folder of a Zarr store.
    format : str, optional
        Name of a reader, to skip the sniffing: ``numpy``, ``dectris``, ``merlin``, ``raw``, ...
    scan_shape, pattern_shape : tuple of int, optional
        (y, x) lengths, for formats that do not store them; [1].
    dtype : str, optional
        NumPy name of the sample type, for raw files.
    dataset : str, optional
        Which array, for containers of several.

    Returns
    -------
    Frames
        Patterns are read when `Frames.data` is sliced; options that were given are kept in its metadata as
        ``opened_with``.

    Raises
    ------
    InputError
        If the file is missing, empty, cut short, of no known format or not 4D; with what was found.
    OptionError
        If there is no reader of that name, or an option contradicts the file.
    MissingExtraError
        If the format needs a library that is not installed.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/scan.npy", np.zeros((2, 3, 8, 8), np.uint16))
    ...     open_frames(f"{folder}/scan.npy").scan_shape
    (2, 3)
    """
    file = Path(path)
    _present(file)
    reader = load(_GROUP, format)() if format else _sniff(file, raw=bool(scan_shape and pattern_shape))
    options: dict[str, Any] = {
        "scan_shape": scan_shape,
        "pattern_shape": pattern_shape,
        "dtype": dtype,
        "dataset": dataset,
    }
    frames: Frames = reader.read(file, **options)
    given = {name: value for name, value in {"format": format, **options}.items() if value is not None}
    return replace(frames, metadata={**frames.metadata, "opened_with": given}) if given else frames


def _present(path: Path) -> None:
    if not path.exists():
        near = sorted(p.name for p in path.parent.glob(f"{path.stem[:4]}*"))[:3] if path.parent.is_dir() else []
        raise InputError("no such file", str(path), f"did you mean {', '.join(near)}?" if near else "check the path")
    if path.is_file() and path.stat().st_size == 0:
        raise FormatError("the file is empty", str(path), "copy it again from the instrument")
    try:
        if path.is_file():
            path.open("rb").close()
    except OSError as error:
        raise InputError(f"cannot be opened ({error.strerror})", str(path), "check its permissions") from error


def _sniff(path: Path, raw: bool) -> Reader:
    for name in names(_GROUP):
        if name == "raw":
            continue
        reader: Reader = load(_GROUP, name)()
        if reader.accepts(path):
            return reader
    if path.is_dir():
        inside = sorted(p.name for p in path.iterdir())[:4]
        raise FormatError(
            f"is a folder, but no Zarr store; it holds {', '.join(inside) or 'nothing'}", str(path), "name one file"
        )
    if raw:
        fallback: Reader = load(_GROUP, "raw")()
        return fallback
    raise FormatError(
        "is of no format that is read",
        str(path),
        f"give {_READABLE}; or, for plain numbers, --scan-shape, --pattern-shape and --dtype",
    )
