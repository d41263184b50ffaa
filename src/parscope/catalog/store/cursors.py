"""Cursors: where a page ended, as a text that only the query it is of can go on from."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import Any

from parscope.core.errors import QueryError

_SEAL = 9  # bytes; a multiple of three needs no padding


def seal(position: list[Any], *about: Any) -> str:
    """Cursor of a position in a list.

    Parameters
    ----------
    position : list
        What JSON knows.
    *about : object
        What the list is of: query, order, direction. Their `repr` says all of them.

    Returns
    -------
    str
        Letters, digits, ``-`` and ``_``.
    """
    content = json.dumps(position, separators=(",", ":")).encode()
    return urlsafe_b64encode(_seal(content, about) + content).decode().rstrip("=")


def unseal(cursor: str, *about: Any) -> list[Any]:
    """Position that a cursor tells.

    Parameters
    ----------
    cursor : str
        As `seal` made it.
    *about : object
        What the list is of.

    Returns
    -------
    list

    Raises
    ------
    QueryError
        If it is broken, or of another list.

    Examples
    --------
    >>> unseal(seal([3, 7], "newest"), "newest")
    [3, 7]
    """
    try:
        content = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    except ValueError:
        content = b""
    if content[:_SEAL] != _seal(content[_SEAL:], about):
        raise QueryError("is no cursor of this query in this order", repr(cursor[:40]), "begin with the first page")
    position: list[Any] = json.loads(content[_SEAL:])
    return position


def _seal(content: bytes, about: tuple[Any, ...]) -> bytes:
    return blake2b(content + repr(about).encode("utf-8", "surrogatepass"), digest_size=_SEAL).digest()
