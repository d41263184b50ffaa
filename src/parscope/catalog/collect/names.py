"""Names of files: as text in a database, and which of them stand for no finished file."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL

_UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".tmp", ".temp", ".swp", ".lock", ".lck", "~")
_SYSTEM = frozenset({"thumbs.db", "desktop.ini", "$recycle.bin", "system volume information"})

# Bytes of a name that are no UTF-8 are lone surrogates in Python, which no database takes; 128 characters for private
# use stand for them there. A name that has such characters of its own cannot be told from it, and is not found again.
_TO_PRIVATE = {0xDC00 + byte: 0xF700 + byte for byte in range(0x80, 0x100)}
_FROM_PRIVATE = {private: surrogate for surrogate, private in _TO_PRIVATE.items()}


def to_text(path: Path) -> str:
    r"""Spell a path as text that any database keeps.

    Parameters
    ----------
    path : Path
        Also one whose name is not in UTF-8, as old shares have them.

    Returns
    -------
    str

    Examples
    --------
    >>> to_path(to_text(Path("5 \udcb5m.dm4"))) == Path("5 \udcb5m.dm4")
    True
    """
    return str(path).translate(_TO_PRIVATE)


def to_path(text: str) -> Path:
    """Path of a file as the operating system knows it.

    Parameters
    ----------
    text : str
        From `to_text`.

    Returns
    -------
    Path
    """
    return Path(text.translate(_FROM_PRIVATE))


def is_hidden(name: str) -> bool:
    """Whether a name is one that people do not see.

    Parameters
    ----------
    name : str
        Of a file or folder.

    Returns
    -------
    bool
    """
    return name.startswith(".") or name.lower() in _SYSTEM


def is_temporary(name: str) -> bool:
    """Whether a name says that its file is not finished, or only a lock.

    Parameters
    ----------
    name : str
        Of a file.

    Returns
    -------
    bool

    Examples
    --------
    >>> [is_temporary(name) for name in ("scan.dm4.part", "~$notes.docx", "scan.dm4")]
    [True, True, False]
    """
    return name.startswith(("~$", "~lock")) or name.lower().endswith(_UNFINISHED)


def files_of_database(url: URL) -> frozenset[Path]:
    """Find the files that a SQLite database writes, which are not to be collected.

    Parameters
    ----------
    url : URL
        Of the catalog.

    Returns
    -------
    frozenset of Path
        Empty for a database on a server.
    """
    if url.get_backend_name() != "sqlite" or not url.database:
        return frozenset()
    path = Path(url.database).resolve()
    return frozenset(path.with_name(path.name + ending) for ending in ("", "-wal", "-shm", "-journal"))
