"""Headers of text: their bytes as characters, whatever their encoding."""

from __future__ import annotations

from pathlib import Path


def decoded(raw: bytes) -> str:
    """Text of bytes: UTF-8, UTF-16 with its mark, or the encoding of instruments of before.

    Parameters
    ----------
    raw : bytes
        As they are in the file.

    Returns
    -------
    str
    """
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", "replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace") if b"\x81" not in raw else raw.decode("latin-1")


def beginning(path: Path, count: int) -> bytes:
    """First bytes of a file; none of a folder.

    Parameters
    ----------
    path : Path
        A file or folder that exists.
    count : int
        At most so many.

    Returns
    -------
    bytes
    """
    if not path.is_file():
        return b""
    with path.open("rb") as stream:
        return stream.read(count)
