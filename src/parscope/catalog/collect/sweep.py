"""What lies in a folder now: files, their size and time, and what is passed over."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from parscope.catalog.collect.names import is_hidden, is_temporary

_ZARR = frozenset({"zarr.json", ".zgroup", ".zarray"})


@dataclass(frozen=True)
class Found:
    """A file, or a folder that is one data set (Zarr), as it lies there.

    Parameters
    ----------
    path : Path
        Absolute.
    size : int
        In bytes; of a folder: of all files in it.
    mtime_ns : int
        When it was changed last, in ns since 1970; of a folder: of the latest change in it.
    """

    path: Path
    size: int
    mtime_ns: int


@dataclass
class PassedOver:
    """What a sweep did not take.

    Parameters
    ----------
    hidden, temporary : int
        How many hidden files and folders, and files with the name of an unfinished one.
    links : int
        Symbolic links to something inside the folder, which is taken where it lies.
    outward : list of Path
        Symbolic links that lead out of the folder, or nowhere; they are not followed.
    unreadable : list of Path
        Folders that could not be listed, and files that could not be looked at.
    """

    hidden: int = 0
    temporary: int = 0
    links: int = 0
    outward: list[Path] = field(default_factory=list)
    unreadable: list[Path] = field(default_factory=list)


def examine(path: Path) -> Found | None:
    """Look at one file or Zarr folder.

    Parameters
    ----------
    path : Path
        Absolute.

    Returns
    -------
    Found or None
        None where there is no such thing now, or none that may be looked at.
    """
    try:
        told = path.lstat()
        if stat.S_ISREG(told.st_mode):
            return Found(path, told.st_size, told.st_mtime_ns)
        return _examine_folder(path) if stat.S_ISDIR(told.st_mode) else None
    except OSError:
        return None


def is_gone(path: Path) -> bool:
    """Whether a file is known not to be there; of one that may not be looked at nothing new is known.

    Parameters
    ----------
    path : Path
        Where it was.

    Returns
    -------
    bool
        Also True if something else, such as a link, lies there now.
    """
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def is_away(folder: Path) -> bool:
    """Whether a folder is not there or has nothing in it, as that of a disk that is not mounted.

    Parameters
    ----------
    folder : Path
        The folder that is collected.

    Returns
    -------
    bool
    """
    try:
        with os.scandir(folder) as entries:
            return all(is_hidden(entry.name) for entry in entries)
    except OSError:
        return True


def is_lost(path: Path, root: Path) -> bool:
    """Whether a file was taken away, and not the whole disk with it, or the way to it.

    Parameters
    ----------
    path : Path
        Where it was.
    root : Path
        The folder that is collected.

    Returns
    -------
    bool
    """
    return is_gone(path) and not is_away(root)


def is_data_set(folder: Path) -> bool:
    """Whether a folder is one data set (Zarr), whose files are not looked at one by one.

    Parameters
    ----------
    folder : Path
        A folder.

    Returns
    -------
    bool
    """
    return any(os.path.lexists(folder / name) for name in _ZARR)


def place_of(path: Path, root: Path) -> tuple[Path, bool] | None:
    """Find where to look for a change.

    Parameters
    ----------
    path : Path
        What changed.
    root : Path
        The folder that is collected.

    Returns
    -------
    tuple of Path and bool
        The folder to list, and whether with those in it.
    None
        If it is hidden.
    """
    folder = root
    for name in path.relative_to(root).parts:
        if is_hidden(name):
            return None
        inner = folder / name
        if is_data_set(inner) or not inner.is_dir() or inner.is_symlink():
            return folder, False
        folder = inner
    return folder, True


def _examine_folder(path: Path) -> Found | None:
    """Zarr folders only: the files of other folders are looked at one by one."""
    if not is_data_set(path):
        return None
    told = [path.lstat(), *(inner.lstat() for inner in path.rglob("*"))]
    size = sum(one.st_size for one in told if stat.S_ISREG(one.st_mode))
    return Found(path, size, max(one.st_mtime_ns for one in told))


def sweep(
    root: Path,
    start: Path | None = None,
    *,
    deep: bool = True,
    but: frozenset[Path] = frozenset(),
    passed: PassedOver | None = None,
) -> Iterator[Found]:
    """List the files of a folder, in the order of their names.

    Parameters
    ----------
    root : Path
        The folder that is collected, resolved.
    start : Path, optional
        A folder in it; itself if not given.
    deep : bool, default True
        Whether folders in it are listed too.
    but : frozenset of Path, optional
        Files that are not to be taken.
    passed : PassedOver, optional
        Told what is passed over.

    Yields
    ------
    Found

    Raises
    ------
    OSError
        If the folder itself cannot be listed.
    """
    passed = PassedOver() if passed is None else passed
    first = root if start is None else start
    waiting = [first]
    while waiting:
        folder = waiting.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            if folder == first:
                raise
            passed.unreadable.append(folder)
            continue
        if _ZARR & {entry.name for entry in entries}:
            yield from _looked_at(folder, passed)
            continue
        folders = []
        for entry in entries:
            if _is_taken(entry, root, but, passed):
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                else:
                    yield from _looked_at(Path(entry.path), passed)
        waiting += reversed(folders) if deep else ()


def _looked_at(path: Path, passed: PassedOver) -> list[Found]:
    found = examine(path)
    if found is None:
        passed.unreadable.append(path)
    return [found] if found is not None else []


def _is_taken(entry: os.DirEntry[str], root: Path, but: frozenset[Path], passed: PassedOver) -> bool:
    """Whether an entry of a folder is a file to collect or a folder to look into."""
    if is_hidden(entry.name):
        passed.hidden += 1
    elif entry.is_symlink():
        _note_link(Path(entry.path), root, passed)
    elif entry.is_dir(follow_symlinks=False):
        return True
    elif is_temporary(entry.name):
        passed.temporary += 1
    else:
        return entry.is_file(follow_symlinks=False) and Path(entry.path) not in but
    return False


def _note_link(link: Path, root: Path, passed: PassedOver) -> None:
    """Count a link; one that leads in a circle has no end, and so leads nowhere."""
    try:
        inside = link.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):
        inside = False
    if inside:
        passed.links += 1
    else:
        passed.outward.append(link)
