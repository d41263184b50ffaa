"""Opens any scan or set of spectra by what is in the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from parscope.core.contracts import Reader, SpectraReader
from parscope.core.errors import FormatError, InputError
from parscope.core.frames import Frames
from parscope.core.registry import load, names
from parscope.core.spectra import Spectra

_GROUP, _SPECTRA = "parscope.readers", "parscope.spectra_readers"
_READABLE = "NumPy, DECTRIS, electron events, HDF5 (py4DSTEM, EMD, NeXus), Zarr, Merlin, EMPAD, DM, BLO, TVIPS"
_READABLE_SPECTRA = "USID or NSID (HDF5), .npz of frequency and spectra, Igor .ibw, Nanonis .dat or .sxm"


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
    present(file)
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


def open_spectra(
    path: Path | str,
    *,
    format: str | None = None,  # noqa: A002
    dataset: str | None = None,
) -> Spectra:
    """Open spectra without loading them; the format is told by the content, not by the name.

    An image opens as maps of its channels: its last axis is named ``channel`` and ``metadata["channels"]`` names them.

    Parameters
    ----------
    path : Path or str
        A file: USID or NSID (HDF5), ``.npz`` of ``frequency`` and ``spectra``, Igor ``.ibw``, Nanonis ``.dat`` or
        ``.sxm``.
    format : str, optional
        Name of a reader, to skip the sniffing: ``usid``, ``nsid``, ``numpy``, ``igor``, ...
    dataset : str, optional
        Which data set or channel, for files of several: its name, or the end of its path.

    Returns
    -------
    Spectra
        Spectra are read when `Spectra.data` is sliced.

    Raises
    ------
    InputError
        If the file is missing, empty, cut short, of no known format or without spectra; with what was found.
    OptionError
        If there is no reader of that name.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/a.npz", frequency=np.arange(80.0), spectra=np.zeros((5, 80), complex))
    ...     open_spectra(f"{folder}/a.npz").navigation_shape
    (5,)
    """
    file = Path(path)
    present(file)
    reader = load(_SPECTRA, format)() if format else _sniff_spectra(file)
    spectra: Spectra = reader.read(file, dataset=dataset)
    return spectra


def _sniff_spectra(path: Path) -> SpectraReader:
    for name in names(_SPECTRA):
        reader: SpectraReader = load(_SPECTRA, name)()
        if reader.accepts(path):
            return reader
    _refuse_hdf5(path)
    raise FormatError("is of no format of spectra that is read", str(path), f"give {_READABLE_SPECTRA}")


def _refuse_hdf5(path: Path) -> None:
    """Say what is in an HDF5 file of no layout that is read, or what is wrong with a damaged one."""
    from parscope.io._h5 import opened, signed, survey

    if signed(path):
        with opened(path) as file:
            held = survey(file).listing()
        raise FormatError(
            f"is HDF5, but holds neither USID nor NSID spectra; it holds {held}", str(path), f"give {_READABLE_SPECTRA}"
        )


def present(path: Path) -> None:
    """Refuse a path that nothing can be read from.

    Parameters
    ----------
    path : Path
        A file or folder.

    Raises
    ------
    InputError
        If there is nothing, or an empty file, or it may not be read.
    """
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
