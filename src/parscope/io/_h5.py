"""HDF5 beneath the formats built on it: opening files, finding data sets, naming what is missing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin as hdf5plugin  # its import teaches HDF5 bitshuffle, LZ4, Zstandard, ...
import numpy as np

from parscope.core.errors import FormatError, InputError, ParscopeError, TruncatedError, UnreadableError
from parscope.io._h5_heap import check_heaps
from parscope.io._scan import first_line

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_NODES, _DEPTH = 20_000, 16


def signed(path: Path) -> bool:
    """Whether a file bears the HDF5 signature, at its start or behind a user block.

    Parameters
    ----------
    path : Path
        Any file.

    Returns
    -------
    bool
    """
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        for offset in (0, 512, 1024, 2048):
            stream.seek(offset)
            if stream.read(8) == _SIGNATURE:
                return True
    return False


def open_file(path: Path, cache: int = 1 << 20) -> h5py.File:
    """Open a file for reading, without a lock, so that an acquisition is not disturbed.

    Parameters
    ----------
    path : Path
        The file.
    cache : int, default 1 MiB
        Bytes of decompressed chunks that are kept.

    Returns
    -------
    h5py.File

    Raises
    ------
    TruncatedError, FormatError, InputError
        If it cannot be opened.
    """
    slots = 100_003 if cache > 1 << 20 else 521
    try:
        try:
            return h5py.File(path, "r", rdcc_nbytes=cache, rdcc_nslots=slots, locking=False)
        except OSError as error:
            if "locking flag" not in str(error):
                raise
            # the person's own program has it open with a lock, which every handle in a process must share
            return h5py.File(path, "r", rdcc_nbytes=cache, rdcc_nslots=slots)
    except FileNotFoundError as error:
        raise InputError("no such file", str(path), "put it back beside the file that links to it") from error
    except Exception as error:
        if "truncated" in str(error):
            raise TruncatedError(
                "is cut short: HDF5 finds fewer bytes than it wrote", str(path), "copy it again from the instrument"
            ) from error
        raise FormatError(
            f"is a damaged HDF5 file ({first_line(error)})", str(path), "copy it again from the instrument"
        ) from error


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open a file to look at its layout; whatever HDF5 stumbles over becomes one clear error.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    h5py.File

    Raises
    ------
    FormatError
        If the layout is damaged.
    """
    check_heaps(path)
    file = open_file(path)
    try:
        with file:
            yield file
    except (ParscopeError, MemoryError):
        raise
    except Exception as error:
        raise FormatError(
            f"is a damaged HDF5 file ({first_line(error)})", str(path), "copy it again from the instrument"
        ) from error


def looks(path: Path, test: Callable[[h5py.File], bool]) -> bool:
    """Whether a file is HDF5 and of a certain layout; False for whatever cannot be opened.

    Parameters
    ----------
    path : Path
        Any file.
    test : callable
        Judges the open file.

    Returns
    -------
    bool
    """
    if not signed(path):
        return False
    try:
        with opened(path) as file:
            return test(file)
    except ParscopeError:
        return False


@dataclass
class Contents:
    """What is in a file.

    Parameters
    ----------
    datasets : dict
        Path in the file -> (shape, dtype).
    missing : dict
        Path in the file -> external file it should come from, for links that lead nowhere.
    """

    datasets: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def of_rank(self, *ranks: int) -> list[str]:
        """Paths of the numeric data sets with so many dimensions, none of them empty."""
        return [k for k, (s, d) in self.datasets.items() if len(s) in ranks and 0 not in s and d.kind in "buif"]

    def listing(self, limit: int = 3) -> str:
        """The largest data sets, for an error message."""
        ordered = sorted(self.datasets.items(), key=lambda item: -int(np.prod(item[1][0], dtype=object)))
        shown = [f"{k} {s} {d}" for k, (s, d) in ordered[:limit] if s]
        more = f" and {len(ordered) - limit} more" if len(ordered) > limit else ""
        return ", ".join(shown) + more if shown else "no data set"


