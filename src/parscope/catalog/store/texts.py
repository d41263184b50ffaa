"""Patterns of text: those of `Like`, and regular expressions, both by RE2, whose time is linear in the text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TypeAlias
from unicodedata import normalize

from parscope.catalog.store import keys
from parscope.catalog.store.scope import Ids, ids_of
from parscope.core.errors import QueryError

Accepts: TypeAlias = Callable[[bytes], bool]
"""Whether a text, as its key, is of a pattern."""

_ONE = rb"(?:[\x00-\x7f]|[\xc0-\xff][\x80-\xbf]*)"  # code point in UTF-8
_PARTS = re.compile(r"\\(.)|([%_])|([^\\%_]+|\\)", re.DOTALL)


@lru_cache
def like(pattern: str) -> Accepts:
    r"""Texts that a pattern with ``%`` and ``_`` describes as a whole.

    Examples
    --------
    >>> [like("a%_c")(text) for text in (b"abc", b"ac", b"axxc", b"abcd")]
    [True, False, True, False]
    >>> like(r"50\%")(b"50%")
    True
    """
    import re2

    options = re2.Options()
    options.encoding, options.dot_nl, options.log_errors = re2.Options.Encoding.LATIN1, True, False
    wild = {"%": b".*", "_": _ONE}
    parts = [wild.get(sign) or re2.escape(keys.text(taken or plain)) for taken, sign, plain in _PARTS.findall(pattern)]
    compiled = re2.compile(b"".join(parts), options)
    return lambda text: compiled.fullmatch(text) is not None


def beginning(pattern: str) -> str:
    r"""Literal text before the first ``%`` or ``_`` of a pattern.

    Examples
    --------
    >>> beginning(r"50\%_sample%")
    '50%'
    """
    start = ""
    for taken, sign, plain in _PARTS.findall(pattern):
        if sign:
            break
        start += taken or plain
    return start


def matching(accepts: Accepts, rows: Iterable[tuple[bytes, str]]) -> tuple[Ids, Ids]:
    """Part records by whether a text of theirs is of a pattern.

    Parameters
    ----------
    accepts : callable
        The pattern.
    rows : iterable of (bytes, str)
        Keys of texts, and the joined ids of the records that have them.

    Returns
    -------
    tuple of ndarray, shape (n,) and (m,)
        Ids of records with such a text, and of those with another one; of records with both in both.
    """
    parted: tuple[list[str], list[str]] = ([], [])
    for text, ids in rows:
        parted[0 if accepts(text) else 1].append(ids)
    return ids_of(",".join(parted[0])), ids_of(",".join(parted[1]))


@lru_cache
def containing(pattern: str) -> Accepts:
    """Texts in which a regular expression is found.

    Raises
    ------
    QueryError
        If it is none.

    Examples
    --------
    >>> containing("^do.ain")(b"domain wall")
    True
    """
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(keys.text(pattern), options)
    except re2.error as error:
        raise QueryError(f"is no regular expression: {error.args[0].decode()}", repr(pattern)) from None
    return lambda text: compiled.search(text) is not None


def spellings(name: str) -> frozenset[str]:
    """A name as it is typed, and as names are kept, with letters and their marks as one character (NFC).

    Parameters
    ----------
    name : str
        Of a tag, a collection, an annotation or a saved query.

    Returns
    -------
    frozenset of str
    """
    return frozenset({name, normalize("NFC", name)})