def survey(file: h5py.File) -> Contents:
    """Walk through a file; loops of links end, and files that are linked to but absent are named.

    Parameters
    ----------
    file : h5py.File
        Open for reading.

    Returns
    -------
    Contents
    """
    found, seen, todo = Contents(), set(), [(file["/"], "", 0)]
    while todo and len(found.datasets) < _NODES:
        group, prefix, depth = todo.pop()
        mark = (group.file.filename, h5py.h5o.get_info(group.id).addr)
        if mark in seen or depth > _DEPTH:
            continue
        seen.add(mark)
        for name in group:
            child = _child(group, name, f"{prefix}/{name}", found)
            if isinstance(child, h5py.Dataset):
                found.datasets[f"{prefix}/{name}"] = (child.shape or (), child.dtype)
            elif isinstance(child, h5py.Group):
                todo.append((child, f"{prefix}/{name}", depth + 1))
    return found


def _child(group: h5py.Group, name: str, path: str, found: Contents) -> Any:
    try:
        return group[name]
    except (KeyError, OSError):
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            found.missing[path] = link.filename
        return None


def attributes(file: h5py.File, limit: int = 2000) -> dict[str, Any]:
    """Attributes and single values of a file, as ``group/name`` -> value.

    Parameters
    ----------
    file : h5py.File
        Open for reading.
    limit : int, default 2000
        Most entries.

    Returns
    -------
    dict
    """
    tree: dict[str, Any] = {f"@{k}": v for k, v in _attrs(file)}

    def note(name: str, node: Any) -> bool | None:
        if isinstance(node, h5py.Dataset) and node.size is not None and node.size <= 16:
            tree[name] = node[()]
        tree.update({f"{name}@{k}": v for k, v in _attrs(node)})
        return True if len(tree) >= limit else None

    file.visititems(note)
    return tree


def attribute(node: Any, key: str, default: Any = None) -> Any:
    """Attribute of a group or a data set; a list of varying length counts as absent.

    No metadata need such lists, and HDF5 crashes on a text that damage has turned into one.

    Parameters
    ----------
    node : h5py.Group or h5py.Dataset
        Whose.
    key : str
        Its name.
    default : object, optional
        Given back where there is none.

    Returns
    -------
    object
    """
    if key not in node.attrs or h5py.check_vlen_dtype(node.attrs.get_id(key).dtype) not in (None, str, bytes):
        return default
    return node.attrs[key]


def scale_of(stored: h5py.Dataset, place: int) -> h5py.Dataset | None:
    """Scale attached to a dimension, by the attribute that holds it: HDF5's own functions crash on a damaged one.

    Parameters
    ----------
    stored : h5py.Dataset
        Any data set.
    place : int
        Which dimension.

    Returns
    -------
    h5py.Dataset or None
        None where no scale is attached.
    """
    held = "DIMENSION_LIST" in stored.attrs
    if not held or h5py.check_vlen_dtype(stored.attrs.get_id("DIMENSION_LIST").dtype) != h5py.ref_dtype:
        return None
    attached = stored.attrs["DIMENSION_LIST"]
    if len(attached) != stored.ndim or not len(attached[place]) or not attached[place][0]:
        return None
    scale = stored.file[attached[place][0]]
    return scale if isinstance(scale, h5py.Dataset) else None


def _attrs(node: Any) -> Iterator[tuple[str, Any]]:
    for key in node.attrs:
        try:
            yield key, attribute(node, key, "not readable")
        except (OSError, TypeError, ValueError):
            # an attribute of a type that NumPy has not; the rest still speaks
            yield key, "not readable"


def sources(dataset: h5py.Dataset, path: Path) -> None:
    """Refuse a virtual data set whose source files are missing: HDF5 would hand out zeros without a word.

    Parameters
    ----------
    dataset : h5py.Dataset
        Any data set.
    path : Path
        The file it is in.

    Raises
    ------
    UnreadableError
        Naming the files.
    """
    if not dataset.is_virtual:
        return
    files = {source.file_name for source in dataset.virtual_sources()}
    refuse_missing(path, sorted(f for f in files if f != "." and not (path.parent / f).exists()))


def refuse_missing(path: Path, files: list[str]) -> None:
    """Name the data files that a file links to but that are not there.

    Parameters
    ----------
    path : Path
        The file that links.
    files : list of str
        Names of those missing; nothing happens if there is none.

    Raises
    ------
    UnreadableError
        If there is one.
    """
    if files:
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        raise UnreadableError(
            f"links to the data file {files[0]}{more}, which is missing", str(path), f"put it into {path.parent}"
        )


def beside(path: Path, name: str) -> Path:
    """Path of a file that another one names, relative to that one.

    Parameters
    ----------
    path : Path
        The file that names.
    name : str
        As it is named.

    Returns
    -------
    Path
    """
    return Path(os.path.normpath(path.parent / name))
